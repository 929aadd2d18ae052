"""Where a stream is: brokers, who asks, and options, with every secret by its name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

from jupyter_mlops.data.sources.opening import Request
from jupyter_mlops.workspace.errors import Invalid, Unavailable
from jupyter_mlops.workspace.secrets import is_secret, reveal

__all__ = ["Address", "client"]

_SENSITIVE: Final = re.compile(
    r"password|passphrase|secret|token|credential|private|seed|\.pem$|oauthbearer\.config", re.I
)
#: Endings of options that say where a credential is, not what it is.
_PLACES: Final = (".location", ".file", ".url")
_PAYLOADS: Final = ("json", "text", "bytes")


@dataclass(frozen=True)
class Address:
    """A stream's URI, taken apart.

    Attributes
    ----------
    uri : str
        As it was given: secrets are in it by name only.
    hosts : list of str
        ``host:port`` of each broker.
    user, password : str or None
        The password is ``secret:NAME``; see `Address.revealed`.
    path : list of str
    options : dict
        What followed the question mark, without `timeout` and `payload`.
    timeout : float
        Seconds to wait for a broker that doesn't answer.
    payload : str or None
        What messages hold, when they shouldn't be looked at to find out.
    """

    uri: str
    hosts: list[str]
    user: str | None
    password: str | None
    path: list[str]
    options: dict[str, str] = field(default_factory=dict)
    timeout: float = 10.0
    payload: str | None = None

    @classmethod
    def parse(cls, request: Request, port: int, form: str) -> Address:
        """Take a URI apart.

        Raises
        ------
        Invalid
            It hasn't the right form, or an option holds a credential itself.
        """
        request.refuse("query")
        rest = request.uri.partition("://")[2].partition("#")[0]
        rest, _, query = rest.partition("?")
        place, _, path = rest.partition("/")
        who, _, where = place.rpartition("@")
        user, _, password = who.partition(":")
        hosts = [host if _has_port(host) else f"{host}:{port}" for host in where.split(",") if host]
        parts = [unquote(part) for part in path.split("/") if part]
        if not hosts or not parts:
            raise Invalid(
                "the URI names no " + ("stream" if hosts else "host"),
                fix=f"write {form}",
                code="E-STREAM-005",
            )
        options = dict(parse_qsl(query, keep_blank_values=True))
        for name, value in options.items():
            named = is_secret(value) or name.endswith(_PLACES)
            if _SENSITIVE.search(name) and not named:
                raise Invalid(
                    f"the option {name} holds a credential",
                    "it would be kept in notebooks, events and logs",
                    f"write {name}=secret:NAME and put the value into the environment variable "
                    "NAME or the keyring",
                    code="E-STREAM-006",
                )
        try:
            timeout = float(options.pop("timeout", "10"))
        except ValueError:
            timeout = 0.0
        payload = options.pop("payload", None)
        if not 0 < timeout <= 600 or payload not in (None, *_PAYLOADS):
            raise Invalid(
                "an option of the URI can't be used",
                "timeout is 1 to 600 seconds, and payload is json, text or bytes",
                "mend it or leave it out",
                code="E-STREAM-007",
            )
        return cls(
            request.uri,
            hosts,
            unquote(user) or None,
            password or None,
            parts,
            options,
            timeout,
            payload,
        )

    @property
    def places(self) -> str:
        """The brokers, as a sentence names them."""
        return ", ".join(self.hosts)

    def revealed(self) -> str | None:
        """The password itself; only for the moment of connecting."""
        return None if self.password is None else reveal(unquote(self.password))

    def settings(self) -> dict[str, str]:
        """The options with their secrets; only for the moment of connecting."""
        return {k: reveal(v) if is_secret(v) else v for k, v in self.options.items()}

    def scrub(self, text: str) -> str:
        """A client's message without any secret that it may repeat."""
        for named in (self.password, *self.options.values()):
            if named and is_secret(unquote(named)):
                text = text.replace(reveal(unquote(named)), "…")
        return (text.strip().splitlines() or [""])[0]

    def only(self, *known: str) -> None:
        """Refuse options that mean nothing here.

        Raises
        ------
        Invalid
            Names the first of them.
        """
        for name in self.options:
            if name not in known:
                raise Invalid(
                    f"the URI has an option {name!r} that means nothing here",
                    f"options are {', '.join((*known, 'timeout', 'payload'))}",
                    "leave it out",
                    code="E-STREAM-008",
                )


def _has_port(host: str) -> bool:
    return re.search(r":\d+$", host) is not None and (host.count(":") == 1 or "]:" in host)


def client(module: str, package: str, extra: str) -> Any:
    """Import the client of a system, or say how to install it.

    Raises
    ------
    Unavailable
        It isn't installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise Unavailable(
            f"reading {extra}:// needs the package {package}",
            str(error),
            f'run `pip install "jupyter_mlops[{extra}]"`',
            code="E-STREAM-004",
        ) from None

"""The URIs of objects, taken apart: where they are, and what is needed to ask for them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from jupyter_mlops.data.sources.files.formats import format_of
from jupyter_mlops.workspace.errors import Invalid, closest
from jupyter_mlops.workspace.secrets import is_secret, reveal

__all__ = ["Location"]

#: Options of each kind of store; those that are True hold a credential.
_OPTIONS: Final[dict[str, dict[str, bool]]] = {
    "s3": {
        "endpoint_url": False,
        "region": False,
        "profile": False,
        "anon": False,
        "key": True,
        "secret": True,
        "token": True,
    },
    "gs": {"endpoint_url": False, "project": False, "anon": False, "token": True},
    "az": {
        "endpoint_url": False,
        "account_name": False,
        "account_host": False,
        "tenant_id": False,
        "client_id": False,
        "anon": False,
        "account_key": True,
        "sas_token": True,
        "client_secret": True,
        "connection_string": True,
    },
}
_KINDS: Final = {"gcs": "gs", "abfs": "az", "abfss": "az", "https": "http"}
_CREDENTIAL: Final = re.compile(
    r"signature|credential|token|secret|password|passwd|pwd|api_?key|access_?key|^(sig|key|auth|code)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Location:
    """Where objects are.

    Attributes
    ----------
    uri : str
        As it was given; secrets are in it by their names only.
    kind : {"s3", "gs", "az", "http"}
    path : str
        ``bucket/key``, perhaps with stars, or an http URL with secrets by their names.
    fragment : str
        What stood behind ``#``: a sheet, an encoding.
    user, password : str
        Of http, and the key of S3; the password is ``secret:NAME``.
    options : dict of str to str
        Secrets by their names.
    """

    uri: str
    kind: str
    path: str
    fragment: str = ""
    user: str = ""
    password: str = field(default="", repr=False)
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Take a URI apart.

        Raises
        ------
        Invalid
            It holds a credential itself, or an option that isn't known.

        Examples
        --------
        >>> Location.parse("s3://bucket/2013/*.parquet?anon=true").options
        {'anon': 'true'}
        """
        scheme, _, rest = uri.partition("://")
        kind = _KINDS.get(scheme.lower(), scheme.lower())
        fragment = ""
        if "#" in rest:
            before, _, after = rest.rpartition("#")
            if kind == "http" or format_of(before.partition("?")[0]):
                rest, fragment = before, unquote(after)
        if kind == "http":
            return cls._web(uri, scheme.lower(), rest, fragment)
        # A question mark is a glob's as well: only `?name=value` begins the options.
        match = re.search(r"\?(\w+=.*)$", rest, re.DOTALL)
        options = dict(parse_qsl(match[1], keep_blank_values=True)) if match else {}
        path = rest[: match.start()] if match else rest
        user = password = ""
        if kind == "s3" and "@" in path.partition("/")[0]:
            who, _, path = path.partition("@")
            user, _, password = (unquote(part) for part in who.partition(":"))
        elif kind == "az" and "@" in path.partition("/")[0]:
            # abfs://container@account.dfs.core.windows.net/key
            host = path.partition("/")[0].partition("@")[2]
            options.setdefault("account_name", host.partition(".")[0])
            if "." in host and not host.endswith(".core.windows.net"):
                # Another of Azure's clouds, or a name of the account's own.
                options.setdefault("account_host", host.replace(".dfs.", ".blob.", 1))
            path = path.replace(f"@{host}", "", 1)
        known = _OPTIONS[kind]
        for name, value in options.items():
            if name not in known:
                raise Invalid(
                    f"{scheme} URIs have no option {name!r}",
                    f"they have {', '.join(known)}",
                    closest(name, known),
                    code="E-OBJECT-003",
                )
            if known[name] and not is_secret(value):
                raise _held(name)
        return cls(uri, kind, path.strip("/"), fragment, user, password, options)

    @classmethod
    def _web(cls, uri: str, scheme: str, rest: str, fragment: str) -> Location:
        parts = urlsplit(f"{scheme}://{rest}")
        pairs = parse_qsl(parts.query, keep_blank_values=True)
        for name, value in pairs:
            if _CREDENTIAL.search(name) and not is_secret(value):
                raise _held(name)
        host = parts.netloc.rpartition("@")[2]
        options = {name: value for name, value in pairs if is_secret(value)}
        kept = "&".join(f"{quote(n)}={quote(v, safe=':')}" for n, v in pairs if n != "bearer")
        # What a server signed must arrive letter by letter.
        query = kept if options else parts.query
        path = f"{scheme}://{host}{parts.path}" + (f"?{query}" if query else "")
        user = unquote(parts.username or "")
        return cls(uri, "http", path, fragment, user, unquote(parts.password or ""), options)

    def revealed(self, name: str) -> str | None:
        """An option's value, or the secret that it names."""
        value = self.options.get(name)
        return reveal(value) if value is not None and is_secret(value) else value

    @property
    def flag(self) -> bool:
        """Whether nobody in particular asks (``anon=true``)."""
        return self.options.get("anon", "").lower() in {"1", "true", "yes"}

    def url(self) -> str:
        """The URL of http with its secrets; only for the moment of asking."""
        found = self.path
        for name, value in self.options.items():
            if name != "bearer":
                found = found.replace(
                    f"={quote(value, safe=':')}", f"={quote(reveal(value), safe='')}"
                )
        return found

    def secrets(self) -> list[str]:
        """All secrets that it names, to keep them out of messages."""
        named = [self.password, *self.options.values()]
        found = [reveal(text) for text in named if text and is_secret(text)]
        # Connection strings and signed URLs are several values, which may be repeated one by one.
        parts = [p.partition("=")[2] for s in found for p in re.split("[;&?]", s) if "=" in p]
        found += [text for part in parts if len(part) > 15 for text in (part, unquote(part))]
        return [form for secret in found for form in (secret, quote(secret), quote(secret, ""))]

    def at(self, path: str) -> str:
        """The URI of one object, with the same options."""
        if self.kind == "http":
            return self.uri
        scheme = self.uri.partition("://")[0]
        who = f"{quote(self.user)}:{self.password}@" if self.user and self.kind == "s3" else ""
        options = "&".join(f"{n}={quote(v, safe=':/')}" for n, v in self.options.items())
        return f"{scheme}://{who}{path}" + (f"?{options}" if options else "")


def _held(name: str) -> Invalid:
    return Invalid(
        f"the URI holds a credential in {name!r}",
        "it would be kept in notebooks, events and logs",
        f"write {name}=secret:NAME and put the value into the environment variable NAME or the "
        "keyring",
        code="E-OBJECT-002",
    )

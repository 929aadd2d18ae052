"""The address of a database, taken apart; secrets in it stay names until a connection is made."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.secrets import is_secret, reveal

__all__ = ["Address"]

#: Options of drivers that hold a credential themselves; `passfile` and `sslkey` are paths.
_CREDENTIAL = re.compile(r"(?i)(^|_)(passwd|pwd|pin|token|secret)$|password$|^oauth_client_secret$")


@dataclass(frozen=True)
class Address:
    """Where a database is, and what of it is wanted.

    Attributes
    ----------
    scheme : str
        postgresql, mysql, mariadb, sqlite or duckdb.
    fragment : str
        A table or a query, percent-decoded; empty when the URI names none.
    options : dict
        The driver's own options.
    secret : str or None
        The password as ``secret:NAME``.

    Examples
    --------
    >>> address = Address.parse("postgresql://ada:secret:PGPASSWORD@db/shop?sslmode=require#orders")
    >>> address.user, address.host, address.database, address.fragment, address.options
    ('ada', 'db', 'shop', 'orders', {'sslmode': 'require'})
    """

    scheme: str
    user: str | None = None
    secret: str | None = None
    host: str | None = None
    port: int | None = None
    database: str = ""
    fragment: str = ""
    options: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Take a URI apart.

        Raises
        ------
        Invalid
            It can't be taken apart, or one of its options is a credential in clear.
        """
        # urlsplit drops line breaks, which SQL needs, so the fragment is cut off before.
        base, _, fragment = uri.partition("#")
        scheme = base.partition("://")[0].lower().partition("+")[0]
        try:
            parts = urlsplit(base)
            port = parts.port
        except ValueError as error:
            raise Invalid(
                f"the {scheme} URI can't be read", str(error), "check it", code="E-DATA-201"
            ) from None
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        for name, value in options.items():
            if _CREDENTIAL.search(name) and not is_secret(value):
                raise Invalid(
                    f"the option {name} of the {scheme} URI holds a credential",
                    "it would be kept in notebooks, events and logs",
                    f"write {name}=secret:NAME and put the value into the environment variable "
                    "NAME or the keyring",
                    code="E-DATA-202",
                )
        password = unquote(parts.password) if parts.password else None
        return cls(
            scheme,
            unquote(parts.username) if parts.username else None,
            password,
            unquote(parts.hostname) if parts.hostname else None,
            port,
            unquote(parts.path.removeprefix("/")),
            unquote(fragment).strip(),
            options,
        )

    @property
    def path(self) -> Path:
        """The file of a database that is one."""
        return Path(self.database).expanduser()

    @property
    def place(self) -> str:
        """The database as it may be shown: no user, no password, no options."""
        if self.scheme in ("sqlite", "duckdb"):
            return self.database
        where = self.host or self.options.get("host") or self.options.get("unix_socket")
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{where or 'localhost'}{port}/{self.database}"

    def password(self) -> str | None:
        """The password itself, for the moment of connecting."""
        return reveal(self.secret) if self.secret else None

    def revealed_options(self) -> dict[str, str]:
        """The options with their secrets in clear, for the moment of connecting."""
        return {n: reveal(v) if is_secret(v) else v for n, v in self.options.items()}

"""Where data comes from: one protocol, found by URI scheme.

A source is anything with `uri`, `scan()`, `schema()`, `digest()`, `sample()` and `provenance()`.
Files, databases, object storage and streams are built in; other packages add schemes through the
entry-point group ``jupyter_mlops.sources``, whose entries are named after a scheme and load to a
callable ``(request: Request) -> Source``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, ClassVar, Final, Protocol, runtime_checkable
from urllib.parse import urlsplit

import polars as pl

from jupyter_mlops.data.digest import digest
from jupyter_mlops.data.sampling import sample
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest
from jupyter_mlops.workspace.secrets import is_secret

__all__ = [
    "LazySource",
    "Narrowed",
    "Request",
    "Source",
    "known_schemes",
    "open_source",
    "register",
]

ENTRY_POINTS: Final = "jupyter_mlops.sources"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")
_IN: Final = "jupyter_mlops.data.sources"
#: Imported when a URI of theirs is opened: clients of databases and brokers are heavy.
_BUILT_IN: Final = {
    "file": f"{_IN}.files.opening:open_files",
    **dict.fromkeys(
        ("postgresql", "mysql", "mariadb", "sqlite", "duckdb"), f"{_IN}.sql.opening:open_database"
    ),
    **dict.fromkeys(
        ("s3", "gs", "gcs", "az", "abfs", "abfss", "http", "https"),
        f"{_IN}.objects.opening:open_objects",
    ),
    "kafka": f"{_IN}.streams.kafka:open_kafka",
    **dict.fromkeys(("redis", "rediss"), f"{_IN}.streams.redis:open_redis"),
    "nats": f"{_IN}.streams.nats:open_nats",
}


@dataclass(frozen=True)
class Request:
    """What is wanted of a source.

    Attributes
    ----------
    uri : str
        A path, glob or URI.
    query : str, optional
        SQL in the database's own dialect, instead of a table.
    where : str, optional
        A condition in SQL that rows must fulfil; databases and Parquet skip the others unread.
    columns : list of str, optional
        The columns to read, in this order.
    window : str, optional
        How much of a stream: the last ``5000`` messages, those of the last ``10m``, ``all``, or
        given ``offsets:…``; see `jupyter_mlops.data.sources.streams.Window`.
    allow_private : bool
        Whether an http URL may name a private address.
    """

    uri: str
    query: str | None = None
    where: str | None = None
    columns: list[str] | None = None
    window: str | None = None
    allow_private: bool = False

    def refuse(self, *parts: str) -> None:
        """Raise `Invalid` when a part was asked for that this kind of source can't give."""
        for part in parts:
            if getattr(self, part) is not None:
                raise Invalid(
                    f"{self.uri} takes no --{part}",
                    {
                        "query": "only databases take SQL of their own",
                        "window": "only streams have windows",
                    }.get(part, ""),
                    "leave it out, or use `%%mlops data query` over datasets",
                    code="E-DATA-012",
                )


@runtime_checkable
class Source(Protocol):
    """A table somewhere that can be read lazily, as often as wanted."""

    uri: str

    def scan(self) -> pl.LazyFrame:
        """The rows, read when and as far as they are needed."""
        ...

    def schema(self) -> pl.Schema:
        """Column names and types, without reading the rows."""
        ...

    def digest(self) -> str:
        """The content digest (see `jupyter_mlops.data.digest`)."""
        ...

    def sample(self, rows: int) -> pl.DataFrame:
        """Rows drawn evenly from the whole, the same ones every time."""
        ...

    def provenance(self) -> dict[str, Any]:
        """What beside the URI tells which rows these are: query, filter, offsets, as JSON."""
        ...


class LazySource(ABC):
    """What follows from `scan` alone; a new source needs to write only that.

    Attributes
    ----------
    pushes : frozenset of str
        Parts of a `Request` (``where``, ``columns``) that the source sees to itself; the others
        are applied to what it scans.
    """

    uri: str
    pushes: ClassVar[frozenset[str]] = frozenset()

    @abstractmethod
    def scan(self) -> pl.LazyFrame:
        """The rows, lazily."""

    def schema(self) -> pl.Schema:
        """Column names and types."""
        return self.scan().collect_schema()

    def digest(self) -> str:
        """The content digest."""
        return digest(self.scan())

    def sample(self, rows: int) -> pl.DataFrame:
        """Rows drawn evenly from the whole."""
        return sample(self.scan(), rows)

    def provenance(self) -> dict[str, Any]:
        """Nothing beside the URI."""
        return {}


class Narrowed(LazySource):
    """Some rows and columns of another source.

    Parameters
    ----------
    source : Source
    where : str, optional
        A condition in SQL.
    columns : list of str, optional

    Raises
    ------
    Invalid
        The condition can't be understood.
    NotFound
        A column isn't there; names the closest.
    """

    def __init__(
        self, source: Source, where: str | None = None, columns: list[str] | None = None
    ) -> None:
        self.uri = source.uri
        self.source = source
        self._where = where
        self._columns = columns

    def scan(self) -> pl.LazyFrame:
        """The rows that fulfil the condition, with the chosen columns."""
        frame = self.source.scan()
        names = frame.collect_schema().names()
        for name in self._columns or []:
            if name not in names:
                raise NotFound(
                    f"{self.uri} has no column {name!r}",
                    f"its columns are {', '.join(names[:12])}{' …' if len(names) > 12 else ''}",
                    closest(name, names),
                    code="E-DATA-013",
                )
        try:
            if self._where is not None:
                frame = frame.filter(pl.sql_expr(self._where))
            if self._columns is not None:
                frame = frame.select(self._columns)
            frame.collect_schema()
        except pl.exceptions.PolarsError as error:
            raise Invalid(
                f"the condition {self._where!r} can't be used on {self.uri}",
                str(error).strip().splitlines()[0],
                'write it in SQL over the table\'s columns, for example "delay > 15"',
                code="E-DATA-014",
            ) from None
        return frame

    def provenance(self) -> dict[str, Any]:
        """The condition and the columns, beside what the source itself says."""
        told = {"where": self._where, "columns": self._columns}
        return self.source.provenance() | {k: v for k, v in told.items() if v is not None}


_OPENERS: dict[str, Callable[[Request], Source]] = {}


def register(scheme: str, opener: Callable[[Request], Source]) -> None:
    """Let URIs of a scheme be opened by a callable.

    Examples
    --------
    >>> register("memory-demo", lambda request: open_source("flights.csv"))
    """
    _OPENERS[scheme] = opener


def known_schemes() -> list[str]:
    """The schemes that can be opened here, built in or brought by other packages."""
    brought = (entry.name for entry in entry_points(group=ENTRY_POINTS))
    return sorted({*_BUILT_IN, *_OPENERS, *brought})


def open_source(
    uri: str,
    *,
    query: str | None = None,
    where: str | None = None,
    columns: list[str] | None = None,
    window: str | None = None,
    allow_private: bool = False,
) -> Source:
    """Open a path, a glob or a URI; see `Request` for what can be asked of it.

    Raises
    ------
    Invalid
        The scheme is unknown, or the URI carries a password.
    NotFound
        Nothing is there; the message names the closest match.

    Examples
    --------
    >>> open_source("flights.csv.zip", where="month = 1").schema()  # doctest: +SKIP
    """
    match = _SCHEME.match(uri)
    scheme = match[1].lower().partition("+")[0] if match else "file"
    if match:
        _check_password(uri, scheme)
    request = Request(uri, query, where, columns, window, allow_private)
    source = _opener(scheme)(request)
    pushed: frozenset[str] = getattr(source, "pushes", frozenset())
    where = None if "where" in pushed else where
    columns = None if "columns" in pushed else columns
    return Narrowed(source, where, columns) if where is not None or columns is not None else source


def _opener(scheme: str) -> Callable[[Request], Source]:
    if scheme not in _OPENERS:
        if scheme in _BUILT_IN:
            module, _, name = _BUILT_IN[scheme].partition(":")
            register(scheme, getattr(import_module(module), name))
        for entry in entry_points(group=ENTRY_POINTS, name=scheme):
            register(scheme, entry.load())
    if scheme not in _OPENERS:
        raise Invalid(
            f"nothing here reads {scheme}:// URIs",
            f"known schemes are {', '.join(known_schemes())}",
            closest(scheme, known_schemes())
            or f"install a package that adds it (entry point {ENTRY_POINTS})",
            code="E-DATA-011",
        )
    return _OPENERS[scheme]


def _check_password(uri: str, scheme: str) -> None:
    try:
        password = urlsplit(uri).password
    except ValueError as error:
        raise Invalid(
            f"the {scheme} URI can't be read", str(error), "check it", code="E-DATA-015"
        ) from None
    if password and not is_secret(password):
        raise Invalid(
            f"the {scheme} URI holds a password",
            "it would be kept in notebooks, events and logs",
            f"write {scheme}://USER:secret:NAME@… and put the password into the environment "
            "variable NAME or the keyring",
            code="E-DATA-010",
        )

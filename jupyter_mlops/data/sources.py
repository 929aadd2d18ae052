"""Where data comes from: one protocol, found by URI scheme.

A source is anything with `uri`, `scan()`, `schema()`, `digest()` and `sample()`.  Files are
built in; other packages add schemes through the entry-point group ``jupyter_mlops.sources``,
whose entries are named after a scheme and load to a callable ``(uri: str) -> Source``.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Protocol, runtime_checkable
from urllib.parse import urlsplit

import polars as pl

from jupyter_mlops.data.digest import digest
from jupyter_mlops.data.sampling import sample
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["LazySource", "Source", "known_schemes", "open_source", "register"]

ENTRY_POINTS = "jupyter_mlops.sources"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]+)://")


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


class LazySource(ABC):
    """What follows from `scan` alone; a new source needs to write only that."""

    uri: str

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


_OPENERS: dict[str, Callable[[str], Source]] = {}


def register(scheme: str, opener: Callable[[str], Source]) -> None:
    """Let URIs of a scheme be opened by a callable.

    Examples
    --------
    >>> register("memory-demo", lambda uri: open_source("flights.csv"))
    """
    _OPENERS[scheme] = opener


def known_schemes() -> list[str]:
    """The schemes that can be opened here, built in or brought by other packages."""
    _built_in()
    return sorted({*_OPENERS, *(entry.name for entry in entry_points(group=ENTRY_POINTS))})


def open_source(uri: str) -> Source:
    """Open a path, a glob or a URI.

    Raises
    ------
    Invalid
        The scheme is unknown, or the URI carries a password.
    NotFound
        Nothing is there; the message names the closest match.

    Examples
    --------
    >>> open_source("flights.csv.zip").schema()  # doctest: +SKIP
    """
    _built_in()
    match = _SCHEME.match(uri)
    scheme = match[1].lower() if match else "file"
    if match and urlsplit(uri).password:
        raise Invalid(
            f"the {scheme} URI holds a password",
            "it would be kept in notebooks, events and logs",
            "give the credentials by environment or the client's own configuration",
            code="E-DATA-010",
        )
    if scheme not in _OPENERS:
        for entry in entry_points(group=ENTRY_POINTS, name=scheme):
            register(scheme, entry.load())
    if scheme not in _OPENERS:
        raise Invalid(
            f"nothing here reads {scheme}:// URIs",
            f"known schemes are {', '.join(known_schemes())}",
            closest(scheme, known_schemes()) or f"install a package with an {ENTRY_POINTS} entry",
            code="E-DATA-011",
        )
    return _OPENERS[scheme](uri)


def _built_in() -> None:
    if "file" not in _OPENERS:
        from jupyter_mlops.data.files import open_files

        register("file", open_files)

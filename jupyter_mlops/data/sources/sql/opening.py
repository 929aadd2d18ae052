"""Databases: a table or a query of PostgreSQL, MySQL, MariaDB, SQLite or DuckDB."""

from __future__ import annotations

import atexit
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar, Final

import polars as pl

from jupyter_mlops.data.sources.opening import LazySource, Request
from jupyter_mlops.data.sources.sql import (
    Address,
    Column,
    Mismatch,
    Reading,
    TableName,
    check_condition,
    check_query,
    is_query,
)
from jupyter_mlops.data.sources.sql.faults import explained, mismatched
from jupyter_mlops.data.sources.sql.statements import short
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, NotFound, Unavailable, closest
from jupyter_mlops.workspace.records import new_id

__all__ = ["Database", "open_database"]

_IN: Final = "jupyter_mlops.data.sources.sql"
#: Per scheme: where its reading is, and the extra that brings its driver.
_ENGINES: Final = {
    "postgresql": (f"{_IN}.postgresql", "PostgreSQL", "postgresql"),
    "mysql": (f"{_IN}.mysql", "MySQL", "mysql"),
    "mariadb": (f"{_IN}.mysql", "MySQL", "mysql"),
    "sqlite": (f"{_IN}.sqlite", "SQLite", ""),
    "duckdb": (f"{_IN}.duckdb", "DuckDB", ""),
}
_ROW_GROUP: Final = 131_072
_GROUP_BYTES: Final = 64 << 20


@dataclass(frozen=True)
class Kept:
    """The rows that were fetched, and from which state of the database."""

    path: Path
    columns: list[Column]
    server: str
    at: datetime


class Database(LazySource):
    """A table or the answer of a query, fetched once.

    The first scan reads the rows in one read-only snapshot, in bounded memory, into a temporary
    Parquet file; every later scan sees the same rows.  A read that fails keeps nothing.

    Types are those that were declared, as far as Arrow has them: decimals stay decimals, time
    zones become UTC, MySQL's ``tinyint(1)`` is boolean, arrays are lists.  UUIDs, JSON, enums and
    whatever Arrow doesn't know are text.  Days that aren't in the calendar (MySQL's
    ``0000-00-00``, PostgreSQL's ``infinity``) and NaN among decimals are missing.  A value that
    breaks its column's declared type, which SQLite allows, is an error that names it.

    Parameters
    ----------
    request : Request

    Attributes
    ----------
    address : Address
        Where it is; the password is in it by name only.
    """

    pushes: ClassVar[frozenset[str]] = frozenset({"where", "columns"})

    def __init__(self, request: Request) -> None:
        self.uri = request.uri
        self.address = Address.parse(request.uri)
        self._wanted = request.columns
        fragment = self.address.fragment
        if request.query is not None and fragment:
            raise Invalid(
                f"{self.uri} names {short(fragment)}, and --query asks for something else",
                fix="leave out one of them",
                code="E-DATA-227",
            )
        mysql = self.address.scheme in ("mysql", "mariadb")
        text = request.query if request.query is not None else fragment
        self.query: str | None = None
        if request.query is not None or is_query(fragment):
            self.query = check_query(text, backslashes=mysql)
        self.where: str | None = None
        if request.where is not None:
            self.where = check_condition(request.where, backslashes=mysql)
        self._kept: Kept | None = None
        self._schema: pl.Schema | None = None
        self._lock = threading.Lock()

    def scan(self) -> pl.LazyFrame:
        """The rows, as they were when they were first asked for."""
        with self._lock:
            if self._kept is None or not self._kept.path.exists():
                self._kept = self._fetch()
            return pl.scan_parquet(self._kept.path, glob=False)

    def schema(self) -> pl.Schema:
        """Column names and types, by the server's description."""
        if self._kept is not None:
            return pl.Schema({one.name: one.dtype for one in self._kept.columns})
        if self._schema is None:
            with self.reading() as reading:
                columns = self.columns(reading)
            self._schema = pl.Schema({one.name: one.dtype for one in columns})
        return self._schema

    def provenance(self) -> dict[str, Any]:
        """Query or table, filter, the server's version, and when the snapshot was taken."""
        told: dict[str, Any] = {"where": self.where, "columns": self._wanted}
        told |= {"query": self.query} if self.query else {"table": self.address.fragment}
        if self._kept is not None:
            told |= {"server": self._kept.server, "read_at": self._kept.at.isoformat()}
        return {name: value for name, value in told.items() if value is not None}

    @property
    def dialect(self) -> str:
        """PostgreSQL, MySQL, SQLite or DuckDB: which SQL the database speaks."""
        return _ENGINES[self.address.scheme][1]

    @property
    def fetched(self) -> bool:
        """Whether the rows are here already."""
        return self._kept is not None

    def size(self) -> tuple[int, int] | None:
        """The server's own estimate of rows and bytes, without reading; None without one."""
        with self.reading() as reading:
            return reading.size(
                f"SELECT * FROM {self.relation(reading)}{self.condition()}",  # noqa: S608
                self.table(reading) if self.where is None else None,
            )

    @contextmanager
    def reading(self) -> Iterator[Reading]:
        """A connection in a read-only snapshot of its own, closed whatever happens.

        Raises
        ------
        MLOpsError
            What the driver's own errors mean, without the password.
        """
        engine = _engine(self.address.scheme)
        if self.address.scheme in ("sqlite", "duckdb"):
            _check_file(self.address, self.uri)
        reading: Reading | None = None
        try:
            reading = engine(self.address)
            yield reading
        except MLOpsError:
            raise
        except Mismatch as error:
            raise mismatched(error, self.uri) from None
        except Exception as error:
            fault = engine.fault(error)
            if fault is None:
                raise
            if fault.kind == "interrupted" and engine.dialect in ("SQLite", "DuckDB"):
                # These run in this process, and nobody but its person interrupts them.
                raise KeyboardInterrupt from None
            raise explained(fault, self.address, self.uri, reading is not None) from None
        finally:
            if reading is not None:
                reading.close()

    def table(self, reading: Reading) -> TableName | None:
        """The table that the URI names, as the database calls it; None for a query.

        Raises
        ------
        NotFound
            There is no such table; names the closest.
        Invalid
            The URI names none; lists those there are.
        """
        if self.query is not None:
            return None
        tables = reading.tables()
        named = self.address.fragment
        for one in tables:
            if named == one.full or (one.plain and named == one.name):
                return one
        shown = [one.name if one.plain else one.full for one in tables]
        listed = ", ".join(shown[:12]) + (" …" if len(shown) > 12 else "")
        if not named:
            first = shown[0] if shown else "TABLE"
            raise Invalid(
                f"{self.uri} names no table",
                f"the database holds {listed or 'none'}",
                f"add one, for example {self.uri.rstrip('#')}#{first}, or give --query",
                code="E-DATA-222",
            )
        raise NotFound(
            f"{self.address.place} has no table {named!r}",
            f"it holds {listed or 'none'}",
            closest(named, [*shown, *(one.full for one in tables)]) or "check the name",
            code="E-DATA-223",
        )

    def relation(self, reading: Reading) -> str:
        """What stands behind FROM: the table's quoted name, or the query in parentheses."""
        table = self.table(reading)
        if table is None:
            # Line breaks keep a comment in the query's last line from hiding what follows.
            return f"(\n{self.query}\n) AS source_query"
        return reading.quoted(*(part for part in (table.schema, table.name) if part))

    def columns(self, reading: Reading) -> list[Column]:
        """The columns that were asked for.

        Raises
        ------
        NotFound
            One isn't there; names the closest.
        Invalid
            Two have the same name.
        """
        found = reading.describe(self.relation(reading))
        by_name = {one.name: one for one in found}
        if len(by_name) < len(found):
            names = [one.name for one in found]
            twice = next(name for name in names if names.count(name) > 1)
            raise Invalid(
                f"two columns of {self.uri} are called {twice!r}",
                fix="give each its own name with AS",
                code="E-DATA-225",
            )
        for name in self._wanted or []:
            if name not in by_name:
                names = list(by_name)
                raise NotFound(
                    f"{self.uri} has no column {name!r}",
                    f"its columns are {', '.join(names[:12])}{' …' if len(names) > 12 else ''}",
                    closest(name, names),
                    code="E-DATA-224",
                )
        return found if self._wanted is None else [by_name[name] for name in self._wanted]

    def condition(self) -> str:
        """The WHERE clause, or nothing."""
        return f" WHERE (\n{self.where}\n)" if self.where is not None else ""

    def _fetch(self) -> Kept:
        target = _scratch() / f"{new_id()}.parquet"
        draft = target.with_suffix(".part")
        try:
            with self.reading() as reading:
                columns = self.columns(reading)
                chosen = ", ".join(
                    one.expression
                    if one.expression == reading.quoted(one.name)
                    else f"{one.expression} AS {reading.quoted(one.name)}"
                    for one in columns
                )
                select = f"SELECT {chosen} FROM {self.relation(reading)}{self.condition()}"  # noqa: S608
                _write(reading.batches(select, columns), columns, draft)
                kept = Kept(target, columns, reading.server, reading.at)
        except OSError as error:
            raise Unavailable(
                f"the rows of {self.uri} can't be kept in {target.parent}",
                error.strerror or str(error),
                "free some disk space or point TMPDIR elsewhere",
                code="E-DATA-220",
            ) from None
        else:
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
        return kept


def open_database(request: Request) -> Database:
    """Open a table or a query of a database; it is asked when rows or columns are needed.

    Raises
    ------
    Invalid
        The query or the condition does more than read.

    Examples
    --------
    >>> source = open_database(Request("postgresql://ada:secret:PGPASSWORD@db/shop#orders"))
    >>> source.address.place, source.provenance()
    ('postgresql://db/shop', {'table': 'orders'})
    """
    request.refuse("window")
    return Database(request)


def _engine(scheme: str) -> type[Reading]:
    module, name, extra = _ENGINES[scheme]
    try:
        found: type[Reading] = getattr(import_module(module), name)
    except ImportError as error:
        raise Unavailable(
            f"{name}'s driver isn't installed",
            str(error).splitlines()[0],
            f"pip install 'jupyter_mlops[{extra}]'" if extra else "install it",
            code="E-DATA-219",
        ) from None
    return found


def _check_file(address: Address, uri: str) -> None:
    scheme, path = address.scheme, address.path
    if path.is_file():
        with path.open("rb") as file:
            start = file.read(16)
        begins = start.startswith(b"SQLite format 3") if scheme == "sqlite" else b"DUCK" in start
        if start and not begins:
            raise Invalid(
                f"{path} is no {_ENGINES[scheme][1]} file",
                fix="check the path and the scheme",
                code="E-DATA-228",
            )
        return
    why = f"{path.absolute()} is no file"
    if address.host:
        fix = f"write {scheme}:/// before a path, and {scheme}://// before a full one"
    elif Path(f"/{address.database}").is_file():
        fix = f"a full path has four slashes: {scheme}:////{address.database}"
    else:
        names = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        fix = closest(path.name, names) or "check the path"
    raise NotFound(f"there is no database {uri}", why, fix, code="E-DATA-226")


def _write(batches: Iterator[pl.DataFrame], columns: list[Column], draft: Path) -> None:
    import pyarrow.parquet as pq

    oldest = pl.CompatLevel.oldest()
    waiting = pl.DataFrame(schema={one.name: one.dtype for one in columns})
    empty = waiting.clear()
    with pq.ParquetWriter(
        draft, empty.to_arrow(compat_level=oldest).schema, compression="lz4"
    ) as writer:
        for batch in batches:
            waiting.extend(batch)
            if waiting.height >= _ROW_GROUP or waiting.estimated_size() >= _GROUP_BYTES:
                writer.write_table(waiting.to_arrow(compat_level=oldest))
                waiting = empty.clone()
        if waiting.height:
            writer.write_table(waiting.to_arrow(compat_level=oldest))


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jupyter-mlops-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder

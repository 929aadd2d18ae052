"""SQLite: declared types are promises that values needn't keep, so each value is looked at."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import quote, urlencode

import polars as pl

from jupyter_mlops.data.sources.sql.address import Address
from jupyter_mlops.data.sources.sql.reading import (
    Column,
    Fault,
    Kind,
    Mismatch,
    Reading,
    TableName,
    first_line,
    paced,
)
from jupyter_mlops.workspace.records import utcnow

__all__ = ["SQLite"]

_KINDS: Final[dict[str, Kind]] = {
    "no such table": "table",
    "unable to open": "unreachable",
    "file is not a database": "unreachable",
    "database is locked": "unreachable",
    "database disk image is malformed": "lost",
    "disk I/O error": "lost",
    "attempt to write a readonly": "write",
    "interrupted": "interrupted",
}
#: Steps of SQLite's machine between two looks at whether the person has interrupted.
_STEPS: Final = 100_000
_WANTED: Final[dict[Any, set[type]]] = {
    pl.Int64: {int},
    pl.Float64: {int, float},
    pl.Boolean: {int},
    pl.String: {str},
    pl.Binary: {bytes, str},
}


class SQLite(Reading):
    """A SQLite file, opened for reading only."""

    dialect: ClassVar[str] = "SQLite"

    def __init__(self, address: Address) -> None:
        path = Path(address.path).absolute()
        options = urlencode(address.options | {"mode": "ro"})
        self._connection = sqlite3.connect(
            f"file:{quote(str(path))}?{options}", uri=True, isolation_level=None
        )
        try:
            # A handler is a moment in which Python can notice Ctrl-C.
            self._connection.set_progress_handler(lambda: 0, _STEPS)
            self._connection.execute("BEGIN")
            # The snapshot begins with the first read.
            self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            self.server = f"SQLite {sqlite3.sqlite_version}"
            self.at = utcnow()
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[TableName]:
        """Tables and views; SQLite's own are left out."""
        found = self.rows(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') "
            "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name"
        )
        return [TableName("", name, True) for (name,) in found]

    def describe(self, relation: str) -> list[Column]:
        """The declared types; for what has none, such as expressions, those of the values."""
        # A temporary view knows the declared types of a query's columns, and lives in memory.
        self._connection.execute("DROP VIEW IF EXISTS temp.described")
        self._connection.execute(f"CREATE TEMP VIEW described AS SELECT * FROM {relation}")  # noqa: S608
        described = self.rows("PRAGMA temp.table_xinfo('described')")
        columns = []
        for _, name, declared, *_ in described:
            dtype = _declared(declared) or self._found(relation, name)
            columns.append(Column(name, dtype, self.quoted(name)))
        return columns

    def batches(self, select: str, columns: Sequence[Column]) -> Iterator[pl.DataFrame]:
        """The rows; every value is checked against its column's type."""
        cursor = self._connection.execute(select)
        first = 1
        for rows in paced(cursor.fetchmany):
            values = zip(*rows, strict=True)
            yield pl.DataFrame(
                [_read(one, list(v), first) for one, v in zip(columns, values, strict=True)]
            )
            first += len(rows)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a small answer."""
        return self._connection.execute(statement).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @staticmethod
    def fault(error: Exception) -> Fault | None:
        """By SQLite's sentences; its codes don't tell a missing table from a typing error."""
        if not isinstance(error, sqlite3.Error | sqlite3.Warning):
            return None
        said = first_line(error)
        for start, kind in _KINDS.items():
            if said.startswith(start):
                return Fault(kind, said)
        return Fault("statement", said)

    def _found(self, relation: str, name: str) -> pl.DataType:
        quoted = self.quoted(name)
        kinds = {k for (k,) in self.rows(f"SELECT DISTINCT typeof({quoted}) FROM {relation}")}  # noqa: S608
        kinds.discard("null")
        if kinds <= {"integer"} and kinds:
            return pl.Int64()
        if kinds <= {"integer", "real"} and kinds:
            return pl.Float64()
        return pl.Binary() if kinds == {"blob"} else pl.String()


def _declared(declared: str) -> pl.DataType | None:
    """What a declared type promises, by SQLite's rules of affinity and its users' habits."""
    name = declared.upper()
    base = name.partition("(")[0].strip()
    if base in ("BOOL", "BOOLEAN"):
        return pl.Boolean()
    if base == "DATE":
        return pl.Date()
    if base in ("DATETIME", "TIMESTAMP"):
        return pl.Datetime("us")
    if base in ("DECIMAL", "NUMERIC") and "(" in name:
        numbers = name.partition("(")[2].rstrip(") ").split(",")
        if all(n.strip().isdigit() for n in numbers):
            digits, places = int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 0
            if 0 < digits <= 38 and places <= digits:
                return pl.Decimal(digits, places)
    if "INT" in name:
        return pl.Int64()
    if any(word in name for word in ("CHAR", "CLOB", "TEXT", "STRING", "JSON", "UUID", "ENUM")):
        return pl.String()
    if "BLOB" in name:
        return pl.Binary()
    if any(word in name for word in ("REAL", "FLOA", "DOUB")):
        return pl.Float64()
    return None


def _read(column: Column, values: list[Any], first_row: int) -> pl.Series:
    dtype = column.dtype
    kinds = set(map(type, values)) - {type(None)}
    if isinstance(dtype, pl.Decimal):
        return _decimals(column, values, first_row)
    if dtype.is_temporal():
        return _times(column, values, first_row, kinds <= {str})
    wanted = _WANTED[type(dtype)]
    if dtype == pl.String and kinds <= {int, float, str}:
        # In a column of text, or of no type, a number is as good as its text.
        if kinds - {str}:
            values = [v if v is None else str(v) for v in values]
    elif not kinds <= wanted:
        place = next(i for i, v in enumerate(values) if v is not None and type(v) not in wanted)
        raise Mismatch(column.name, str(dtype), _shown(values[place]), first_row + place)
    elif dtype == pl.Boolean:
        for place, value in enumerate(values):
            if value not in (None, 0, 1):
                raise Mismatch(column.name, "Boolean", str(value), first_row + place)
        values = [None if v is None else bool(v) for v in values]
    elif dtype == pl.Binary and str in kinds:
        values = [v.encode() if isinstance(v, str) else v for v in values]
    return pl.Series(column.name, values, dtype, strict=False)


def _decimals(column: Column, values: list[Any], first_row: int) -> pl.Series:
    # SQLite keeps decimals as floats; the declared scale brings back what was meant.
    texts = pl.Series(column.name, [v if v is None else _shown(v) for v in values], pl.String)
    read = texts.cast(column.dtype, strict=False)
    _check(column, texts, read, first_row)
    return read


def _times(column: Column, values: list[Any], first_row: int, texts_only: bool) -> pl.Series:
    shown = values if texts_only else [v if v is None else _shown(v) for v in values]
    given = pl.Series(column.name, shown, pl.String)
    numbers = [] if texts_only else [v if isinstance(v, int | float) else None for v in values]
    seconds = pl.Series(column.name, numbers or [None] * len(values), pl.Float64)
    texts = given if texts_only else given.zip_with(seconds.is_null(), given.clear(len(given)))
    # SQLite's own functions take ISO 8601 texts, and seconds since 1970 are common too.
    iso = texts.str.replace("T", " ", literal=True).str.replace(r"(Z|\+00:?00)$", "")
    read = pl.Series(column.name, [None] * len(values), pl.Datetime("us"))
    for form in ("%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%d %H:%M", "%Y-%m-%d"):
        if read.null_count() > iso.null_count():
            moments = iso.str.to_datetime(form, time_unit="us", strict=False)
            read = read.zip_with(read.is_not_null(), moments)
    stamps = (seconds * 1e6).round().cast(pl.Int64).cast(pl.Datetime("us"))
    read = read.zip_with(read.is_not_null(), stamps).alias(column.name)
    _check(column, given, read, first_row)
    return read.cast(column.dtype)


def _check(column: Column, given: pl.Series, read: pl.Series, first_row: int) -> None:
    lost = read.is_null() & given.is_not_null()
    if lost.any():
        place = int(lost.arg_max() or 0)
        raise Mismatch(column.name, str(column.dtype), str(given[place]), first_row + place)


def _shown(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

"""A connection that reads: one snapshot, rows as polars frames, and faults told apart."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Literal

import polars as pl

from jupyter_mlops.data.sources.sql.address import Address

__all__ = ["BATCH", "Column", "Fault", "Mismatch", "Reading", "TableName", "cast_texts", "paced"]

#: Rows fetched at a time, and the least size of a row group.
BATCH = 65_536
#: Bytes of Python objects fetched at a time.
_WEIGHT = 32 << 20

#: What went wrong, as far as it makes a difference to a person.
Kind = Literal[
    "credentials",
    "database",
    "unreachable",
    "permission",
    "table",
    "statement",
    "write",
    "lost",
    "interrupted",
    "other",
]


@dataclass(frozen=True)
class TableName:
    """A table or view of a database.

    Attributes
    ----------
    plain : bool
        Whether its name suffices without the schema.
    """

    schema: str
    name: str
    plain: bool

    @property
    def full(self) -> str:
        """The name with its schema, if there are schemas."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


@dataclass(frozen=True)
class Column:
    """A column of a result.

    Attributes
    ----------
    name : str
    dtype : polars.DataType
        What it is read as.
    expression : str
        The SQL that gives it in a form that can be read so.
    wire : Any
        How the driver hands it over, where that differs.
    """

    name: str
    dtype: pl.DataType
    expression: str
    wire: Any = None


@dataclass(frozen=True)
class Fault:
    """An error of a driver: its kind, and the first line of what the server said."""

    kind: Kind
    said: str


class Mismatch(Exception):
    """A value that isn't of its column's type."""

    def __init__(self, column: str, wanted: str, value: str, row: int | None = None) -> None:
        super().__init__(column, wanted, value, row)
        self.column = column
        self.wanted = wanted
        self.value = value if len(value) <= 40 else f"{value[:39]}…"
        self.row = row


class Reading(ABC):
    """One connection to a database, in one read-only transaction.

    Making one connects; the driver's own errors come out and `fault` explains them.

    Attributes
    ----------
    server : str
        Product and version.
    at : datetime
        When the snapshot was taken, by the server's clock where it has one.
    """

    #: PostgreSQL, MySQL, SQLite or DuckDB: which SQL it speaks.
    dialect: ClassVar[str]
    mark: ClassVar[str] = '"'
    server: str
    at: datetime

    @abstractmethod
    def __init__(self, address: Address) -> None: ...

    @abstractmethod
    def tables(self) -> list[TableName]:
        """The tables and views that can be named."""

    @abstractmethod
    def describe(self, relation: str) -> list[Column]:
        """The columns of a table or of a query in parentheses; reads no rows."""

    @abstractmethod
    def batches(self, select: str, columns: Sequence[Column]) -> Iterator[pl.DataFrame]:
        """The rows of a SELECT over the columns' expressions, in bounded memory.

        Raises
        ------
        Mismatch
            A value isn't of its column's type.
        """

    @abstractmethod
    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a SELECT with a small answer."""

    def size(self, select: str, table: TableName | None) -> tuple[int, int] | None:
        """The server's own estimate of the rows and bytes of a SELECT; None without one."""
        return None

    @abstractmethod
    def close(self) -> None:
        """End the connection, and whatever the server still does for it."""

    @staticmethod
    @abstractmethod
    def fault(error: Exception) -> Fault | None:
        """What an error of the driver means; None for errors that aren't the driver's."""

    @classmethod
    def quoted(cls, *names: str) -> str:
        """A name, or one with its schema, that is safe in SQL."""
        return ".".join(f"{cls.mark}{n.replace(cls.mark, cls.mark * 2)}{cls.mark}" for n in names)


def cast_texts(column: pl.Series, dtype: pl.DataType, first_row: int = 1) -> pl.Series:
    """Read texts of a server as values of a type.

    Raises
    ------
    Mismatch
        One of them is no such value.
    """
    read = column.cast(dtype, strict=False)
    if read.null_count() > column.null_count():
        place = int((read.is_null() & column.is_not_null()).arg_max() or 0)
        raise Mismatch(column.name, str(dtype), str(column[place]), first_row + place)
    return read


def first_line(error: Exception) -> str:
    """The first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].strip()


def paced(fetch: Callable[[int], Sequence[Any]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows in parts of about the same weight, so that large values don't fill the memory.

    Parameters
    ----------
    fetch : callable
        Gives up to so many rows, and none at the end.
    """
    number = 64
    while rows := list(fetch(number)):
        yield rows
        some = rows[:: len(rows) // 64 + 1]
        weight = sum(sys.getsizeof(value) for row in some for value in row) / len(some)
        number = int(min(max(_WEIGHT / (weight + 1), 1), 4 * number, BATCH // 4))

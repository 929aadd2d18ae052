"""PostgreSQL: rows come by COPY, which costs the least on both sides."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, ClassVar, Final

import polars as pl
import psycopg
import pyarrow as pa
import pyarrow.csv as pc
from psycopg import sql

from jupyter_mlops.data.sources.sql.address import Address
from jupyter_mlops.data.sources.sql.reading import (
    Column,
    Fault,
    Kind,
    Mismatch,
    Reading,
    TableName,
    first_line,
)

__all__ = ["PostgreSQL"]

_BLOCK: Final = 8 << 20
#: numeric without a declared scale: 18 digits behind the point, as many as most sums need.
_SCALE: Final = 18
_PLAIN: Final[dict[str, tuple[pl.DataType, pa.DataType]]] = {
    "bool": (pl.Boolean(), pa.bool_()),
    "int2": (pl.Int16(), pa.int16()),
    "int4": (pl.Int32(), pa.int32()),
    "int8": (pl.Int64(), pa.int64()),
    "oid": (pl.UInt32(), pa.uint32()),
    "float4": (pl.Float32(), pa.float32()),
    "float8": (pl.Float64(), pa.float64()),
    "time": (pl.Time(), pa.time64("us")),
}
_TIMES: Final[dict[str, tuple[pl.DataType, pa.DataType]]] = {
    "date": (pl.Date(), pa.date32()),
    "timestamp": (pl.Datetime("us"), pa.timestamp("us")),
    "timestamptz": (pl.Datetime("us", "UTC"), pa.timestamp("us", "UTC")),
}
_TABLES: Final = """
    SELECT n.nspname, c.relname, pg_table_is_visible(c.oid)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
    ORDER BY NOT pg_table_is_visible(c.oid), 1, 2
"""
_KINDS: Final[dict[str, Kind]] = {
    "28": "credentials",
    "3D": "database",
    "42501": "permission",
    "42P01": "table",
    "3F000": "table",
    "25006": "write",
    "42": "statement",
    "0A": "statement",
    "57P": "lost",
    "57014": "interrupted",
    "08": "lost",
}


class PostgreSQL(Reading):
    """A connection to PostgreSQL, or to what speaks its protocol."""

    dialect: ClassVar[str] = "PostgreSQL"

    def __init__(self, address: Address) -> None:
        options: dict[str, Any] = {"connect_timeout": "10", "application_name": "jupyter-mlops"}
        options |= address.revealed_options()
        named = {
            "host": address.host,
            "port": address.port,
            "user": address.user,
            "password": address.password(),
            "dbname": address.database or None,
        }
        options |= {name: value for name, value in named.items() if value is not None}
        self._connection = psycopg.connect(**options, client_encoding="UTF8")
        try:
            self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            for name, value in {
                "timezone": "UTC",
                "datestyle": "ISO, YMD",
                "bytea_output": "hex",
                "extra_float_digits": "1",
                "standard_conforming_strings": "on",
            }.items():
                self._connection.execute("SELECT set_config(%s, %s, true)", (name, value))
            ((version, now),) = self.rows("SELECT current_setting('server_version'), now()")
            self.server = f"PostgreSQL {version.split()[0]}"
            self.at = now.astimezone(UTC)
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[TableName]:
        """Tables, views and foreign tables, those that need no schema first."""
        return [TableName(*row) for row in self.rows(_TABLES)]

    def describe(self, relation: str) -> list[Column]:
        """The columns, by the types' names and modifiers."""
        statement = f"SELECT * FROM {relation} LIMIT 0"  # noqa: S608
        with self._connection.cursor() as cursor:
            cursor.execute(_plain(statement))
            described = list(cursor.description or [])
        types = self._connection.adapters.types
        columns = []
        for one in described:
            info = types.get(one.type_code)
            array = info is not None and one.type_code == info.array_oid
            columns.append(
                _column(
                    one.name,
                    self.quoted(one.name),
                    info.name if info is not None else "",
                    array,
                    one.precision,
                    one.scale,
                )
            )
        return columns

    def batches(self, select: str, columns: Sequence[Column]) -> Iterator[pl.DataFrame]:
        """The rows, as CSV whose every block of lines is read by Arrow."""
        names = [str(i) for i in range(len(columns))]
        options = (
            names,
            pc.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            pc.ConvertOptions(
                column_types={str(i): one.wire for i, one in enumerate(columns)},
                # Without quotes nothing is a missing value; with quotes it is an empty text.
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                true_values=["t"],
                false_values=["f"],
            ),
        )
        copy = f"COPY ({select}) TO STDOUT (FORMAT csv)"
        with self._connection.cursor() as cursor, cursor.copy(_plain(copy)) as lines:
            block, size = [], 0
            for line in lines:
                block.append(bytes(line))
                size += len(line)
                if size >= _BLOCK:
                    yield _frame(b"".join(block), columns, options)
                    block, size = [], 0
            if block:
                yield _frame(b"".join(block), columns, options)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a small answer."""
        return self._connection.execute(_plain(statement)).fetchall()

    def size(self, select: str, table: TableName | None) -> tuple[int, int] | None:
        """What the planner expects of the whole statement, filters included."""
        ((explained,),) = self.rows(f"EXPLAIN (FORMAT JSON) {select}")
        plan = explained[0]["Plan"]
        return int(plan["Plan Rows"]), int(plan["Plan Rows"]) * int(plan["Plan Width"])

    def close(self) -> None:
        """Close the connection; psycopg has cancelled what was running."""
        self._connection.close()

    @staticmethod
    def fault(error: Exception) -> Fault | None:
        """By SQLSTATE, or by libpq's sentence where no server answered."""
        if not isinstance(error, psycopg.Error):
            return None
        state = error.sqlstate
        said = re.sub(r"^(ERROR|FATAL|connection failed): +", "", first_line(error))
        if state:
            for length in (5, 3, 2):
                if state[:length] in _KINDS:
                    return Fault(_KINDS[state[:length]], said)
            return Fault("other", said)
        if "database" in said and "does not exist" in said:
            return Fault("database", said)
        if re.search(r"authentication failed|no password|role .* does not exist|pg_hba", said):
            return Fault("credentials", said)
        if isinstance(error, psycopg.OperationalError):
            return Fault("lost", said)
        return Fault("other", said)


def _plain(statement: str) -> Any:
    # Statements are put together from quoted names and what the person wrote.
    return sql.SQL(statement)


def _column(
    name: str, quoted: str, kind: str, array: bool, precision: int | None, scale: int | None
) -> Column:
    if array:
        return _array(name, quoted, kind)
    if kind in _PLAIN:
        return Column(name, _PLAIN[kind][0], quoted, _PLAIN[kind][1])
    if kind in _TIMES:
        # The end of time has no date in Arrow; it is no value there.
        finite = f"CASE WHEN isfinite({quoted}) THEN {quoted} END"
        return Column(name, _TIMES[kind][0], finite, _TIMES[kind][1])
    if kind == "numeric":
        number = f"nullif({quoted}, 'NaN'::numeric)"
        digits, places = precision or 38, scale if precision and scale is not None else _SCALE
        if not precision:
            number = f"round({number}, {_SCALE})"
        if places < 0:
            digits, places = digits - places, 0
        digits = min(max(digits, places, 1), 38)
        return Column(
            name, pl.Decimal(digits, min(places, 38)), number, pa.decimal128(digits, places)
        )
    if kind == "interval":
        micros = f"(extract(epoch from {quoted}) * 1000000)::bigint"
        return Column(name, pl.Duration("us"), micros, pa.int64())
    if kind == "bytea":
        return Column(name, pl.Binary(), f"encode({quoted}, 'hex')", pa.string())
    return Column(name, pl.String(), f"{quoted}::text", pa.string())


def _array(name: str, quoted: str, kind: str) -> Column:
    inner = pl.String() if kind not in _PLAIN or kind == "time" else _PLAIN[kind][0]
    plain = inner != pl.String
    if kind == "date":
        inner = pl.Date()
    elif kind == "numeric":
        inner = pl.Decimal(38, _SCALE)
    json = f"to_json({quoted})::text" if plain else f"to_json({quoted}::text[])::text"
    return Column(name, pl.List(inner), json, pa.string())


def _frame(lines: bytes, columns: Sequence[Column], options: tuple[Any, Any, Any]) -> pl.DataFrame:
    names, parse, convert = options
    # One block: a row may be longer than Arrow's usual blocks, which can't cut it.
    read = pc.ReadOptions(
        column_names=names, use_threads=False, block_size=min(len(lines) + 1, 2**31 - 1)
    )
    try:
        table = pc.read_csv(
            io.BytesIO(lines), read_options=read, parse_options=parse, convert_options=convert
        )
    except pa.ArrowInvalid as error:
        found = re.search(r"column #(\d+): .*?'(.*)'", str(error), re.DOTALL)
        if found is None:
            raise
        one = columns[int(found[1])]
        raise Mismatch(one.name, str(one.dtype), found[2]) from None
    frame = pl.DataFrame(pl.from_arrow(table))
    return pl.DataFrame(
        [_finished(frame.to_series(i).alias(one.name), one.dtype) for i, one in enumerate(columns)]
    )


def _finished(column: pl.Series, dtype: pl.DataType) -> pl.Series:
    if column.dtype == dtype:
        return column
    if dtype == pl.Binary:
        return column.str.decode("hex")
    if isinstance(dtype, pl.List):
        texts = dtype.inner == pl.Date or isinstance(dtype.inner, pl.Decimal)
        try:
            read = column.str.json_decode(pl.List(pl.String()) if texts else dtype)
        except pl.exceptions.PolarsError:
            raise Mismatch(column.name, str(dtype), "an array of more dimensions") from None
        if dtype.inner == pl.Date:
            return read.list.eval(pl.element().str.to_date("%Y-%m-%d", strict=False))
        return read.cast(dtype)
    return column.cast(dtype)

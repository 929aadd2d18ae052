"""MySQL and MariaDB: rows stream through an unbuffered cursor, as texts that polars reads."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from datetime import UTC
from typing import Any, ClassVar, Final

import polars as pl
import pymysql
from pymysql.constants import FIELD_TYPE, FLAG
from pymysql.converters import encoders
from pymysql.cursors import SSCursor

from jupyter_mlops.data.sources.sql.address import Address
from jupyter_mlops.data.sources.sql.reading import (
    Column,
    Fault,
    Kind,
    Mismatch,
    Reading,
    TableName,
    cast_texts,
    paced,
)
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["MySQL"]

_INTEGERS: Final[dict[int, tuple[pl.DataType, pl.DataType]]] = {
    FIELD_TYPE.TINY: (pl.Int8(), pl.UInt8()),
    FIELD_TYPE.SHORT: (pl.Int16(), pl.UInt16()),
    FIELD_TYPE.INT24: (pl.Int32(), pl.UInt32()),
    FIELD_TYPE.LONG: (pl.Int32(), pl.UInt32()),
    FIELD_TYPE.LONGLONG: (pl.Int64(), pl.UInt64()),
    FIELD_TYPE.YEAR: (pl.Int16(), pl.Int16()),
}
_OTHERS: Final[dict[int, pl.DataType]] = {
    FIELD_TYPE.FLOAT: pl.Float32(),
    FIELD_TYPE.DOUBLE: pl.Float64(),
    FIELD_TYPE.DATE: pl.Date(),
    FIELD_TYPE.NEWDATE: pl.Date(),
    FIELD_TYPE.DATETIME: pl.Datetime("us"),
    FIELD_TYPE.TIMESTAMP: pl.Datetime("us", "UTC"),
    FIELD_TYPE.TIME: pl.Duration("us"),
    FIELD_TYPE.GEOMETRY: pl.Binary(),
}
_TABLES: Final = """
    SELECT table_schema, table_name, table_schema = database() FROM information_schema.tables
    WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
    ORDER BY COALESCE(table_schema = database(), 0) DESC, 1, 2
"""
_KINDS: Final[dict[int, Kind]] = {
    **dict.fromkeys((1045, 1698, 1251, 1862, 2059), "credentials"),
    **dict.fromkeys((1049, 1044, 1046), "database"),
    **dict.fromkeys((2002, 2003, 2005, 1040, 1129, 1130), "unreachable"),
    **dict.fromkeys((1142, 1143, 1227, 1370), "permission"),
    **dict.fromkeys((1146, 1051), "table"),
    **dict.fromkeys((1792, 1290), "write"),
    **dict.fromkeys((2006, 2013, 2014, 2055, 1053, 1927, 1152, 1158, 0), "lost"),
    **dict.fromkeys((1317, 3024, 1969), "interrupted"),
    **dict.fromkeys((1054, 1060, 1064, 1305, 1111, 1140, 1241, 1248, 1630), "statement"),
}
_NUMBERS: Final = {"port", "connect_timeout", "read_timeout", "write_timeout"}
_ANSWERS: Final = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_BINARY_CHARSET: Final = 63


class MySQL(Reading):
    """A connection to MySQL or MariaDB."""

    dialect: ClassVar[str] = "MySQL"
    mark: ClassVar[str] = "`"

    def __init__(self, address: Address) -> None:
        self._stream: Any = None
        # Importing polars makes system calls go on after Ctrl-C, and with it a driver that
        # waits for its server.
        signal.siginterrupt(signal.SIGINT, True)
        self._options = _options(address)
        # Without decoders values stay texts, which polars reads by the column.
        self._connection = pymysql.connect(**self._options, conv=encoders)
        try:
            for statement in (
                "SET SESSION time_zone = '+00:00', SESSION sql_mode = ''",
                "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
            ):
                self.rows(statement)
            ((version, now),) = self.rows("SELECT version(), utc_timestamp(6)")
            product = "MariaDB" if "mariadb" in version.lower() else "MySQL"
            self.server = f"{product} {version.partition('-')[0]}"
            self.at = pl.Series([now]).str.to_datetime(time_unit="us")[0].replace(tzinfo=UTC)
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[TableName]:
        """Tables and views, those of the connection's database first."""
        return [TableName(s, n, plain == "1") for s, n, plain in self.rows(_TABLES)]

    def describe(self, relation: str) -> list[Column]:
        """The columns, by the types and flags of an empty result."""
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {relation} LIMIT 0")  # noqa: S608
            # DB-API's description has no flags, and without them no unsigned numbers.
            return [_column(one, self.quoted(one.name)) for one in cursor._result.fields]

    def batches(self, select: str, columns: Sequence[Column]) -> Iterator[pl.DataFrame]:
        """The rows, fetched as they are needed."""
        self._stream = cursor = self._connection.cursor(SSCursor)
        first = 1
        try:
            cursor.execute(select)
            for rows in paced(cursor.fetchmany):
                values = zip(*rows, strict=True)
                yield pl.DataFrame(
                    [_read(one, list(v), first) for one, v in zip(columns, values, strict=True)]
                )
                first += len(rows)
            cursor.close()
        except pymysql.MySQLError:
            self._stream = None  # the server itself has ended it
            _let_go(cursor)
            raise
        self._stream = None

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a small answer, as texts."""
        with self._connection.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def close(self) -> None:
        """Close the connection; a statement that still runs is ended on the server too."""
        stream, self._stream = self._stream, None
        if stream is None:
            if self._connection.open:
                self._connection.close()
            return
        # Closing in good order would first read all remaining rows; and a server that isn't
        # sending doesn't notice that nobody listens.
        _let_go(stream)
        number = self._connection.thread_id()
        self._connection._force_close()
        try:
            other = pymysql.connect(**self._options, conv=encoders)
        except pymysql.MySQLError:
            return  # the server is gone, and the statement with it
        with other, other.cursor() as cursor:
            try:
                cursor.execute(f"KILL {int(number)}")
            except pymysql.MySQLError as error:
                if error.args[0] != 1094:  # it has ended by itself
                    raise

    @staticmethod
    def fault(error: Exception) -> Fault | None:
        """By the error's number."""
        if not isinstance(error, pymysql.MySQLError):
            return None
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        said = str(error.args[1] if len(error.args) > 1 else error) or "the connection was lost"
        said = said.strip().splitlines()[0]
        if number == 1044:
            said = f"{said} (or there is no such database)"
        return Fault(_KINDS.get(number, "other"), said)


def _let_go(cursor: SSCursor) -> None:
    # The finalizers of cursor and result would otherwise read all remaining rows.
    if cursor._result is not None:
        cursor._result.unbuffered_active, cursor._result.connection = False, None
    cursor.connection = None


def _options(address: Address) -> dict[str, Any]:
    options: dict[str, Any] = {"connect_timeout": 10, "charset": "utf8mb4"}
    for name, value in address.revealed_options().items():
        if name in _NUMBERS and value.isdigit():
            options[name] = int(value)
        else:
            options[name] = _ANSWERS.get(value.lower(), value) if "ssl" in name else value
    known = pymysql.Connection.__init__.__code__.co_varnames
    for name in options:
        if name not in known or name in ("self", "conv", "local_infile", "cursorclass"):
            raise Invalid(
                f"MySQL's driver knows no option {name!r}",
                "the options of the URI are those of pymysql.connect",
                closest(name, [n for n in known if n.startswith(("ssl", "unix", "read", "conn"))])
                or "leave it out",
                code="E-DATA-208",
            )
    options |= {"host": address.host} if address.host else {}
    options |= {"port": address.port} if address.port else {}
    options |= {"user": address.user} if address.user else {}
    password = address.password()
    options |= {"password": password} if password else {}
    if str(options.get("host", "")).startswith("/"):
        options["unix_socket"] = options.pop("host")
    return options | ({"database": address.database} if address.database else {})


def _column(field: Any, quoted: str) -> Column:
    kind, unsigned = field.type_code, bool(field.flags & FLAG.UNSIGNED)
    name = field.name
    if kind == FIELD_TYPE.TINY and field.length == 1:
        return Column(name, pl.Boolean(), quoted)
    if kind == FIELD_TYPE.BIT:
        dtype = pl.Boolean() if field.length == 1 else pl.UInt64()
        return Column(name, dtype, f"{quoted} + 0")
    if kind in _INTEGERS:
        return Column(name, _INTEGERS[kind][unsigned], quoted)
    if kind in (FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.DECIMAL):
        digits = field.length - (field.scale > 0) - (not unsigned)
        return Column(name, pl.Decimal(min(max(digits, 1), 38), min(field.scale, 38)), quoted)
    if kind == FIELD_TYPE.FLOAT:
        # As a float the server would print six digits only.
        return Column(name, pl.Float32(), f"{quoted} + 0e0")
    if kind in _OTHERS:
        return Column(name, _OTHERS[kind], quoted)
    binary = field.charsetnr == _BINARY_CHARSET and kind not in (FIELD_TYPE.JSON, FIELD_TYPE.NULL)
    return Column(name, pl.Binary() if binary else pl.String(), quoted)


def _read(column: Column, values: list[Any], first_row: int) -> pl.Series:
    dtype = column.dtype
    if dtype == pl.Binary:
        return pl.Series(column.name, values, pl.Binary)
    texts = pl.Series(column.name, values, pl.String)
    if dtype == pl.String:
        return texts
    if dtype == pl.Boolean:
        read = texts.replace_strict({"0": False, "1": True}, default=None, return_dtype=pl.Boolean)
        if read.null_count() > texts.null_count():
            place = int((read.is_null() & texts.is_not_null()).arg_max() or 0)
            raise Mismatch(column.name, "Boolean", str(texts[place]), first_row + place)
        return read
    if dtype == pl.Date:
        # Days that aren't in the calendar, such as 0000-00-00, mean that there is none.
        return texts.str.to_date("%Y-%m-%d", strict=False)
    if isinstance(dtype, pl.Datetime):
        form = "%Y-%m-%d %H:%M:%S%.f"
        read = texts.str.to_datetime(form, time_unit="us", strict=False)
        return read.dt.replace_time_zone(dtype.time_zone)
    if dtype == pl.Duration:
        return _spans(texts)
    return cast_texts(texts, dtype, first_row)


def _spans(texts: pl.Series) -> pl.Series:
    """Spans from ``-838:59:59.000000``, whose hours go beyond a day."""
    part = texts.str.extract_groups(r"^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$").struct
    hours, minutes, seconds = (part.field(str(i)).cast(pl.Int64) for i in (2, 3, 4))
    micros = part.field("5").fill_null("0").str.pad_end(6, "0").cast(pl.Int64)
    total = ((hours * 60 + minutes) * 60 + seconds) * 1_000_000 + micros
    backwards = part.field("1") == "-"
    spans = total.zip_with(~backwards.fill_null(False), -total)
    return spans.cast(pl.Duration("us")).alias(texts.name)

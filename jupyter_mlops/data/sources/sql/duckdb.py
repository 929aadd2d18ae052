"""DuckDB: its results are Arrow already."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final

import duckdb
import polars as pl

from jupyter_mlops.data.sources.sql.address import Address
from jupyter_mlops.data.sources.sql.reading import (
    BATCH,
    Column,
    Fault,
    Kind,
    Reading,
    TableName,
    first_line,
)
from jupyter_mlops.workspace.records import utcnow

__all__ = ["DuckDB"]

#: Types that Arrow or polars has no equal for, and what is read instead.
_INSTEAD: Final = {
    r"INTERVAL": "epoch_us({})",
    r"HUGEINT": "{}::DECIMAL(38, 0)",
    r"(UUID|JSON|BIT|UHUGEINT|BIGNUM|VARINT|GEOMETRY|TIME WITH TIME ZONE|ENUM\(.*\)|UNION\(.*\)|"
    r"MAP\(.*\)|.*(INTERVAL|UNION\(|BIT\b|HUGEINT|BIGNUM).*)": "{}::VARCHAR",
}
_KINDS: Final[dict[type[duckdb.Error], Kind]] = {
    duckdb.InterruptException: "interrupted",
    duckdb.PermissionException: "permission",
    duckdb.IOException: "unreachable",
    duckdb.ConnectionException: "unreachable",
}


class DuckDB(Reading):
    """A DuckDB file, opened for reading only."""

    dialect: ClassVar[str] = "DuckDB"

    def __init__(self, address: Address) -> None:
        self._connection: Any = duckdb.connect(
            str(address.path.absolute()), read_only=True, config=dict(address.options)
        )
        try:
            self._connection.execute("SET TimeZone = 'UTC'")
            self._connection.execute("SET enable_progress_bar = false")
            self._connection.execute("BEGIN TRANSACTION")
            self.server = f"DuckDB {duckdb.__version__}"
            self.at = utcnow()
        except BaseException:
            self.close()
            raise

    def tables(self) -> list[TableName]:
        """Tables and views of the file."""
        found = self.rows(
            "SELECT table_schema, table_name, table_schema = current_schema() "
            "FROM information_schema.tables WHERE table_catalog = current_database() "
            "ORDER BY 3 DESC, 1, 2"
        )
        return [TableName(*row) for row in found]

    def describe(self, relation: str) -> list[Column]:
        """The columns, by the types of an empty result."""
        described = self.rows(f"DESCRIBE SELECT * FROM {relation}")  # noqa: S608
        expressions = {}
        for name, kind, *_ in described:
            quoted = self.quoted(name)
            form = next((f for p, f in _INSTEAD.items() if re.fullmatch(p, kind, re.S)), "{}")
            expressions[name] = form.format(quoted)
        if len(expressions) < len(described):
            return [Column(name, pl.String(), self.quoted(name)) for name, *_ in described]
        chosen = ", ".join(f"{e} AS {self.quoted(n)}" for n, e in expressions.items())
        empty = self._connection.sql(f"SELECT {chosen} FROM {relation} LIMIT 0").pl()  # noqa: S608
        spans = {name for name, kind, *_ in described if kind == "INTERVAL"}
        return [
            Column(n, pl.Duration("us") if n in spans else t, expressions[n])
            for n, t in empty.schema.items()
        ]

    def batches(self, select: str, columns: Sequence[Column]) -> Iterator[pl.DataFrame]:
        """The rows as Arrow batches."""
        answer = self._connection.sql(select)
        # DuckDB 1 has the reader under another name.
        read = getattr(answer, "to_arrow_reader", None) or answer.fetch_arrow_reader
        for batch in read(BATCH):
            frame = pl.DataFrame(pl.from_arrow(batch))
            frame.columns = [one.name for one in columns]
            yield frame.cast({one.name: one.dtype for one in columns})

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """The rows of a small answer."""
        found: list[tuple[Any, ...]] = self._connection.execute(statement).fetchall()
        return found

    def size(self, select: str, table: TableName | None) -> tuple[int, int] | None:
        """The rows as DuckDB's catalogue counts them; a query's aren't known beforehand."""
        if table is None:
            return None
        found = self._connection.execute(
            "SELECT estimated_size FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?",
            [table.schema, table.name],
        ).fetchone()
        return (int(found[0]), 0) if found else None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    @staticmethod
    def fault(error: Exception) -> Fault | None:
        """By DuckDB's classes of errors."""
        if not isinstance(error, duckdb.Error):
            return None
        said = re.sub(r"^[A-Za-z ]+ Error: ", "", first_line(error))
        if isinstance(error, duckdb.CatalogException) and "Table with name" in said:
            return Fault("table", said)
        for kind, meaning in _KINDS.items():
            if isinstance(error, kind):
                return Fault(meaning, said)
        read_only = "read-only mode" in said
        return Fault("write" if read_only else "statement", said)

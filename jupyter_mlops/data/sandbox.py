"""SQL over tables by a DuckDB that sees the tables it is given and nothing else.

Rows stream in from Parquet and stream out in batches; what doesn't fit into `MEMORY` goes to a
scratch folder. Whoever wrote the SQL can't reach other files, the network, extensions or the
settings: DuckDB itself refuses, whatever the statement.
"""

# ruff: noqa: S608 -- names are quoted, and the database holds nothing but these tables

from __future__ import annotations

import re
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import polars as pl
from polars.io.plugins import register_io_source

from jupyter_mlops.data.sources import LazySource
from jupyter_mlops.data.sources.files.faults import disk_fault
from jupyter_mlops.data.sources.files.opening import ROW_GROUP, ParquetFiles
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, Unavailable

if TYPE_CHECKING:
    import duckdb

__all__ = ["SqlSource", "explained", "quoted", "sandbox", "stoppable"]

Made = TypeVar("Made")

MEMORY: Final = "1GB"
BATCH: Final = 65_536
#: Seconds after which an interrupt is heard at the latest.
LISTEN: Final = 0.2
#: What a file or frame can't hold, by the beginning of DuckDB's type; ``{}`` is the column.
_PLAIN: Final = {
    # Sums of integers are 128 bits wide; one that doesn't fit into 64 is an error.
    "HUGEINT": "CAST({} AS BIGINT)",
    "UHUGEINT": "CAST({} AS BIGINT)",
    "BIGNUM": "CAST({} AS BIGINT)",
    "INTERVAL": "epoch_us({})",
    **dict.fromkeys(
        ("UUID", "BIT", "ENUM", "JSON", "UNION", "VARIANT", "TIME WITH TIME ZONE"),
        "CAST({} AS VARCHAR)",
    ),
}


def quoted(name: str) -> str:
    """A name as SQL writes it, whatever is in it.

    Examples
    --------
    >>> quoted('the "best"')
    '"the ""best\"""'
    """
    return '"' + name.replace('"', '""') + '"'


#: The databases that are open now, for `stoppable`.
_OPEN: Final[set[Any]] = set()


def stoppable(work: Callable[[], Made]) -> Made:
    """Do what DuckDB has a part in, so that a person's interrupt stops DuckDB too.

    DuckDB and polars hear of an interrupt only between the batches they make, which may be
    never. The work is done on another thread, and this one waits where Python listens.
    """
    import duckdb

    if threading.current_thread() is threading.main_thread():
        # While it works, polars keeps interrupts to itself; here Python must hear of them.
        signal.signal(signal.SIGINT, signal.getsignal(signal.SIGINT))
    # Made before the work begins: whenever an interrupt comes, it is known what there is to end.
    doing: Future[Made] = Future()

    def begin() -> None:
        if not doing.set_running_or_notify_cancel():
            return
        try:
            doing.set_result(work())
        except BaseException as error:  # whoever waits gets it
            doing.set_exception(error)

    try:
        threading.Thread(target=begin, name="jupyter-mlops-sql").start()
        while not doing.done():
            wait([doing], timeout=LISTEN)
        return doing.result()
    except KeyboardInterrupt:
        # Only a notebook or a shell is interrupted so, and it does one thing at a time.
        while not doing.cancel() and not doing.done():
            for connection in list(_OPEN):
                with suppress(duckdb.ConnectionException):  # closed in this moment
                    connection.interrupt()
            wait([doing], timeout=LISTEN)
        raise


@contextmanager
def sandbox(tables: Mapping[str, Table]) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a locked DuckDB in which each table is a view of its name.

    Tables that aren't Parquet on disk are written to a scratch folder first, streaming.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="jupyter-mlops-") as scratch:
        files: dict[str, list[Path]] = {}
        for place, (name, table) in enumerate(tables.items()):
            files[name] = _files(table, Path(scratch) / f"{place}.parquet")
        connection = duckdb.connect(
            ":memory:",
            config={
                "memory_limit": MEMORY,
                "temp_directory": str(Path(scratch) / "spilled"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "allow_persistent_secrets": False,
            },
        )
        _OPEN.add(connection)
        try:
            # Variables of this process are tables only when they were handed over.
            connection.execute("SET python_enable_replacements = false")
            connection.execute("SET TimeZone = 'UTC'")
            listed = ", ".join(_text(path) for paths in files.values() for path in paths)
            connection.execute(f"SET allowed_paths = [{listed}]")
            connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
            for name, paths in files.items():
                connection.execute(_view(name, paths, tables[name].source.schema()))
            yield connection
        finally:
            _OPEN.discard(connection)
            connection.close()


class SqlSource(LazySource):
    """The rows that SQL makes of tables; it runs whenever they are read.

    Parameters
    ----------
    uri : str
        What to call them.
    sql : str
        One SELECT over the names in `tables`.
    tables : mapping of str to Table
    told : dict
        The provenance.
    """

    def __init__(
        self, uri: str, sql: str, tables: Mapping[str, Table], told: dict[str, Any]
    ) -> None:
        self.uri = uri
        self.fault: MLOpsError | None = None
        self.sql = sql
        self._tables = tables
        self._told = told
        self._schema: pl.Schema | None = None

    def provenance(self) -> dict[str, Any]:
        """What was told of it."""
        return self._told

    def schema(self) -> pl.Schema:
        """Column names and types, known without running the query."""
        if self._schema is None:
            with sandbox(self._tables) as connection, explained():
                relation = connection.sql(self.sql)
                self._check_names(relation)
                empty = _plain(relation).limit(0).to_arrow_table()
                self._schema = _portable(pl.DataFrame(empty), relation).schema
        return self._schema

    def scan(self) -> pl.LazyFrame:
        """The rows, as DuckDB finds them."""
        return register_io_source(self._batches, schema=self.schema())

    def _batches(
        self,
        columns: list[str] | None,
        predicate: pl.Expr | None,
        rows: int | None,
        size: int | None,
    ) -> Iterator[pl.DataFrame]:
        left = rows
        try:
            with sandbox(self._tables) as connection, explained():
                relation = connection.sql(self.sql)
                plain = _plain(relation)
                for batch in plain.to_arrow_reader(size or BATCH):
                    frame = _portable(pl.DataFrame(batch), relation)
                    frame = frame if columns is None else frame.select(columns)
                    frame = frame if predicate is None else frame.filter(predicate)
                    frame = frame if left is None else frame.head(left)
                    yield frame
                    if left is not None:
                        left -= frame.height
                        if left <= 0:
                            return
        except MLOpsError as error:
            # polars turns what a source raises into text; see `reasons`.
            self.fault = error
            raise

    @contextmanager
    def reasons(self) -> Iterator[None]:
        """Let an error of the SQL come out as it was, and not as polars or Parquet tell it."""
        try:
            yield
        except (MLOpsError, pl.exceptions.PolarsError) as error:
            if self.fault is not None and error is not self.fault:
                raise self.fault from None
            raise

    def _check_names(self, relation: Any) -> None:
        names = [name.casefold() for name in relation.columns]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise Invalid(
                f"two columns of the result are called {twice[0]!r}",
                fix="name one of them with AS",
                code="E-DATA-074",
            )


@contextmanager
def explained() -> Iterator[None]:
    """Turn DuckDB's errors into a sentence with the line and column of the SQL."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise _explain(error) from None


def _explain(error: Exception) -> MLOpsError:
    import duckdb

    message = str(error).split("\n\nLINE ")[0].split("\nLINE ")[0]
    message = " ".join(re.sub(r"^[A-Z][A-Za-z -]* Error: ", "", message).split())
    place = _place(str(error))
    if isinstance(error, duckdb.PermissionException):
        return Invalid(
            "SQL over datasets reads datasets only",
            message,
            "add the file first with `%mlops data add NAME URI` and name the dataset",
            code="E-DATA-073",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        full = disk_fault(error) or message
        return Unavailable(
            "the query needs more room than there is",
            full,
            f"it may use {MEMORY} of memory and the disk of {tempfile.gettempdir()}; "
            "select fewer columns or rows",
            code="E-DATA-075",
        )
    return Invalid(
        f"the SQL can't be run{place}",
        message[:400],
        "check it against the columns that `%mlops data show NAME` lists",
        code="E-DATA-072",
    )


def _place(message: str) -> str:
    """`` in line 2`` where DuckDB says which line of the SQL it means."""
    found = re.search(r"\nLINE (\d+):", message)
    return f" in line {found[1]}" if found else ""


def _files(table: Table, draft: Path) -> list[Path]:
    if isinstance(table.source, ParquetFiles) and table.source.uniform:
        table.scan()  # says in a sentence what is wrong with the files
        return [path.resolve() for path in table.source.paths]
    table.scan().sink_parquet(draft, row_group_size=ROW_GROUP, compression="lz4")
    return [draft]


def _view(name: str, paths: list[Path], schema: pl.Schema) -> str:
    columns = ", ".join(_stored(column, dtype) for column, dtype in schema.items())
    listed = ", ".join(_text(path) for path in paths)
    return f"CREATE VIEW {quoted(name)} AS SELECT {columns} FROM read_parquet([{listed}])"


def _stored(name: str, dtype: pl.DataType) -> str:
    """A column of Parquet as everybody else reads it."""
    column = quoted(name)
    if dtype.is_float():
        # Missing is missing, however a library writes it. DuckDB takes the Parquet file's word
        # that its numbers go up to the maximum, and then finds no NaN by isnan().
        return f"CASE WHEN isfinite({column}) OR isinf({column}) THEN {column} END AS {column}"
    if isinstance(dtype, pl.Duration):
        # Durations are kept in Parquet as mere numbers.
        made = {"ms": f"to_milliseconds({column})", "us": f"to_microseconds({column})"}
        return f"{made.get(dtype.time_unit, f'to_microseconds({column} // 1000)')} AS {column}"
    return column


def _plain(relation: Any) -> Any:
    """A relation whose columns all have types that frames and Parquet know."""
    made = [_expression(n, str(t)) for n, t in zip(relation.columns, relation.types, strict=True)]
    wanted = [quoted(name) for name in relation.columns]
    return relation if made == wanted else relation.project(", ".join(made))


def _expression(name: str, kind: str) -> str:
    column = quoted(name)
    for start, template in _PLAIN.items():
        # Lists and arrays of these are left as they are; the frame says so if it can't hold them.
        if kind.startswith(start) and not kind.endswith("]"):
            return f"{template.format(column)} AS {column}"
    return column


def _portable(frame: pl.DataFrame, relation: Any) -> pl.DataFrame:
    spans = [
        name
        for name, kind in zip(relation.columns, relation.types, strict=True)
        if str(kind) == "INTERVAL"
    ]
    return frame.with_columns(pl.col(spans).cast(pl.Duration("us"))) if spans else frame


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"

"""What differs between two tables: their columns, and their rows by key or by content."""

# ruff: noqa: S608 -- names are quoted, and the database holds nothing but these tables

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from polars.io.plugins import register_io_source

from jupyter_mlops.data.rowhashes import HASH, REST, hash_rows
from jupyter_mlops.data.sandbox import explained, quoted, sandbox, stoppable
from jupyter_mlops.data.sources import LazySource
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Conflict, NotFound, closest
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    import duckdb

__all__ = ["Difference", "diff"]

EXAMPLES: Final = 10
_NUMBERS: Final = {"integer", "float", "decimal"}
_TIMES: Final = {"date", "datetime"}
#: A name that no file can give a column, but DuckDB knows.
_AT: Final = "the position of the row\x01"


@dataclass(frozen=True)
class Difference(Result):
    """A table against another.

    Attributes
    ----------
    a, b : Table
        Before and after.
    added_columns, removed_columns : dict of str to str
        Names and types.
    retyped : dict of str to (str, str)
        Columns whose type is another, with both.
    reordered : bool
        Whether the columns that both have come in another order.
    key : list of str
        The columns that identified rows; empty when rows were told apart by their content.
    added, removed, changed, same : int
        Rows; without a key none can be called changed.
    changes : dict of str to int
        In how many rows each column differs, for rows with the same key.
    examples : dict of str to polars.DataFrame
        A few of the ``added``, ``removed`` and ``changed`` rows; of the last, the key and both
        values of each column that differs in one of them.
    sides : Result or None
        How the values of each column are spread in both, see `jupyter_mlops.profiling.compare`.
    """

    a: Table
    b: Table
    added_columns: dict[str, str]
    removed_columns: dict[str, str]
    retyped: dict[str, tuple[str, str]]
    reordered: bool
    key: list[str]
    added: int
    removed: int
    changed: int
    same: int
    changes: dict[str, int] = field(default_factory=dict)
    examples: dict[str, pl.DataFrame] = field(default_factory=dict)
    sides: Result | None = None

    @property
    def equal(self) -> bool:
        """Whether the two hold the same rows in the same columns."""
        rows = self.added + self.removed + self.changed
        columns = bool(self.added_columns or self.removed_columns or self.retyped)
        return not (rows or columns or self.reordered)


class _Hashes(LazySource):
    """The hash of each row of a table, with its position."""

    def __init__(self, frame: pl.LazyFrame, columns: list[str]) -> None:
        self.uri = "hashes of rows"
        self._frame = frame
        self._columns = columns

    def scan(self) -> pl.LazyFrame:
        hashes = pl.Schema({HASH: pl.UInt64(), REST: pl.UInt64(), _AT: pl.UInt64()})
        return register_io_source(self._batches, schema=hashes)

    def _batches(
        self, columns: Any, predicate: Any, rows: Any, size: Any
    ) -> Iterator[pl.DataFrame]:
        # It is only ever read whole.
        seen = 0
        for batch in hash_rows(self._frame, self._columns):
            positions = np.arange(seen, seen + batch.height, dtype=np.uint64)
            yield batch.with_columns(pl.Series(_AT, positions))
            seen += batch.height


def diff(a: Table, b: Table, key: list[str] | None = None, examples: int = EXAMPLES) -> Difference:
    """Compare two tables.

    Rows are matched by a key, which is the one that both are recorded with when none is given.
    Without any key they are compared by content, as often as each occurs. Columns of different
    types are compared as numbers, times or text, whatever fits both.

    Parameters
    ----------
    a, b : Table
        Before and after.
    key : list of str, optional
        Columns that identify a row in both.
    examples : int
        How many rows of each kind to show.

    Raises
    ------
    NotFound
        A table lacks a column of the key, or they have none in common.
    Conflict
        The key doesn't identify rows.

    Examples
    --------
    >>> diff(get(ws, "flights@1"), get(ws, "flights@2")).added  # doctest: +SKIP
    1204
    """
    if not key:
        key = [a.key] if a.key is not None and a.key == b.key else []
    for table in (a, b):
        for name in key:
            if name not in table.schema:
                raise NotFound(
                    f"{table.label} has no column {name!r} to match rows by",
                    fix=closest(name, table.schema) or "name columns that both tables have",
                    code="E-DATA-100",
                )
    common = [name for name in a.schema if name in b.schema]
    if not common:
        raise NotFound(
            f"{a.label} and {b.label} have no column in common",
            fix="compare versions of one dataset",
            code="E-DATA-101",
        )
    compare = partial(_by_key, a, b, key) if key else partial(_by_content, a, b)
    found = stoppable(partial(compare, common, examples))
    return Difference(
        a,
        b,
        {name: kind for name, kind in b.schema.items() if name not in a.schema},
        {name: kind for name, kind in a.schema.items() if name not in b.schema},
        {n: (a.schema[n], b.schema[n]) for n in common if a.schema[n] != b.schema[n]},
        common != [name for name in b.schema if name in a.schema],
        key,
        **found,
    )


def _by_content(a: Table, b: Table, common: list[str], examples: int) -> dict[str, Any]:
    casts = [_polars_form(name, a.schema[name], b.schema[name]) for name in common]
    tables = {
        side: Table(_Hashes(table.scan().select(casts), common))
        for side, table in (("a", a), ("b", b))
    }
    counted = "SELECT {0}, {1}, count(*) AS n, min({2}) AS at FROM {3} GROUP BY ALL"
    sides = {side: counted.format(HASH, REST, quoted(_AT), side) for side in tables}
    joined = (
        f"SELECT coalesce(l.n, 0) AS l, coalesce(r.n, 0) AS r, l.at AS at_l, r.at AS at_r "
        f"FROM ({sides['a']}) l FULL JOIN ({sides['b']}) r USING ({HASH}, {REST})"
    )
    with sandbox(tables) as connection, explained():
        connection.execute(f"CREATE TEMP TABLE joined AS {joined}")
        added, removed, same = connection.execute(
            "SELECT sum(greatest(r - l, 0))::BIGINT, sum(greatest(l - r, 0))::BIGINT, "
            "sum(least(l, r))::BIGINT FROM joined"
        ).fetchall()[0]
        first = "SELECT {0} FROM joined WHERE {1} ORDER BY {0} LIMIT {2}"
        new = connection.execute(first.format("at_r", "r > l", examples)).fetchall()
        old = connection.execute(first.format("at_l", "l > r", examples)).fetchall()
    return {
        "added": added,
        "removed": removed,
        "changed": 0,
        "same": same,
        "examples": {
            "added": _rows_at(b, [at for (at,) in new]),
            "removed": _rows_at(a, [at for (at,) in old]),
        },
    }


def _rows_at(table: Table, positions: list[int]) -> pl.DataFrame:
    rows = table.scan().with_row_index(_AT).filter(pl.col(_AT).is_in(positions)).drop(_AT)
    return rows.collect(engine="streaming") if positions else table.scan().head(0).collect()


def _by_key(a: Table, b: Table, key: list[str], common: list[str], examples: int) -> dict[str, Any]:
    values = [name for name in common if name not in key]
    forms = {name: _sql_form(name, a.schema[name], b.schema[name]) for name in common}
    # Columns get names of our own, so that theirs can be anything.
    keys = [f"k{at}" for at in range(len(key))]
    cells = [f"c{at}" for at in range(len(values))]
    with sandbox({"a": a, "b": b}) as connection, explained():
        made = [f"{forms[name]} AS {k}" for name, k in zip(key, keys, strict=True)]
        made += [f"{forms[name]} AS {c}" for name, c in zip(values, cells, strict=True)]
        for side, table in (("a", a), ("b", b)):
            connection.execute(f"CREATE TEMP VIEW {side}_ AS SELECT {', '.join(made)} FROM {side}")
            _check_key(connection, side, table, key, keys)
        differ = [f"l.{c} IS DISTINCT FROM r.{c}" for c in cells] or ["false"]
        chosen = [f"coalesce(l.{k}, r.{k}) AS {k}" for k in keys]
        flags = [
            f"l.k0 IS NOT NULL AND r.k0 IS NOT NULL AND {test} AS d{at}"
            for at, test in enumerate(differ)
        ]
        matched = " AND ".join(f"l.{k} = r.{k}" for k in keys)
        # Rows that are the same in both are counted and not kept.
        connection.execute(
            f"CREATE TEMP TABLE differing AS SELECT {', '.join(chosen)}, l.k0 IS NULL AS added, "
            f"r.k0 IS NULL AS removed, {', '.join(flags)} "
            f"FROM a_ l FULL JOIN b_ r ON {matched} "
            f"WHERE l.k0 IS NULL OR r.k0 IS NULL OR {' OR '.join(differ)}"
        )
        counts = [f"count(*) FILTER (d{at})" for at in range(len(cells))]
        added, removed, rows, *changed = connection.execute(
            "SELECT count(*) FILTER (added), count(*) FILTER (removed), count(*)"
            f"{''.join(', ' + one for one in counts)} FROM differing"
        ).fetchall()[0]
        shown = {
            kind: _example(connection, side, kind, [forms[name] for name in key], examples)
            for kind, side in (("added", "b"), ("removed", "a"))
        }
        shown["changed"] = _changed(connection, key, keys, values, examples)
    changes = {name: n for name, n in zip(values, changed, strict=True) if n}
    return {
        "added": added,
        "removed": removed,
        "changed": rows - added - removed,
        "same": a.rows - removed - (rows - added - removed),
        "changes": dict(sorted(changes.items(), key=lambda one: -one[1])),
        "examples": shown,
    }


def _check_key(
    connection: duckdb.DuckDBPyConnection, side: str, table: Table, key: list[str], keys: list[str]
) -> None:
    lacking = " OR ".join(f"{k} IS NULL" for k in keys)
    repeated = f"SELECT count(*) - 1 AS n FROM {side}_ GROUP BY {', '.join(keys)}"
    missing, repeats = connection.execute(
        f"SELECT (SELECT count(*) FROM {side}_ WHERE {lacking}), "
        f"(SELECT coalesce(sum(n), 0)::BIGINT FROM ({repeated}))"
    ).fetchall()[0]
    if missing or repeats:
        raise Conflict(
            f"{', '.join(key)} can't match the rows of {table.label}",
            f"{missing:,} rows lack it and {repeats:,} repeat another's",
            "name columns that identify each row, or compare without a key",
            code="E-DATA-102",
        )


def _example(
    connection: duckdb.DuckDBPyConnection, side: str, kind: str, forms: list[str], examples: int
) -> pl.DataFrame:
    keys = ", ".join(f"k{at}" for at in range(len(forms)))
    few = f"SELECT {keys} FROM differing WHERE {kind} ORDER BY ALL LIMIT {examples}"
    mine = ", ".join(forms)
    found = connection.sql(f"SELECT * FROM {side} WHERE ({mine}) IN ({few}) ORDER BY {mine}")
    return pl.DataFrame(found.to_arrow_table())


def _changed(
    connection: duckdb.DuckDBPyConnection,
    key: list[str],
    keys: list[str],
    values: list[str],
    examples: int,
) -> pl.DataFrame:
    few = (
        f"SELECT * FROM differing WHERE NOT added AND NOT removed "
        f"ORDER BY {', '.join(keys)} LIMIT {examples}"
    )
    any_of = ", ".join(f"bool_or(d{at})" for at in range(len(values)))
    flags = connection.execute(f"SELECT {any_of} FROM ({few})").fetchall()[0] if values else ()
    chosen = [f"f.{k} AS {quoted(name)}" for name, k in zip(key, keys, strict=True)]
    for at, (name, differs) in enumerate(zip(values, flags, strict=False)):
        if differs:
            chosen.append(f"l.c{at} AS {quoted(f'{name} before')}")
            chosen.append(f"r.c{at} AS {quoted(f'{name} after')}")
    on_l = " AND ".join(f"l.{k} = f.{k}" for k in keys)
    on_r = " AND ".join(f"r.{k} = f.{k}" for k in keys)
    found = connection.sql(
        f"SELECT {', '.join(chosen)} FROM ({few}) f JOIN a_ l ON {on_l} JOIN b_ r ON {on_r} "
        f"ORDER BY {', '.join(f'f.{k}' for k in keys)}"
    )
    return pl.DataFrame(found.to_arrow_table())


def _sql_form(name: str, here: str, there: str) -> str:
    """A column of both tables in a form that can be compared, in SQL."""
    alike = here == there or {here, there} <= _NUMBERS or {here, there} <= _TIMES
    return quoted(name) if alike else f"CAST({quoted(name)} AS VARCHAR)"


def _polars_form(name: str, here: str, there: str) -> pl.Expr:
    """A column in a form whose values hash alike when they are equal in both tables."""
    column = pl.col(name)
    if here == there or {here, there} <= {"integer", "float"}:
        return column
    if {here, there} <= _NUMBERS:
        return column.cast(pl.Float64)
    if {here, there} <= _TIMES:
        return column.cast(pl.Datetime("us"))
    return column.cast(pl.String)

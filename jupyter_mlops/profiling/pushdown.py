"""Profiles of large tables counted by the database they are in, without fetching their rows.

The database counts rows, missing values, extremes, moments, distinct and frequent values exactly,
each in SQL over one snapshot; only what needs whole rows (associations, target analysis, patterns
of varied texts) comes from a sample drawn over the whole table.  Quantiles of columns with many
values are the database's own.  Not known without reading the rows: whether whole rows repeat, and
anything but missing values of lists, records, bytes and times of day.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.data.sampling import RowSample
from jupyter_mlops.data.sources.sql.opening import Database
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.distinct import Distinct
from jupyter_mlops.profiling.engine import Scan
from jupyter_mlops.profiling.moments import Moments
from jupyter_mlops.profiling.profiles import Profile, check_target, finished
from jupyter_mlops.profiling.times import LIMIT, PERIODS, Times
from jupyter_mlops.workspace.records import new_id

if TYPE_CHECKING:
    from jupyter_mlops.data import Table
    from jupyter_mlops.data.sources.sql import Column, Reading

__all__ = ["LARGE_BYTES", "LARGE_ROWS", "pushed_down"]

#: From here on the database counts; smaller tables are fetched and every row is looked at.
LARGE_ROWS: Final = 5_000_000
LARGE_BYTES: Final = 1 << 30
#: Numbers that stand for a column's distribution.
_RANKS: Final = 400
_LONG: Final = 200
_DIALECTS: Final = ("PostgreSQL", "DuckDB")


def pushed_down(table: Table, target: str | None = None, *, always: bool = False) -> Profile | None:
    """Profile a large table of a database by SQL; None where fetching its rows is better.

    Parameters
    ----------
    table : Table
    target : str, optional
        The column to predict.
    always : bool
        Whatever its size.

    Raises
    ------
    NotFound
        No column is called `target`.
    Invalid
        The table has no rows.

    Examples
    --------
    >>> made = pushed_down(Table(open_source(URI)), always=True)  # doctest: +SKIP
    >>> made.columns["dep_delay"].missing                         # doctest: +SKIP
    8255
    """
    source = table.source
    if not isinstance(source, Database) or source.dialect not in _DIALECTS:
        return None
    if not always:
        size = None if source.fetched else source.size()
        if size is None or (size[0] <= LARGE_ROWS and size[1] <= LARGE_BYTES):
            return None
    started = time.perf_counter()
    with source.reading() as reading:
        seen = _Counting.of(source, reading, target).scan()
    seen.key, seen.time = (one if one in seen.columns else None for one in (table.key, table.time))
    made = finished(seen, started)
    made.counted_by = source.dialect
    # Whether rows repeat isn't known, and what was seen can't be merged with rows of others.
    made.distinct_rows, made._distinct, made._scan = None, None, None
    # No digest of content: the content was not read.
    made.digest = f"unread-{new_id()}"
    return made


@dataclass
class _Counting:
    """The questions that one profile asks of one snapshot."""

    reading: Reading
    columns: list[Column]
    source: str
    target: str | None

    @classmethod
    def of(cls, source: Database, reading: Reading, target: str | None) -> _Counting:
        columns = source.columns(reading)
        check_target([one.name for one in columns], target)
        return cls(
            columns=columns,
            reading=reading,
            source=f"{source.relation(reading)}{source.condition() or ' WHERE (1 = 1)'}",
            target=target,
        )

    def scan(self) -> Scan:
        """Everything known of the table."""
        schema = pl.Schema({one.name: one.dtype for one in self.columns})
        made = Scan.of(schema, self.target)
        made.digest = None
        self._counts(made)
        if not made.rows:
            return made
        sample = self._sample(made)
        varied = []
        for i, one in enumerate(self.columns):
            column = made.columns[one.name]
            if column.type == "boolean" or not column.present:
                continue
            if _number(one) is None:
                column.fail(f"its values ({column.type}) can only be profiled when they are read")
            elif not self._values(i, column):
                varied.append(i)
        self._spread(made, varied)
        for i, one in enumerate(self.columns):
            column = made.columns[one.name]
            if i in varied and column.values.numeric and not column.values.exact:
                column.values.rank(self._quantiles(i))
            if column.temporal and column.moments.count:
                column.times = self._times(i, column)
            if column.texts is not None:
                _texts(column, sample[one.name].drop_nulls())
        made.distinct = _as_many(made.rows)
        return made

    def _inner(self) -> str:
        """The rows, each column as `c` and, where it has a number or a length, as `v`."""
        parts = []
        for i, one in enumerate(self.columns):
            parts.append(f"{one.expression} AS c{i}")
            if (number := _number(one)) is not None:
                # Neither infinity nor NaN, which both databases put behind it, is a number here.
                finite = f"CASE WHEN abs({number}) < 'Infinity'::float8 THEN {number} END"
                parts.append(f"{finite if one.dtype.is_float() else number} AS v{i}")
        return f"(SELECT {', '.join(parts)} FROM {self.source}) AS counted"  # noqa: S608

    def _ask(self, answers: Sequence[str], rest: str = "") -> list[tuple[Any, ...]]:
        return self.reading.rows(f"SELECT {', '.join(answers)} FROM {self._inner()} {rest}")  # noqa: S608

    def _counts(self, made: Scan) -> None:
        """Rows and missing values of all columns, in one statement."""
        asked, gone = ["count(*)"], {}
        for i, one in enumerate(self.columns):
            gone[one.name] = f"c{i} IS NULL"
            if one.dtype.is_float():
                gone[one.name] = f"(c{i} IS NULL OR c{i} = 'NaN'::float8)"
        unlabelled = gone.get(self.target or "")
        for i, one in enumerate(self.columns):
            asked.append(f"count(*) FILTER (WHERE {gone[one.name]})")
            both = f"count(*) FILTER (WHERE {gone[one.name]} AND {unlabelled})"
            asked.append(both if unlabelled else "0")
            asked.append(f"count(*) FILTER (WHERE c{i})" if one.dtype == pl.Boolean else "0")
        ((rows, *told),) = self._ask(asked)
        made.rows = rows
        for i, one in enumerate(self.columns):
            column = made.columns[one.name]
            column.rows = rows
            column.missing, column.unlabelled, true = told[3 * i : 3 * i + 3]
            if one.dtype == pl.Boolean:
                yes = {True: true, False: column.present - true}
                column.values.counts = {value: n for value, n in yes.items() if n}
        if self.target is not None:
            made.unlabelled = made.columns[self.target].missing

    def _spread(self, made: Scan, varied: list[int]) -> None:
        """Extremes and moments of columns with many values, in two statements."""
        if not varied:
            return
        asked = []
        for i in varied:
            asked += [f"count(v{i})", f"count(*) FILTER (WHERE v{i} = 0)"]
            asked += [f"count(*) FILTER (WHERE v{i} < 0)"]
            asked += [f"min(v{i})", f"max(v{i})", f"avg(v{i})"]
        (told,) = self._ask(asked)
        scaled, scales = [], {}
        for place, i in enumerate(varied):
            count, zeros, below, low, high, mean = told[6 * place : 6 * place + 6]
            column = made.columns[self.columns[i].name]
            column.infinite = column.present - count
            column.zeros, column.negatives = zeros, below
            column.low, column.high = float(low), float(high)
            column.moments = Moments(count, float(mean))
            # Scaled so that no power overflows in the database.
            far = max(column.high - column.moments.mean, column.moments.mean - column.low)
            if 0 < far < np.inf:
                scales[i] = far
                scaled.append(f"((v{i} - {float(mean)!r}::float8) / {far!r}::float8) AS z{i}")
        # The fourth power of less would underflow, which PostgreSQL takes for an error.
        asked = [
            f"coalesce(sum({' * '.join([f'z{i}'] * k)}) FILTER (WHERE abs(z{i}) > 1e-70), 0)"
            for i in scales
            for k in (2, 3, 4)
        ]
        if not asked:
            return
        inner = f"(SELECT {', '.join(scaled)} FROM {self._inner()}) AS scaled"  # noqa: S608
        (told,) = self.reading.rows(f"SELECT {', '.join(asked)} FROM {inner}")  # noqa: S608
        for place, (i, far) in enumerate(scales.items()):
            moments = made.columns[self.columns[i].name].moments
            with np.errstate(over="ignore"):
                moments.m2, moments.m3, moments.m4 = (
                    float(total * np.float64(far) ** k)
                    for k, total in enumerate(told[3 * place : 3 * place + 3], start=2)
                )

    def _sample(self, made: Scan) -> pl.DataFrame:
        """Rows from all over the table; they also become the scan's sample."""
        self.reading.rows("SELECT setseed(0.5)")
        share = min(1.0, 1.2 * made.sample.size / made.rows)
        chosen = ", ".join(f"{c.expression} AS {self.reading.quoted(c.name)}" for c in self.columns)
        select = f"SELECT {chosen} FROM {self.source} AND random() < {share!r}"  # noqa: S608
        if share == 1:
            select = f"SELECT {chosen} FROM {self.source}"  # noqa: S608
        sample = RowSample(made.sample.size)
        for batch in self.reading.batches(select, self.columns):
            sample.update(batch)
        made.sample = sample
        drawn = sample.frame()
        return drawn if drawn.width else pl.DataFrame(schema=made.types)

    def _values(self, i: int, column: ColumnProfile) -> bool:
        """Ask for the frequent values; whether they are all, so that the rest follows."""
        whole = column.numeric and self.columns[i].dtype.is_integer()
        name = f"v{i}" if column.values.numeric and not whole else f"c{i}"
        if column.type == "text":
            # A megabyte of text isn't worth keeping as the name of a value.
            short = f"left(c{i}, {_LONG - 40}) || '…' || md5(c{i})"
            name = f"CASE WHEN length(c{i}) > {_LONG} THEN {short} ELSE c{i} END"
        limit = column.values.limit
        top = self._ask(
            [f"{name} AS value", "count(*) AS times", "count(*) OVER () AS different"],
            f"WHERE v{i} IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT {limit + 1}",
        )
        column.values.counts = {value: int(times) for value, times, _ in top[:limit]}
        if len(top) > limit:
            # What isn't listed occurs at most as often as the first one left out.
            column.values.take(column.values.counts, _as_many(top[-1][2]), top[-1][1])
            return False
        if column.type == "text" and any(len(value) > _LONG for value, *_ in top):
            return False
        _follow(column)
        return True

    def _quantiles(self, i: int) -> list[float]:
        ranks = "[" + ", ".join(f"{(k + 0.5) / _RANKS:.6f}" for k in range(_RANKS)) + "]"
        call = (
            f"percentile_disc(ARRAY{ranks}::float8[]) WITHIN GROUP (ORDER BY v{i})"
            if self.reading.dialect == "PostgreSQL"
            else f"approx_quantile(v{i}, {ranks})"
        )
        ((found,),) = self._ask([call])
        return [float(value) for value in found]

    def _times(self, i: int, column: ColumnProfile) -> Times:
        """Counts by the shortest periods of which the whole span has few enough."""
        low, high = column.low or 0.0, column.high or 0.0
        level = next(
            (k for k, length in enumerate(PERIODS) if (high - low) / length < LIMIT - 1),
            len(PERIODS) - 1,
        )
        told = self._ask(
            [f"floor(v{i} / {PERIODS[level]})", "count(*)", f"min(v{i})", f"max(v{i})"],
            f"WHERE v{i} IS NOT NULL GROUP BY 1 ORDER BY 1",
        )
        periods, counts, first, last = np.array(told, dtype=np.float64).T
        return Times(level, periods.astype(np.int64), counts.astype(np.int64), first, last)


def _number(column: Column) -> str | None:
    """The SQL that gives a column's values as numbers, or its texts' lengths; None without."""
    if column.dtype.is_integer() or column.dtype.is_float() or column.dtype.is_decimal():
        return f"({column.expression})::float8"
    if column.dtype == pl.Duration:
        return f"({column.expression})::float8 / 1000000"
    if isinstance(column.dtype, pl.Datetime) or column.dtype == pl.Date:
        return f"extract(epoch FROM {column.expression})::float8"
    return f"length({column.expression})::float8" if column.dtype == pl.String else None


def _follow(column: ColumnProfile) -> None:
    """Extremes and moments of a column whose every value is counted."""
    values, counts = list(column.values.counts), np.array(list(column.values.counts.values()))
    column.infinite = column.present - int(counts.sum())
    if not values:
        return
    numbers = [len(v) if isinstance(v, str) else v for v in values]
    told = np.array(numbers, dtype=np.float64)
    column.low, column.high = float(told.min()), float(told.max())
    column.zeros, column.negatives = int(counts[told == 0].sum()), int(counts[told < 0].sum())
    with np.errstate(over="ignore", invalid="ignore"):
        # From the least value on, so that the mean of a constant is that constant.
        mean = column.low + float(((told - column.low) * (counts / counts.sum())).sum())
        sums = [float((counts * (told - mean) ** k).sum()) for k in (2, 3, 4)]
    column.moments = Moments(int(counts.sum()), mean, *sums)


def _texts(column: ColumnProfile, sample: pl.Series) -> None:
    """What texts look like: all of them where they are counted, else those of the sample."""
    if column.texts is None or not len(sample):
        return
    texts, counts = sample, np.full(len(sample), column.present / len(sample))
    if column.values.exact:
        texts = pl.Series(list(column.values.counts), dtype=pl.String)
        counts = np.array(list(column.values.counts.values()))
    column.texts.measure(texts.str.len_chars().to_numpy(), counts.round().astype(np.int64))
    column.texts.update(texts, counts)


def _as_many(different: int) -> Distinct:
    """A sketch such as so many different values leave behind.

    The database has counted them and not told which they are.  Each register holds the highest
    rank among its share of them, drawn from the law that ranks follow; of a few draws the one
    whose estimate is nearest to the count is taken.
    """
    size = len(Distinct().registers)
    draws = np.random.default_rng(different)
    best, off = Distinct(), np.inf
    for _ in range(16):
        shares = draws.multinomial(different, np.full(size, 1 / size))
        chance = draws.random(size) ** (1 / np.maximum(shares, 1))
        ranks = np.ceil(-np.log2(np.maximum(1 - chance, 2.0**-50)))
        made = Distinct(np.where(shares > 0, np.clip(ranks, 1, 50), 0).astype(np.uint8))
        if (gap := abs(made.estimate() - different)) < off:
            best, off = made, gap
    return best

"""The two sides of a report as columns to draw: all rows while they are few, else points.

A drawing needs a column's shape, not its rows. Above 50,000 rows a side is read batch by
batch into the sketches that profiles are made of, and each column is drawn from 2,000 points
that keep its distribution: its quantiles at (i + ½)/2,000, or its values in proportion to how
often they occur. A page then takes the same time and room for a million rows as for a thousand
million. Texts and vectors have no such sketch: of these 2,000 rows are drawn, spread evenly, and a
vector by its distance from the mean of the reference. The verdicts beside it are those of all rows
and don't come from here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.monitoring.columns import as_numbers, as_text, read_categories
from jupyter_mlops.monitoring.contents import distances_from_mean
from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.profiling.columns import TIMES, ColumnProfile
from jupyter_mlops.profiling.reading import batches, row_groups

__all__ = ["POINTS", "RAW_ROWS", "Drawn", "Rows", "Side", "Sketches", "drawn", "sketched"]

#: Rows a side up to which every row is drawn.
RAW_ROWS: Final = 50_000
#: Points a column above that; a rank is then off by 1 in 4,000 at most, besides the sketch's.
POINTS: Final = 2_000
#: Numbers with no more different values are drawn as counted, not by quantiles.
FEW_VALUES: Final = 50
#: Categories that are told apart, of both sides together.
SHOWN_CATEGORIES: Final = 30
OTHERS: Final = "(others)"
#: Kinds that are drawn from rows, however many there are.
CONTENTS: Final = ("text", "embedding")

Column = npt.NDArray[Any]
Counts = Mapping[str, float]


class Side(Protocol):
    """One side of a report, whatever it is kept as."""

    @property
    def rows(self) -> int:
        """Rows it stands for."""

    @property
    def names(self) -> Iterable[str]:
        """Its columns."""

    def empty(self, name: str, kind: str) -> bool:
        """Whether a column holds nothing that can be drawn as this kind."""

    def all(self, name: str, kind: str) -> Column | None:
        """The column row by row, or None where the rows aren't at hand."""

    def numbers(self, name: str) -> Column:
        """The column in `POINTS` numbers, NaN for missing ones, ascending."""

    def categories(self, name: str) -> tuple[Counts, float]:
        """How often each category occurs, and how many rows have none.

        What lies in the rest isn't told one by one; its rows are counted as `OTHERS`.
        """

    def contents(self, name: str) -> pl.Series:
        """Texts or vectors: of all rows while these are few, else of some spread evenly."""


@dataclass(frozen=True)
class Drawn:
    """A column to draw.

    Attributes
    ----------
    name, kind : str
        The feature, and what it is drawn as: ``"number"``, ``"category"`` or ``"text"``.
    reference, current : numpy.ndarray
        Floating point with NaN for missing numbers, or text with None where there is none;
        the rows of each side, or `POINTS` points.
    """

    name: str
    kind: str
    reference: Column
    current: Column


@dataclass(frozen=True)
class Rows:
    """A side whose rows are in memory."""

    frame: pl.DataFrame

    @property
    def rows(self) -> int:
        return self.frame.height

    @property
    def names(self) -> Iterable[str]:
        return self.frame.columns

    def empty(self, name: str, kind: str) -> bool:
        column = self.frame[name]
        if kind == "number":
            return not bool(as_numbers(column).is_finite().any())
        if kind in CONTENTS:
            return column.null_count() == column.len()
        return column.null_count() == column.len() or not _known(column).len()

    def all(self, name: str, kind: str) -> Column | None:
        return self._floats(name) if kind == "number" else _texts(self.frame[name])

    def numbers(self, name: str) -> Column:
        values = self._floats(name)
        present = np.sort(values[~np.isnan(values)])
        points = _kept(present.size, values.size)
        distinct, counts = np.unique(present, return_counts=True)
        if distinct.size <= FEW_VALUES:
            return _with_gaps(np.repeat(distinct, in_proportion(counts, points)))
        return _with_gaps(np.quantile(present, _ranks(points), method="inverted_cdf"))

    def categories(self, name: str) -> tuple[Counts, float]:
        found = read_categories(self.frame[name])
        return found.counts, found.missing

    def contents(self, name: str) -> pl.Series:
        return self.frame[name]

    def _floats(self, name: str) -> Column:
        values = as_numbers(self.frame[name]).to_numpy()
        return np.where(np.isfinite(values), values, np.nan)


@dataclass(frozen=True)
class Sketches:
    """A side that was read into sketches, or kept as a profile.

    Parameters
    ----------
    columns : mapping of str to ColumnProfile
    rows : int
    some : mapping of str to polars.Series
        Of texts and vectors, the values of some rows.
    """

    columns: Mapping[str, ColumnProfile]
    rows: int
    some: Mapping[str, pl.Series] = field(default_factory=dict)

    @property
    def names(self) -> Iterable[str]:
        return [*self.columns, *self.some]

    def empty(self, name: str, kind: str) -> bool:
        if kind in CONTENTS:
            return self.some[name].null_count() == self.some[name].len()
        column = self.columns[name]
        if kind == "number":
            return not (column.values.numeric and column.moments.count)
        return column.present == 0 or bool(column.fault)

    def all(self, name: str, kind: str) -> Column | None:
        return None

    def numbers(self, name: str) -> Column:
        column = self.columns[name]
        points = _kept(column.moments.count, column.rows)
        if column.values.exact and column.values.distinct() <= FEW_VALUES:
            counted = sorted((float(v), c) for v, c in column.values.counts.items())
            values, counts = (np.asarray(one, float) for one in zip(*counted, strict=True))
            found = np.repeat(values, in_proportion(counts, points))
        else:
            found = np.asarray(column.values.quantiles(_ranks(points).tolist()), float)
        # Rows have times and durations as microseconds, profiles as seconds.
        seconds = column.type in TIMES or column.type == "duration"
        return _with_gaps(found * 1e6 if seconds else found)

    def categories(self, name: str) -> tuple[Counts, float]:
        column = self.columns[name]
        # Those that are told in the report; counts beyond them are lower bounds.
        counts: dict[str, float] = {}
        for value, count in column.values.top(4 * SHOWN_CATEGORIES):
            text = as_text(value)
            counts[text] = counts.get(text, 0) + count
        rest = column.present - sum(counts.values())
        if rest > 0:
            counts[OTHERS] = counts.get(OTHERS, 0) + rest
        return counts, column.missing

    def contents(self, name: str) -> pl.Series:
        return self.some[name]


def sketched(frame: pl.LazyFrame, kinds: Mapping[str, str]) -> Sketches:
    """Read the named columns of a table once, batch by batch, into sketches.

    Parameters
    ----------
    frame : polars.LazyFrame
    kinds : mapping of str to str
        By column, as `FeatureDrift` has them; text is read as numbers where they are wanted.
        Columns that the frame lacks are left out.

    Returns
    -------
    Sketches
        A few kilobytes a column, however long the table is.

    Examples
    --------
    >>> side = sketched(pl.LazyFrame({"x": range(100_000)}), {"x": "number"})
    >>> float(side.numbers("x")[1000].round(-4))
    50000.0
    """
    schema = frame.collect_schema()
    wanted = [name for name in kinds if name in schema]
    shown = [name for name in wanted if kinds[name] in CONTENTS]
    counted = [name for name in wanted if name not in shown]
    dtypes = {n: pl.Float64() if kinds[n] == "number" else schema[n] for n in counted}
    columns = {name: ColumnProfile.of(name, dtype) for name, dtype in dtypes.items()}
    some: dict[str, list[pl.Series]] = {name: [] for name in shown}
    narrow = frame.select(wanted)
    step = 1
    if shown:
        step += narrow.select(pl.len()).collect(engine="streaming").item() // POINTS
    rows = 0
    for batch in batches(narrow, narrow.collect_schema(), row_groups(narrow)):
        for name, parts in some.items():
            parts.append(batch[name].gather_every(step, -rows % step))
        rows += batch.height
        for name, column in columns.items():
            values = batch[name]
            column.update(as_numbers(values) if kinds[name] == "number" else values)
    joined = {
        name: pl.concat(parts) if parts else pl.Series(name, [], schema[name])
        for name, parts in some.items()
    }
    return Sketches(columns, rows, joined)


def drawn(
    reference: Side, current: Side, features: Sequence[FeatureDrift]
) -> tuple[list[Drawn], list[str], bool]:
    """Make the columns to draw of those that have values on both sides.

    Parameters
    ----------
    reference, current : Side
    features : sequence of FeatureDrift
        What is to be drawn.

    Returns
    -------
    (list of Drawn, list of str, bool)
        The columns; which columns can't be drawn and why, with their verdicts; whether points
        were drawn in place of all rows.
    """
    sides = (reference, current)
    few = max(side.rows for side in sides) <= RAW_ROWS
    points = not few or any(isinstance(side, Sketches) for side in sides)
    found, notices = [], []
    for one in features:
        reason = _absent(one, (("the reference", reference), ("the traffic", current)))
        made = None
        if not reason:
            made = _column(one, sides, few and not points)
            reason = "" if made is not None else "its vectors have another length in the traffic"
        if made is None:
            verdict = f" ({one.verdict}: {one.reason})" if one.reason else ""
            notices.append(f"{one.name!r} isn't drawn: {reason}{verdict}")
            continue
        found.append(made)
        if one.kind == "embedding":
            notices.append(
                f"{one.name!r} is drawn as the distance of each vector from the reference's mean"
            )
    return found, notices, points


def in_proportion(counts: npt.NDArray[Any], total: int) -> npt.NDArray[np.int64]:
    """Whole numbers in proportion to `counts` with the given sum (largest remainders).

    Examples
    --------
    >>> in_proportion(np.array([70, 29, 1]), 10).tolist()
    [7, 3, 0]
    """
    exact = counts * (total / counts.sum())
    whole = np.floor(exact).astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    whole[order[: total - whole.sum()]] += 1
    return np.asarray(whole)


def _absent(one: FeatureDrift, sides: Sequence[tuple[str, Side]]) -> str:
    if one.kind not in ("number", "category", *CONTENTS):
        return f"there is no way to draw a column of the kind {one.kind!r}"
    lacking = [label for label, side in sides if one.name not in side.names]
    if lacking:
        return f"{lacking[0]} doesn't have it"
    empty = [label for label, side in sides if side.empty(one.name, one.kind)]
    return f"it has no values in {' and '.join(empty)}" if empty else ""


def _column(one: FeatureDrift, sides: tuple[Side, Side], few: bool) -> Drawn | None:
    """A column to draw; None where the traffic has no vectors like those of the reference."""
    if one.kind in CONTENTS:
        given = [side.contents(one.name) for side in sides]
        if not few:
            given = [side.gather(np.arange(POINTS) * len(side) // POINTS) for side in given]
        if one.kind == "text":
            return Drawn(one.name, "text", *(side.cast(pl.String).to_numpy() for side in given))
        before, now = distances_from_mean(*given)
        return None if np.isnan(now).all() else Drawn(one.name, "number", before, now)
    values = [side.all(one.name, one.kind) if few else None for side in sides]
    if one.kind == "number":
        before, now = (
            _mixed(side.numbers(one.name), one.name) if rows is None else rows
            for side, rows in zip(sides, values, strict=True)
        )
        return Drawn(one.name, one.kind, before, now)
    counted = [side.categories(one.name) for side in sides]
    told = _told([counts for counts, _ in counted])
    before, now = (
        _mixed(_expanded(*side, told), one.name) if rows is None else _folded(rows, told)
        for side, rows in zip(counted, values, strict=True)
    )
    return Drawn(one.name, one.kind, before, now)


def _told(sides: Sequence[Counts]) -> set[str]:
    """The categories to tell apart: the most frequent of both sides together."""
    weight: dict[str, float] = {}
    for counts in sides:
        total = max(1.0, sum(counts.values()))
        for value, count in counts.items():
            weight[value] = weight.get(value, 0.0) + count / total
    weight.pop(OTHERS, None)
    return set(sorted(weight, key=lambda value: (-weight[value], value))[:SHOWN_CATEGORIES])


def _folded(values: Column, told: set[str]) -> Column:
    kept = [value if value is None or value in told else OTHERS for value in values]
    return np.asarray(kept, dtype=object)


def _expanded(counts: Counts, missing: float, told: set[str]) -> Column:
    folded: dict[str, float] = {}
    for value, count in counts.items():
        name = value if value in told else OTHERS
        folded[name] = folded.get(name, 0.0) + count
    present = sum(folded.values())
    points = _kept(present, present + missing)
    names = np.asarray(sorted(folded), dtype=object)
    shares = np.asarray([folded[name] for name in names], float)
    return _with_gaps(np.repeat(names, in_proportion(shares, points)))


def _kept(present: float, rows: float) -> int:
    """How many of the points have a value; at least one, since the column has some."""
    return max(1, POINTS - round(POINTS * (1 - present / rows)))


def _ranks(points: int) -> npt.NDArray[np.float64]:
    return (np.arange(points) + 0.5) / points


def _with_gaps(points: Column) -> Column:
    nothing = None if points.dtype == object else np.nan
    gaps = np.full(POINTS - points.size, nothing, dtype=points.dtype)
    return np.concatenate([points, gaps])


def _mixed(points: Column, name: str) -> Column:
    # A fixed shuffle: sorted values would draw a trend over the rows.
    order = np.random.default_rng(zlib.crc32(name.encode())).permutation(points.size)
    return np.asarray(points[order])


def _texts(column: pl.Series) -> Column:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    known = _known(column)
    texts = [as_text(value) for value in known]
    mapped = column.replace_strict(known, texts, default=None, return_dtype=pl.String)
    return np.asarray(mapped.to_numpy(), dtype=object)


def _known(column: pl.Series) -> pl.Series:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.drop_nulls().unique()

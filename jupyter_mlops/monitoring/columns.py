"""One column of a table, read into the form its comparison needs.

Numbers become one sorted array, everything else a table of counts by value;
both know how many rows were missing. A column's kind is decided by the
*reference* alone, and the current side is read as that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.monitoring.dependence import places, repeats, repeats_of_labels
from jupyter_mlops.profiling.values import runs
from jupyter_mlops.workspace.errors import Invalid

Rows = npt.NDArray[np.int64]
#: The largest hash: every value is known.
ALL: Final = 2**64 - 1
#: Below so many rows, counting equal values saves nothing.
_MANY: Final = 10_000


@dataclass(frozen=True)
class NumberColumn:
    """Finite and infinite values in ascending order; NaN and null are `missing`.

    Attributes
    ----------
    values : array of shape (n,)
    missing : int
    counts : array of int of shape (n,), optional
        The rows that each value stands for; one each when left out.
    repeats : float
        How many rows say as much as one independent row, as `dependence.repeats`; 1 where the
        order of the rows isn't known.
    gaps : float
        The same for whether a value is missing.
    """

    values: npt.NDArray[np.float64]
    missing: int
    counts: Rows | None = None
    repeats: float = 1.0
    gaps: float = 1.0

    @cached_property
    def present(self) -> int:
        """Rows that have a value."""
        return int(self.values.size if self.counts is None else self.counts.sum())

    @property
    def rows(self) -> int:
        return self.present + self.missing

    @cached_property
    def _ends(self) -> Rows:
        counts = np.ones(self.values.size, np.int64) if self.counts is None else self.counts
        return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])

    def upto(self, points: npt.ArrayLike, side: Literal["left", "right"] = "right") -> Rows:
        """Rows at or below each point; below it, with ``side="left"``."""
        at = np.searchsorted(self.values, np.asarray(points, float), side)
        return np.asarray(at if self.counts is None else self._ends[at], np.int64)

    def distinct(self) -> tuple[npt.NDArray[np.float64], Rows]:
        """The different values and how many rows have each."""
        if self.counts is None:
            values, counts = runs(self.values)
            return values, counts.astype(np.int64)
        return self.values, self.counts

    def quantiles(self, levels: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """The smallest values that have these shares of the rows at or below them."""
        ranks = np.ceil(np.asarray(levels, float) * self.present - 1e-9).astype(np.int64)
        ranks = np.clip(ranks, 1, self.present)
        at = ranks - 1 if self.counts is None else np.searchsorted(self._ends[1:], ranks)
        return self.values[at]

    def finite(self) -> NumberColumn:
        """The column without its infinite values."""
        kept = np.isfinite(self.values)
        if kept.all():
            return self
        counts = None if self.counts is None else self.counts[kept]
        return NumberColumn(self.values[kept], self.missing, counts, self.repeats, self.gaps)


@dataclass(frozen=True)
class CategoryColumn:
    """How often each value occurs, as text; null is `missing`.

    Attributes
    ----------
    counts : dict of str to int
    missing : int
    known : int
        Of values whose hash is at most this, all are counted. Of others only the frequent
        ones are, and at most a little too low.
    buckets : array of int of shape (16,), optional
        All rows by the hash bucket of their value, where not all values are counted.
    repeats, gaps : float
        As of numbers.
    """

    counts: dict[str, int]
    missing: int
    known: int = ALL
    buckets: Rows | None = None
    repeats: float = 1.0
    gaps: float = 1.0

    @cached_property
    def present(self) -> int:
        """Rows that have a value."""
        return sum(self.counts.values()) if self.buckets is None else int(self.buckets.sum())

    @property
    def rows(self) -> int:
        return self.present + self.missing


Column = NumberColumn | CategoryColumn


def is_number(dtype: pl.DataType) -> bool:
    """Whether a column of this type is compared as numbers (times are, as seconds)."""
    return dtype.is_numeric() or dtype.is_temporal()


def is_nested(dtype: pl.DataType) -> bool:
    """Whether its values hold several, and so have no distribution of one."""
    return isinstance(dtype, (pl.List, pl.Array, pl.Struct, pl.Object))


def as_numbers(series: pl.Series) -> pl.Series:
    """A column as floating point; what holds no number becomes null.

    Times become microseconds (since 1970 in UTC, or of duration), whatever unit and zone
    they are kept in; text is read as numbers. NaN stays NaN.
    """
    if series.dtype in (pl.Date, pl.Datetime):
        series = series.cast(pl.Datetime("us", getattr(series.dtype, "time_zone", None)))
    elif series.dtype == pl.Duration:
        series = series.cast(pl.Duration("us"))
    return series.to_physical().cast(pl.Float64, strict=False)


def read_numbers(series: pl.Series) -> NumberColumn:
    """Read a column as numbers; NaN and text that holds no number count as missing."""
    numbers = as_numbers(series).fill_nan(None).rechunk()
    present = numbers.drop_nulls()
    values, counts = present.sort().to_numpy(), None
    different = np.count_nonzero(values[1:] != values[:-1]) + 1
    if values.size > _MANY and different < values.size / 8:
        # Values that come again and again are dealt with once.
        values, counts = runs(values)
    return NumberColumn(
        values=values,
        missing=numbers.null_count(),
        counts=counts,
        repeats=repeats(present.to_numpy()),
        gaps=_gaps(numbers),
    )


def read_categories(series: pl.Series) -> CategoryColumn:
    """Read a column as categories, written so that 5, 5.0 and "5" are the same value."""
    if is_nested(series.dtype):
        raise Invalid(
            f"column {series.name!r} holds {series.dtype} values, which have no distribution here",
            fix="leave it out of the model's features, or derive numbers or categories from it",
            code="E-MONITORING-001",
        )
    if series.dtype.is_float():
        series = series.fill_nan(None)
    values = series.value_counts(sort=False)
    counts: dict[str, int] = {}
    missing = 0
    for value, count in zip(values[series.name].to_list(), values["count"].to_list(), strict=True):
        if value is None:
            missing += count
        else:
            text = as_text(value)
            counts[text] = counts.get(text, 0) + count
    present = series.drop_nulls()
    # Ranks of all rows would cost more than all the rest.
    codes = present.gather(places(present.len())).rank("dense")
    return CategoryColumn(
        counts=counts,
        missing=missing,
        repeats=repeats_of_labels(codes.to_numpy()),
        gaps=_gaps(series),
    )


def _gaps(series: pl.Series) -> float:
    return repeats_of_labels(series.is_null().to_numpy()) if series.null_count() else 1.0


def as_text(value: object) -> str:
    """How a category is written, whatever type carried it through JSON and back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

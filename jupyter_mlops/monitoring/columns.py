"""One column of a table, read into the form its comparison needs.

Numbers become one sorted array, everything else a table of counts by value;
both know how many rows were missing. A column's kind is decided by the
*reference* alone, and the current side is read as that kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.workspace.errors import Invalid


@dataclass(frozen=True)
class NumberColumn:
    """Finite and infinite values in ascending order; NaN and null are `missing`."""

    values: npt.NDArray[np.float64]
    missing: int

    @property
    def rows(self) -> int:
        return int(self.values.size) + self.missing

    def within(self, low: float, high: float) -> npt.NDArray[np.float64]:
        """The values, those outside ``[low, high]`` moved to the nearer end."""
        return np.clip(self.values, low, high)


@dataclass(frozen=True)
class CategoryColumn:
    """How often each value occurs, as text; null is `missing`."""

    counts: dict[str, int]
    missing: int

    @cached_property
    def rows(self) -> int:
        return sum(self.counts.values()) + self.missing


Column = NumberColumn | CategoryColumn


def is_number(dtype: pl.DataType) -> bool:
    """Whether a column of this type is compared as numbers (times are, as seconds)."""
    return dtype.is_numeric() or dtype.is_temporal()


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
    values = as_numbers(series).drop_nulls().drop_nans().rechunk().sort().to_numpy()
    return NumberColumn(values=values, missing=len(series) - values.size)


def read_categories(series: pl.Series) -> CategoryColumn:
    """Read a column as categories, written so that 5, 5.0 and "5" are the same value."""
    if isinstance(series.dtype, (pl.List, pl.Array, pl.Struct, pl.Object)):
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
    return CategoryColumn(counts=counts, missing=missing)


def as_text(value: object) -> str:
    """How a category is written, whatever type carried it through JSON and back."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)

"""What the rules look at: a profile, its sample, and what several rules derive from them."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile

if TYPE_CHECKING:
    from jupyter_mlops.profiling.profiles import Profile

__all__ = ["Case", "Floats"]

Floats = npt.NDArray[np.float64]

#: Rows looked at by what compares every two columns.
PAIR_ROWS: Final = 5000
#: Columns compared two by two.
PAIR_COLUMNS: Final = 400


class Case:
    """A profile under examination.

    Parameters
    ----------
    profile : Profile

    Attributes
    ----------
    sample : polars.DataFrame
        Up to 20,000 rows drawn evenly; without columns for a profile read back.
    held : frozenset of str
        The columns of the sample.
    size : int
        Rows of the sample.
    key, time : str or None
        The columns declared to identify a row and to say when it happened, if any.
    whole : bool
        Whether the sample is the whole table, in its order.
    """

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.columns: dict[str, ColumnProfile] = profile.columns
        self.target = profile.target
        self.key = profile.key
        self.time = profile.time if profile.time in self.columns else None
        self.sample = pl.DataFrame() if profile.sample is None else profile.sample
        # Asked for once for every rule and column: a frame makes its list of names anew each time.
        self.held = frozenset(self.sample.columns)
        self.size = self.sample.height
        self.whole = self.size == profile.rows
        self._numbers: dict[str, Floats] = {}
        self._texts: dict[str, pl.Series] = {}

    def numbers(self, name: str) -> Floats:
        """A column of the sample as floats; missing and infinite ones are NaN, times seconds."""
        if name not in self._numbers:
            values = self.sample[name]
            if values.dtype.is_temporal():
                unit = {"ms": 1e3, "us": 1e6, "ns": 1e9}.get(getattr(values.dtype, "time_unit", ""))
                days = 86_400.0 if values.dtype == pl.Date else 1.0
                raw = values.to_physical().cast(pl.Float64).to_numpy() * days / (unit or 1.0)
            else:
                raw = values.cast(pl.Float64).to_numpy()
            array = np.array(raw, dtype=np.float64)
            array[~np.isfinite(array)] = np.nan
            self._numbers[name] = array
        return self._numbers[name]

    def present(self, name: str) -> Floats:
        """The finite numbers of a column of the sample."""
        array = self.numbers(name)
        return array[~np.isnan(array)]

    def texts(self, name: str) -> pl.Series:
        """The different texts of a column of the sample, in the order they first occur."""
        if name not in self._texts:
            values = self.sample[name].cast(pl.String).drop_nulls()
            self._texts[name] = values.unique(maintain_order=True).head(5000)
        return self._texts[name]

    def counts(self, name: str) -> dict[Any, int]:
        """How often each value occurs: in all rows where that was counted, else in the sample."""
        values = self.columns[name].values
        if values.exact or name not in self.held:
            return dict(values.counts)
        counted = self.sample[name].drop_nulls().value_counts(name="n")
        return dict(zip(counted.to_series(0).to_list(), counted["n"].to_list(), strict=True))

    def of(self, count: int, name: str | None = None) -> str:
        """A count of the sample with what it says of the table, and how sure.

        Examples
        --------
        A count of all rows reads ``12 of 400 rows``; one of a sample
        ``30 of 20,000 sampled rows (0.15 % ± 0.05 %)``.
        """
        if name is not None and self.columns[name].values.exact:
            return f"{count:,} of {self.profile.rows:,} rows"
        if self.whole:
            return f"{count:,} of {self.size:,} rows"
        share = count / max(1, self.size)
        error = 2 * (share * (1 - share) / max(1, self.size)) ** 0.5
        return (
            f"{count:,} of {self.size:,} sampled rows ({100 * share:.2f} % ± {100 * error:.2f} %)"
        )

    @cached_property
    def numeric(self) -> list[str]:
        """The columns of varying numbers, the target left out."""
        return [
            name
            for name, column in self.columns.items()
            if column.numeric
            and name in self.held
            and column.semantic not in {"constant", "empty"}
            and name != self.target
        ]

    @cached_property
    def temporal(self) -> list[str]:
        """The columns of dates and times."""
        return [
            name
            for name, column in self.columns.items()
            if column.temporal and name in self.held and column.semantic == "datetime"
        ]

    @cached_property
    def worded(self) -> list[str]:
        """The columns of text that isn't constant."""
        return [
            name
            for name, column in self.columns.items()
            if column.type == "text"
            and name in self.held
            and column.semantic not in {"constant", "empty"}
        ]

    @property
    def pair_rows(self) -> int:
        """How many rows the comparisons of columns take."""
        return min(self.size, PAIR_ROWS)

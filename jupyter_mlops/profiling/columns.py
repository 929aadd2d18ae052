"""The profile of one column: a small value that merges with that of other rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.data.hashing import Words, as_text, hash_column, hash_words
from jupyter_mlops.profiling.figures import number_text, time_text
from jupyter_mlops.profiling.moments import Moments
from jupyter_mlops.profiling.texts import Texts
from jupyter_mlops.profiling.times import Times
from jupyter_mlops.profiling.values import EXACT, VARIED, Value, Values, runs
from jupyter_mlops.profiling.vocabulary import words_of_name
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["ColumnProfile", "Histogram"]

NUMBERS: Final = ("integer", "float", "decimal", "duration")
TIMES: Final = ("date", "datetime", "datetime UTC")
_LONG: Final = 200
#: Numbers that are names.
_NAMES: Final = ("id", "code", "postal code")
#: Bytes of text worked on at once: what is made of them takes a few times as much.
_TEXT_BYTES: Final = 1 << 25


@dataclass(frozen=True)
class Histogram:
    """Counts between neighbouring edges, or of named values."""

    edges: list[float]
    counts: list[float]
    labels: list[str]


@dataclass
class ColumnProfile:
    """What is known of a column.

    Attributes
    ----------
    type : str
        The logical type: integer, float, text, boolean, date, datetime UTC…
    rows, missing, infinite : int
        Rows seen; those with no value (NaN counts as none); those with an infinite one.
    unlabelled : int
        Rows that lack both this column and the target.
    moments : Moments
        Of finite numbers; of the lengths in characters for text.
    low, high : float or None
        Smallest and largest finite number; seconds for durations, seconds since 1970 for dates
        and datetimes; the shortest and longest length for text.
    values : Values
        Counts, distinct and quantiles.
    semantic : str
        What the values seem to be: id, category, number, boolean, datetime, text, e-mail, URL,
        date in text, number in text, constant, empty, nested (all in `semantics.Meaning`).
    meaning : dict
        What the semantic type rests on, as `semantics.Meaning.to_dict` gives it.
    texts : Texts or None
        Lengths, words and shapes of texts.
    times : Times or None
        Counts by period, gaps and freshness of dates and datetimes.
    fault : str
        Why the column couldn't be profiled, as a sentence; nothing but rows and missing values
        is known of it then.
    """

    name: str
    type: str
    rows: int = 0
    missing: int = 0
    infinite: int = 0
    zeros: int = 0
    negatives: int = 0
    unlabelled: int = 0
    moments: Moments = field(default_factory=Moments)
    low: float | None = None
    high: float | None = None
    values: Values = field(default_factory=lambda: Values(False))
    semantic: str = ""
    meaning: dict[str, Any] = field(default_factory=dict)
    texts: Texts | None = None
    times: Times | None = None
    fault: str = ""
    # How to go about the next batch; no part of what is known.
    _varied: bool = field(default=False, repr=False, compare=False)

    @classmethod
    def of(cls, name: str, dtype: pl.DataType, limit: int = EXACT) -> ColumnProfile:
        """An empty profile for a column of a type, counting up to `limit` values one by one."""
        return cls._empty(name, logical_type(dtype), limit)

    @classmethod
    def _empty(cls, name: str, kind: str, limit: int) -> ColumnProfile:
        made = cls(name, kind, values=Values(kind in NUMBERS or kind in TIMES, limit))
        if made.temporal:
            made.times = Times()
        elif not (made.numeric or kind in {"boolean", "empty"}):
            made.texts = Texts()
        return made

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers."""
        return self.type in NUMBERS

    @property
    def temporal(self) -> bool:
        """Whether the values are dates or datetimes."""
        return self.type in TIMES

    @property
    def distinct(self) -> int:
        """How many different values there are; an estimate is never more than there are values."""
        return min(self.values.distinct(), self.present)

    @property
    def present(self) -> int:
        """Rows that have a value."""
        return self.rows - self.missing

    @property
    def missing_share(self) -> float:
        """The share of rows without a value."""
        return self.missing / self.rows if self.rows else 0.0

    def update(self, column: pl.Series, words: Words | None = None) -> None:
        """Add the values of a batch, whose words (see `hashing`) may be known already."""
        self.rows += len(column)
        if column.dtype.is_float():
            column = column.fill_nan(None)
        if column.null_count():
            self.missing += column.null_count()
            if words is not None:
                present = column.is_not_null().to_numpy()
                words = words[0][present], None if words[1] is None else words[1][present]
            column = column.drop_nulls()
        if not len(column):
            return
        if self.numeric or self.temporal:
            self._numbers(column)
        elif self.type == "boolean":
            yes = int(column.sum())
            counts = {True: yes, False: len(column) - yes}
            shown = [value for value, count in counts.items() if count]
            self.values.update(pl.Series(shown), np.array([counts[v] for v in shown]))
        else:
            self._texts(column, words)

    def merge(self, other: ColumnProfile) -> None:
        """Add the rows that another profile of this column has seen.

        Raises
        ------
        Invalid
            The two have different types.
        """
        if other.fault and not self.fault:
            self.fail(other.fault)
        if self.fault or other.type == "empty":
            self.rows += other.rows
            self.missing += other.missing
            return
        if self.type == "empty":
            # What had no values at all has no type either; it takes the other's.
            blank = self._empty(self.name, other.type, other.values.limit)
            blank.rows, blank.missing = self.rows, self.missing
            blank.unlabelled = self.unlabelled
            vars(self).update(vars(blank))
        if {self.type, other.type} == {"integer", "float"}:
            self.type = "float"
        elif self.type != other.type:
            raise Invalid(
                f"column {self.name!r} is {self.type} here and {other.type} there",
                fix="bring both to one type first",
                code="E-PROFILE-001",
            )
        for count in ("rows", "missing", "infinite", "zeros", "negatives", "unlabelled"):
            setattr(self, count, getattr(self, count) + getattr(other, count))
        self.moments.merge(other.moments)
        self.low = _least(self.low, other.low)
        self.high = _most(self.high, other.high)
        self.values.merge(other.values)
        if self.texts is not None and other.texts is not None:
            self.texts.merge(other.texts)
        if self.times is not None and other.times is not None:
            self.times.merge(other.times)

    def fail(self, fault: str) -> None:
        """Forget all but rows and missing values, and say why."""
        blank = ColumnProfile(self.name, self.type, self.rows, self.missing, fault=fault)
        vars(self).update(vars(blank))

    def quantile(self, rank: float) -> float | None:
        """The value below which a share of the numbers lies (seconds since 1970 for times)."""
        if not self.values.numeric or not self.moments.count:
            return None
        if rank <= 0 or rank >= 1:
            return self.low if rank <= 0 else self.high
        return self.values.quantiles([rank])[0]

    def histogram(self, bins: int = 20) -> Histogram:
        """How the values are spread: bins of equal width, or the most frequent values.

        The bins span the middle 99.8 % of the numbers, with what lies outside in the first and
        the last, so that one wild value doesn't flatten all others.
        """
        top = self.values.top(bins)
        if not self.values.numeric or (self.values.exact and self.values.distinct() <= bins):
            if self.values.numeric:
                top = sorted(top)
            labels = [self.shown(value) for value, _ in top]
            return Histogram([], [float(count) for _, count in top], labels)
        if not self.moments.count or self.low is None or self.high is None:
            return Histogram([], [], [])
        first, last = self.values.quantiles([0.001, 0.999])
        edges = np.linspace(first, last, bins + 1) if last > first else np.array([first, last])
        edges[0], edges[-1] = self.low, max(self.high, self.low)
        counts = self.values.shares(edges) * self.moments.count
        return Histogram([float(e) for e in edges], [float(c) for c in counts], [])

    def shown(self, value: Value | float | None, digits: int = 5) -> str:
        """A value of this column as text; times from seconds since 1970.

        Numbers of one size are written alike whatever their type: whole ones in full, others to
        `digits` significant digits, thousands separated from 10,000 on. Years, keys and codes are
        names rather than amounts and never separated.

        Examples
        --------
        >>> paid = ColumnProfile.of("paid", pl.Float64())
        >>> paid.shown(1359.0), paid.shown(1402.26), paid.shown(1402260.5), paid.shown(0.25)
        ('1359', '1402.3', '1,402,260', '0.25')
        """
        if value is None:
            return "–"
        if self.temporal:
            return time_text(float(value), self.type)
        if self.type == "duration":
            return f"{value:.5g} s"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, str):
            return value
        name = self.semantic in _NAMES or "year" in words_of_name(self.name)
        return number_text(value, digits, separated=not name)

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON, sketches included."""
        state = {key: getattr(self, key) for key in _PLAIN}
        state["moments"] = self.moments.to_list()
        state["values"] = self.values.to_dict()
        state["texts"] = self.texts.to_dict() if self.texts else None
        state["times"] = self.times.to_dict() if self.times else None
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> ColumnProfile:
        """The profile back from JSON."""
        made = cls(**{key: state[key] for key in _PLAIN})
        made.moments = Moments.from_list(state["moments"])
        made.values = Values.from_dict(state["values"])
        made.texts = Texts.from_dict(state["texts"]) if state["texts"] else None
        made.times = Times.from_dict(state["times"]) if state["times"] else None
        return made

    def _numbers(self, column: pl.Series) -> None:
        if column.dtype.is_decimal() or column.dtype in (pl.Int128, pl.UInt128):
            column = column.cast(pl.Float64)
        elif self.type == "duration":
            column = column.cast(pl.Duration("us")).to_physical().cast(pl.Float64) / 1e6
        elif self.temporal:
            # Seconds as floats: microseconds stay exact for a few centuries around 1970.
            micros = column.cast(pl.Datetime("us")).to_physical()
            column = micros.cast(pl.Float64) / 1e6
        raw = column.to_numpy()
        if raw.dtype.kind == "f":
            raw = raw.astype(np.float64)
            finite = np.isfinite(raw)
            if not finite.all():
                self.infinite += int((~finite).sum())
                raw = raw[finite]
                if not raw.size:
                    return
        if self.times is not None:
            self.times.update(raw)
        if self._varied and not self.values.exact and raw.size >= VARIED:
            self._unsorted(raw)
            return
        ordered = np.sort(raw)
        numbers = ordered.astype(np.float64)
        self.low = _least(self.low, float(numbers[0]))
        self.high = _most(self.high, float(numbers[-1]))
        below, upto = (int(np.searchsorted(ordered, 0, side=side)) for side in ("left", "right"))
        self.negatives += below
        self.zeros += upto - below
        self.moments.update(numbers)
        unique, counts = runs(ordered)
        self._varied = 2 * len(unique) > len(ordered)
        self.values.update(pl.Series(unique), counts, numbers)

    def _unsorted(self, raw: npt.NDArray[Any]) -> None:
        """Add a large batch of numbers that hardly repeat: sorting them would cost the most."""
        numbers = raw.astype(np.float64)
        self.low = _least(self.low, float(numbers.min()))
        self.high = _most(self.high, float(numbers.max()))
        self.negatives += int(np.count_nonzero(raw < 0))
        self.zeros += int(np.count_nonzero(raw == 0))
        self.moments.update(numbers)
        values = pl.Series(raw)
        self.values.update_varied(raw, values, hash_column(values), numbers)

    def _texts(self, column: pl.Series, words: Words | None) -> None:
        if column.dtype != pl.String:
            words = None
        if column.dtype == pl.Binary:
            column = column.bin.encode("hex")
        elif column.dtype != pl.String:
            column = as_text(column)
        size = int(column.str.len_bytes().sum())
        rows = max(1, len(column) * _TEXT_BYTES // max(size, 1))
        for start in range(0, len(column), rows):
            self._some_texts(column[start : start + rows], words if rows >= len(column) else None)

    def _some_texts(self, column: pl.Series, words: Words | None) -> None:
        assert self.texts is not None
        lengths = column.str.len_chars()
        longest = lengths.max()
        assert isinstance(longest, int)
        if longest < len(column):
            found = np.bincount(lengths.to_numpy())
            sizes = np.flatnonzero(found)
            counts = found[sizes]
        else:
            sizes, counts = runs(np.sort(lengths.to_numpy()))
        self.zeros += int(counts[0]) if sizes[0] == 0 else 0
        self.low = _least(self.low, float(sizes[0]))
        self.high = _most(self.high, float(longest))
        self.moments.update_counted(sizes.astype(np.float64), counts)
        self.texts.measure(sizes, counts)
        whole = column
        if longest > _LONG:
            # A megabyte of text isn't worth keeping as the name of a value.
            mark = pl.Series(hash_column(column)).cast(pl.String)
            short = column.str.slice(0, _LONG - 40) + "…" + mark
            column = short.zip_with(lengths > _LONG, column)
            words = None
        if self._varied and not self.values.exact and len(column) >= VARIED:
            hashes = hash_words(*words) if words is not None else hash_column(column)
            self.values.update_varied(hashes, column, hashes)
            self.texts.update(whole)
            return
        counted = column.value_counts(name="n")
        unique, counts = counted.to_series(0), counted["n"].to_numpy()
        self._varied = counted.height > len(column) // 4
        self.values.update(unique, counts)
        if longest <= _LONG and len(unique) <= EXACT:
            self.texts.update(unique, counts)
        else:
            self.texts.update(whole)


_PLAIN = (
    "name",
    "type",
    "rows",
    "missing",
    "infinite",
    "zeros",
    "negatives",
    "unlabelled",
    "low",
    "high",
    "semantic",
    "meaning",
    "fault",
)


def _least(a: float | None, b: float | None) -> float | None:
    return min((x for x in (a, b) if x is not None), default=None)


def _most(a: float | None, b: float | None) -> float | None:
    return max((x for x in (a, b) if x is not None), default=None)

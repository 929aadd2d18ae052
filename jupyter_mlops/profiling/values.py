"""Which values there are, how often, and how they are spread: exact while few, sketched beyond.

Up to `EXACT` different values are counted one by one, and then counts, distinct and quantiles
are all exact.  A column with more spills: its values move into a HyperLogLog sketch (distinct),
a KLL sketch (quantiles of numbers; Karnin, Lang, Liberty 2016) and a summary of the frequent
ones whose counts are lower bounds within a known `error`.

Sketches cost more than reading, so they aren't fed everything: KLL sees one number in `THIN`,
evenly from sorted batches and evenly by position from large unsorted ones; frequent values of
columns that hardly repeat are sought in a sample of each batch and then counted in all of it.
A value is overlooked that way, beyond `error`, less than once in 10,000 times.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import datasketches
import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.profiling.distinct import Distinct

__all__ = ["EXACT", "Values", "runs"]

EXACT: Final = 1024
BATCH_TOP: Final = 512
#: KLL parameter: a rank is within 1.33 % with 99 % confidence at 200, here within 0.7 %.
_KLL: Final = 400
THIN: Final = 4
#: Values of a batch in which frequent ones are sought; a batch must be well larger.
_SOUGHT: Final = 8192
VARIED: Final = 8 * _SOUGHT
#: A value drawn fewer times than this may be an accident; one drawn 15 times on average is drawn
#: fewer than three times in 1 of 30,000 samples.
_DRAWN: Final = 3
_SURELY: Final = 15

Value = int | float | str | bool
Array = npt.NDArray[Any]


class Values:
    """The multiset of a column's values, in bounded memory.

    Parameters
    ----------
    numeric : bool
        Whether the values have an order that quantiles are asked of.
    limit : int, optional
        How many different values are counted one by one.
    """

    def __init__(self, numeric: bool, limit: int = EXACT) -> None:
        self.numeric = numeric
        self.limit = limit
        self._turn = 0
        self.counts: dict[Value, int] = {}
        self.error = 0
        self._distinct: Distinct | None = None
        self._ranks: Any = None

    @property
    def exact(self) -> bool:
        """Whether every value has been counted one by one."""
        return self._distinct is None

    def update(self, unique: pl.Series, counts: Array, ordered: Array | None = None) -> None:
        """Add a batch.

        Parameters
        ----------
        unique : polars.Series
            The batch's different values, none missing.
        counts : array of int, as long as `unique`
        ordered : array, optional
            All finite values of the batch, for quantiles.
        """
        if self.exact and len(unique) <= 4 * self.limit:
            self._add(unique.to_list(), counts.tolist())
            if len(self.counts) > self.limit:
                self._spill()
            return
        if self.exact:
            self._spill()
        assert self._distinct is not None
        self._distinct.update(hash_column(unique))
        if self.numeric and ordered is not None and ordered.size:
            self._rank(ordered)
        kept = self._frequent(counts)
        self._add(unique[kept].to_list(), counts[kept].tolist())
        self._prune()

    def update_varied(
        self, keys: Array, names: pl.Series, hashes: Array, numbers: Array | None = None
    ) -> None:
        """Add a large batch of a column that hardly repeats and is no longer counted exactly.

        Parameters
        ----------
        keys : array, length n
            What tells the values apart: the numbers themselves, or the hashes of texts.
        names : polars.Series, length n
            The values.
        hashes : array of uint64, length n
        numbers : array of float, optional
            All finite values of the batch, for quantiles.
        """
        assert self._distinct is not None
        self._distinct.update(hashes)
        if self.numeric and numbers is not None:
            self._ranks.update(numbers[_spots(len(numbers), len(numbers) // THIN)])
        sought = np.sort(keys[_spots(len(keys), _SOUGHT)])
        unique, drawn = runs(sought)
        often = np.flatnonzero(drawn >= _DRAWN)
        lost = float(_SURELY)
        if len(often) > BATCH_TOP:
            often = often[np.argsort(-drawn[often], kind="stable")]
            # The most that the first one left out can have been, as surely as above.
            most = float(drawn[often[BATCH_TOP]])
            lost = most + 4 * math.sqrt(most) + 8
            often = np.sort(often[:BATCH_TOP])
        self.error += math.ceil(lost * len(keys) / len(sought))
        if not often.size:
            return
        candidates = unique[often]
        place = np.searchsorted(candidates, keys)
        place[place == len(candidates)] = 0
        rows = np.flatnonzero(candidates[place] == keys)
        counts = np.bincount(place[rows], minlength=len(candidates))
        first = np.zeros(len(candidates), dtype=np.int64)
        first[place[rows[::-1]]] = rows[::-1]
        self._add(names[first].to_list(), counts.tolist())
        self._prune()

    def update_sketched(
        self, distinct: Distinct, ranks: Array, unique: pl.Series, counts: Array, error: int
    ) -> None:
        """Add a large batch that was worked out elsewhere, for example on a GPU.

        Parameters
        ----------
        distinct : Distinct
            Of all values.
        ranks : array of float
            One in `THIN` of the numbers, evenly from their order.
        unique : polars.Series
            The frequent values.
        counts : array of int, as long as `unique`
        error : int
            What any other value may have been counted.
        """
        if self._distinct is None:
            self._spill()
        assert self._distinct is not None
        self._distinct.merge(distinct)
        if self.numeric:
            self._ranks.update(np.array(ranks, dtype=np.float64))
        self.error += error
        self._add(unique.to_list(), counts.tolist())
        self._prune()

    def take(self, counts: dict[Value, int], distinct: Distinct, error: int) -> None:
        """Become the values of a whole column that was counted elsewhere, by a database.

        Parameters
        ----------
        counts : dict
            The frequent values.
        distinct : Distinct
            Of all values.
        error : int
            How often any other value may occur.

        Examples
        --------
        >>> made = Values(True)
        >>> made.take({7.0: 90}, Distinct(), 2)
        >>> made.rank([1.0, 7.0, 7.0, 9.0])
        >>> made.exact, made.top(), made.quantiles([0.5])
        (False, [(7.0, 90)], [7.0])
        """
        self.counts, self.error, self._distinct = dict(counts), error, distinct
        if self.numeric:
            self._ranks = datasketches.kll_doubles_sketch(_KLL)

    def rank(self, evenly: Sequence[float]) -> None:
        """Give the quantile sketch numbers that lie evenly among all of a column's."""
        self._ranks.update(np.array(evenly, dtype=np.float64))

    def _frequent(self, counts: Array) -> npt.NDArray[np.intp]:
        """Which of a batch's values are frequent enough to keep; counts what the rest may lose."""
        if len(counts) <= BATCH_TOP:
            return np.arange(len(counts))
        bar = _bar(counts)
        self.error += bar
        return np.flatnonzero(counts > bar)

    def merge(self, other: Values) -> None:
        """Add the values another has seen."""
        if self.exact and not other.exact:
            self._spill()
        if not self.exact:
            assert self._distinct is not None
            if other.exact:
                self._distinct.update(_hashes(other.counts))
                if self.numeric and other.counts:
                    self._rank(_spread(other.counts))
            else:
                self._distinct.merge(other._distinct)  # type: ignore[arg-type]
                if self.numeric:
                    self._ranks.merge(other._ranks)
        self.error += other.error
        self._add(list(other.counts), list(other.counts.values()))
        if self.exact and len(self.counts) > self.limit:
            self._spill()
        elif not self.exact:
            self._prune()

    def distinct(self) -> int:
        """How many different values: exact, or within about 2 % when `exact` is False."""
        return len(self.counts) if self._distinct is None else self._distinct.estimate()

    def top(self, number: int = 10) -> list[tuple[Value, int]]:
        """The most frequent values with their counts, which are at most `error` too low.

        A value whose count could be an accident of the summary isn't listed, so the list of a
        column without frequent values is empty.
        """
        sure = [(v, c) for v, c in self.counts.items() if self.exact or c > self.error]
        return sorted(sure, key=lambda one: (-one[1], str(one[0])))[:number]

    def quantiles(self, ranks: Sequence[float]) -> list[float]:
        """Values below which the given shares of the (finite) numbers lie."""
        if not self.exact:
            return [float(q) for q in self._ranks.get_quantiles(list(ranks))]
        values, ends = self._cumulated()
        if not values.size:
            return []
        places = np.searchsorted(ends, np.asarray(ranks) * ends[-1], side="left")
        return [float(v) for v in values[np.minimum(places, len(values) - 1)]]

    def shares(self, edges: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The share of the numbers between each two neighbouring edges, right edge included."""
        if self.exact:
            values, ends = self._cumulated()
            if not values.size:
                return np.zeros(len(edges) - 1)
            starts = np.concatenate([[0], ends])
            below = starts[np.searchsorted(values, edges, side="right")] / ends[-1]
            below[0] = 0.0
        else:
            below = np.array(self._ranks.get_cdf(edges.tolist())[:-1])
            below[0], below[-1] = 0.0, 1.0
        return np.diff(below)

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON."""
        counts, error = list(self.counts.items()), self.error
        if len(counts) > self.limit:
            counts.sort(key=lambda one: -one[1])
            error += counts[self.limit][1]
        state: dict[str, Any] = {
            "numeric": self.numeric,
            "limit": self.limit,
            "counts": [[v, c] for v, c in counts[: self.limit]],
            "error": error,
        }
        if self._distinct is not None:
            state["distinct"] = self._distinct.to_text()
            if self.numeric:
                state["ranks"] = base64.b64encode(self._ranks.serialize()).decode()
        return state

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Values:
        """The state back from JSON."""
        made = cls(state["numeric"], state["limit"])
        made.counts = dict(state["counts"])
        made.error = state["error"]
        if "distinct" in state:
            made._distinct = Distinct.from_text(state["distinct"])
            if made.numeric:
                raw = base64.b64decode(state["ranks"])
                made._ranks = datasketches.kll_doubles_sketch.deserialize(raw)
        return made

    def __getstate__(self) -> dict[str, Any]:
        return self.to_dict() | {"counts": list(self.counts.items()), "error": self.error}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(vars(self.from_dict(state)))

    def _add(self, values: list[Value], counts: list[int]) -> None:
        mine = self.counts
        for value, count in zip(values, counts, strict=True):
            mine[value] = mine.get(value, 0) + count

    def _spill(self) -> None:
        self._distinct = Distinct()
        self._distinct.update(_hashes(self.counts))
        if self.numeric:
            self._ranks = datasketches.kll_doubles_sketch(_KLL)
            self._rank(_spread(self.counts))
        self._prune()

    def _rank(self, ordered: Array) -> None:
        """Give the quantile sketch its share of a sorted batch, from another place each time."""
        self._turn = (self._turn + 1) % THIN
        # The sketch refuses read-only arrays, and batches come as such.
        self._ranks.update(np.array(ordered[self._turn :: THIN], dtype=np.float64))

    def _prune(self) -> None:
        if len(self.counts) <= 4 * self.limit:
            return
        kept = sorted(self.counts.items(), key=lambda one: -one[1])
        # Whatever is dropped may come back; its lost count is the new uncertainty.
        self.error += kept[self.limit][1]
        self.counts = dict(kept[: self.limit])

    def _cumulated(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        values = np.array([float(v) for v in self.counts], dtype=np.float64)
        counts = np.array(list(self.counts.values()), dtype=np.int64)
        finite = np.isfinite(values)
        values, counts = values[finite], counts[finite]
        order = np.argsort(values)
        return values[order], np.cumsum(counts[order])


def runs(ordered: Array) -> tuple[Array, npt.NDArray[np.int64]]:
    """The different values of a sorted array, and how often each occurs."""
    differs = np.concatenate([[ordered.size > 0], ordered[1:] != ordered[:-1]])
    starts = np.flatnonzero(differs)
    return ordered[starts], np.diff(np.concatenate([starts, [ordered.size]]))


def _bar(counts: Array) -> int:
    """The least count that no more than `BATCH_TOP` values exceed."""
    above = counts[counts > 1]
    if len(above) <= BATCH_TOP:
        return 1
    return int(np.partition(above, -BATCH_TOP - 1)[-BATCH_TOP - 1])


def _hashes(counts: dict[Value, int]) -> npt.NDArray[np.uint64]:
    if not counts:
        return np.zeros(0, dtype=np.uint64)
    return hash_column(pl.Series(list(counts), strict=False))


def _spread(counts: dict[Value, int]) -> npt.NDArray[np.float64]:
    values = np.array([float(v) for v in counts], dtype=np.float64)
    repeated = np.repeat(values, list(counts.values()))
    return np.sort(repeated[np.isfinite(repeated)])


@lru_cache(maxsize=32)
def _spots(rows: int, number: int) -> npt.NDArray[np.intp]:
    """One row of each of `number` equal stretches, anywhere in it so that no period is met."""
    edges = np.linspace(0, rows, number + 1)
    within = np.random.default_rng(number).random(number)
    spots = edges[:-1] + within * np.diff(edges)
    return np.minimum(spots.astype(np.intp), rows - 1)

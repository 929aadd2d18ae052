"""Bins that the reference fixes once and every later window is counted in.

Numbers: each value that is heavy enough to be a spike is a bin of its own (a
rain gauge reads 0.0 in nine hours of ten), the rest falls into tenths. All
others: the heavy hitters, and 16 buckets by hash for the tail. Missing values
are the last bin of both.

The tail goes by hash because a list of "the most frequent values" is a trap:
values that were over-counted by chance are picked more often, so the reference
looks over-full on its own list and a table that never changed is reported as
drifted almost surely. A hash doesn't know the counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jupyter_mlops.monitoring.columns import CategoryColumn, NumberColumn

TENTHS = 10
TAIL_BUCKETS = 16
HEAVY_ROWS = 50
HEAVY_SHARE = 0.005
SPIKE_SHARE = 0.1
FEW_VALUES = 20

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True)
class NumberBins:
    """Spikes, then right-closed intervals between `edges` for the rest, then missing."""

    spikes: tuple[float, ...]
    edges: tuple[float, ...]

    @classmethod
    def of(cls, reference: NumberColumn) -> NumberBins:
        """Choose the bins from the reference."""
        distinct, counts = reference.distinct()
        share = HEAVY_SHARE if distinct.size <= FEW_VALUES else SPIKE_SHARE
        heavy = counts >= max(HEAVY_ROWS, share * reference.present)
        rest = NumberColumn(distinct[~heavy], 0, counts[~heavy])
        if rest.present == 0:
            return cls(tuple(distinct[heavy].tolist()), ())
        tenths = max(1, round(TENTHS * rest.present / reference.present))
        edges = np.unique(rest.quantiles(np.arange(1, tenths) / tenths))
        return cls(tuple(distinct[heavy].tolist()), tuple(edges[edges < rest.values[-1]].tolist()))

    def count(self, column: NumberColumn) -> Counts:
        """Rows of a column in each bin, shape (spikes + edges + 1 + missing,)."""
        spikes, edges = np.asarray(self.spikes, float), np.asarray(self.edges, float)
        on_spike = column.upto(spikes) - column.upto(spikes, "left")
        upto = np.concatenate([[0], column.upto(edges), [column.present]])
        intervals = np.diff(upto)
        np.subtract.at(intervals, np.searchsorted(edges, spikes, "left"), on_spike)
        return np.concatenate([on_spike, intervals, [column.missing]]).astype(np.int64)

    def place(self, values: npt.NDArray[np.float64]) -> Counts:
        """The bin of each value, NaN being missing; shape (n,)."""
        spikes, edges = np.asarray(self.spikes, float), np.asarray(self.edges, float)
        found = spikes.size + np.searchsorted(edges, values, "left")
        if spikes.size:
            at = np.minimum(np.searchsorted(spikes, values), spikes.size - 1)
            found = np.where(spikes[at] == values, at, found)
        missing = spikes.size + edges.size + 1
        return np.where(np.isnan(values), missing, found).astype(np.int64)


@dataclass(frozen=True)
class CategoryBins:
    """Heavy hitters, then hash buckets for all other values, then missing."""

    heavy: tuple[str, ...]
    buckets: int = TAIL_BUCKETS

    @classmethod
    def of(cls, reference: CategoryColumn) -> CategoryBins:
        """Choose the heavy hitters from the reference."""
        least = max(HEAVY_ROWS, HEAVY_SHARE * reference.rows)
        heavy = [value for value, count in reference.counts.items() if count >= least]
        return cls(tuple(sorted(heavy, key=lambda value: (-reference.counts[value], value))))

    def count(self, column: CategoryColumn) -> Counts:
        """Rows of a column in each bin, shape (heavy + buckets + missing,)."""
        counts = np.zeros(len(self.heavy) + self.buckets + 1, np.int64)
        counts[-1] = column.missing
        if column.buckets is not None:
            # The buckets hold all rows: what is counted by name is taken out of them.
            counts[len(self.heavy) : -1] = column.buckets
            for index, value in enumerate(self.heavy):
                counts[index] = column.counts.get(value, 0)
                counts[len(self.heavy) + bucket_of(value)] -= counts[index]
            return counts
        position = {value: index for index, value in enumerate(self.heavy)}
        for value, count in column.counts.items():
            place = position.get(value)
            if place is None:
                place = len(self.heavy) + bucket_of(value)
            counts[place] += count
        return counts

    def place(self, values: Sequence[str | None]) -> Counts:
        """The bin of each value, None being missing; shape (n,)."""
        position = {value: index for index, value in enumerate(self.heavy)}
        missing = len(self.heavy) + self.buckets
        found = [
            missing if one is None else position.get(one, len(self.heavy) + bucket_of(one))
            for one in values
        ]
        return np.array(found, np.int64)


def bucket_of(value: str) -> int:
    """The hash bucket of a category, the same on every machine."""
    return zlib.crc32(value.encode()) % TAIL_BUCKETS

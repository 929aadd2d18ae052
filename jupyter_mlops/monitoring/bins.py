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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from jupyter_mlops.monitoring.columns import CategoryColumn, NumberColumn
from jupyter_mlops.profiling.values import runs

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
        values = reference.values
        distinct, counts = runs(values)
        share = HEAVY_SHARE if distinct.size <= FEW_VALUES else SPIKE_SHARE
        heavy = counts >= max(HEAVY_ROWS, share * values.size)
        rest = np.repeat(distinct[~heavy], counts[~heavy])
        if rest.size == 0:
            return cls(tuple(distinct[heavy].tolist()), ())
        tenths = max(1, round(TENTHS * rest.size / values.size))
        levels = np.arange(1, tenths) / tenths
        edges = np.unique(np.quantile(rest, levels, method="inverted_cdf"))
        return cls(tuple(distinct[heavy].tolist()), tuple(edges[edges < rest[-1]].tolist()))

    def count(self, column: NumberColumn) -> Counts:
        """Rows of a column in each bin, shape (spikes + edges + 1 + missing,)."""
        values = column.values
        spikes, edges = np.asarray(self.spikes, float), np.asarray(self.edges, float)
        on_spike = np.searchsorted(values, spikes, "right") - np.searchsorted(values, spikes)
        upto = np.concatenate([[0], np.searchsorted(values, edges, "right"), [values.size]])
        intervals = np.diff(upto)
        np.subtract.at(intervals, np.searchsorted(edges, spikes, "left"), on_spike)
        return np.concatenate([on_spike, intervals, [column.missing]]).astype(np.int64)


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
        position = {value: index for index, value in enumerate(self.heavy)}
        for value, count in column.counts.items():
            index = position.get(value)
            if index is None:
                index = len(self.heavy) + zlib.crc32(value.encode()) % self.buckets
            counts[index] += count
        counts[-1] = column.missing
        return counts

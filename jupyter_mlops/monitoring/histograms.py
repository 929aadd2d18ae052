"""Two distributions on common bins, small enough to draw in a table row."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass

import numpy as np

from jupyter_mlops.monitoring.columns import CategoryColumn, NumberColumn

BARS = 12
LONGEST_LABEL = 40


@dataclass(frozen=True)
class Histogram:
    """Shares of the rows that hold a value, by bar.

    Attributes
    ----------
    labels : list of str
        Length B; what each bar covers.
    reference, current : list of float
        Length B, each summing to 1 (or all 0 where a side holds no value).
    """

    labels: list[str]
    reference: list[float]
    current: list[float]


def number_histogram(reference: NumberColumn, current: NumberColumn) -> Histogram:
    """Bars of equal width over the middle of both samples; the ends take what lies beyond."""
    ends = [side.quantiles([0.005, 0.995]) for side in (reference, current) if side.values.size]
    if not ends:
        return Histogram([], [], [])
    low, high = float(min(e[0] for e in ends)), float(max(e[1] for e in ends))
    if not np.isfinite(low) or not np.isfinite(high):
        return Histogram([], [], [])
    edges = np.linspace(low, high, BARS + 1) if high > low else np.asarray([low, low])
    labels = [f"{a:.4g} to {b:.4g}" for a, b in itertools.pairwise(edges)]
    return Histogram(labels, _shares_between(reference, edges), _shares_between(current, edges))


def category_histogram(reference: CategoryColumn, current: CategoryColumn) -> Histogram:
    """The most frequent categories of both samples, and all others as one bar."""
    weight: dict[str, float] = {}
    for side in (reference, current):
        rows = max(1, side.rows)
        for value, count in side.counts.items():
            weight[value] = weight.get(value, 0.0) + count / rows
    # Not a full sort: a column of identifiers has a category a row.
    top = heapq.nsmallest(BARS, weight, key=lambda value: (-weight[value], value))
    top = top if len(weight) <= BARS else top[: BARS - 1]
    labels = [value if len(value) <= LONGEST_LABEL else value[:39] + "…" for value in top]
    sides = [_shares_of(side, top) for side in (reference, current)]
    if len(top) < len(weight):
        labels.append(f"{len(weight) - len(top):,} others")
        sides = [
            [*side, max(0.0, 1 - sum(side)) if column.counts else 0.0]
            for side, column in zip(sides, (reference, current), strict=True)
        ]
    return Histogram(labels, *sides)


def _shares_between(column: NumberColumn, edges: np.ndarray) -> list[float]:
    upto = column.upto(edges[1:-1], "left")
    counts = np.diff(np.concatenate([[0], upto, [column.present]]))
    return [round(float(c), 5) for c in counts / max(1, column.present)]


def _shares_of(column: CategoryColumn, top: list[str]) -> list[float]:
    total = max(1, column.present)
    return [round(column.counts.get(value, 0) / total, 5) for value in top]

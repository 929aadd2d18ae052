"""Categories that one side holds and the other doesn't, known all by name or not."""

from __future__ import annotations

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.columns import ALL, CategoryColumn

__all__ = ["new_ones", "unseen"]

#: A value with a larger share of a side was surely kept by name.
_FREQUENT = 1 / 256
_NAMED = 5


def unseen(reference: CategoryColumn, current: CategoryColumn) -> tuple[float, float]:
    """Rows of one side whose category the other never held, as `statistics.unseen_mass`.

    Where a side has more categories than are kept, the rare ones are judged by those whose hash
    is low enough to be known on both sides: which these are has nothing to do with how often
    they occur, so they stand for all rare ones.

    Returns
    -------
    (float, float)
        The share above what is expected when nothing changed, and its p-value.
    """
    if reference.known == ALL and current.known == ALL:
        return statistics.unseen_mass(reference.counts, current.counts)
    if not reference.present or not current.present:
        return 0.0, 1.0
    known = min(reference.known, current.known)
    bars = [_FREQUENT * side.present for side in (reference, current)]
    heavy = {
        value
        for side, bar in zip((reference, current), bars, strict=True)
        for value, count in side.counts.items()
        if count >= bar
    }
    rare = [
        {value: side.counts[value] for value in _low(side, known) - heavy}
        for side in (reference, current)
    ]
    share, p_value = statistics.unseen_mass(*rare)
    # The rare ones that are known stand for all rare ones, as many rows as these are.
    often = sum(count for value, count in current.counts.items() if value in heavy)
    found = share * (current.present - often) / current.present
    named = [current.counts[value] for value in _frequent_and_new(reference, current, bars[1])]
    if named:
        chance = current.present / (reference.present + current.present)
        found += sum(named) / current.present
        p_value = min(1.0, 2 * min(p_value, len(current.counts) * chance ** max(named)))
    return min(1.0, found), p_value


def new_ones(reference: CategoryColumn, current: CategoryColumn) -> list[str]:
    """The most frequent categories of one side that the other is known not to hold."""
    low = _low(current, reference.known)
    found = [value for value in current.counts if value in low and value not in reference.counts]
    return sorted(found, key=lambda value: (-current.counts[value], value))[:_NAMED]


def _frequent_and_new(reference: CategoryColumn, current: CategoryColumn, bar: float) -> list[str]:
    low = _low(current, reference.known)
    return [
        value
        for value, count in current.counts.items()
        if count >= bar and value in low and value not in reference.counts
    ]


def _low(column: CategoryColumn, known: int) -> set[str]:
    """The column's values whose hash is at most this."""
    if known == ALL:
        return set(column.counts)
    names = pl.Series(list(column.counts), dtype=pl.String)
    kept = np.flatnonzero(hash_column(names) <= np.uint64(known))
    return set(names.gather(kept).to_list())

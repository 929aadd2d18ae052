"""Since when a feature is not what it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.bins import CategoryBins, NumberBins
from jupyter_mlops.monitoring.columns import CategoryColumn, Column, NumberColumn

__all__ = ["counted", "onset"]

#: How surely the history must hold a change before a time is given for it.
_ALPHA: Final = 0.001

Floats = npt.NDArray[np.float64]


def counted(reference: Column, others: Sequence[Column]) -> tuple[Floats, Floats]:
    """Rows of a reference and of others in the bins that the reference fixes.

    Returns
    -------
    (array of shape (K,), array of shape (len(others), K))
    """
    if isinstance(reference, NumberColumn):
        numbers = NumberBins.of(reference)
        counts = [numbers.count(one) for one in others if isinstance(one, NumberColumn)]
        own = numbers.count(reference)
    else:
        categories = CategoryBins.of(reference)
        counts = [categories.count(one) for one in others if isinstance(one, CategoryColumn)]
        own = categories.count(reference)
    found = np.array(counts, float) if counts else np.zeros((0, own.size))
    return own.astype(float), found


def onset(
    reference: Column, history: Sequence[tuple[datetime, Column]], small: float
) -> tuple[datetime | None, str]:
    """Find the period from which on a feature departs from its reference.

    The period is the one that splits the history into the two most different parts (the largest
    likelihood ratio of one distribution on each side against one on both).

    Parameters
    ----------
    reference : Column
    history : sequence of (datetime, Column)
        The feature by period, in order.
    small : float
        The stability index that counts as unchanged.

    Returns
    -------
    (datetime or None, str)
        The start of the period, None when the change is older than the history; and in words.
    """
    own, counts = counted(reference, [column for _, column in history])
    starts = [start for start, _ in history]
    kept = counts.sum(axis=1) > 0
    counts, starts = counts[kept], [one for one, there in zip(starts, kept, strict=True) if there]
    if len(starts) < 2 or own.sum() == 0:
        return None, ""
    upto = np.cumsum(counts, axis=0)
    whole = upto[-1]
    before, after = upto[:-1], whole - upto[:-1]
    ratio = _information(before) + _information(after) - _information(whole[None, :])
    at = int(np.argmax(ratio))
    bins = int(np.count_nonzero(whole))
    p_value = float(stats.chi2.sf(2 * ratio[at], max(1, bins - 1))) * len(ratio)
    first = f"before {_said(starts[0])}"
    if p_value > _ALPHA:
        return None, first
    if _effect(own, before[at]) >= max(small, _effect(own, after[at])):
        return None, first
    if _effect(own, before[at]) >= small:
        return starts[at + 1], f"{first}, and further since {_said(starts[at + 1])}"
    return starts[at + 1], f"since {_said(starts[at + 1])}"


def _information(counts: Floats) -> Floats:
    """The log-likelihood of counts under their own shares, shape (n,)."""
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(counts > 0, counts * np.log(counts / totals), 0.0)
    return np.asarray(terms.sum(axis=1), float)


def _effect(reference: Floats, current: Floats) -> float:
    if current.sum() == 0:
        return 0.0
    used = int(np.count_nonzero(reference + current))
    floor = statistics.psi_floor(used, int(reference.sum()), int(current.sum()))
    return max(0.0, 8 * statistics.jensen_shannon(reference, current) - floor)


def _said(time: datetime) -> str:
    midnight = (time.hour, time.minute) == (0, 0)
    return f"{time:%Y-%m-%d}" if midnight else f"{time:%Y-%m-%d %H:%M}"

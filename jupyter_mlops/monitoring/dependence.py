"""How many rows in a row say as much as one: rows of a stream resemble their neighbours.

Tests count rows as if each were drawn anew. Where weather, sessions or machines last longer than a
row, the mean of n rows wavers as that of n / τ independent ones does, with the integrated
autocorrelation time ``τ = 1 + 2 Σ ρ(k)``. Put into another order they say no more than that.

Sources
-------
Sokal, "Monte Carlo Methods in Statistical Mechanics" (1997), section 3, for the sum's window; Rao
and Scott, "The Analysis of Categorical Data from Complex Sample Surveys" (1981), for counts.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy import fft, stats

__all__ = ["places", "repeats", "repeats_of_labels"]

Floats = npt.NDArray[np.float64]

#: Rows of a stretch, and how many stretches are looked at: enough for a few percent of τ.
_LENGTH: Final = 4096
_STRETCHES: Final = 8
_FEWEST: Final = 50
#: Autocorrelations count up to this many times what they add up to (Sokal).
_WINDOW: Final = 5.0
_LABELS: Final = 10


def repeats(values: npt.ArrayLike) -> float:
    """The integrated autocorrelation time of numbers in their order, 1 where rows are independent.

    Parameters
    ----------
    values : array of shape (n,)
        In the order in which they came; by their ranks, so that tails don't count.

    Examples
    --------
    >>> repeats(np.random.default_rng(0).normal(size=10_000))
    1.0
    >>> 4 < repeats(np.repeat(np.random.default_rng(0).normal(size=2_000), 5)) < 6
    True
    """
    rows = np.asarray(values, float)
    if rows.size < _FEWEST:
        return 1.0
    stretches = _stretches(rows)
    ranks = stats.rankdata(np.concatenate(stretches)) - 0.5
    sizes = np.cumsum([one.size for one in stretches])[:-1]
    return _time([one[:, None] for one in np.split(ranks, sizes)])


def repeats_of_labels(codes: npt.ArrayLike) -> float:
    """The same for categories: the mean over their indicators, weighed by their variances.

    Parameters
    ----------
    codes : array of int of shape (n,)
        Whole numbers that stand for the categories.
    """
    rows = np.asarray(codes)
    if rows.size < _FEWEST:
        return 1.0
    stretches = _stretches(rows)
    found, counts = np.unique(np.concatenate(stretches), return_counts=True)
    heavy = found[np.argsort(-counts, kind="stable")[:_LABELS]]
    return _time([(one[:, None] == heavy[None, :]).astype(float) for one in stretches])


def places(rows: int) -> npt.NDArray[np.int64]:
    """The places of those rows, of so many, that are looked at: all, or some long stretches."""
    if rows <= _LENGTH * _STRETCHES:
        return np.arange(rows)
    starts = np.linspace(0, rows - _LENGTH, _STRETCHES).astype(np.int64)
    return (starts[:, None] + np.arange(_LENGTH)).ravel()


def _stretches(rows: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    looked_at = rows[places(rows.size)]
    return np.array_split(looked_at, max(1, looked_at.size // _LENGTH))


def _time(stretches: list[Floats]) -> float:
    """τ of the columns of some stretches, each of shape (length, columns)."""
    every = np.concatenate(stretches)
    variance = float(every.var(axis=0).sum())
    if variance == 0:
        return 1.0
    longest = min(len(one) for one in stretches)
    total = np.zeros(longest)
    for one in stretches:
        # Sorted rows are no stream, and what drifts within a stretch is for the tests to find.
        level = one - _line(one)
        size = fft.next_fast_len(2 * len(level), real=True)
        power = np.abs(fft.rfft(level, size, axis=0)) ** 2
        products = fft.irfft(power.sum(axis=1), size)[:longest]
        total += products / (len(level) - np.arange(longest))
    rho = total / len(stretches) / variance
    sums = 1 + 2 * np.cumsum(rho[1 : longest // 2])
    lags = np.arange(1, sums.size + 1)
    enough = np.flatnonzero(lags >= _WINDOW * sums)
    at = int(enough[0]) if enough.size else sums.size - 1
    found = float(sums[at])
    # What chance adds up to in independent rows is no dependence.
    noise = float(np.sqrt(2 * (2 * (at + 1) + 1) / len(every)))
    return found if found > 1 + 2 * noise else 1.0


def _line(rows: Floats) -> Floats:
    """The straight line through each column."""
    time = np.arange(len(rows)) - (len(rows) - 1) / 2
    slope = time @ rows / (time @ time)
    fitted: Floats = rows.mean(axis=0) + time[:, None] * slope
    return fitted

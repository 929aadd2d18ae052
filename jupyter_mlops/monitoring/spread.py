"""How far a mean may lie off by chance, when rows of one day share their luck."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS

__all__ = ["Spread", "day_variance"]

Floats = npt.NDArray[np.float64]
Days = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """Variance of single rows and of whole days around what is expected of them.

    Attributes
    ----------
    row, day : float
        Variance of a row about its day, and of a day about the rest; `day` is 0 where rows
        have no day or there are too few of them.
    freedom : float
        Degrees of freedom of Student's t; infinite where rows count as independent.
    """

    row: float
    day: float
    freedom: float

    @classmethod
    def of(cls, residuals: Floats, days: Days | None) -> Spread:
        """Estimate both from residuals (observed minus expected), shape (n,)."""
        blocks = _blocks(days)
        whole = float(np.mean(residuals**2)) if residuals.size else 0.0
        if blocks is None:
            return cls(whole, 0.0, math.inf)
        sizes = np.bincount(blocks)
        means = np.bincount(blocks, weights=residuals) / sizes
        within = float(np.sum((residuals - means[blocks]) ** 2))
        row = within / max(1, residuals.size - sizes.size)
        day = day_variance(residuals, np.full(residuals.size, row), blocks)
        return cls(row, day, float(sizes.size - 1))

    def of_mean(self, rows: int, days: Days | None) -> float:
        """Variance of the mean of so many rows, which lie on these days."""
        return self.row / rows + self.day * concentration(days)

    def quantile(self, tail: float) -> float:
        """How many standard errors leave `tail` above them."""
        return float(stats.t.isf(tail, self.freedom))

    def tail(self, errors: float) -> float:
        """How often chance goes beyond so many standard errors, upwards."""
        return float(stats.t.sf(errors, self.freedom))


def day_variance(residuals: Floats, variance: Floats, blocks: Days) -> float:
    """Variance that rows of one day share, by the method of moments.

    A day's sum of residuals has the variance ``sum(variance) + rows**2 * shared``; summed over
    the days, what is more than the rows' own is the days'.
    """
    sums = np.bincount(blocks, weights=residuals)
    own = np.bincount(blocks, weights=variance)
    sizes = np.bincount(blocks).astype(float)
    return max(0.0, float(np.sum(sums**2 - own) / np.sum(sizes**2)))


def concentration(days: Days | None) -> float:
    """Sum of the squared shares of the days: 1 for one day, 1 / d for d days alike."""
    if days is None or days.size == 0:
        return 0.0
    shares = np.unique(days, return_counts=True)[1] / days.size
    return float(np.sum(shares**2))


def _blocks(days: Days | None) -> Days | None:
    if days is None or days.size == 0:
        return None
    blocks = np.unique(days, return_inverse=True)[1].astype(np.int64)
    return blocks if blocks.max() + 1 >= FEWEST_BLOCKS else None

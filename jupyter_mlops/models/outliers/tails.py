"""What share of the training rows has a statistic at least as large, also beyond the largest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "Tail"]

Floats = NDArray[np.float64]
_LOG10_E: Final = float(np.log10(np.e))
#: Exceedances that the tail is fitted to, at the least, and the share of rows, at the most.
_FEWEST: Final = 50
_WIDEST: Final = 0.2
_USUAL: Final = 0.02
_KNOTS: Final = 64
#: A heavier tail than that has no variance, and few rows tell nothing of it.
_HEAVIEST: Final = 0.5


@dataclass(frozen=True)
class Tail:
    """The survival function of a statistic, as minus its decimal logarithm.

    Up to a high quantile it is that of the rows it was fitted to; beyond, a generalised Pareto
    distribution with probability-weighted moments (Hosking and Wallis, Technometrics 29, 1987),
    never lighter than an exponential one: larger always means rarer, and nothing has
    probability zero.

    Parameters
    ----------
    knots, levels : array of float64, shape (k,)
        The statistic, and minus the logarithm of the share of rows that reach it.
    begins, shape, scale : float
        Of the tail beyond the last knot: minus the logarithm of the share of rows in it, and
        the parameters of its distribution.

    Examples
    --------
    >>> rows = np.random.default_rng(1).exponential(size=10_000)
    >>> tail = Tail.fit(rows)
    >>> [round(float(x), 1) for x in tail(np.array([0.0, np.log(10), np.log(1e5)]))]
    [0.0, 1.0, 5.0]
    """

    knots: Floats
    levels: Floats
    begins: float
    shape: float
    scale: float

    @classmethod
    def fit(cls, values: Floats) -> Tail:
        """Fit it to the statistics of rows that the statistic wasn't fitted to, shape (n,)."""
        ordered = np.sort(values)
        n = len(ordered)
        share = min(_WIDEST, max(_USUAL, _FEWEST / n))
        levels = np.linspace(0.0, -np.log10(share), _KNOTS)
        # The value that a share of 10**-level of the rows reach or exceed.
        knots = np.quantile(ordered, 1 - 10**-levels, method="higher")
        knots, first = np.unique(knots, return_index=True)
        # Of equal values the largest share counts: what is common isn't rare.
        levels = levels[first]
        beyond = ordered[ordered > knots[-1]] - knots[-1]
        begins = float(-np.log10(max(len(beyond), 1) / n))
        shape, scale = _pareto(beyond, float(ordered[-1] - ordered[0]))
        return cls(knots, levels, begins, shape, scale)

    def __call__(self, values: Floats) -> Floats:
        """Minus the decimal logarithm of the share of rows that reach each value, shape (n,)."""
        told: Floats = np.interp(values, self.knots, self.levels)
        far = values > self.knots[-1]
        if far.any():
            excess = (values[far] - self.knots[-1]) / self.scale
            if self.shape > 0:
                told[far] = self.begins + np.log10(1 + self.shape * excess) / self.shape
            else:
                told[far] = self.begins + _LOG10_E * excess
        return told

    def arrays(self, name: str) -> dict[str, Any]:
        """As a file keeps it."""
        return {
            f"{name}.knots": self.knots,
            f"{name}.levels": self.levels,
            f"{name}.tail": np.array([self.begins, self.shape, self.scale]),
        }

    @classmethod
    def of(cls, kept: Any, name: str) -> Tail:
        """From what a file keeps."""
        told = (float(one) for one in kept[f"{name}.tail"])
        return cls(kept[f"{name}.knots"], kept[f"{name}.levels"], *told)


def _pareto(beyond: Floats, spread: float) -> tuple[float, float]:
    """Shape and scale of what lies beyond the threshold."""
    least = max(spread, 1e-9) / 100
    if len(beyond) < 2:
        return 0.0, max(float(beyond.sum()), least)
    ordered = np.sort(beyond)
    n = len(ordered)
    first = float(ordered.mean())
    # E[X (1 - F(X))], unbiased.
    second = float((ordered * (n - 1 - np.arange(n)) / (n - 1)).mean())
    shape = 2 - first / (first - 2 * second) if first > 2 * second else _HEAVIEST
    shape = min(max(shape, 0.0), _HEAVIEST)
    return shape, max(first * (1 - shape), least / 10)

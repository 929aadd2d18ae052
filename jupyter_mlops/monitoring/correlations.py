"""Whether two numbers still rise together as they did: a change that neither shows by itself.

Sources
-------
Fisher's transform of the rank correlation, with the variance of its influence function (Devlin,
Gnanadesikan and Kettenring 1975), which ties and heavy tails don't mislead, and at least those of
ranks of normals (Fieller, Hartley and Pearson 1957; Bonett and Wright 2000).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import stats

from jupyter_mlops.monitoring.dependence import repeats

__all__ = ["Pair", "compare_pairs"]

Floats = npt.NDArray[np.float64]

_FEWEST = 30
_RANKS = 1.06


@dataclass(frozen=True)
class Pair:
    """Two features and their rank correlation.

    Attributes
    ----------
    first, second : str
    before, now : float
        In the reference and in the window.
    p_value : float
        Times the number of pairs that were looked at.
    """

    first: str
    second: str
    before: float
    now: float
    p_value: float = 1.0

    @property
    def change(self) -> float:
        """How far the correlation moved."""
        return abs(self.now - self.before)


@dataclass(frozen=True)
class _Side:
    """Standardised ranks (0 where missing), correlations, rows of each pair, variances."""

    ranks: Floats
    r: Floats
    n: Floats
    variance: Floats


def compare_pairs(reference: Floats, current: Floats, names: Sequence[str]) -> list[Pair]:
    """Test each pair of columns for a change of its rank correlation.

    Parameters
    ----------
    reference, current : array of shape (n, k) and (m, k)
        Numbers in the order of their rows, NaN where missing.
    names : sequence of str of length k

    Returns
    -------
    list of Pair
        Those whose p-value is below 1, the most telling first.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(2, 500))
    >>> found = compare_pairs(np.c_[x, x + y], np.c_[x, y], ["a", "b"])
    >>> round(found[0].before, 1), found[0].p_value < 1e-9
    (0.7, True)
    """
    before, now = _correlated(reference), _correlated(current)
    first, second = np.triu_indices(len(names), 1)
    apart = np.arctanh(now.r) - np.arctanh(before.r)
    error = np.sqrt(
        before.variance / np.maximum(1, before.n - 3) + now.variance / np.maximum(1, now.n - 3)
    )
    z = np.abs(apart / error)[first, second]
    # Of few rows, or of a column that doesn't vary, nothing is said.
    known = np.minimum(before.n, now.n)[first, second] >= _FEWEST
    z = np.where(known & np.isfinite(z), z, 0.0)
    tests = max(1, int(known.sum()))
    found: list[Pair] = []
    for at in np.argsort(-z, kind="stable"):
        a, b = int(first[at]), int(second[at])
        if 2 * stats.norm.sf(z[at]) * tests >= 1:
            break
        # Only what looks telling is worth the look at how rows resemble their neighbours.
        alike = max(repeats(side.ranks[:, a] * side.ranks[:, b]) for side in (before, now))
        p_value = min(1.0, 2 * float(stats.norm.sf(z[at] / math.sqrt(alike))) * tests)
        if p_value < 1:
            found.append(
                Pair(names[a], names[b], float(before.r[a, b]), float(now.r[a, b]), p_value)
            )
    return sorted(found, key=lambda one: (one.p_value, -one.change))


def _correlated(rows: Floats) -> _Side:
    present = np.isfinite(rows)
    ranks = np.zeros(rows.shape)
    for at in range(rows.shape[1]):
        held = present[:, at]
        of_held = stats.rankdata(rows[held, at])
        spread = of_held.std() if of_held.size else 0.0
        if spread > 0:
            ranks[held, at] = (of_held - of_held.mean()) / spread
        else:
            present[:, at] = False
    there = present.astype(float)
    n = there.T @ there
    at_least = np.maximum(n, 1)
    square = ranks**2
    r = np.clip(ranks.T @ ranks / at_least, -0.999, 0.999)
    # The mean square of a·b − r (a² + b²) / 2, over the rows that hold both.
    both = square.T @ square / at_least
    cubes = ((square * ranks).T @ ranks + ranks.T @ (square * ranks)) / at_least
    fourth = ((square**2).T @ there + there.T @ square**2) / at_least
    influence = both - r * cubes + r**2 / 4 * (fourth + 2 * both)
    # Ranks are estimated too, which adds to what the values alone would waver by.
    variance = np.maximum(_RANKS * influence / (1 - r**2) ** 2, np.maximum(1 + r**2 / 2, _RANKS))
    return _Side(ranks, r, n, variance)

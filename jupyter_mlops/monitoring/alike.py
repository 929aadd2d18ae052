"""How many rows of merged blocks say as much as one.

A block knows how much its own rows resemble their neighbours. What lasts longer than a block shows
when blocks are put together: their means lie further apart than such rows let them, by as much as
their rows repeat each other. That is the method of batch means.

Sources
-------
Schmeiser, "Batch size effects in the analysis of simulation output" (1982); Kish, "Survey Sampling"
(1965), for the effect of clusters on the variance of a mean.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["BLOCKS", "CATEGORIES", "together"]

Floats = npt.NDArray[np.float64]

#: Fewer blocks say nothing of how far blocks lie apart.
BLOCKS: Final = 8
#: So many frequent categories are looked at.
CATEGORIES: Final = 10
#: Standard errors by which blocks lie further apart than their rows explain.
_ERRORS: Final = 1.5


def together(
    own: npt.NDArray[Any],
    rows: npt.NDArray[Any],
    means: npt.NDArray[Any] | None = None,
    variance: float = 0.0,
) -> float:
    """The rows that say as much as one, as `dependence.repeats`, of blocks that were merged.

    Parameters
    ----------
    own : array of float of shape (n,)
        Of each block by itself.
    rows : array of int of shape (n,)
        Of each block, in the order of time.
    means : array of shape (n,) or (n, columns), optional
        Of each block: of its ranks among all rows, or the shares of its categories.
    variance : float
        Of one row, over all columns of `means`.

    Notes
    -----
    The straight line through the means is taken off, as a slow change is for the tests to find.

    Examples
    --------
    >>> together(np.array([1.0, 3.0]), np.array([100, 300]))
    2.5
    """
    held = rows > 0
    if not held.any():
        return 1.0
    own, rows = own[held], rows[held].astype(float)
    inside = float(own @ rows / rows.sum())
    if means is None or rows.size < BLOCKS or variance <= 0:
        return inside
    level = np.asarray(means, float).reshape(held.size, -1)[held]
    level = level - _line(level, rows)
    free = rows.size - 2
    across = float(rows @ (level**2).sum(axis=1)) / free / variance
    noise = float(np.sqrt(2 / free))
    return across if across > inside * (1 + _ERRORS * noise) else inside


def _line(level: Floats, rows: Floats) -> Floats:
    """The straight line through each column, each mean weighed by its rows."""
    weights = rows / rows.sum()
    time = np.arange(rows.size, dtype=float)
    time -= weights @ time
    middle = weights @ level
    slope = (weights * time) @ level / (weights @ time**2)
    fitted: Floats = middle + time[:, None] * slope
    return fitted

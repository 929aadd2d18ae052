"""Whether a classifier can tell two samples apart: the domain classifier's two-sample test.

Each half of the rows is scored by a model that was fitted on the other half. If nothing changed,
the scores say nothing of the side a row comes from, whatever the model learnt, so the rank test
of each half holds its level at any size; the smaller of the two p-values is doubled. Rows that
resemble their neighbours count for fewer, by the autocorrelation of their scores.

Sources
-------
Lopez-Paz and Oquab, "Revisiting Classifier Two-Sample Tests" (2017); Rabanser, Günnemann and
Lipton, "Failing Loudly" (2019). The interval of the area under the curve: DeLong et al. (1988).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from scipy import stats

from jupyter_mlops.monitoring.dependence import repeats

__all__ = ["FEWEST", "Separation", "separate"]

#: Rows of the smaller side below which nothing is said.
FEWEST: Final = 100
#: Into how many pieces each side is cut, of which every other one is a half.
_STRETCHES: Final = 10

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


class Model(Protocol):
    """What tells the sides apart."""

    def fit(self, x: Any, y: Any) -> Any: ...
    def predict_proba(self, x: Any) -> Any: ...


@dataclass(frozen=True)
class Separation:
    """How well two samples can be told apart.

    Attributes
    ----------
    auc, low, high : float
        Chance that a row of the window looks more like the window than a row of the
        reference does, with its interval; 0.5 when nothing changed.
    p_value : float
    halves : list of (model, array of row numbers)
        Each fitted model with the rows that it has not seen.
    """

    auc: float
    low: float
    high: float
    p_value: float
    halves: list[tuple[Model, npt.NDArray[np.int64]]]


def separate(
    rows: Any, current: Flags, make: Callable[[], Model], *, confidence: float = 0.95
) -> Separation:
    """Try to tell the rows of a window from those of the reference.

    Parameters
    ----------
    rows : array or sparse matrix of shape (n, p)
    current : array of bool, shape (n,)
        Which rows are the window's.
    make : callable
        Makes an unfitted classifier.
    """
    half = np.zeros(current.size, bool)
    for side in (True, False):
        of_side = np.flatnonzero(current == side)
        # By turns in stretches: a row tells which side its neighbours come from.
        half[of_side] = np.arange(of_side.size) * _STRETCHES // max(1, of_side.size) % 2 == 0
    areas, variances, p_values, halves = [], [], [], []
    for test in (half, ~half):
        unseen = np.flatnonzero(test)
        model = make()
        known = rows[~test]
        if isinstance(known, np.ndarray):
            # Trees can't cut a column into bins that has no value here; a constant says as little.
            known[:, np.isnan(known).all(axis=0)] = 0.0
        with one_thread():
            model.fit(known, current[~test])
            scores = np.asarray(model.predict_proba(rows[unseen])[:, 1], float)
        area, variance, p_value = _area(scores, current[unseen])
        alike = max(repeats(scores[current[unseen] == side]) for side in (True, False))
        variance *= alike
        p_value = float(stats.norm.sf(stats.norm.isf(p_value) / math.sqrt(alike)))
        areas.append(area)
        variances.append(variance)
        p_values.append(p_value)
        halves.append((model, unseen))
    auc = float(np.mean(areas))
    reach = float(stats.norm.isf((1 - confidence) / 2)) * math.sqrt(sum(variances)) / 2
    return Separation(
        auc, max(0.0, auc - reach), min(1.0, auc + reach), min(1.0, 2 * min(p_values)), halves
    )


def one_thread() -> Any:
    """Keep models to one thread: of so few rows several wait for each other more than they do."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    return threadpool_limits(1)


def area_of(scores: Floats, current: Flags) -> float:
    """The area under the curve alone."""
    return _area(scores, current)[0]


def _area(scores: Floats, current: Flags) -> tuple[float, float, float]:
    """Area under the curve, its variance, and the one-sided p-value of the rank-sum test."""
    ranks = stats.rankdata(scores)
    m, n = int(current.sum()), int((~current).sum())
    placed_current = (ranks[current] - stats.rankdata(scores[current])) / n
    placed_reference = 1 - (ranks[~current] - stats.rankdata(scores[~current])) / m
    area = float(placed_current.mean())
    variance = float(placed_current.var(ddof=1)) / m + float(placed_reference.var(ddof=1)) / n
    if np.ptp(scores) == 0:
        return 0.5, variance, 1.0
    p_value = float(
        stats.mannwhitneyu(
            scores[current], scores[~current], alternative="greater", method="asymptotic"
        ).pvalue
    )
    return area, variance, p_value

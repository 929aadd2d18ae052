"""A metric as one number for each row: what makes its interval, and that of a difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from jupyter_mlops.experiments.losses import MEAN_OF, Numbers, losses_by_row
from jupyter_mlops.workspace import Invalid

__all__ = ["METRICS_OF_ROWS", "influence"]

#: What can be computed anew from stored predictions, for each kind of task.
METRICS_OF_ROWS = {
    "binary": ("log_loss", "auc", "accuracy", "brier"),
    "multiclass": ("log_loss", "auc", "accuracy", "brier"),
    "regression": ("rmse", "mae", "r2"),
}
_PROBABILITIES = {"log_loss", "brier", "auc"}


def influence(rows: pd.DataFrame, metric: str, classes: Sequence[Any]) -> Numbers:
    """The metric's value plus each row's influence on it; their mean is the metric.

    A metric that is no mean over rows is, to first order, a mean of its influence function
    (Hampel 1974, JASA 69), so that one formula gives the interval of each, of a difference
    between two models on the same rows, and of both in groups of rows. For the area under
    the curve it is made of the placements of DeLong, DeLong and Clarke-Pearson (1988,
    Biometrics 44), and summed by groups it is the estimate of Obuchowski (1997, Biometrics 53).

    Parameters
    ----------
    rows : pandas.DataFrame, shape (rows, columns)
        ``truth``, ``prediction``, and for probabilities ``p_<i>`` of class i.
    metric : str
        One of `METRICS_OF_ROWS`.
    classes : sequence
        What the columns of probabilities stand for; empty for numbers.

    Returns
    -------
    ndarray of float, shape (rows,)

    Raises
    ------
    Invalid
        The metric isn't defined on these rows.

    Examples
    --------
    >>> rows = pd.DataFrame({"truth": [0, 0, 1, 1], "p_0": 0.0, "p_1": [0.1, 0.4, 0.35, 0.8]})
    >>> float(influence(rows, "auc", [0, 1]).mean())
    0.75
    """
    if metric in _PROBABILITIES and (not classes or "p_0" not in rows):
        raise _undefined(metric, "the model gives no probabilities")
    if metric == "auc":
        return _areas(rows, classes)
    if metric == "r2":
        return _explained(rows)
    if metric not in MEAN_OF:
        raise _undefined(metric, "it isn't computed from rows")
    loss = losses_by_row(rows, MEAN_OF[metric], classes)
    if metric == "accuracy":
        return 1.0 - loss
    if metric == "rmse":
        mean = float(loss.mean())
        root = mean**0.5
        return np.asarray(root + (loss - mean) / (2 * root)) if root > 0 else loss
    return loss


def _explained(rows: pd.DataFrame) -> Numbers:
    truth = rows["truth"].to_numpy(np.float64)
    left = (rows["prediction"].to_numpy(np.float64) - truth) ** 2
    whole = (truth - truth.mean()) ** 2
    a, b = float(left.mean()), float(whole.mean())
    if b == 0:
        raise _undefined("r2", "the truth is the same in all rows")
    return np.asarray(1 - a / b - (left - a) / b + a * (whole - b) / b**2)


def _areas(rows: pd.DataFrame, classes: Sequence[Any]) -> Numbers:
    truth = rows["truth"].to_numpy()
    if len(classes) == 2:
        return _area(_is(truth, classes[1]), rows["p_1"].to_numpy(np.float64))[0]
    total = np.zeros(len(rows))
    for place, label in enumerate(classes):
        positive = _is(truth, label)
        values, area = _area(positive, rows[f"p_{place}"].to_numpy(np.float64))
        # Classes weigh as much as they are frequent, and their frequency is estimated too.
        share = positive.mean()
        total += share * area + share * (values - area) + (positive - share) * area
    return total


def _is(truth: np.ndarray[Any, Any], label: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(pd.Series(truth) == label, dtype=np.bool_)


def _area(positive: np.ndarray[Any, np.dtype[np.bool_]], score: Numbers) -> tuple[Numbers, float]:
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        raise _undefined("auc", "the rows hold one class only")
    ranks = rankdata(score)
    above = (ranks[positive] - rankdata(score[positive])) / n
    below = 1 - (ranks[~positive] - rankdata(score[~positive])) / m
    area = float(above.mean())
    values = np.empty(len(score))
    values[positive] = area + (above - area) * (len(score) / m)
    values[~positive] = area + (below - area) * (len(score) / n)
    return values, area


def _undefined(metric: str, why: str) -> Invalid:
    return Invalid(f"there is no {metric} of these rows", why, code="E-COMPARE-008")

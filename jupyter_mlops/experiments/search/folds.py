"""Cross-validation in a trial's body: the loss of each row, its mean, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops.experiments.losses import LOSSES, MEAN_OF, Numbers, losses_by_row
from jupyter_mlops.workspace import Invalid, closest

__all__ = ["Evaluated", "evaluate", "splits"]

Places = np.ndarray[Any, np.dtype[np.intp]]
_KNOWN = tuple(dict.fromkeys([*MEAN_OF, *(one for group in LOSSES.values() for one in group)]))


@dataclass(frozen=True)
class Evaluated:
    """What cross-validation found; counts as its mean where a number is wanted.

    Attributes
    ----------
    mean : float
        The metric over all rows that were held out.
    low, high : float
        A 95 % interval of it. It is approximate: models of different folds share most of their
        training rows, and no unbiased estimate of the variance exists (Bengio & Grandvalet 2004).
    rows : ndarray, shape (rows,)
        The loss of each row that was held out, in the order of the data.
    places : ndarray, shape (rows,)
        Which rows of the data they are.
    folds : list of float
        The metric by fold.
    """

    metric: str
    mean: float
    low: float
    high: float
    rows: Numbers
    places: Places
    folds: list[float]

    def __float__(self) -> float:
        return self.mean

    def __str__(self) -> str:
        return f"{self.metric} {self.mean:.4g} ({self.low:.4g} to {self.high:.4g})"


def evaluate(
    estimator: Any,
    X: Any,
    y: Any,
    *,
    folds: int = 5,
    repeats: int = 1,
    groups: Any = None,
    time: Any = None,
    metric: str = "log_loss",
    seed: int = 0,
    split_seed: int = 0,
    on_fold: Callable[[int, float], None] | None = None,
) -> Evaluated:
    """Cross-validate an estimator.

    Parameters
    ----------
    estimator : estimator of scikit-learn's kind
        Left as it is; clones are fitted.
    X : array or frame, shape (rows, features)
    y : array, shape (rows,)
    folds : int
    repeats : int
        How often to split anew; not with `time`.
    groups : array, shape (rows,), optional
        Rows of one group are never in training and held out at once.
    time : array, shape (rows,), optional
        Train on what was before; the first block is never held out.
    metric : str
        log_loss, brier, accuracy, error_rate; rmse, squared_error, mae, absolute_error. Where
        classes are predicted, folds hold about the same share of each.
    seed : int
        Seeds whatever in the estimator is random and has no seed.
    split_seed : int
        Seeds the folds. The same for all trials, so that they are compared on equal terms.
    on_fold : callable, optional
        Told the fold and the metric so far; ``on_fold=report`` lets a search end the trial early.

    Raises
    ------
    Invalid
        The data can't be split so, or the metric doesn't fit.

    Examples
    --------
    >>> found = evaluate(LogisticRegression(C=C), X, y, folds=5)
    >>> log_loss = found
    """
    from sklearn.base import clone
    from sklearn.utils import _safe_indexing

    loss = _loss(metric)
    truth = np.asarray(y)
    classify = loss in LOSSES["classification"]
    classes = np.unique(truth) if classify else np.empty(0)
    total, times = np.zeros(len(truth)), np.zeros(len(truth))
    by_fold: list[float] = []
    sizes: list[tuple[int, int]] = []
    for train, test in splits(truth, folds, repeats, groups, time, classify, split_seed):
        model = clone(estimator)
        _seed(model, seed)
        model.fit(_safe_indexing(X, train), _safe_indexing(y, train))
        rows = _losses(model, _safe_indexing(X, test), truth[test], loss, classes)
        total[test] += rows
        times[test] += 1
        by_fold.append(float(rows.mean()))
        sizes.append((len(train), len(test)))
        if on_fold is not None:
            on_fold(len(by_fold), _shown(metric, float(total.sum() / times.sum())))
    held = times > 0
    rows = total[held] / times[held]
    blocks = None if groups is None else np.asarray(groups)[held]
    error, freedom = _error(rows, by_fold, sizes, blocks, repeats > 1 or time is not None)
    mean = float(rows.mean())
    ends = _interval(mean, error, freedom)
    low, high = sorted(_shown(metric, one) for one in ends)
    return Evaluated(
        metric,
        _shown(metric, mean),
        low,
        high,
        rows,
        np.flatnonzero(held),
        [_shown(metric, one) for one in by_fold],
    )


def splits(
    truth: Any,
    folds: int = 5,
    repeats: int = 1,
    groups: Any = None,
    time: Any = None,
    classify: bool = False,
    seed: int = 0,
) -> Iterator[tuple[Places, Places]]:
    """Give the rows to train on and those held out, for each fold.

    Raises
    ------
    Invalid
        There are too few rows, groups or rows of a class, or the wishes contradict each other.
    """
    from sklearn import model_selection as selection

    units = len(truth) if groups is None else len(np.unique(np.asarray(groups)))
    what = "rows" if groups is None else "groups"
    # By time, the first block is only learnt from.
    if folds < 2 or units < folds + (time is not None):
        raise Invalid(f"{units} {what} can't be split into {folds} folds",
                      fix="use from 2 folds to as many as there are " + what,
                      code="E-SEARCH-060")  # fmt: skip
    if time is not None:
        if groups is not None or repeats > 1:
            raise Invalid("folds by time know neither groups nor repeats",
                          "there is one order of time", "leave one of them out",
                          code="E-SEARCH-061")  # fmt: skip
        order = np.argsort(np.asarray(time), kind="stable")
        for train, test in selection.TimeSeriesSplit(folds).split(order):
            yield order[train], order[test]
        return
    if classify and groups is None:
        rarest = np.unique(truth, return_counts=True)[1].min()
        if rarest < folds:
            raise Invalid(f"the rarest class has {rarest} rows, fewer than {folds} folds",
                          "each fold needs one of each class", f"use folds={max(rarest, 2)}",
                          code="E-SEARCH-062")  # fmt: skip
    for repeat in range(repeats):
        state = (seed + repeat) % 2**32
        kind: Any = selection.StratifiedKFold if classify else selection.KFold
        if groups is not None:
            kind = selection.StratifiedGroupKFold if classify else selection.GroupKFold
        made = kind(folds, shuffle=True, random_state=state)
        yield from made.split(np.zeros(len(truth)), truth, groups)


def _loss(metric: str) -> str:
    if metric not in _KNOWN:
        raise Invalid(
            f"cross-validation knows no metric {metric!r} that is a mean over rows",
            f"an interval needs a loss for each row: {', '.join(_KNOWN)}",
            closest(metric, _KNOWN),
            code="E-SEARCH-063",
        )
    return MEAN_OF.get(metric, metric)


def _shown(metric: str, loss: float) -> float:
    """The metric that a mean loss stands for."""
    if metric == "accuracy":
        return 1 - loss
    return float(np.sqrt(max(loss, 0.0))) if metric == "rmse" else loss


def _seed(model: Any, seed: int) -> None:
    """Give what is random and unseeded in an estimator the seed."""
    if not hasattr(model, "get_params"):
        return
    unseeded = {
        name: seed % 2**32
        for name, value in model.get_params(deep=True).items()
        if value is None and name.rpartition("__")[2] == "random_state"
    }
    if unseeded:
        model.set_params(**unseeded)


def _losses(model: Any, X: Any, truth: Any, loss: str, classes: Any) -> Numbers:
    rows = {"truth": truth}
    if loss in {"log_loss", "brier"}:
        if not hasattr(model, "predict_proba"):
            raise Invalid(
                f"{type(model).__name__} gives no probabilities",
                fix='use metric="error_rate"',
                code="E-SEARCH-064",
            )
        given = np.asarray(model.predict_proba(X))
        # A fold may lack a class: its probability is 0.
        proba = np.zeros((len(truth), len(classes)))
        proba[:, np.searchsorted(classes, model.classes_)] = given
        rows |= {f"p_{place}": proba[:, place] for place in range(len(classes))}
    else:
        rows["prediction"] = np.asarray(model.predict(X))
    return losses_by_row(pd.DataFrame(rows), loss, list(classes))


def _error(
    rows: Numbers,
    by_fold: list[float],
    sizes: list[tuple[int, int]],
    groups: Any,
    between: bool,
) -> tuple[float, int]:
    """The standard error of the mean loss, and its degrees of freedom."""
    if between:
        # Folds of repeats overlap; Nadeau & Bengio (2003) add the ratio of test to training rows.
        count = len(by_fold)
        ratio = float(np.mean([test / train for train, test in sizes]))
        return float(np.sqrt(np.var(by_fold, ddof=1) * (1 / count + ratio))), count - 1
    if groups is not None:
        _, places = np.unique(groups, return_inverse=True)
        sums = np.bincount(places, rows - rows.mean())
        count = len(sums)
        return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(rows)), count - 1
    return float(rows.std(ddof=1) / np.sqrt(len(rows))), len(rows) - 1


def _interval(mean: float, error: float, freedom: int) -> tuple[float, float]:
    from scipy import stats

    width = float(stats.t.ppf(0.975, freedom)) * error
    return mean - width, mean + width

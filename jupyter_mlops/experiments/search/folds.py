"""Cross-validation in a trial's body: the loss of each row, its mean, and how sure that is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from jupyter_mlops.experiments.losses import LOSSES, MEAN_OF, Numbers, losses_by_row
from jupyter_mlops.workspace import Invalid, closest

__all__ = ["Evaluated", "error_of_mean", "evaluate", "in_unit_of", "interval", "splits"]

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
    groups : ndarray, shape (rows,), or None
        Numbers of what each row belongs to: rows of one group or, by time, of one stretch of it
        aren't independent of each other.
    inner : list of float
        With `nested`, the mean loss within each outer fold's training rows.
    outer : ndarray, shape (rows,), or None
        With `nested`, the outer fold that held each row out.
    """

    metric: str
    mean: float
    low: float
    high: float
    rows: Numbers
    places: Places
    folds: list[float]
    groups: Places | None = None
    inner: list[float] = field(default_factory=list)
    outer: Places | None = None

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
    nested: int | None = None,
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
    nested : int, optional
        Validate the whole search: split into that many outer folds, which give the metric, and
        within the training rows of each into `folds` inner ones, by which the search's winner
        without the outer rows is known at the end (`jupyter_mlops.experiments.search.nesting`).
        It fits ``nested * (folds + 1)`` models.
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
    if nested is not None and repeats > 1:
        raise Invalid("nested folds aren't repeated",
                      "each row is held out by one outer fold",
                      "leave out nested or repeats",
                      code="E-SEARCH-065")  # fmt: skip
    total, times = np.zeros(len(truth)), np.zeros(len(truth))
    outer = np.zeros(len(truth), dtype=np.intp)
    by_fold: list[float] = []
    inner: list[float] = []
    sizes: list[tuple[int, int]] = []
    many = folds if nested is None else nested
    for train, test in splits(truth, many, repeats, groups, time, classify, split_seed):
        if nested is not None:
            inner.append(
                _inner_loss(estimator, X, y, train, folds, groups, time, metric, seed, split_seed)
            )
        model = clone(estimator)
        _seed(model, seed)
        model.fit(_safe_indexing(X, train), _safe_indexing(y, train))
        rows = _losses(model, _safe_indexing(X, test), truth[test], loss, classes)
        total[test] += rows
        times[test] += 1
        outer[test] = len(by_fold)
        by_fold.append(float(rows.mean()))
        sizes.append((len(train), len(test)))
        if on_fold is not None:
            on_fold(len(by_fold), in_unit_of(metric, float(total.sum() / times.sum())))
    held = times > 0
    rows = total[held] / times[held]
    units = _units(groups, time, held)
    error, freedom = _error(
        rows,
        by_fold,
        sizes,
        units if time is None else None,
        repeats > 1 or time is not None,
    )
    mean = float(rows.mean())
    ends = interval(mean, error, freedom)
    low, high = sorted(in_unit_of(metric, one) for one in ends)
    return Evaluated(
        metric,
        in_unit_of(metric, mean),
        low,
        high,
        rows,
        np.flatnonzero(held),
        [in_unit_of(metric, one) for one in by_fold],
        units,
        inner,
        outer[held] if nested is not None else None,
    )


def _inner_loss(
    estimator: Any,
    X: Any,
    y: Any,
    train: Places,
    folds: int,
    groups: Any,
    time: Any,
    metric: str,
    seed: int,
    split_seed: int,
) -> float:
    """The mean loss by cross-validation within the training rows of an outer fold."""
    from sklearn.utils import _safe_indexing

    within = evaluate(
        estimator,
        _safe_indexing(X, train),
        _safe_indexing(y, train),
        folds=folds,
        groups=None if groups is None else np.asarray(groups)[train],
        time=None if time is None else np.asarray(time)[train],
        metric=metric,
        seed=seed,
        split_seed=split_seed,
    )
    return float(within.rows.mean())


def _units(groups: Any, time: Any, held: Any) -> Places | None:
    """What the rows that were held out belong to, numbered; None where each is for itself.

    By time it is a stretch of the cube root of the rows, the length at which the error of a
    block bootstrap of a mean is least but for a factor (Hall, Horowitz & Jing 1995).
    """
    if groups is not None:
        return np.asarray(np.unique(np.asarray(groups)[held], return_inverse=True)[1]).ravel()
    if time is None:
        return None
    count = int(held.sum())
    ranks = np.empty(count, dtype=np.intp)
    ranks[np.argsort(np.asarray(time)[held], kind="stable")] = np.arange(count)
    return np.asarray(ranks // max(1, round(count ** (1 / 3))))


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


def in_unit_of(metric: str, loss: float) -> float:
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
        return error_of_mean(rows, groups)
    return float(rows.std(ddof=1) / np.sqrt(len(rows))), len(rows) - 1


def error_of_mean(rows: Numbers, units: Places) -> tuple[float, int]:
    """The standard error of a mean over rows of which those of one unit go together.

    Returns
    -------
    error, freedom : float, int
        And its degrees of freedom, one fewer than there are units.
    """
    _, places = np.unique(units, return_inverse=True)
    sums = np.bincount(np.ravel(places), rows - rows.mean())
    count = len(sums)
    return float(np.sqrt((sums**2).sum() * count / (count - 1)) / len(rows)), count - 1


def interval(mean: float, error: float, freedom: int) -> tuple[float, float]:
    """The 95 % interval by Student's t."""
    from scipy import stats

    width = float(stats.t.ppf(0.975, freedom)) * error
    return mean - width, mean + width

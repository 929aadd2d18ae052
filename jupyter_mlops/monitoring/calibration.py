"""What a classifier's probabilities mean, learnt from its validation rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from jupyter_mlops.monitoring.estimates import EPSILON, FEWEST_BLOCKS, Floats

__all__ = ["Calibration", "Method", "calibrate", "fit", "resampled"]

Method = Literal["Platt", "isotonic"]
Codes = npt.NDArray[np.int64]
Curve = Callable[[Floats], Floats]

FOLDS = 5
BINS = 10
#: Calibration error, above what chance makes of perfect probabilities, from which on what is
#: estimated from them isn't to be relied on.
POOR = 0.02
# Below so many rows the steps of an isotonic curve follow the noise (scikit-learn's guide).
FEWEST_ISOTONIC = 1000


@dataclass(frozen=True)
class Calibration:
    """How a classifier's probabilities were calibrated, and how well.

    Attributes
    ----------
    method : {"Platt", "isotonic"}
        The one with the smaller log-loss on rows it wasn't fitted on.
    rows, days : int
        Validation rows, and their days; 0 where they have none.
    error_raw, error : float
        Expected calibration error of the probabilities as they are, and calibrated by rows of
        other days: mean distance between probability and frequency over ten bins, each class's
        weighed by its rows.
    noise : float
        Expected error of perfect probabilities on as many rows.
    """

    method: Method
    rows: int
    days: int
    error_raw: float
    error: float
    noise: float

    @property
    def poor(self) -> bool:
        """Whether estimates made with it aren't to be relied on."""
        return self.error - self.noise > POOR

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, JSON-safe."""
        return asdict(self)


def calibrate(
    scores: Floats, codes: Codes, days: Codes | None
) -> tuple[Calibration, Floats, Curve]:
    """Choose and fit a calibration by cross-fitting.

    Parameters
    ----------
    scores : array of shape (n, k)
        The classifier's probabilities of its k classes.
    codes : array of shape (n,)
        The class that came true, from 0.
    days : array of shape (n,) or None
        Rows of one day are always held out together.

    Returns
    -------
    (Calibration, array of shape (n, k), callable)
        The calibrated probabilities of the rows, each by a curve fitted on others, and the curve
        fitted on all.
    """
    truth = one_hot(codes, scores.shape[1])
    methods: list[Method] = ["Platt"]
    if len(codes) >= FEWEST_ISOTONIC:
        methods.append("isotonic")
    folds = list(_folds(codes, days))
    held: dict[Method, Floats] = {}
    for method in methods:
        held[method] = np.empty_like(scores)
        for train, test in folds:
            held[method][test] = fit(method, scores[train], truth[train])(scores[test])
    best = min(methods, key=lambda one: _log_loss(held[one], codes))
    made = Calibration(
        method=best,
        rows=len(codes),
        days=0 if days is None else np.unique(days).size,
        error_raw=calibration_error(scores, truth)[0],
        error=calibration_error(held[best], truth)[0],
        noise=calibration_error(held[best], truth)[1],
    )
    return made, held[best], fit(best, scores, truth)


def fit(method: Method, scores: Floats, truth: Floats) -> Curve:
    """Fit one curve for each class against the others; what they give is made to sum to 1.

    Notes
    -----
    Platt scaling is a logistic regression on the log-odds, so that probabilities that are right
    already stay what they are (slope 1, intercept 0). An isotonic curve is a step function
    between which is interpolated. References: Platt 1999; Zadrozny and Elkan 2002.
    """
    classes = scores.shape[1]
    if classes == 2:
        one = _curve(method, scores[:, 1], truth[:, 1])

        def binary(given: Floats) -> Floats:
            chance = one(given[:, 1])
            return np.column_stack([1 - chance, chance])

        return binary
    curves = [_curve(method, scores[:, at], truth[:, at]) for at in range(classes)]

    def each(given: Floats) -> Floats:
        found = np.column_stack([curve(given[:, at]) for at, curve in enumerate(curves)])
        return np.asarray(found / np.maximum(found.sum(axis=1, keepdims=True), EPSILON))

    return each


def resampled(
    days: Codes | None, rows: int, draws: int, rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int64]]:
    """Bootstrap samples of row numbers: whole days where there are enough, else rows."""
    if days is None or np.unique(days).size < FEWEST_BLOCKS:
        for _ in range(draws):
            yield rng.integers(0, rows, rows)
        return
    order = np.argsort(days, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(days[order])) + 1)
    for _ in range(draws):
        yield np.concatenate([parts[at] for at in rng.integers(0, len(parts), len(parts))])


def one_hot(codes: Codes, classes: int) -> Floats:
    """Truth as 1 and 0, shape (n, k)."""
    found = np.zeros((codes.size, classes))
    found[np.arange(codes.size), codes] = 1.0
    return found


def calibration_error(chances: Floats, truth: Floats) -> tuple[float, float]:
    """Expected calibration error over bins of as many rows, and that of perfect probabilities."""
    classes = range(1, 2) if chances.shape[1] == 2 else range(chances.shape[1])
    errors, noises = [], []
    for at in classes:
        order = np.argsort(chances[:, at], kind="stable")
        error = noise = 0.0
        for rows in np.array_split(order, BINS):
            if rows.size:
                chance = chances[rows, at]
                weight = rows.size / order.size
                error += weight * abs(float(chance.mean() - truth[rows, at].mean()))
                # Mean distance of a normal variable from its mean.
                spread = float(np.sum(chance * (1 - chance))) ** 0.5 / rows.size
                noise += weight * spread * (2 / np.pi) ** 0.5
        errors.append(error)
        noises.append(noise)
    return float(np.mean(errors)), float(np.mean(noises))


def _curve(method: Method, score: Floats, truth: Floats) -> Curve:
    share = float(truth.mean()) if truth.size else 0.0
    # A draw without the class or with nothing else, or scores that tell nothing.
    if share in (0.0, 1.0) or np.ptp(score) == 0:
        return lambda given: np.full(given.shape, share)
    if method == "isotonic":
        from sklearn.isotonic import IsotonicRegression

        steps = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(score, truth)
        return lambda given: np.asarray(steps.predict(given), dtype=float)
    from sklearn.linear_model import LogisticRegression

    # So large a C is no penalty; the name of the option for none depends on the version.
    line = LogisticRegression(C=1e10, solver="newton-cholesky").fit(
        _odds(score)[:, None], truth > 0.5
    )
    return lambda given: np.asarray(line.predict_proba(_odds(given)[:, None])[:, 1], dtype=float)


def _odds(chance: Floats) -> Floats:
    # A certain answer has infinite odds; beyond these they tell nothing more.
    chance = np.clip(chance, 1e-6, 1 - 1e-6)
    return np.log(chance / (1 - chance))


def _folds(codes: Codes, days: Codes | None) -> Iterator[tuple[Codes, Codes]]:
    from sklearn.model_selection import GroupKFold, KFold

    blank = np.zeros((codes.size, 1))
    if days is not None and np.unique(days).size >= FEWEST_BLOCKS:
        yield from GroupKFold(FOLDS).split(blank, codes, days)
    else:
        yield from KFold(FOLDS, shuffle=True, random_state=0).split(blank)


def _log_loss(chances: Floats, codes: Codes) -> float:
    given = chances[np.arange(codes.size), codes]
    return float(-np.log(np.clip(given, EPSILON, 1)).mean())

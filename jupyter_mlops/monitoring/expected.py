"""What a classifier's metrics must be if its calibrated probabilities are right."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import polars as pl
from scipy import stats

from jupyter_mlops.monitoring.calibration import (
    Codes,
    Curve,
    calibrate,
    fit,
    one_hot,
    resampled,
)
from jupyter_mlops.monitoring.estimates import EPSILON, FEWEST_BLOCKS, Floats, Task
from jupyter_mlops.monitoring.performance import Score
from jupyter_mlops.monitoring.spread import concentration, day_variance
from jupyter_mlops.monitoring.truth import as_label, read_answers
from jupyter_mlops.workspace import Unavailable

__all__ = ["Expectation", "expected_auc", "expected_metrics"]

DRAWS = 60
FEWEST_ROWS = 100
FEWEST_OF_A_CLASS = 10
# Of a larger window so many rows tell how far the draws lie apart.
LARGEST_SAMPLE = 50_000


@dataclass(frozen=True)
class _Metric:
    """A metric's expectation, and what each class would contribute to it, shape (n, k).

    The metric is about the mean over the rows of the contribution of the class that comes true.
    """

    value: float
    contributions: Floats


class Expectation:
    """Estimates a classifier's metrics of rows whose truth isn't known.

    Confidence-based performance estimation: with calibrated probabilities each row's chance of
    being right is known, and with it the expected confusion matrix. It takes for granted that
    the truth depends on the probabilities as it did at validation: it sees moved inputs, and is
    blind to a changed concept by construction.

    Parameters
    ----------
    validation : polars.DataFrame
        ``truth``, ``prediction``, ``probability`` (and ``day``).
    task : {"binary", "multiclass"}
    labels : list of str
        The classes in the model's order.
    confidence : float
        Of the intervals, which are those of the metric that will be measured on the same rows
        once their truth is known.

    Raises
    ------
    Unavailable
        ``E-MONITORING-020``: no probabilities, or too few validation rows.

    Notes
    -----
    Variances that are added up: of the truth given the probabilities; of whole days, as far as
    the days at validation differed by more than that; and of the calibration, by a bootstrap of
    the validation days. The definitions of accuracy and AUC are those of NannyML's documentation,
    *Confidence-based Performance Estimation* (the ROC curve of expected counts). Reference: Guo
    et al. 2017, *On Calibration of Modern Neural Networks*, for the calibration error.
    """

    def __init__(
        self,
        validation: pl.DataFrame | None,
        task: Task,
        labels: list[str],
        confidence: float = 0.95,
        seed: int = 0,
    ) -> None:
        self.labels, self.task = labels, task
        scores, codes, days = self._validated(validation)
        truth = one_hot(codes, len(labels))
        self.calibration, held, self._curve = calibrate(scores, codes, days)
        self._validated_losses = (-np.log(np.clip(scores, EPSILON, 1)) * held).sum(axis=1)
        rng = np.random.default_rng(seed)
        self._draws: list[Curve] = [
            fit(self.calibration.method, scores[rows], truth[rows])
            for rows in resampled(days, codes.size, DRAWS, rng)
        ]
        self._quantile = float(stats.norm.isf((1 - confidence) / 2))
        self._shared: dict[str, float] = {}
        if days is not None and np.unique(days).size >= FEWEST_BLOCKS:
            blocks = np.unique(days, return_inverse=True)[1].astype(np.int64)
            self._quantile = float(stats.t.isf((1 - confidence) / 2, int(blocks.max())))
            guessed = scores.argmax(axis=1).astype(np.int64)
            for name, metric in expected_metrics(scores, held, guessed).items():
                mean, variance = _moments(metric, held)
                left = metric.contributions[np.arange(codes.size), codes] - mean
                self._shared[name] = day_variance(left, variance, blocks)

    def of(self, rows: pl.DataFrame) -> list[Score]:
        """The metrics to expect of rows with ``prediction``, ``probability`` and ``day``.

        Rows without a probability are left out; nothing is said of none.
        """
        found = self._read(rows)
        if found is None:
            return []
        scores, guessed, days = found
        chances = self._curve(scores)
        metrics = expected_metrics(scores, chances, guessed)
        doubt = self._doubt(scores, guessed)
        shares = concentration(days)
        made = []
        for name, metric in metrics.items():
            own = float(_moments(metric, chances)[1].sum()) / len(scores) ** 2
            error = math.sqrt(own + self._shared.get(name, 0.0) * shares + doubt.get(name, 0.0))
            reach = self._quantile * error
            highest = math.inf if name == "log_loss" else 1.0
            made.append(
                Score(
                    name,
                    metric.value,
                    max(0.0, metric.value - reach),
                    min(highest, metric.value + reach),
                )
            )
        return made

    def losses(self, rows: pl.DataFrame) -> tuple[Floats, Floats, Floats] | None:
        """The log-loss to expect of each row with ``prediction`` and ``probability``.

        Returns
        -------
        (array of shape (k,), array of bool of shape (n,), array) or None
            The losses; which of the rows they are of; and those of the validation rows. None
            where no row has a probability.
        """
        if not {"prediction", "probability"} <= set(rows.columns):
            return None
        kept = (rows["prediction"].is_not_null() & rows["probability"].is_not_null()).to_numpy()
        found = self._read(rows)
        if found is None:
            return None
        scores = found[0]
        expected = (-np.log(np.clip(scores, EPSILON, 1)) * self._curve(scores)).sum(axis=1)
        return np.asarray(expected, float), kept, self._validated_losses

    def _doubt(self, scores: Floats, guessed: Codes) -> dict[str, float]:
        """Variance of each metric over the calibrations that the bootstrap drew."""
        step = -(-len(scores) // LARGEST_SAMPLE)
        scores, guessed = scores[::step], guessed[::step]
        drawn: dict[str, list[float]] = {}
        for curve in self._draws:
            for name, metric in expected_metrics(scores, curve(scores), guessed).items():
                drawn.setdefault(name, []).append(metric.value)
        return {name: float(np.var(values, ddof=1)) for name, values in drawn.items()}

    def _validated(self, validation: pl.DataFrame | None) -> tuple[Floats, Codes, Codes | None]:
        answers = read_answers(validation, self.task) if validation is not None else None
        if self.task == "regression":
            raise _impossible(
                "a number has no probability from which its error could be told, and validation "
                "rows are kept without the features that a model of the error would need"
            )
        if answers is None:
            raise _impossible("the validation rows weren't kept")
        place = {label: at for at, label in enumerate(self.labels)}
        codes = np.array([place.get(one, -1) for one in answers.frame["truth"]], dtype=np.int64)
        scores = _scores(answers.frame, len(self.labels))
        if scores is None:
            raise _impossible("there are no probabilities of the validation rows")
        known = codes >= 0
        scores, codes = scores[known], codes[known]
        days = answers.days[known] if answers.days is not None else None
        fewest = int(np.bincount(codes, minlength=len(self.labels)).min())
        if codes.size < FEWEST_ROWS or fewest < FEWEST_OF_A_CLASS:
            raise _impossible(
                f"calibration takes {FEWEST_ROWS} validation rows and {FEWEST_OF_A_CLASS} of "
                f"each class; there are {codes.size:,} and {fewest:,}"
            )
        return scores, codes, days

    def _read(self, rows: pl.DataFrame) -> tuple[Floats, Codes, Codes | None] | None:
        if not {"prediction", "probability"} <= set(rows.columns):
            return None
        rows = rows.drop_nulls(["prediction", "probability"])
        scores = _scores(rows, len(self.labels)) if rows.height else None
        if scores is None:
            return None
        place = {label: at for at, label in enumerate(self.labels)}
        known = {one: place.get(as_label(one), -1) for one in rows["prediction"].unique().to_list()}
        guessed = np.array([known[one] for one in rows["prediction"].to_list()], dtype=np.int64)
        days = None
        if "day" in rows.columns and rows["day"].null_count() == 0:
            days = rows["day"].cast(pl.Date).to_physical().to_numpy().astype(np.int64)
        return scores, guessed, days


def expected_metrics(scores: Floats, chances: Floats, guessed: Codes) -> dict[str, _Metric]:
    """Expected log-loss, AUC (of two classes) and accuracy.

    Parameters
    ----------
    scores : array of shape (n, k)
        Probabilities as the model gives them, which the metrics judge.
    chances : array of shape (n, k)
        Calibrated ones, which say how often each class comes true.
    guessed : array of shape (n,)
        The predicted class; -1 for one the model doesn't know, which is never right.
    """
    losses = -np.log(np.clip(scores, EPSILON, 1))
    hits = np.zeros_like(scores)
    sure = guessed >= 0
    hits[np.flatnonzero(sure), guessed[sure]] = 1.0
    found = {"log_loss": _mean_of(losses, chances)}
    if scores.shape[1] == 2:
        auc = _auc(scores[:, 1], chances[:, 1])
        if auc is not None:
            found["auc"] = auc
    found["accuracy"] = _mean_of(hits, chances)
    return found


def expected_auc(scores: Floats, chances: Floats) -> float:
    """Area under the ROC curve of expected counts; NaN where one class can't come true.

    Each row counts as a positive with its chance and as a negative with the rest.
    """
    found = _auc(scores, chances)
    return found.value if found is not None else math.nan


def _mean_of(contributions: Floats, chances: Floats) -> _Metric:
    return _Metric(float((contributions * chances).sum(axis=1).mean()), contributions)


def _auc(score: Floats, chance: Floats) -> _Metric | None:
    at = np.unique(score, return_inverse=True)[1]
    positive, negative = np.bincount(at, weights=chance), np.bincount(at, weights=1 - chance)
    wins, losses = float(positive.sum()), float(negative.sum())
    if wins < EPSILON or losses < EPSILON:
        return None
    below = np.cumsum(negative) - negative / 2
    above = wins - np.cumsum(positive) + positive / 2
    value = float((positive * below).sum()) / (wins * losses)
    # What the area gains when a row turns out positive rather than negative.
    gain = (below[at] / losses - value) / wins - (above[at] / wins - value) / losses
    n = score.size
    contributions = value + n * np.column_stack([-gain * chance, gain * (1 - chance)])
    return _Metric(value, contributions)


def _moments(metric: _Metric, chances: Floats) -> tuple[Floats, Floats]:
    """Mean and variance of each row's contribution, shape (n,) each."""
    mean = (metric.contributions * chances).sum(axis=1)
    square = (metric.contributions**2 * chances).sum(axis=1)
    return mean, np.maximum(0.0, square - mean**2)


def _scores(frame: pl.DataFrame, classes: int) -> Floats | None:
    """Probabilities of all classes, shape (n, k)."""
    if "probability" not in frame.columns or frame["probability"].null_count():
        return None
    column = frame["probability"]
    if column.dtype.is_numeric():
        if classes != 2:
            return None
        second = column.to_numpy().astype(float)
        return np.column_stack([1 - second, second])
    if not isinstance(column.dtype, (pl.List, pl.Array)):
        return None
    every = np.asarray(column.to_list(), dtype=float)
    return cast(Floats, every) if every.ndim == 2 and every.shape[1] == classes else None


def _impossible(why: str) -> Unavailable:
    return Unavailable("performance can't be estimated without truth", why, code="E-MONITORING-020")


def covers(expected: Score, value: float) -> bool:
    """Whether what came later lies in the interval that was told."""
    return expected.low <= value <= expected.high

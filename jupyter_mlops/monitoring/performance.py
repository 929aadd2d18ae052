"""How good the predictions were, once the truth has come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.truth import Answers, as_label, in_order, read_answers

Task = Literal["binary", "multiclass", "regression"]
Floats = npt.NDArray[np.float64]

FEWEST_BLOCKS = 8
# A probability of exactly 0 for what then happened would make the mean loss infinite;
# this is the bound that scikit-learn's log_loss uses for float64.
EPSILON = float(np.finfo(np.float64).eps)
# How a person writes the metrics; the names are those of the runs.
LABELS = {
    "log_loss": "log-loss",
    "auc": "AUC",
    "accuracy": "accuracy",
    "error_rate": "error rate",
    "rmse": "RMSE",
    "mae": "MAE",
}


@dataclass(frozen=True)
class Score:
    """One metric with its interval."""

    name: str
    value: float
    low: float
    high: float

    @property
    def label(self) -> str:
        return LABELS.get(self.name, self.name)


@dataclass(frozen=True)
class Performance:
    """Metrics of the rows whose truth is known, beside those at validation.

    Attributes
    ----------
    rows, answered : int
        Rows with truth, of the rows that were predicted.
    scores : list of Score
        The first is the loss that decides: log-loss where there are
        probabilities, else the error rate; the RMSE for regression.
    interval : str
        How the intervals were made, in words.
    reference_rows : int
        Validation rows; 0 where none were given.
    reference_scores : list of Score
        The same metrics on them.
    change, change_low, change_high : float or None
        Loss minus the loss at validation, with its interval.
    margin : float or None
        Change of the loss that matters.
    verdict : str
        ``"worse"`` when the whole interval of the change lies above the margin,
        ``"better"`` when it lies below minus the margin, ``"held"`` otherwise,
        ``"unknown"`` without validation rows or with too few truths.
    """

    rows: int
    answered: int
    scores: list[Score]
    interval: str
    reference_rows: int = 0
    reference_scores: list[Score] | None = None
    change: float | None = None
    change_low: float | None = None
    change_high: float | None = None
    margin: float | None = None
    verdict: Literal["worse", "held", "better", "unknown"] = "unknown"

    @property
    def loss(self) -> Score:
        return self.scores[0]

    def __getitem__(self, name: str) -> float:
        """The value of a metric, such as ``performance["log_loss"]``."""
        return {score.name: score.value for score in self.scores}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Performance:
        """Read what `to_dict` wrote."""
        reference = stored["reference_scores"]
        return cls(
            **{
                **stored,
                "scores": [Score(**score) for score in stored["scores"]],
                "reference_scores": reference and [Score(**score) for score in reference],
            }
        )


@dataclass(frozen=True)
class _Estimate:
    """A metric with what each row contributes to its error (mean 0, shape (n,))."""

    name: str
    value: float
    influence: Floats
    within: tuple[float, float] = (-math.inf, math.inf)

    def error(self, blocks: npt.NDArray[np.int64] | None) -> float:
        n = self.influence.size
        if blocks is None:
            return float(math.sqrt(np.sum(self.influence**2))) / n
        sums = np.bincount(blocks, weights=self.influence)
        return float(math.sqrt(np.sum(sums**2) * sums.size / (sums.size - 1))) / n


def measure(
    answered: pl.DataFrame,
    task: Task,
    *,
    validation: pl.DataFrame | None = None,
    classes: Sequence[object] | None = None,
    limits: Limits | None = None,
) -> Performance | None:
    """Measure a model on rows whose truth is known.

    Parameters
    ----------
    answered : polars.DataFrame
        Columns ``truth`` (null while unknown) and ``prediction``; ``probability``
        for classifiers (of the second of two classes, or a list with one for each);
        ``day`` where rows have a time.
    task : {"binary", "multiclass", "regression"}
    validation : polars.DataFrame, optional
        The same columns for the rows the model was validated on.
    classes : sequence, optional
        The model's classes in its order; default: the labels that occur, sorted.
    limits : Limits, optional

    Returns
    -------
    Performance or None
        None where no row has a truth.

    Notes
    -----
    Intervals come from each row's contribution to the metric (for the AUC,
    DeLong's placement values). Rows of one day share their weather and their
    queues, so they count as one block where there are at least 8 days
    (cluster-robust error, Student's t with days - 1 degrees of freedom): on
    correlated rows an interval for independent ones would be far too narrow.
    """
    limits = limits or Limits()
    known = read_answers(answered, task)
    if known is None or known.rows == 0:
        return None
    reference = read_answers(validation, task) if validation is not None else None
    seen = known.labels | (reference.labels if reference is not None else set())
    labels = [as_label(one) for one in classes] if classes else in_order(seen)
    estimates = _estimates(known, task, labels)
    blocks = _blocks(known)
    quantile = _quantile(blocks, limits.confidence)
    kind = "rows taken as independent" if blocks is None else f"{blocks.max() + 1} days as blocks"
    performance = Performance(
        rows=known.rows,
        answered=answered.height,
        scores=[_score(e, blocks, quantile) for e in estimates],
        interval=f"{limits.confidence:.0%}, {kind}",
    )
    if reference is None or reference.rows < 2:
        return performance
    return _against(performance, estimates[0], blocks, reference, task, labels, limits)


def _against(
    performance: Performance,
    loss: _Estimate,
    blocks: npt.NDArray[np.int64] | None,
    reference: Answers,
    task: Task,
    labels: list[str],
    limits: Limits,
) -> Performance:
    before = _estimates(reference, task, labels)
    before_blocks = _blocks(reference)
    scores = [_score(e, before_blocks, _quantile(before_blocks, limits.confidence)) for e in before]
    found = Performance(
        **{**vars(performance), "reference_rows": reference.rows, "reference_scores": scores}
    )
    if before[0].name != loss.name or performance.rows < limits.fewest_truths:
        return found
    change = loss.value - before[0].value
    error = math.hypot(loss.error(blocks), before[0].error(before_blocks))
    reach = max(_quantile(blocks, limits.confidence), _quantile(before_blocks, limits.confidence))
    low, high = change - reach * error, change + reach * error
    margin = limits.loss_margin * abs(before[0].value)
    verdict: Literal["worse", "held", "better"] = "held"
    if low > margin:
        verdict = "worse"
    elif high < -margin:
        verdict = "better"
    return Performance(
        **{
            **vars(found),
            "change": change,
            "change_low": low,
            "change_high": high,
            "margin": margin,
            "verdict": verdict,
        }
    )


def _estimates(answers: Answers, task: Task, labels: list[str]) -> list[_Estimate]:
    if task == "regression":
        error = answers.numbers("prediction") - answers.numbers("truth")
        squared, absolute = error**2, np.abs(error)
        rmse, mae = math.sqrt(float(squared.mean())), float(absolute.mean())
        spread = (squared - rmse**2) / (2 * rmse) if rmse > 0 else np.zeros_like(squared)
        return [
            _Estimate("rmse", rmse, spread, (0, math.inf)),
            _Estimate("mae", mae, absolute - mae, (0, math.inf)),
        ]
    hit = answers.hits()
    accuracy = float(hit.mean())
    found = [_Estimate("accuracy", accuracy, hit - accuracy, (0, 1))]
    positive = answers.positive(labels) if task == "binary" else None
    if positive is not None:
        truth, probability = positive
        found.insert(0, _log_loss(np.where(truth, probability, 1 - probability)))
        if 0 < truth.sum() < truth.size:
            found.insert(1, _auc(truth, probability))
        return found
    chances = answers.chance_of_truth(labels) if task == "multiclass" else None
    first = _log_loss(chances) if chances is not None else None
    return [first or _Estimate("error_rate", 1 - accuracy, accuracy - hit, (0, 1)), *found]


def _log_loss(chance_of_truth: Floats) -> _Estimate:
    losses = -np.log(np.clip(chance_of_truth, EPSILON, 1))
    mean = float(losses.mean())
    return _Estimate("log_loss", mean, losses - mean, (0, math.inf))


def _auc(truth: npt.NDArray[np.bool_], probability: Floats) -> _Estimate:
    ranks = stats.rankdata(probability)
    n1, n = int(truth.sum()), truth.size
    n0 = n - n1
    placement = np.empty(n)
    placement[truth] = (ranks[truth] - stats.rankdata(probability[truth])) / n0
    placement[~truth] = 1 - (ranks[~truth] - stats.rankdata(probability[~truth])) / n1
    value = float(placement[truth].mean())
    weight = np.where(truth, n / n1, n / n0)
    return _Estimate("auc", value, (placement - value) * weight, (0, 1))


def _blocks(answers: Answers) -> npt.NDArray[np.int64] | None:
    if answers.days is None:
        return None
    blocks = np.unique(answers.days, return_inverse=True)[1].astype(np.int64)
    return blocks if blocks.size and blocks.max() + 1 >= FEWEST_BLOCKS else None


def _quantile(blocks: npt.NDArray[np.int64] | None, confidence: float) -> float:
    tail = (1 + confidence) / 2
    if blocks is None:
        return float(stats.norm.ppf(tail))
    return float(stats.t.ppf(tail, int(blocks.max())))


def _score(estimate: _Estimate, blocks: npt.NDArray[np.int64] | None, quantile: float) -> Score:
    reach = quantile * estimate.error(blocks)
    low, high = estimate.within
    return Score(
        estimate.name,
        estimate.value,
        max(low, estimate.value - reach),
        min(high, estimate.value + reach),
    )

"""How good the predictions were, once the truth has come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from types import MappingProxyType
from typing import Any, Literal

import polars as pl

from jupyter_mlops.monitoring.estimates import (
    Blocks,
    Estimate,
    Task,
    blocks_of,
    estimates,
    quantile_of,
)
from jupyter_mlops.monitoring.limits import Limits, level
from jupyter_mlops.monitoring.truth import as_label, in_order, read_answers

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


def measure(
    answered: pl.DataFrame,
    task: Task,
    *,
    validation: pl.DataFrame | None = None,
    metrics: Mapping[str, float] = MappingProxyType({}),
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
    metrics : mapping of str to float
        Metrics at validation, such as ``log_loss``, taken as exact; they stand in
        where there are no validation rows.
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
    now = estimates(known, task, labels)
    blocks = blocks_of(known)
    kind = "rows taken as independent" if blocks is None else f"{blocks.max() + 1} days as blocks"
    quantile = quantile_of(blocks, limits.confidence)
    found = Performance(
        rows=known.rows,
        answered=answered.height,
        scores=[_score(one, blocks, quantile) for one in now],
        interval=f"{level(limits.confidence)}, {kind}",
    )
    loss_error = now[0].error(blocks)
    if reference is not None and reference.rows > 1:
        before, then = estimates(reference, task, labels), blocks_of(reference)
        before_quantile = quantile_of(then, limits.confidence)
        found = replace(
            found,
            reference_rows=reference.rows,
            reference_scores=[_score(one, then, before_quantile) for one in before],
        )
        error = math.hypot(loss_error, before[0].error(then))
        return _judge(found, max(quantile, before_quantile) * error, limits)
    scores = [
        Score(e.name, metrics[e.name], *[metrics[e.name]] * 2) for e in now if e.name in metrics
    ]
    return _judge(replace(found, reference_scores=scores or None), quantile * loss_error, limits)


def _judge(found: Performance, reach: float, limits: Limits) -> Performance:
    """Set the loss against that at validation; `reach` is half the interval of the change."""
    before = found.reference_scores
    if not before or before[0].name != found.loss.name or found.rows < limits.fewest_truths:
        return found
    change = found.loss.value - before[0].value
    low, high = change - reach, change + reach
    margin = limits.loss_margin * abs(before[0].value)
    verdict: Literal["worse", "held", "better"] = "held"
    if low > margin:
        verdict = "worse"
    elif high < -margin:
        verdict = "better"
    return replace(
        found,
        change=change,
        change_low=low,
        change_high=high,
        margin=margin,
        verdict=verdict,
    )


def _score(estimate: Estimate, blocks: Blocks | None, quantile: float) -> Score:
    reach = quantile * estimate.error(blocks)
    low, high = estimate.within
    return Score(
        estimate.name,
        estimate.value,
        max(low, estimate.value - reach),
        min(high, estimate.value + reach),
    )

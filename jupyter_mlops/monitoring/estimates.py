"""Metrics as estimates: a value, and what each row contributes to its error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from jupyter_mlops.monitoring.truth import Answers

Task = Literal["binary", "multiclass", "regression"]
Floats = npt.NDArray[np.float64]
Blocks = npt.NDArray[np.int64]

FEWEST_BLOCKS = 8
# A probability of exactly 0 for what then happened would make the mean loss infinite;
# this is the bound that scikit-learn's log_loss uses for float64.
EPSILON = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Estimate:
    """A metric with what each row contributes to its error (mean 0, shape (n,))."""

    name: str
    value: float
    influence: Floats
    within: tuple[float, float] = (-math.inf, math.inf)

    def error(self, blocks: Blocks | None) -> float:
        n = self.influence.size
        if blocks is None:
            return float(math.sqrt(np.sum(self.influence**2))) / n
        sums = np.bincount(blocks, weights=self.influence)
        return float(math.sqrt(np.sum(sums**2) * sums.size / (sums.size - 1))) / n


def estimates(answers: Answers, task: Task, labels: list[str]) -> list[Estimate]:
    if task == "regression":
        error = answers.numbers("prediction") - answers.numbers("truth")
        squared, absolute = error**2, np.abs(error)
        rmse, mae = math.sqrt(float(squared.mean())), float(absolute.mean())
        spread = (squared - rmse**2) / (2 * rmse) if rmse > 0 else np.zeros_like(squared)
        return [
            Estimate("rmse", rmse, spread, (0, math.inf)),
            Estimate("mae", mae, absolute - mae, (0, math.inf)),
        ]
    hit = answers.hits()
    accuracy = float(hit.mean())
    found = [Estimate("accuracy", accuracy, hit - accuracy, (0, 1))]
    positive = answers.positive(labels) if task == "binary" else None
    if positive is not None:
        truth, probability = positive
        foreign = answers.foreign(labels)
        chance = np.where(truth, probability, 1 - probability)
        # What is neither of the two was given no chance.
        found.insert(0, _log_loss(np.where(foreign, 0.0, chance)))
        if 0 < truth.sum() < truth.size and not foreign.any():
            found.insert(1, _auc(truth, probability))
        return found
    chances = answers.chance_of_truth(labels) if task == "multiclass" else None
    first = _log_loss(chances) if chances is not None else None
    return [first or Estimate("error_rate", 1 - accuracy, accuracy - hit, (0, 1)), *found]


def _log_loss(chance_of_truth: Floats) -> Estimate:
    losses = -np.log(np.clip(chance_of_truth, EPSILON, 1))
    mean = float(losses.mean())
    return Estimate("log_loss", mean, losses - mean, (0, math.inf))


def _auc(truth: npt.NDArray[np.bool_], probability: Floats) -> Estimate:
    ranks = stats.rankdata(probability)
    n1, n = int(truth.sum()), truth.size
    n0 = n - n1
    placement = np.empty(n)
    placement[truth] = (ranks[truth] - stats.rankdata(probability[truth])) / n0
    placement[~truth] = 1 - (ranks[~truth] - stats.rankdata(probability[~truth])) / n1
    value = float(placement[truth].mean())
    weight = np.where(truth, n / n1, n / n0)
    return Estimate("auc", value, (placement - value) * weight, (0, 1))


def blocks_of(answers: Answers) -> Blocks | None:
    if answers.days is None:
        return None
    blocks = np.unique(answers.days, return_inverse=True)[1].astype(np.int64)
    return blocks if blocks.size and blocks.max() + 1 >= FEWEST_BLOCKS else None


def quantile_of(blocks: Blocks | None, confidence: float) -> float:
    tail = (1 + confidence) / 2
    if blocks is None:
        return float(stats.norm.ppf(tail))
    return float(stats.t.ppf(tail, int(blocks.max())))

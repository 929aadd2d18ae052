"""The loss of each row whose truth is known."""

from __future__ import annotations

import numpy as np
import polars as pl

from jupyter_mlops.monitoring.estimates import EPSILON, Floats, Task
from jupyter_mlops.monitoring.truth import Answers

__all__ = ["known_rows", "row_losses"]


def known_rows(joined: pl.DataFrame, task: Task) -> pl.DataFrame:
    """Keep the rows of which both truth and prediction are known, with all their columns."""
    if not {"truth", "prediction"} <= set(joined.columns):
        return joined.clear()
    known = joined.drop_nulls(["truth", "prediction"])
    if task != "regression":
        return known
    return known.with_columns(pl.col("truth", "prediction").cast(pl.Float64, strict=False)).filter(
        pl.col("truth").is_finite() & pl.col("prediction").is_finite()
    )


def row_losses(answers: Answers, task: Task, labels: list[str]) -> tuple[str, Floats]:
    """The loss of each row, and what it is called.

    Returns
    -------
    (str, array of shape (n,))
        Log-loss where there are probabilities, else 1 for each wrong class; the absolute error
        of a regression, which one far-off row can't rule.
    """
    if task == "regression":
        return "absolute error", np.abs(answers.numbers("prediction") - answers.numbers("truth"))
    chance = answers.chance_of_truth(labels) if task == "multiclass" else None
    if task == "binary":
        positive = answers.positive(labels)
        if positive is not None:
            truth, probability = positive
            chance = np.where(truth, probability, 1 - probability)
            chance = np.where(answers.foreign(labels), 0.0, chance)
    if chance is None:
        return "error rate", 1 - answers.hits()
    return "log-loss", -np.log(np.clip(chance, EPSILON, 1))

"""The loss of each validation row: what two runs are compared by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from jupyter_mlops.experiments.scoring import EPSILON
from jupyter_mlops.workspace import Invalid, closest

if TYPE_CHECKING:
    from jupyter_mlops.experiments.trials import Run

__all__ = ["LOSSES", "MEAN_OF", "Numbers", "choose_loss", "losses", "losses_by_row", "sampled"]

Numbers = np.ndarray[Any, np.dtype[np.float64]]
LOSSES = {
    "classification": ("log_loss", "brier", "error_rate"),
    "regression": ("squared_error", "absolute_error"),
}
#: Metrics that are a mean over rows (or its root, or one minus it), and the loss they are of.
MEAN_OF = {
    "log_loss": "log_loss",
    "brier": "brier",
    "accuracy": "error_rate",
    "rmse": "squared_error",
    "mae": "absolute_error",
}


def _kind(run: Run) -> str:
    return "regression" if run.task == "regression" else "classification"


def choose_loss(a: Run, b: Run, metric: str | None) -> str:
    """The loss two runs are compared by: the one asked for, or their task's first."""
    if _kind(a) != _kind(b):
        raise Invalid(
            f"a {a.task} model and a {b.task} model can't be compared",
            fix="compare runs that predict the same",
            code="E-COMPARE-003",
        )
    known = LOSSES[_kind(a)]
    name = metric or known[0]
    if name not in known:
        raise Invalid(
            f"runs can't be compared by {name!r}",
            f"an interval needs a loss for each row: {', '.join(known)}",
            closest(name, known),
            code="E-COMPARE-004",
        )
    return name


def losses(run: Run, rows: pd.DataFrame, name: str) -> Numbers:
    """The loss of each stored row, shape (rows,)."""
    classes = run.model.get("classes") or []
    if name in {"log_loss", "brier"} and (not classes or "p_0" not in rows):
        raise Invalid(
            f"the model of run {run.short} gives no probabilities",
            fix="compare by --metric error_rate",
            code="E-COMPARE-007",
        )
    return losses_by_row(rows, name, classes)


def losses_by_row(rows: pd.DataFrame, name: str, classes: Sequence[Any]) -> Numbers:
    """The loss of each row.

    Parameters
    ----------
    rows : pandas.DataFrame, shape (rows, columns)
        ``truth``, ``prediction``, and for probabilities ``p_<i>`` of class i.
    name : str
        One of `LOSSES`.
    classes : sequence
        What the columns of probabilities stand for.

    Returns
    -------
    ndarray, shape (rows,)
    """
    truth = rows["truth"].to_numpy()
    if name in LOSSES["regression"]:
        errors = rows["prediction"].to_numpy(np.float64) - truth.astype(np.float64)
        return np.asarray(errors**2 if name == "squared_error" else np.abs(errors))
    if name == "error_rate":
        return np.asarray(truth != rows["prediction"].to_numpy(), dtype=np.float64)
    columns = [f"p_{position}" for position in range(len(classes))]
    proba = rows[columns].to_numpy(np.float64)
    codes, values = pd.factorize(truth)
    places = {label: position for position, label in enumerate(classes)}
    positions = np.array([places.get(_item(v), -1) for v in values], dtype=np.intp)[codes]
    given = np.where(positions >= 0, proba[np.arange(len(proba)), positions], 0.0)
    if name == "log_loss":
        return np.asarray(-np.log(np.clip(given, EPSILON, 1.0)))
    if len(classes) == 2:
        return np.asarray((proba[:, 1] - (positions == 1)) ** 2)
    truths = np.zeros_like(proba)
    truths[np.flatnonzero(positions >= 0), positions[positions >= 0]] = 1.0
    return np.asarray(((proba - truths) ** 2).sum(axis=1))


def sampled(rows: Any, limit: int = 5_000) -> Any:
    """At most `limit` of the rows, the same ones of whatever has as many rows.

    Examples
    --------
    >>> len(sampled(np.zeros(9_000)))
    5000
    """
    if len(rows) <= limit:
        return rows
    return rows[np.random.default_rng(0).permutation(len(rows))[:limit]]


def _item(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value

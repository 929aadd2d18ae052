"""Scores of a fitted model on held-out rows, and truth beside prediction for each row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from jupyter_mlops.workspace import Invalid, closest

__all__ = ["METRICS", "Scores", "Task", "score", "task_of"]

Task = Literal["binary", "multiclass", "regression"]
METRICS: dict[Task, tuple[str, ...]] = {
    "binary": ("log_loss", "auc", "accuracy", "brier"),
    "multiclass": ("log_loss", "auc", "accuracy", "brier"),
    "regression": ("rmse", "mae", "r2"),
}
# A probability of exactly 0 for what then happened would make the mean loss infinite;
# this is the bound that scikit-learn's log_loss uses for float64.
EPSILON = float(np.finfo(np.float64).eps)
# Columns with more distinct values than this don't group anything.
GROUPING = 20_000


@dataclass(frozen=True)
class Scores:
    """What a model achieved on held-out rows.

    Attributes
    ----------
    metrics : dict of str to float
    rows : pandas.DataFrame
        A row each: ``truth``, ``prediction``, ``p_<i>`` (the probability of class i), and the
        columns of the frame that can name or group rows as ``by.<column>``.
    """

    task: Task
    metrics: dict[str, float]
    rows: pd.DataFrame


def task_of(model: Any, truth: pd.Series[Any] | None = None) -> Task:
    """Tell the kind of task from a fitted model, or else from the target's values."""
    classes = getattr(model, "classes_", None)
    if classes is not None and getattr(classes, "ndim", 1) == 1 and hasattr(model, "predict"):
        return "binary" if len(classes) == 2 else "multiclass"
    if truth is not None and not pd.api.types.is_numeric_dtype(truth):
        return "binary" if truth.nunique() == 2 else "multiclass"
    return "regression"


def score(
    model: Any,
    frame: pd.DataFrame,
    target: str,
    features: Sequence[str] | None,
    wanted: Sequence[str] | None = None,
    keep: Sequence[str] = (),
) -> Scores:
    """Score `model` on the rows of `frame` whose target is known.

    ``log_loss`` is the mean of -ln p(truth); ``brier`` is the mean squared distance between
    the probabilities and the truth (Brier 1950), for two classes over the second class alone
    as in scikit-learn; ``auc`` of several classes is one against the rest, weighted.

    Parameters
    ----------
    model : fitted estimator
    frame : pandas.DataFrame, shape (rows, columns)
        Features, the target, and whatever else.
    target : str
    features : sequence of str or None
        The columns the model takes; None: all but the target.
    wanted : sequence of str, optional
        Which metrics; all of the task's when None.
    keep : sequence of str
        Columns (key, time) kept beside the predictions whatever they hold.

    Raises
    ------
    Invalid
        The target or a feature isn't in the frame, no row has a target, or a metric is unknown.
    """
    columns = list(features) if features else [str(c) for c in frame.columns if c != target]
    _check_columns(frame, target, columns)
    known = frame[target].notna()
    frame = frame[known]
    if frame.empty:
        raise Invalid(
            f"no validation row has a value in {target!r}",
            fix="give --valid rows whose outcome is known",
            code="E-TRAIN-011",
        )
    task = task_of(model, frame[target])
    chosen = _choose(task, wanted)
    inputs = frame[columns] if hasattr(model, "feature_names_in_") else frame[columns].to_numpy()
    truth = frame[target]
    rows = pd.DataFrame({"truth": truth.to_numpy()})
    if task == "regression":
        rows["prediction"] = np.asarray(model.predict(inputs), dtype=np.float64).reshape(-1)
        metrics = _regression(truth.to_numpy(np.float64), rows["prediction"].to_numpy(np.float64))
    else:
        metrics = _classify(model, inputs, truth, rows)
    for column in frame.columns:
        if column != target and (column in keep or _groups(frame[column])):
            rows[f"by.{column}"] = frame[column].to_numpy()
    return Scores(task, {name: metrics[name] for name in chosen if name in metrics}, rows)


def _check_columns(frame: pd.DataFrame, target: str, features: list[str]) -> None:
    names = [str(column) for column in frame.columns]
    if target not in names:
        raise Invalid(
            f"the validation rows have no target column {target!r}",
            f"their columns are {', '.join(names[:20])}",
            closest(target, names) or "name the column with --target",
            code="E-TRAIN-010",
        )
    missing = [name for name in features if name not in names]
    if missing:
        raise Invalid(
            f"the validation rows lack {', '.join(repr(name) for name in missing[:5])}",
            f"the model was fitted on {len(features)} columns",
            closest(missing[0], names) or "prepare them as the training rows were",
            code="E-TRAIN-012",
        )


def _choose(task: Task, wanted: Sequence[str] | None) -> tuple[str, ...]:
    known = METRICS[task]
    for name in wanted or ():
        if name not in known:
            raise Invalid(
                f"{name!r} is no metric of a {task} model",
                f"there are {', '.join(known)}",
                closest(name, known) or "leave --metrics out for all of them",
                code="E-TRAIN-013",
            )
    return known if wanted is None else tuple(wanted)


def _regression(truth: np.ndarray[Any, Any], guess: np.ndarray[Any, Any]) -> dict[str, float]:
    errors = guess - truth
    spread = float(((truth - truth.mean()) ** 2).sum())
    metrics = {
        "rmse": float(np.sqrt((errors**2).mean())),
        "mae": float(np.abs(errors).mean()),
    }
    if spread > 0:  # R2 of a constant truth isn't defined
        metrics["r2"] = 1.0 - float((errors**2).sum()) / spread
    return metrics


def _classify(
    model: Any, inputs: Any, truth: pd.Series[Any], rows: pd.DataFrame
) -> dict[str, float]:
    from sklearn.metrics import roc_auc_score

    rows["prediction"] = np.asarray(model.predict(inputs)).reshape(-1)
    known = getattr(model, "classes_", None)
    labels = truth.to_numpy()
    same = _same_labels(labels, rows["prediction"].to_numpy())
    metrics = {"accuracy": float(same.mean())}
    if not hasattr(model, "predict_proba") or known is None:
        return metrics
    classes = [_item(label) for label in known]
    codes = _codes(labels, classes)
    # The clip also covers a class the model has never seen: its probability is 0.
    proba = np.asarray(model.predict_proba(inputs), dtype=np.float64)
    for position in range(len(classes)):
        rows[f"p_{position}"] = proba[:, position]
    given = np.where(codes >= 0, proba[np.arange(len(proba)), np.maximum(codes, 0)], 0.0)
    metrics["log_loss"] = float(-np.log(np.clip(given, EPSILON, 1.0)).mean())
    present = np.unique(codes)
    if len(classes) == 2:
        metrics["brier"] = float(((proba[:, 1] - (codes == 1)) ** 2).mean())
        if len(present) == 2 and present[0] >= 0:
            metrics["auc"] = float(roc_auc_score(codes == 1, proba[:, 1]))
        return metrics
    truths = np.zeros_like(proba)
    truths[np.flatnonzero(codes >= 0), codes[codes >= 0]] = 1.0
    metrics["brier"] = float(((proba - truths) ** 2).sum(axis=1).mean())
    if len(present) == len(classes) and present[0] >= 0:
        metrics["auc"] = float(roc_auc_score(codes, proba, multi_class="ovr", average="weighted"))
    return metrics


def _item(label: Any) -> Any:
    return label.item() if hasattr(label, "item") else label


def _codes(labels: np.ndarray[Any, Any], classes: list[Any]) -> np.ndarray[Any, np.dtype[np.intp]]:
    """The position of each label among the classes, -1 for one that isn't among them.

    Labels are compared as Python compares them, so that True and 1, or 1.0 and 1, are one.
    """
    codes, values = pd.factorize(labels)
    places = {label: position for position, label in enumerate(classes)}
    found = np.array([places.get(_item(value), -1) for value in values], dtype=np.intp)
    return found[codes]


def _same_labels(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> Any:
    return np.asarray(left == right, dtype=bool)


def _groups(column: pd.Series[Any]) -> bool:
    """Whether a column may name groups of rows: anything but measurements."""
    if pd.api.types.is_float_dtype(column):
        return False
    try:
        return int(column.nunique()) <= GROUPING
    except TypeError:  # lists and other unhashable cells
        return False

"""Predictions joined with the truth that came for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """Rows with a known truth, as arrays.

    Attributes
    ----------
    frame : polars.DataFrame
        ``truth`` and ``prediction`` (numbers for regression, labels as text
        otherwise) and ``probability`` where there is one.
    days : array of shape (n,) or None
        Day of each row, where every row has one.
    """

    frame: pl.DataFrame
    days: npt.NDArray[np.int64] | None

    @property
    def rows(self) -> int:
        return self.frame.height

    @property
    def labels(self) -> set[str]:
        """All classes that were predicted or came true; empty for numbers."""
        if self.frame["truth"].dtype != pl.String:
            return set()
        return set(self.frame["truth"]) | set(self.frame["prediction"])

    def numbers(self, name: str) -> Floats:
        return self.frame[name].to_numpy().astype(float)

    def hits(self) -> Floats:
        """1.0 where the predicted class came true, else 0.0; shape (n,)."""
        return (self.frame["truth"] == self.frame["prediction"]).to_numpy().astype(float)

    def foreign(self, labels: list[str]) -> npt.NDArray[np.bool_]:
        """Whether what came true is none of the labels, shape (n,)."""
        return (~self.frame["truth"].is_in(labels)).to_numpy().astype(bool)

    def positive(self, labels: list[str]) -> tuple[npt.NDArray[np.bool_], Floats] | None:
        """Whether the second of two labels came true, and its probability; None without one."""
        if "probability" not in self.frame.columns or len(labels) != 2:
            return None
        probability = self.frame["probability"]
        if not probability.dtype.is_numeric() or probability.null_count():
            return None
        truth = (self.frame["truth"] == labels[1]).to_numpy()
        return truth.astype(bool), probability.to_numpy().astype(float)

    def chance_of_truth(self, labels: list[str]) -> Floats | None:
        """Probability given to the class that came true, shape (n,); None without any."""
        if "probability" not in self.frame.columns:
            return None
        column = self.frame["probability"]
        if not isinstance(column.dtype, (pl.List, pl.Array)) or column.null_count():
            return None
        by_class = np.asarray(column.to_list(), dtype=float)
        if by_class.ndim != 2 or by_class.shape[1] != len(labels):
            return None
        place = {label: index for index, label in enumerate(labels)}
        at = np.asarray([place.get(truth, -1) for truth in self.frame["truth"]], dtype=int)
        return np.where(at >= 0, by_class[np.arange(at.size), at], 0.0)


def join_truth(traffic: pl.DataFrame, feedback: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Give each logged prediction its truth.

    Parameters
    ----------
    traffic : polars.DataFrame
        Has ``prediction_id``.
    feedback : polars.DataFrame
        ``prediction_id``, ``truth``, ``at``. Where a prediction has several
        truths the latest counts; a null truth takes the earlier one back. A column
        ``corrected`` says so of truths that are the latest already.

    Returns
    -------
    (polars.DataFrame, int)
        The traffic with a ``truth`` column, and how many of its rows have a truth
        that replaced another one.
    """
    before = pl.col("corrected").any() if "corrected" in feedback.columns else pl.lit(False)
    latest = (
        feedback.sort("at", maintain_order=True)
        .group_by("prediction_id")
        .agg(pl.col("truth").last(), corrected=(pl.col("truth").n_unique() > 1) | before)
    )
    joined = traffic.join(latest, on="prediction_id", how="left")
    corrected = int(joined["corrected"].fill_null(False).sum())
    return joined.drop("corrected"), corrected


def validation_rows(
    stored: pl.DataFrame, classes: Sequence[object] | None = None, time: str | None = None
) -> pl.DataFrame:
    """Bring the validation rows that a run stored into the form that a check takes.

    Parameters
    ----------
    stored : polars.DataFrame
        ``truth``, ``prediction``, ``p_<i>`` for class i, and others as ``by.<column>``.
    classes : sequence, optional
        The model's classes in its order.
    time : str, optional
        The column with the time of a row; default: the first that holds dates or times.
    """
    chances = [name for index, _ in enumerate(classes or ()) if (name := f"p_{index}") in stored]
    columns = [pl.col("truth"), pl.col("prediction")]
    if len(chances) == 2:
        columns.append(pl.col(chances[1]).alias("probability"))
    elif chances:
        columns.append(pl.concat_list(chances).alias("probability"))
    others = [f"by.{time}"] if time else [name for name in stored.columns if name[:3] == "by."]
    for name in others:
        if name in stored and stored.schema[name] in (pl.Date, pl.Datetime):
            return stored.select(*columns, day=pl.col(name).dt.date())
    return stored.select(columns)


def read_answers(frame: pl.DataFrame, task: str) -> Answers | None:
    """Keep the rows whose truth and prediction are known, as numbers or as labels."""
    if not {"truth", "prediction"} <= set(frame.columns):
        return None
    frame = frame.select(
        [name for name in ("truth", "prediction", "probability", "day") if name in frame.columns]
    ).drop_nulls(["truth", "prediction"])
    if task == "regression":
        frame = frame.with_columns(
            pl.col("truth", "prediction").cast(pl.Float64, strict=False)
        ).filter(pl.col("truth").is_finite() & pl.col("prediction").is_finite())
    else:
        frame = frame.with_columns(_labels(frame["truth"]), _labels(frame["prediction"]))
    days: npt.NDArray[np.int64] | None = None
    if "day" in frame.columns and frame["day"].null_count() == 0:
        days = frame["day"].cast(pl.Date).to_physical().to_numpy().astype(np.int64)
    return Answers(frame, days)


def as_label(value: object) -> str:
    """A class label as text, the same for 1, 1.0, True and "1"."""
    if isinstance(value, str):
        return {"true": "1", "false": "0"}.get(value.lower(), value)
    if isinstance(value, (bool, np.bool_)):
        return str(int(value))
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _labels(values: pl.Series) -> pl.Series:
    known = {value: as_label(value) for value in values.unique().to_list()}
    return pl.Series(values.name, [known[value] for value in values.to_list()], pl.String)


def in_order(labels: set[str]) -> list[str]:
    """Labels as scikit-learn orders classes; 0 and 1 are both there when one of them is."""
    if labels and labels <= {"0", "1"}:
        return ["0", "1"]
    try:
        return sorted(labels, key=float)
    except ValueError:
        return sorted(labels)

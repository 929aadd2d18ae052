"""Predictions joined with the truth that came for them."""

from __future__ import annotations

import json
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

    def positive(self, labels: set[str]) -> tuple[npt.NDArray[np.bool_], Floats] | None:
        """Whether the positive class came true, and its probability; None without one.

        The positive class is the greater of the two labels, as scikit-learn has it.
        """
        if "probability" not in self.frame.columns or len(labels) > 2:
            return None
        probability = self.frame["probability"]
        if not probability.dtype.is_numeric() or probability.null_count():
            return None
        if len(labels) < 2 and not labels <= {"0", "1"}:
            return None  # One label was ever seen: which of the two it is can't be told.
        greater = "1" if labels <= {"0", "1"} else max(labels, key=_order)
        truth = (self.frame["truth"] == greater).to_numpy()
        return truth.astype(bool), probability.to_numpy().astype(float)

    def chance_of_truth(self) -> Floats | None:
        """Probability given to the class that came true, shape (n,); None without any."""
        if "probability" not in self.frame.columns:
            return None
        by_class = self.frame["probability"].to_list()
        if by_class and isinstance(by_class[0], str):
            by_class = [json.loads(one) if one else None for one in by_class]
        if not all(isinstance(one, dict) for one in by_class):
            return None
        truths = self.frame["truth"].to_list()
        return np.asarray(
            [
                float({as_label(k): v for k, v in one.items()}.get(truth) or 0.0)
                for one, truth in zip(by_class, truths, strict=True)
            ]
        )


def join_truth(traffic: pl.DataFrame, feedback: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Give each logged prediction its truth.

    Parameters
    ----------
    traffic : polars.DataFrame
        Has ``prediction_id``.
    feedback : polars.DataFrame
        ``prediction_id``, ``truth``, ``at``. Where a prediction has several
        truths the latest counts; a null truth takes the earlier one back.

    Returns
    -------
    (polars.DataFrame, int)
        The traffic with a ``truth`` column, and how many of its rows have a truth
        that replaced another one.
    """
    latest = (
        feedback.sort("at", maintain_order=True)
        .group_by("prediction_id")
        .agg(pl.col("truth").last(), corrected=pl.col("truth").n_unique() > 1)
    )
    joined = traffic.join(latest, on="prediction_id", how="left")
    corrected = int(joined["corrected"].fill_null(False).sum())
    return joined.drop("corrected"), corrected


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


def _order(label: str) -> tuple[int, float, str]:
    try:
        return 0, float(label), label
    except ValueError:
        return 1, 0.0, label

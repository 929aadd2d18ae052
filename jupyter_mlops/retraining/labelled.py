"""Rows whose truth has come: what is trained on, and what is kept to judge by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from jupyter_mlops import data, models, serving
from jupyter_mlops.experiments.trials import Run
from jupyter_mlops.models import ModelVersion
from jupyter_mlops.monitoring.truth import as_label, join_truth
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.retraining.terms import EXPANDING, Terms, hold_of
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

__all__ = ["TIME", "Labelled", "labelled", "training_rows"]

#: The log's time of a row, under a name that no feature has.
TIME = "event_time"
_INPUT = "in."
_LOGGED, _RECEIVED = "\0logged", "\0received"


@dataclass(frozen=True)
class Labelled:
    """An endpoint's rows with truth, the oldest first.

    Attributes
    ----------
    rows : polars.DataFrame
        The model's columns, the target, ``event_time``, ``prediction_id``, ``version``,
        ``prediction`` and ``probability``; a feature that is called like one of these keeps its
        name, and the log's column is left out.
    predictions : int
        All that were logged, with truth or without.
    target : str
    known_at : polars.Series of datetime, length n, or None
        When the row and its truth were both there, whatever the time of the row is.
    """

    rows: pl.DataFrame
    predictions: int
    target: str
    known_at: pl.Series | None = None

    @property
    def last(self) -> datetime | None:
        """The time of the newest row; None without rows."""
        newest: datetime | None = self.rows[TIME].max()  # type: ignore[assignment]
        return newest

    def since(self, moment: datetime | None) -> pl.DataFrame:
        """The rows from a time on."""
        return self.rows if moment is None else self.rows.filter(pl.col(TIME) >= moment)

    def part(self, hold: str, unseen: datetime | None = None) -> tuple[pl.DataFrame, pl.DataFrame]:
        """Part the rows in time: those to train on, and the newest that are held back.

        A day is never parted: its rows share their weather. No row before `unseen` is held back:
        somebody was trained on such rows.
        """
        if self.rows.is_empty():
            return self.rows, self.rows
        wanted = hold_of(hold)
        days = self.rows[TIME].dt.date()
        if isinstance(wanted, str):
            last = self.last
            assert last is not None
            first: Any = (last - parse_length(wanted)).date()
            held = days > first
        else:
            start = days[min(len(days) - 1, round(len(days) * (1 - wanted)))]
            held = days >= start
        if unseen is not None:
            held &= self.rows[TIME] >= unseen
        return self.rows.filter(~held), self.rows.filter(held)


def labelled(ws: Workspace, endpoint: str, version: ModelVersion, run: Run) -> Labelled:
    """Return what was asked of an endpoint and what came true, as rows to train on.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    version : ModelVersion
        Says which columns a model of this kind takes and what it predicts.
    run : Run
        That trained it: says what the classes are.

    Raises
    ------
    Invalid
        ``E-RETRAIN-010``: it isn't known what the model predicts.
    """
    if version.target is None:
        raise Invalid(
            f"it isn't recorded what {version.label} predicts",
            fix="train it with --target COLUMN, so that its truth has a name",
            code="E-RETRAIN-010",
        )
    traffic = serving.traffic.read(ws, endpoint)
    logged = traffic.collect_schema().names()
    features = [name for name in version.features if _INPUT + name in logged]
    log = [
        name
        for name in ("prediction_id", TIME, "version", "prediction", "probability")
        if name in logged and name not in features
    ]
    if TIME not in log:
        raise Invalid(
            f"a feature of {version.label} is called {TIME!r}, like the log's own column",
            fix="train it with another name for that feature",
            code="E-RETRAIN-010",
        )
    # What a model takes beside its features, such as a key, comes from the log, too.
    others = [
        name.removeprefix(_INPUT)
        for name in logged
        if name.startswith(_INPUT) and name.removeprefix(_INPUT) not in (*features, *log)
    ]
    columns = [*log, *(pl.col(_INPUT + name).alias(name) for name in [*features, *others])]
    asked = traffic.select([*columns, pl.col("at").alias(_LOGGED)]).collect()
    told = serving.feedback.read(ws, endpoint).collect()
    joined, _ = join_truth(asked, told)
    received = told.group_by("prediction_id").agg(pl.col("at").max().alias(_RECEIVED))
    known = joined.drop_nulls("truth").join(received, on="prediction_id", how="left").sort(TIME)
    truth = _as_trained(known["truth"], run.model)
    known = known.drop("truth").with_columns(truth.alias(version.target))
    known = known.drop_nulls(version.target)
    # A truth may come before its row, and wait for it.
    since = known.select(pl.max_horizontal(_LOGGED, _RECEIVED)).to_series()
    rows = known.drop(_LOGGED, _RECEIVED)
    return Labelled(rows, asked.height, version.target, since)


def _as_trained(truth: pl.Series, model: Mapping[str, Any]) -> pl.Series:
    """The truth as the classes that the model was fitted on, or as numbers."""
    classes = model.get("classes")
    if not classes:
        numbers = truth.cast(pl.Float64, strict=False)
        # What is no number is no truth: one such row would leave no loss to judge by.
        return numbers.set(~numbers.is_finite(), None)
    by_label = {as_label(one): one for one in classes}
    values = [
        None if value is None else by_label.get(as_label(value), value) for value in truth.to_list()
    ]
    if len({type(one) for one in values if one is not None}) > 1:
        # A class that the model has never seen, of another type than those it has.
        return pl.Series(truth.name, [None if one is None else str(one) for one in values])
    return pl.Series(truth.name, values, strict=False)


def training_rows(
    ws: Workspace, terms: Terms, version: ModelVersion, rows: pl.DataFrame
) -> tuple[pl.DataFrame, list[str]]:
    """The rows that a window means, and what was left out, a sentence each.

    Parameters
    ----------
    ws : Workspace
    terms : Terms
    version : ModelVersion
        Whose columns are needed.
    rows : polars.DataFrame
        Rows with truth that aren't held back.

    Returns
    -------
    polars.DataFrame
        The model's columns, the target and ``event_time``; rows of the first training data
        have no ``event_time``.
    list of str
    """
    assert version.target is not None
    log = {"prediction_id", "version", "prediction", "probability"} - set(version.features)
    kept = rows.drop([name for name in log if name in rows.columns])
    if terms.window != EXPANDING:
        if kept.is_empty():
            return kept, []
        last: Any = kept[TIME].max()
        return kept.filter(pl.col(TIME) > last - parse_length(terms.window)), []
    first = _first_training(ws, version)
    if first is None:
        return kept, ["The first training data aren't a recorded dataset: only rows with truth."]
    table = data.resolve(ws, first)
    known = table.scan().collect_schema().names()
    wanted = [*version.features, version.target]
    missing = [name for name in wanted if name not in known]
    if missing:
        return kept, [f"{first} is left out: it has no column {missing[0]!r}."]
    shared = [name for name in kept.columns if name in known]
    before = table.scan().select(shared).collect(engine="streaming")
    return pl.concat([before, kept], how="diagonal_relaxed"), []


def _first_training(ws: Workspace, version: ModelVersion) -> str | None:
    """The data of the model's oldest version that weren't made here."""
    try:
        every = sorted(models.list_models(ws, version.name), key=lambda one: one.version)
    except NotFound:
        return None
    known = [one.data_ref for one in every if one.data_ref is not None]
    return known[0] if known else None

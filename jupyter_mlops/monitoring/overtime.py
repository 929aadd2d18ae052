"""Performance period by period, as far as the truth has come, and what it must be without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl

from jupyter_mlops.monitoring.changes import Change, Detector, find_changes
from jupyter_mlops.monitoring.estimates import (
    Estimate,
    Floats,
    Task,
    blocks_of,
    estimates,
    quantile_of,
)
from jupyter_mlops.monitoring.expected import Expectation, covers
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.losses import known_rows, row_losses
from jupyter_mlops.monitoring.performance import Score, measure
from jupyter_mlops.monitoring.segments import by_segment
from jupyter_mlops.monitoring.sides import INPUT, within
from jupyter_mlops.monitoring.spread import Days
from jupyter_mlops.monitoring.timeline import PerformanceOverTime, Period, sentence_of
from jupyter_mlops.monitoring.truth import as_label, in_order, join_truth, read_answers
from jupyter_mlops.monitoring.windows import Window, parse_length
from jupyter_mlops.workspace import Invalid, NotFound, Unavailable, closest
from jupyter_mlops.workspace.records import utcnow

__all__ = ["over_time"]

MOST_PERIODS = 1_000
_WEEK = timedelta(days=7)


def over_time(
    traffic: pl.LazyFrame,
    feedback: pl.LazyFrame | None,
    *,
    endpoint: str,
    task: Task,
    every: str = "7d",
    by: str | None = None,
    window: Window | None = None,
    model: str | None = None,
    version: str | None = None,
    validation: pl.DataFrame | None = None,
    metrics: Mapping[str, float] | None = None,
    classes: Sequence[object] | None = None,
    detector: Detector = "adwin",
    limits: Limits | None = None,
    notices: Sequence[str] = (),
) -> PerformanceOverTime:
    """Measure an endpoint's answers period by period.

    The order in which truths came doesn't matter: rows belong to the period of their event.

    Parameters
    ----------
    traffic : polars.LazyFrame
        The traffic log.
    feedback : polars.LazyFrame or None
        ``prediction_id``, ``truth``, ``at``.
    endpoint : str
    task : {"binary", "multiclass", "regression"}
    every : str
        Length of a period, such as ``7d``; weeks begin on Mondays, all in UTC.
    by : str, optional
        An input; its segments are compared, the worst first.
    window : Window, optional
    model, version, validation, metrics, classes : optional
        As for :func:`jupyter_mlops.monitoring.drift`.
    detector : {"adwin", "page-hinkley", "kswin"}
    limits : Limits, optional

    Raises
    ------
    NotFound
        ``E-MONITORING-005``: no traffic in the window.
        ``E-MONITORING-023``: no input is called as `by`.
    Invalid
        ``E-MONITORING-002``: the length can't be read; ``E-MONITORING-022``: it makes too many
        periods.
    """
    limits, window = limits or Limits(), window or Window()
    span, told = parse_length(every), list(notices)
    joined, corrected = _joined(traffic, feedback, window, endpoint, by)
    if version is not None and "version" in joined.columns:
        own = joined.filter(pl.col("version").cast(pl.String) == str(version))
        if own.height < joined.height:
            told.append(f"{joined.height - own.height:,} rows of other versions are left out")
        joined = own
    if joined.height == 0:
        raise NotFound(
            f"endpoint {endpoint!r} has no answers of {model or 'its model'} in {window}",
            fix="widen --since and --until, or send rows with `%mlops call`",
            code="E-MONITORING-005",
        )
    labels = _labels(joined, validation, task, classes)
    expectation = None
    try:
        expectation = Expectation(validation, task, labels, limits.confidence)
    except Unavailable as error:
        told.append(str(error.what) + (f": {error.why}" if error.why else ""))
    periods, interval = _periods(joined, span, task, labels, expectation, limits)
    known = known_rows(joined, task).sort("event_time", maintain_order=True)
    answers = read_answers(known, task)
    loss, losses = (
        row_losses(answers, task, labels) if answers and answers.rows else ("loss", np.zeros(0))
    )
    if answers and task != "regression" and (foreign := answers.foreign(labels)).any():
        which = answers.frame["truth"].filter(foreign)
        told.append(
            f"{which.len():,} truths are no class of the model (such as {which[0]!r}) and count "
            "as wrong"
        )
    days = answers.days if answers else None
    changes: list[Change] = []
    try:
        changes = find_changes(
            losses,
            known["event_time"].to_list(),
            days,
            reference=_reference(validation, task, labels),
            detector=detector,
        )
    except Unavailable as error:
        told.append(f"{error.what}: {error.why}; {error.fix}")
    made = PerformanceOverTime(
        endpoint=endpoint,
        model=model,
        version=version,
        task=task,
        window=window,
        every=every,
        rows=joined.height,
        answered=known.height,
        corrected=corrected,
        periods=periods,
        whole=measure(
            joined,
            task,
            validation=validation,
            metrics=metrics or {},
            classes=classes,
            limits=limits,
        ),
        interval=interval,
        loss=loss,
        changes=changes,
        detector=detector,
        segments=by_segment(known[INPUT + by].alias(by), losses, days, loss=loss, limits=limits)
        if by is not None and losses.size
        else None,
        calibration=expectation.calibration if expectation else None,
        sentence="",
        notices=told,
        at=utcnow(),
    )
    return replace(made, sentence=sentence_of(made))


def _joined(
    traffic: pl.LazyFrame,
    feedback: pl.LazyFrame | None,
    window: Window,
    endpoint: str,
    by: str | None,
) -> tuple[pl.DataFrame, int]:
    logged = traffic.collect_schema().names()
    inputs = [name.removeprefix(INPUT) for name in logged if name.startswith(INPUT)]
    if by is not None and by not in inputs:
        raise NotFound(
            f"endpoint {endpoint!r} logs no input {by!r}",
            f"it logs {', '.join(inputs[:12]) or 'none'}",
            closest(by, inputs),
            code="E-MONITORING-023",
        )
    if by is not None and traffic.collect_schema()[INPUT + by].is_nested():
        raise Invalid(
            f"rows can't be grouped by {by!r}",
            "it holds lists or structures",
            "take another input",
            code="E-MONITORING-027",
        )
    columns = ["prediction_id", "event_time", "version", "prediction", "probability"]
    wanted = [name for name in columns if name in logged] + ([INPUT + by] if by else [])
    rows = within(traffic, window).select(wanted).collect(engine="streaming")
    rows = rows.with_columns(pl.col("event_time").cast(pl.Datetime("us", "UTC")))
    rows = rows.with_columns(day=pl.col("event_time").dt.date())
    if feedback is None:
        return rows.with_columns(truth=pl.lit(None, pl.Float64)), 0
    return join_truth(rows, feedback.collect())


def _labels(
    joined: pl.DataFrame,
    validation: pl.DataFrame | None,
    task: Task,
    classes: Sequence[object] | None,
) -> list[str]:
    if classes:
        return [as_label(one) for one in classes]
    seen: set[str] = set()
    for frame in (joined, validation):
        answers = read_answers(frame, task) if frame is not None else None
        seen |= answers.labels if answers is not None else set()
    return in_order(seen)


def _reference(validation: pl.DataFrame | None, task: Task, labels: list[str]) -> Floats | None:
    answers = read_answers(validation, task) if validation is not None else None
    return row_losses(answers, task, labels)[1] if answers is not None and answers.rows else None


def _periods(
    joined: pl.DataFrame,
    span: timedelta,
    task: Task,
    labels: list[str],
    expectation: Expectation | None,
    limits: Limits,
) -> tuple[list[Period], str]:
    weeks = span % _WEEK == timedelta(0)
    every = f"{span // _WEEK}w" if weeks else f"{span // timedelta(microseconds=1)}us"
    timed = joined.drop_nulls("event_time").with_columns(
        period=pl.col("event_time").dt.truncate(every)
    )
    count = timed["period"].n_unique()
    if count > MOST_PERIODS:
        raise Invalid(
            f"that makes {count:,} periods",
            f"at most {MOST_PERIODS:,} are shown",
            "give a longer --every, or a window with --since and --until",
            code="E-MONITORING-022",
        )
    parts = [
        (start, rows.drop("period"))
        for (start,), rows in timed.sort("period").group_by("period", maintain_order=True)
    ]
    measured: list[tuple[list[Estimate], int]] = []
    days = []
    for _, rows in parts:
        answers = read_answers(rows, task)
        found = estimates(answers, task, labels) if answers and answers.rows else []
        measured.append((found, answers.rows if answers else 0))
        days.append(answers.days if answers and answers.rows else None)
    wider, quantile, interval = _widened(measured, days, joined, task, limits)
    made = []
    for (start, rows), (found, answered) in zip(parts, measured, strict=True):
        scores = [_score(one, quantile * wider.get(one.name, 1.0)) for one in found]
        period = Period(start, start + span, rows.height, answered, scores)
        if expectation is not None:
            period = _expecting(period, rows, task, expectation, limits)
        made.append(period)
    return made, interval


def _widened(
    measured: list[tuple[list[Estimate], int]],
    days: list[Days | None],
    joined: pl.DataFrame,
    task: Task,
    limits: Limits,
) -> tuple[dict[str, float], float, str]:
    """How much wider intervals are when rows of one day count together.

    A period often has too few days to tell; all periods together have enough.
    """
    every = read_answers(joined, task)
    blocks = blocks_of(every) if every is not None and every.rows else None
    kind = f"{limits.confidence:.0%}, rows taken as independent"
    if blocks is None or any(one is None for one, (f, _) in zip(days, measured, strict=True) if f):
        return {}, quantile_of(None, limits.confidence), kind
    pulls: dict[str, list[Floats]] = {}
    places: dict[str, list[Days]] = {}
    for (found, _), at in zip(measured, days, strict=True):
        for one in found:
            if at is not None:
                pulls.setdefault(one.name, []).append(one.influence)
                places.setdefault(one.name, []).append(at)
    wider = {}
    for name, parts in pulls.items():
        whole = Estimate(name, 0.0, np.concatenate(parts))
        block = np.unique(np.concatenate(places[name]), return_inverse=True)[1].astype(np.int64)
        alone = whole.error(None)
        together = whole.error(block) if block.max() > 0 else alone
        wider[name] = max(1.0, together / alone) if alone > 0 else 1.0
    first = next(iter(wider.values()), 1.0)
    said = f"{limits.confidence:.0%}, days as blocks (×{first:.2g} of independent rows)"
    return wider, quantile_of(blocks, limits.confidence), said


def _score(one: Estimate, reach: float) -> Score:
    half = reach * one.error(None)
    low, high = one.within
    return Score(one.name, one.value, max(low, one.value - half), min(high, one.value + half))


def _expecting(
    period: Period, rows: pl.DataFrame, task: Task, expectation: Expectation, limits: Limits
) -> Period:
    expected = expectation.of(rows)
    covered: dict[str, bool] = {}
    if period.answered >= limits.fewest_truths:
        # Truth may have come for rows of a kind: only their own estimate can be held against it.
        known = known_rows(rows, task)
        of_them = expected if known.height == rows.height else expectation.of(known)
        measured = {one.name: one.value for one in period.scores}
        covered = {
            one.name: covers(one, measured[one.name]) for one in of_them if one.name in measured
        }
    return replace(period, expected=expected, covered=covered)

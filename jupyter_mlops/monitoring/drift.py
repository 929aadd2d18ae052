"""Check an endpoint's traffic: inputs against a reference, answers against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import polars as pl

from jupyter_mlops.data import Table, resolve
from jupyter_mlops.monitoring.attribution import LossChange
from jupyter_mlops.monitoring.battery import promise, run_battery
from jupyter_mlops.monitoring.causes import Cause, find_causes
from jupyter_mlops.monitoring.checks import Drift, keep, latest
from jupyter_mlops.monitoring.columns import Column, is_number
from jupyter_mlops.monitoring.comparing import Comparison, from_profiles, from_rows
from jupyter_mlops.monitoring.estimates import Task
from jupyter_mlops.monitoring.expected import Expectation
from jupyter_mlops.monitoring.features import FeatureDrift, compare_columns, compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.performance import Performance, measure
from jupyter_mlops.monitoring.populations import coerced, read_as
from jupyter_mlops.monitoring.readings import KeptLog
from jupyter_mlops.monitoring.references import Earlier
from jupyter_mlops.monitoring.sides import INPUT, within
from jupyter_mlops.monitoring.truth import as_label, in_order, join_truth, read_answers
from jupyter_mlops.monitoring.verdicts import overall, sentence
from jupyter_mlops.monitoring.windows import Window, parse_length
from jupyter_mlops.workspace import NotFound, Unavailable, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow

#: Rows from which on a window is read from its kept profiles rather than row by row.
FROM_PROFILES: Final = 50_000
_AHEAD: Final = timedelta(days=366)


def drift(
    ws: Workspace,
    reference: Table | Earlier,
    traffic: pl.LazyFrame,
    feedback: pl.LazyFrame | None = None,
    *,
    endpoint: str,
    features: Sequence[str] | None = None,
    model: str | None = None,
    version: str | None = None,
    task: Task | None = None,
    validation: pl.DataFrame | None = None,
    metrics: Mapping[str, float] | None = None,
    classes: Sequence[object] | None = None,
    window: Window | None = None,
    length: str | None = None,
    limits: Limits | None = None,
    notices: Sequence[str] = (),
    log: KeptLog | None = None,
    every: timedelta | None = None,
    jointly: bool = True,
) -> Drift:
    """Compare a window of logged traffic with a reference, keep the result, return it.

    Parameters
    ----------
    ws : Workspace
    reference : Table or Earlier
        What the features should look like: the model's training data, or earlier traffic.
    traffic : polars.LazyFrame
        The traffic log: ``prediction_id``, ``event_time`` and inputs as ``in.<name>``;
        ``version``, ``prediction`` and ``probability`` where there are any.
    feedback : polars.LazyFrame, optional
        ``prediction_id``, ``truth``, ``at``.
    endpoint : str
        Whose traffic it is.
    features : sequence of str, optional
        The model's features; default: every input that the reference has too.
    model, version : str, optional
        What is judged. Answers of other versions count as traffic, not as its performance.
    task : {"binary", "multiclass", "regression"}, optional
        Needed for performance.
    validation : polars.DataFrame, optional
        ``truth``, ``prediction``, ``probability`` (and ``day``) of the validation rows:
        what performance and predictions are compared with.
    metrics : mapping of str to float, optional
        The model's metrics at validation, where its validation rows weren't kept.
    classes : sequence, optional
        A classifier's classes in its order.
    window : Window, optional
        Span of event time. Default: everything after the last row of the endpoint's
        last check; that check's window again when nothing has come since; all traffic
        when there was none.
    length : str, optional
        ``30d``: only the newest so much of the window.
    limits : Limits, optional
    notices : sequence of str
        What is to be said of the traffic besides.
    log : KeptLog, optional
        The kept profiles of the traffic: large windows are read from these.
    every : timedelta, optional
        How often the endpoint is checked; the length of the window when left out.
    jointly : bool
        Test all features together too, which takes the most time of a check of kept profiles.

    Raises
    ------
    NotFound
        ``E-MONITORING-005``: no traffic in the window.
    Invalid
        ``E-MONITORING-006``: the two sides share no feature.
        ``E-MONITORING-011``: the reference has no rows.

    Notes
    -----
    Verdicts are those of :func:`compare_features` and :func:`measure`.
    """
    limits = limits or Limits()
    asked = window or Window()
    window = asked if window or length else after_last_check(ws, endpoint, traffic)
    window = newest(traffic, window, length, log)
    compared = _read(ws, reference, traffic, features, window, version, log)
    if compared is None:
        raise NotFound(
            f"endpoint {endpoint!r} has no traffic in the window {window}",
            "; ".join(notices),
            fix="widen --since, --until or --window, or send rows with `%mlops call`",
            code="E-MONITORING-005",
        )
    told = [*notices, *compared.notices]
    if isinstance(reference, Earlier) and reference.why:
        told.append(f"compared with {reference.why}")
    judged, joint = run_battery(
        compared.reference, compared.current, compared.kinds, limits, jointly=jointly
    )
    if compared.others:
        told.append(
            f"{compared.others:,} rows were answered by other versions; they count as traffic only"
        )
    predictions = _compare_predictions(compared, validation, limits)
    performance, corrected = _performance(
        compared, feedback, task, validation, metrics, classes, limits
    )
    if corrected:
        told.append(f"{corrected:,} truths were corrected later; the latest counts")
    moved = [one for one in judged if one.verdict == "drifted"]
    causes: list[Cause] = []
    loss: LossChange | None = None
    if moved:
        causes, loss = find_causes(
            moved,
            compared.reference,
            compared.current,
            compared.kinds,
            compared.history([one.name for one in moved if one.name in compared.reference.columns]),
            limits,
            _expectation(validation, task, classes, limits),
            compared.answers,
        )
    span = None
    if compared.first is not None and compared.last is not None:
        span = compared.last - compared.first
    return keep(
        ws,
        Drift(
            id=new_id(),
            endpoint=endpoint,
            model=model,
            version=version,
            reference=reference.label,
            reference_rows=compared.reference.rows,
            rows=compared.current.rows,
            window=window,
            first=compared.first,
            last=compared.last,
            verdict=overall(judged, performance, joint),
            sentence=sentence(judged, predictions, performance, joint),
            features=judged,
            predictions=predictions,
            missing=compared.missing,
            performance=performance,
            notices=told,
            limits=limits,
            at=utcnow(),
            joint=joint,
            causes=causes,
            loss=loss,
            schema=compared.schema,
            promise=promise(limits, every or span, scheduled=every is not None),
            source=compared.source,
        ),
    )


def _read(
    ws: Workspace,
    reference: Table | Earlier,
    traffic: pl.LazyFrame,
    features: Sequence[str] | None,
    window: Window,
    version: str | None,
    log: KeptLog | None,
) -> Comparison | None:
    """Read both sides; None when the window holds nothing."""
    if log is not None and log.rows(window) >= FROM_PROFILES:
        found = from_profiles(ws, reference, log, traffic, features, window, version)
        if found is not None:
            return found if found.current.rows else None
    if within(traffic, window).select(pl.len()).collect().item() == 0:
        return None
    table = rows_of(ws, reference, traffic) if isinstance(reference, Earlier) else reference
    return from_rows(table, traffic, features, window, version)


def rows_of(ws: Workspace, earlier: Earlier, traffic: pl.LazyFrame) -> Table:
    """Earlier traffic as a table of the model's columns."""
    inputs = [name for name in traffic.collect_schema().names() if name.startswith(INPUT)]
    parts = [within(traffic, one).select(inputs) for one in earlier.windows]
    rows = pl.concat(parts).rename({name: name.removeprefix(INPUT) for name in inputs})
    return resolve(ws, rows.collect(engine="streaming"))


def _expectation(
    validation: pl.DataFrame | None,
    task: Task | None,
    classes: Sequence[object] | None,
    limits: Limits,
) -> Expectation | None:
    """What tells the loss to expect, where the model's probabilities can be calibrated."""
    if validation is None or task is None or task == "regression":
        return None
    answers = read_answers(validation, task)
    seen = answers.labels if answers is not None else set()
    labels = [as_label(one) for one in classes] if classes else in_order(seen)
    try:
        return Expectation(validation, task, labels, limits.confidence)
    except Unavailable:
        return None  # the rows beside it say what is known without


def after_last_check(ws: Workspace, endpoint: str, traffic: pl.LazyFrame) -> Window:
    """The window that is due: what came after the last check, or that check's own again."""
    last = latest(ws, endpoint)
    if last is None or last.last is None:
        return Window()
    return fresh_window(traffic, last) or last.window


def fresh_window(traffic: pl.LazyFrame, last: Drift) -> Window | None:
    """What came since a check, by the rows' own time; None when nothing did.

    A clock that ran ahead, or one row dated years ahead, leaves no row after the last one. Then
    the window begins with the oldest row that was logged since.
    """
    if last.last is None:
        return Window()
    since = last.last + timedelta(microseconds=1)
    if within(traffic, Window(since=since)).select(pl.len()).collect().item():
        return Window(since=since)
    if "at" not in traffic.collect_schema():
        return None
    logged = traffic.filter(pl.col("at").cast(pl.Datetime("us", "UTC")) > last.at)
    oldest = logged.select(pl.col("event_time").min()).collect().item()
    return None if oldest is None else Window(since=oldest)


def newest(
    traffic: pl.LazyFrame, window: Window, length: str | None, log: KeptLog | None = None
) -> Window:
    """The newest so much of the traffic, of whole hours where profiles are kept of these.

    What is dated more than a year ahead of now is a mistake, from which nothing is counted back.
    """
    if length is None:
        return window
    span = parse_length(length)
    if window.until is not None or window.since is not None:
        return window
    ahead = utcnow() + _AHEAD
    kept = None if log is None or span < timedelta(hours=1) else log.newest()
    if log is not None and kept is not None and kept < ahead:
        whole = replace(window, since=kept - span, until=kept)
        if log.rows(whole) >= FROM_PROFILES:
            return whole
    times = traffic.select(pl.col("event_time").cast(pl.Datetime("us", "UTC")).alias("time"))
    last = times.filter(pl.col("time") < ahead).max().collect().item()
    if last is None:
        return window
    # Until is exclusive, and the newest row belongs to the window.
    end = last + timedelta(microseconds=1)
    return replace(window, since=end - span, until=end)


def _compare_predictions(
    compared: Comparison, validation: pl.DataFrame | None, limits: Limits
) -> list[FeatureDrift]:
    if validation is None or validation.height == 0:
        return []
    if compared.predicted is not None:
        return _compare_counted(compared.predicted, validation, limits)
    own = compared.own()
    if own.height == 0:
        return []
    names = [
        name
        for name in ("prediction", "probability")
        if name in own.columns
        and name in validation.columns
        and not isinstance(own.schema[name], (pl.Struct, pl.List))
        and not isinstance(validation.schema[name], (pl.Struct, pl.List))
        and own[name].null_count() < own.height
    ]
    return compare_features(validation, own, names, limits)


def _compare_counted(
    predicted: Mapping[str, Column], validation: pl.DataFrame, limits: Limits
) -> list[FeatureDrift]:
    before: dict[str, Column] = {}
    now: dict[str, Column] = {}
    for name, column in predicted.items():
        if name not in validation.columns or not column.present:
            continue
        dtype = validation.schema[name]
        if isinstance(dtype, (pl.Struct, pl.List)):
            continue
        kind = "number" if is_number(dtype) else "category"
        read = coerced(column, kind)  # type: ignore[arg-type]
        if read is not None:
            before[name], now[name] = read_as(validation[name], kind), read  # type: ignore[arg-type]
    return compare_columns(before, now, limits)


def _performance(
    compared: Comparison,
    feedback: pl.LazyFrame | None,
    task: Task | None,
    validation: pl.DataFrame | None,
    metrics: Mapping[str, float] | None,
    classes: Sequence[object] | None,
    limits: Limits,
) -> tuple[Performance | None, int]:
    if feedback is None or task is None:
        return None, 0
    truth = feedback.collect()
    if truth.height == 0:
        return None, 0
    own = compared.own()
    if own.height == 0 or "prediction_id" not in own.columns:
        return None, 0
    joined, corrected = join_truth(own, truth)
    found = measure(
        joined, task, validation=validation, metrics=metrics or {}, classes=classes, limits=limits
    )
    return found, corrected

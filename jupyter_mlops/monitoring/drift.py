"""Check an endpoint's traffic: inputs against a reference, answers against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.checks import Drift, keep, latest
from jupyter_mlops.monitoring.estimates import Task
from jupyter_mlops.monitoring.features import FeatureDrift, compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.performance import Performance, measure
from jupyter_mlops.monitoring.sides import Sides, log_column, read_sides, within
from jupyter_mlops.monitoring.truth import join_truth
from jupyter_mlops.monitoring.verdicts import overall, sentence
from jupyter_mlops.monitoring.windows import Window, parse_length
from jupyter_mlops.workspace import NotFound, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow


def drift(
    ws: Workspace,
    reference: Table,
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
) -> Drift:
    """Compare a window of logged traffic with a reference, keep the result, return it.

    Parameters
    ----------
    ws : Workspace
    reference : Table
        What the features should look like: the model's training data.
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
    window = _newest(traffic, window, length)
    if within(traffic, window).select(pl.len()).collect().item() == 0:
        raise NotFound(
            f"endpoint {endpoint!r} has no traffic in the window {window}",
            "; ".join(notices),
            fix="widen --since, --until or --window, or send rows with `%mlops call`",
            code="E-MONITORING-005",
        )
    sides = read_sides(reference, traffic, features, window)
    told = [*notices, *sides.notices, *_sampled(sides)]
    judged = compare_features(sides.reference, sides.current, sides.names, limits)
    own, others = _own_answers(sides.current, version)
    if others:
        told.append(f"{others:,} rows were answered by other versions; they count as traffic only")
    predictions = _compare_predictions(own, validation, limits)
    performance, corrected = _performance(own, feedback, task, validation, metrics, classes, limits)
    if corrected:
        told.append(f"{corrected:,} truths were corrected later; the latest counts")
    times = _times(sides.current)
    return keep(
        ws,
        Drift(
            id=new_id(),
            endpoint=endpoint,
            model=model,
            version=version,
            reference=reference.label,
            reference_rows=sides.reference.height,
            rows=sides.current.height,
            window=window,
            first=times[0],
            last=times[1],
            verdict=overall(judged, performance),
            sentence=sentence(judged, predictions, performance),
            features=judged,
            predictions=predictions,
            missing=sides.missing,
            performance=performance,
            notices=told,
            limits=limits,
            at=utcnow(),
        ),
    )


def _sampled(sides: Sides) -> list[str]:
    """Say of how many rows those of a sampled log are a part."""
    current, name = sides.current, log_column(sides.current, "share")
    if name is None or name in sides.names:
        return []  # no log tells it; a feature may be called so
    shares = current[name].drop_nulls().unique().sort().to_list()
    if not shares or shares == [1.0]:
        return []
    asked = (1 / current[name]).sum()
    part = " to ".join(f"{100 * share:.4g}%" for share in {shares[0]: 0, shares[-1]: 0})
    said = [f"{part} of the rows were logged: {current.height:,} stand for about {asked:,.0f}"]
    if len(shares) > 1:
        said.append("the share changed within the window, and rows count alike all the same")
    return said


def after_last_check(ws: Workspace, endpoint: str, traffic: pl.LazyFrame) -> Window:
    """The window that is due: what came after the last check, or that check's own again."""
    last = latest(ws, endpoint)
    if last is None or last.last is None:
        return Window()
    since = last.last + timedelta(microseconds=1)
    newer = within(traffic, Window(since=since)).select(pl.len()).collect().item()
    return Window(since=since) if newer else last.window


def _newest(traffic: pl.LazyFrame, window: Window, length: str | None) -> Window:
    if length is None:
        return window
    span = parse_length(length)
    if window.until is not None or window.since is not None:
        return window
    newest = traffic.select(pl.col("event_time").max()).collect().item()
    if newest is None:
        return window
    # Until is exclusive, and the newest row belongs to the window.
    end = newest + timedelta(microseconds=1)
    return replace(window, since=end - span, until=end)


def _own_answers(current: pl.DataFrame, version: str | None) -> tuple[pl.DataFrame, int]:
    names = {
        found: name
        for name in ("prediction_id", "prediction", "probability", "event_time", "version")
        if (found := log_column(current, name))
    }
    own = current.select(pl.col(found).alias(name) for found, name in names.items())
    if "event_time" in own.columns:
        own = own.with_columns(day=pl.col("event_time").dt.date())
    if version is None or "version" not in own.columns:
        return own, 0
    kept = own.filter(pl.col("version").cast(pl.String) == str(version))
    return kept, own.height - kept.height


def _compare_predictions(
    own: pl.DataFrame, validation: pl.DataFrame | None, limits: Limits
) -> list[FeatureDrift]:
    if validation is None or own.height == 0 or validation.height == 0:
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


def _performance(
    own: pl.DataFrame,
    feedback: pl.LazyFrame | None,
    task: Task | None,
    validation: pl.DataFrame | None,
    metrics: Mapping[str, float] | None,
    classes: Sequence[object] | None,
    limits: Limits,
) -> tuple[Performance | None, int]:
    if feedback is None or task is None or own.height == 0 or "prediction_id" not in own.columns:
        return None, 0
    joined, corrected = join_truth(own, feedback.collect())
    found = measure(
        joined, task, validation=validation, metrics=metrics or {}, classes=classes, limits=limits
    )
    return found, corrected


def _times(current: pl.DataFrame) -> tuple[datetime | None, datetime | None]:
    name = log_column(current, "event_time")
    if name is None or current[name].null_count() == current.height:
        return None, None
    times = current[name].cast(pl.Datetime("us", "UTC"))
    return times.min(), times.max()  # type: ignore[return-value]

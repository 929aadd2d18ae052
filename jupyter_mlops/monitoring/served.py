"""Check what an endpoint serves: its traffic, its model, its truth, put together."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import polars as pl

from jupyter_mlops import data, experiments, models, serving
from jupyter_mlops.data import Table
from jupyter_mlops.experiments import Run
from jupyter_mlops.monitoring.checks import Drift
from jupyter_mlops.monitoring.drift import after_last_check, drift, newest, rows_of
from jupyter_mlops.monitoring.hourly import worth_keeping
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.readings import KeptLog
from jupyter_mlops.monitoring.references import TRAFFIC, Earlier, Season, earlier_traffic
from jupyter_mlops.monitoring.sides import within
from jupyter_mlops.monitoring.truth import validation_rows
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.profiling.contracts import Contract
from jupyter_mlops.serving import Endpoint
from jupyter_mlops.workspace import Invalid, NotFound, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["check_served", "logged_of", "model_of", "reference_again", "reference_of"]


def check_served(
    ws: Workspace,
    endpoint: str,
    *,
    against: Any = None,
    window: Window | None = None,
    length: str | None = None,
    season: Season | None = None,
    stricter: Callable[[Limits], Limits] | None = None,
    every: timedelta | None = None,
) -> Drift:
    """Check an endpoint's traffic as `drift` does, with all that is known of its model.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    against : Data, optional
        What to compare with; the model's training data when None. ``traffic:2013-03`` and the
        like mean earlier traffic, as `earlier_traffic` reads them.
    window, length
        As `drift` takes them.
    season : {"auto", "year", "week"}, optional
        Compare with earlier traffic of the same season.
    stricter : callable, optional
        Makes the limits of this check from those of the model's contract.
    every : timedelta, optional
        How often the endpoint is checked.

    Raises
    ------
    Invalid
        ``E-MONITORING-009``: the training data aren't a recorded dataset.
        ``E-MONITORING-060``: a season of something that isn't earlier traffic.
    """
    served = serving.get(ws, endpoint)
    known = logged_of(ws, served, model_of(ws, served))
    if stricter is not None:
        known["limits"] = stricter(known["limits"])
    traffic = serving.traffic.read(ws, served.name)
    log = KeptLog(ws, served.name) if worth_keeping(ws, served.name) else None
    reference: Table | Earlier
    if season is not None or _is_traffic(against):
        if against is not None and not _is_traffic(against):
            raise Invalid(
                f"--season {season} compares with earlier traffic, and not with {against}",
                fix="leave one of --against and --season out",
                code="E-MONITORING-060",
            )
        if window is None and length is None:
            window = after_last_check(ws, served.name, traffic)
        window, length = newest(traffic, window or Window(), length, log), None
        reference = _earlier(traffic, log, str(against or TRAFFIC), window, season)
    else:
        reference = reference_of(ws, served, against)
    return drift(
        ws,
        reference,
        traffic,
        serving.feedback.read(ws, served.name),
        endpoint=served.name,
        window=window,
        length=length,
        log=log,
        every=every,
        **known,
    )


def _is_traffic(against: Any) -> bool:
    return isinstance(against, str) and (against == TRAFFIC or against.startswith(f"{TRAFFIC}:"))


def _earlier(
    traffic: pl.LazyFrame, log: KeptLog | None, text: str, window: Window, season: Season | None
) -> Earlier:
    """The earlier traffic that is meant, of a window that may be open."""
    moment = pl.col("event_time").cast(pl.Datetime("us", "UTC"))
    if window.since is None or window.until is None:
        ends = within(traffic, window).select(lo=moment.min(), hi=moment.max()).collect()
        if ends["lo"][0] is None:
            raise NotFound(
                f"there is no traffic in the window {window}",
                fix="widen --since, --until or --window, or send rows with `%mlops call`",
                code="E-MONITORING-005",
            )
        last = ends["hi"][0] + timedelta(microseconds=1)
        window = Window(window.since or ends["lo"][0], window.until or last)

    def count(one: Window) -> int:
        if log is not None:
            return log.rows(one)
        return int(within(traffic, one).select(pl.len()).collect().item())

    return earlier_traffic(text, window, count, season)


def reference_again(ws: Workspace, served: Endpoint, label: str) -> Table:
    """What a check was compared with, read again by its label."""
    if not _is_traffic(label):
        return data.resolve(ws, label)
    traffic = serving.traffic.read(ws, served.name)
    now = Window(utcnow(), utcnow() + timedelta(seconds=1))
    return rows_of(ws, _earlier(traffic, None, label, now, None), traffic)


def reference_of(ws: Workspace, served: Endpoint, against: Any) -> Any:
    """What traffic is compared with: `against`, or else the model's training data.

    Raises
    ------
    Invalid
        ``E-MONITORING-009``: the training data aren't a recorded dataset.
    """
    if against is not None:
        return data.resolve(ws, against)
    version = models.get(ws, served.model_ref)
    if version.data_ref is None:
        raise Invalid(
            f"the training data of {version.label} isn't a recorded dataset",
            fix="say what to compare with: --against DATA",
            code="E-MONITORING-009",
        )
    return data.resolve(ws, version.data_ref)


def model_of(ws: Workspace, served: Endpoint) -> dict[str, Any]:
    """What a check needs to know of the served model and of its validation.

    Raises
    ------
    Invalid
        ``E-MONITORING-018``: the model was trained elsewhere.
    """
    version = models.get(ws, served.model_ref)
    if not version.run_id:
        raise Invalid(
            f"{version.label} was trained elsewhere, so nothing is known of its validation",
            fix="train it with `%%mlops train`, or compare data with `%mlops profile --against`",
            code="E-MONITORING-018",
        )
    run = experiments.find_run(ws, version.run_id)
    classes, file = run.model.get("classes"), run.validation.get("file")
    validation = None
    if file and ws.artifacts.exists(file):
        with ws.artifacts.open(file) as stream:
            stored = pl.read_parquet(stream)
        validation = validation_rows(stored, classes, run.validation.get("time"))
    return {
        "features": version.features,
        "model": version.label,
        "version": str(version.version),
        "task": version.task,
        "validation": validation,
        "metrics": version.metrics,
        "classes": classes,
        "limits": Limits.of_contract(_contract(ws, run)),
    }


def logged_of(ws: Workspace, served: Endpoint, model: dict[str, Any]) -> dict[str, Any]:
    """Leave out features of which the log has no values, and say so."""
    hidden = serving.traffic.hidden(ws, served.name)
    left_out = [name for name in model["features"] or () if name in hidden]
    notices = []
    if left_out:
        model["features"] = [name for name in model["features"] if name not in hidden]
        notices.append(
            f"{', '.join(left_out)} can't be compared: the endpoint's log redacts "
            f"{'it' if len(left_out) == 1 else 'them'}"
        )
    if served.log.mode == "off":
        notices.append("the endpoint logs nothing now (--log off)")
    return {**model, "notices": notices}


def _contract(ws: Workspace, run: Run) -> Contract | None:
    """The newest version of the contract a run was trained under.

    How far a feature may drift is for those who watch it; that takes no new model.
    """
    told = run.model.get("contract")
    if not told:
        return None
    from jupyter_mlops.profiling import contracts

    return contracts.get(ws, told["ref"].partition("@")[0])

"""What a person asks of an experiment from outside of the process that drives it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sqlalchemy.orm import Session

from jupyter_mlops.experiments.records import ExperimentRecord
from jupyter_mlops.experiments.studies import Experiment, find_experiment
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["begun_before", "detach", "enqueue", "read_params", "stop", "stop_trial"]

_WAIT: Final = 10.0


def stop(ws: Workspace, experiment: str) -> Experiment:
    """Stop an experiment, wherever it runs; what has ended is kept.

    Raises
    ------
    Conflict
        It isn't running, or the process that drives it doesn't hear.
    """
    told = find_experiment(ws, experiment)
    with ws.write() as tx:
        row = _running(tx.session, told)
        row.desired = "stopped"
        if row.status == "waiting":
            row.status, row.ended_at = "stopped", utcnow()
        tx.emit("experiment.told", told.ref, payload={"name": told.name, "to": "stop"})
    until = time.monotonic() + _WAIT
    while time.monotonic() < until:
        told = find_experiment(ws, told.id, with_trials=False)
        if told.status not in {"running", "waiting"}:
            return find_experiment(ws, told.id)
        time.sleep(0.1)
    raise Conflict(
        f"experiment {told.name!r} hasn't stopped after {_WAIT:.0f} seconds",
        "the process that drives it doesn't hear",
        "interrupt its cell, or end that process",
        code="E-EXPERIMENT-061",
    )


def stop_trial(ws: Workspace, experiment: str, number: int) -> Experiment:
    """Stop one running trial; its worker goes on with the next.

    Raises
    ------
    Conflict
        The experiment or the trial isn't running.
    """
    told = find_experiment(ws, experiment)
    if not any(one.number == number and one.status == "running" for one in told.trials):
        raise Conflict(
            f"trial {number} of {told.name!r} isn't running",
            fix=f"`%mlops experiment show {told.name}` lists its trials",
            code="E-EXPERIMENT-062",
        )
    with ws.write() as tx:
        row = _running(tx.session, told)
        row.stops = [*row.stops, number]
        payload = {"name": told.name, "to": "stop", "number": number}
        tx.emit("experiment.told", told.ref, payload=payload)
        return replace(told, stops=tuple(row.stops))


def enqueue(ws: Workspace, experiment: str, params: dict[str, Any]) -> Experiment:
    """Have a running experiment try these parameters next.

    What is left out is suggested as for any other trial.

    Raises
    ------
    Conflict
        It isn't running.
    Invalid
        A parameter is none that its trials ask for.
    """
    told = find_experiment(ws, experiment)
    known = {name for one in told.trials for name in one.distributions}
    unknown = sorted(params.keys() - known)
    if unknown and known:
        raise Invalid(
            f"no trial of {told.name!r} asks for {unknown[0]!r}",
            f"they ask for {', '.join(sorted(known))}",
            code="E-EXPERIMENT-063",
        )
    with ws.write() as tx:
        row = _running(tx.session, told)
        row.queue = [*row.queue, params]
        payload = {"name": told.name, "to": "enqueue", "params": params}
        tx.emit("experiment.told", told.ref, payload=payload)
        return replace(told, queue=tuple(row.queue))


def begun_before(
    ws: Workspace, name: str, body: str, asked: Mapping[str, Any] | None = None
) -> Experiment | None:
    """The latest experiment of that name, to go on with it; None when there is none.

    Parameters
    ----------
    asked : mapping of str to Any, optional
        The plan as it is asked for now, such as ``{"trials": 64}``.

    Raises
    ------
    Conflict
        It is of another cell, or was begun with another plan.
    """
    try:
        found = find_experiment(ws, name)
    except NotFound:
        return None
    if found.name != name:
        return None  # an id that begins so
    if body.strip() and body != found.source:
        raise Conflict(
            f"experiment {name!r} was begun with another cell",
            "its trials couldn't be compared with those of this one",
            "leave --resume out to begin a new one, or take the cell back to what it was",
            code="E-EXPERIMENT-067",
        )
    for key, value in (asked or {}).items():
        if value != found.plan.get(key, value):
            raise Conflict(
                f"experiment {name!r} was begun with --{key} {found.plan[key]}, not {value}",
                fix="leave --resume out, and with --warm-start "
                f"{name} the new one begins where this one is; or ask for what it was begun with",
                code="E-EXPERIMENT-068",
            )
    return found


def detach(ws: Workspace, experiment: str) -> None:
    """Leave an experiment that nobody drives to the agent.

    Raises
    ------
    Conflict
        A process drives it.
    """
    told = find_experiment(ws, experiment)
    with ws.write() as tx:
        row = tx.session.get_one(ExperimentRecord, told.id, with_for_update=True)
        if row.status == "running" and may_live(row.process):
            raise Conflict(
                f"experiment {told.name!r} is running in another process",
                fix=f"`%mlops experiment stop {told.name}` stops it",
                code="E-EXPERIMENT-066",
            )
        row.status, row.detached, row.restarts, row.desired = "waiting", True, 0, "running"
        tx.emit("experiment.detached", told.ref, payload={"name": told.name})


def read_params(text: str) -> dict[str, Any]:
    """Read ``lr=0.1,depth=4,kind=linear``.

    Examples
    --------
    >>> read_params("lr=0.1, depth=4, kind=linear, fast=true")
    {'lr': 0.1, 'depth': 4, 'kind': 'linear', 'fast': True}
    """
    found: dict[str, Any] = {}
    for part in filter(str.strip, text.split(",")):
        name, equals, value = (word.strip() for word in part.partition("="))
        if not equals or not name:
            raise Invalid(
                f"{part.strip()!r} is no parameter with its value",
                fix="write for example lr=0.1,depth=4",
                code="E-EXPERIMENT-064",
            )
        found[name] = _value(value)
    if not found:
        raise Invalid("there are no parameters", fix="write for example lr=0.1,depth=4",
                      code="E-EXPERIMENT-065")  # fmt: skip
    return found


def _value(text: str) -> Any:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _running(session: Session, told: Experiment) -> ExperimentRecord:
    row = session.get_one(ExperimentRecord, told.id, with_for_update=True)
    if row.status == "waiting" or (row.status == "running" and may_live(row.process)):
        return row
    raise Conflict(
        f"experiment {told.name!r} isn't running",
        f"it is {told.status}",
        f"`%mlops experiment resume {told.name}` goes on with one that was interrupted",
        code="E-EXPERIMENT-060",
    )

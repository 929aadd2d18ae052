"""Trials in a table: a page of them here, the others asked for by page, order and condition."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments.browsing import TrialPage
from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views.blocks import CellKind, Column, Explorer, Level, Query
from jupyter_mlops.views.params import param_text

__all__ = ["LEVELS", "trials_table"]

#: Parameters that get a column of their own.
PARAMS = 8
LEVELS: dict[str, Level] = {
    "finished": "good",
    "running": "info",
    "waiting": "info",
    "pruned": "info",
    "interrupted": "warn",
    "stopped": "warn",
    "failed": "bad",
}


def trials_table(result: TrialPage) -> Explorer:
    """A page of trials, which open, and the way to the other pages."""
    one = result.experiment
    importance = one.outcome.get("importance") or {}
    names: dict[str, None] = {}
    for trial in one.trials:
        names.update(dict.fromkeys(trial.params))
    params = sorted(names, key=lambda name: -importance.get(name, 0.0))[:PARAMS]
    metrics = [goal.metric for goal in one.goals]
    columns = [
        Column(key="number", label="Trial"),
        Column(key="status", label="Status", kind="badge"),
        *(Column(key=f"metrics.{name}", label=name, kind="number") for name in metrics),
        *(Column(key=f"params.{name}", label=name, kind=_kind(one, name)) for name in params),
        Column(key="seconds", label="Seconds", kind="number"),
    ]
    rows = [_row(trial, metrics, params) for trial in result.trials]
    example = _example(one, params)
    return Explorer(
        title="Trials",
        columns=columns,
        rows=rows,
        total=result.matching,
        pages=Query(verb="experiment-show", args={"name": one.id}, names={"search": "where"}),
        detail=Query(verb="experiment-show", args={"name": one.id}, names={"position": "trial"}),
        condition=example,
        empty="No trial fulfils this." if result.where else "No trial has begun yet.",
    )


def _row(trial: Trial, metrics: list[str], params: list[str]) -> dict[str, Any]:
    return {
        "key": str(trial.number),
        "number": str(trial.number),  # a name, and no amount
        "status": {"text": trial.status, "level": LEVELS.get(trial.status, "info")},
        **{f"metrics.{name}": trial.metrics.get(name) for name in metrics},
        **{f"params.{name}": _param(trial.params.get(name)) for name in params},
        "seconds": None if trial.seconds is None else float(f"{trial.seconds:.3g}"),
    }


def _kind(one: Experiment, name: str) -> CellKind:
    values = (trial.params[name] for trial in one.trials if name in trial.params)
    first = next(values, None)
    number = isinstance(first, int | float) and not isinstance(first, bool)
    return "number" if number else "text"


def _param(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number or value is None else param_text(value)[:200]


def _example(one: Experiment, params: list[str]) -> str:
    """A condition that a person could write of these trials."""
    named = [name for name in params if name.isidentifier() and _kind(one, name) == "number"]
    best = one.best
    if named and best is not None and named[0] in best.params:
        return f"{named[0]} < {best.params[named[0]]:.2g} and status = finished"
    return "status = finished"

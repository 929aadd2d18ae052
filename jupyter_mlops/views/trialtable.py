"""Trials in a table: a page of them here, the others asked for by page, order and condition."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments.browsing import TrialPage
from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views.blocks import CellKind, Column, Explorer, Level, Query
from jupyter_mlops.views.cells import decimals
from jupyter_mlops.views.params import param_text
from jupyter_mlops.views.plotting import thinned

__all__ = ["LEVELS", "trials_table"]

#: Parameters that get a column of their own.
PARAMS = 8
#: Trials that tell how many decimals their values have.
_SEEN = 200
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
    names: dict[str, Any] = {}
    for trial in one.trials:
        names.update(trial.params)
    params = sorted(names, key=lambda name: -importance.get(name, 0.0))[:PARAMS]
    metrics = [goal.metric for goal in one.goals]
    columns = [
        Column(key="number", label="Trial"),
        Column(key="status", label="Status", kind="badge"),
        *(_metric(one, name) for name in metrics),
        *(Column(key=f"params.{name}", label=name, kind=_kind(one, name)) for name in params),
        Column(
            key="seconds",
            label="Seconds",
            kind="number",
            digits=decimals(trial.seconds for trial in result.trials),
        ),
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


def _metric(one: Experiment, name: str) -> Column:
    """All pages are written alike, so what the first of them shows isn't enough."""
    values = (trial.metrics.get(name) for trial in thinned(one.finished, _SEEN))
    return Column(key=f"metrics.{name}", label=name, kind="number", digits=decimals(values))


def _row(trial: Trial, metrics: list[str], params: list[str]) -> dict[str, Any]:
    return {
        "key": str(trial.number),
        "number": str(trial.number),  # a name, and no amount
        "status": {"text": trial.status, "level": LEVELS.get(trial.status, "info")},
        **{f"metrics.{name}": trial.metrics.get(name) for name in metrics},
        **{f"params.{name}": _param(trial.params.get(name)) for name in params},
        "seconds": None if trial.seconds is None else round(trial.seconds, 3),
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

"""The best trial of an experiment as a cell: its parameters, and the line that registers it."""

from __future__ import annotations

import keyword
import math
from dataclasses import dataclass
from typing import Any

from jupyter_mlops.experiments.browsing import TrialDetail, find_trial, glance
from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.workspace import NotFound, Result, Workspace

__all__ = ["Winner", "cell_of", "winner"]

#: Digits of a run's id that tell it from all others.
_DIGITS = 12


@dataclass(frozen=True)
class Winner(Result):
    """A trial, and the cell that takes its parameters over.

    Attributes
    ----------
    cell : str
        Python assignments and, where its model was kept, a ``%mlops register`` line.
    """

    detail: TrialDetail
    cell: str


def winner(ws: Workspace, name: str, number: int | None = None) -> Winner:
    """The best trial of an experiment, or the one of that number, as a cell.

    Parameters
    ----------
    name : str
        As for `jupyter_mlops.experiments.studies.find_experiment`.

    Raises
    ------
    NotFound
        No trial has finished with a value, or there is none of that number.
    """
    if number is None:
        experiment = glance(ws, name)
        best = experiment.best
        if best is None:
            raise NotFound(
                f"experiment {experiment.name!r} has no winner",
                f"no trial has finished with {experiment.goal.metric}",
                f"`%mlops experiment show {experiment.name}` says how its trials ended",
                code="E-TRIALS-005",
            )
        name, number = experiment.id, best.number
    detail = find_trial(ws, name, number)
    return Winner(detail, cell_of(detail.experiment, detail.trial))


def cell_of(experiment: Experiment, trial: Trial) -> str:
    """The cell that takes a trial's parameters over.

    Values are written so that Python reads the same ones again; parameters whose names are no
    variables are bound together, as `params`.
    """
    value = trial.metrics.get(experiment.goal.metric)
    told = "" if value is None else f", {experiment.goal.metric} {value:.6g}"
    lines = [f"# Trial {trial.number} of experiment {experiment.name} ({experiment.short}){told}"]
    plain = {name: value for name, value in trial.params.items() if _can_be_bound(name)}
    odd = {name: value for name, value in trial.params.items() if name not in plain}
    lines += [f"{name} = {_written(value)}" for name, value in plain.items()]
    if odd:
        rows = [f"    {name!r}: {_written(value)}," for name, value in odd.items()]
        lines += ["params = {", *rows, "}"]
    if trial.has_model and trial.status == "finished":
        lines.append(f"%mlops register run:{trial.id[:_DIGITS]} {experiment.name}")
    return "\n".join(lines)


def _can_be_bound(name: str) -> bool:
    return name.isidentifier() and not keyword.iskeyword(name)


def _written(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return f'float("{value}")'
    return repr(value)

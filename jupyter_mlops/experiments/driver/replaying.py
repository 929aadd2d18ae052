"""Running a trial again from what was recorded, to see whether its numbers come out the same."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.experiments.clusters.forking import environment as variables
from jupyter_mlops.experiments.clusters.planning import cores
from jupyter_mlops.experiments.clusters.tether import ENVIRONMENT
from jupyter_mlops.experiments.driver.again import run_apart
from jupyter_mlops.experiments.driver.driving import template
from jupyter_mlops.experiments.driver.launching import shipments
from jupyter_mlops.experiments.driver.shipments import Shipment
from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.experiments.surroundings import Environment, environment
from jupyter_mlops.experiments.trials import Run, find_run
from jupyter_mlops.workspace import Invalid, Result, Workspace

__all__ = ["Verification", "verify"]

#: Sums in another order differ in their last digits.
_SAME: Final = 1e-9


@dataclass(frozen=True)
class Verification(Result):
    """A trial's numbers as recorded and as they came out again.

    Attributes
    ----------
    metrics : dict of str to (float, float or None)
        As recorded, and now.
    same : bool
        Whether all agree to a relative difference of 1e-9.
    notes : tuple of str
        What was different about this time.
    """

    run: Run
    metrics: dict[str, tuple[float, float | None]]
    same: bool
    seconds: float
    notes: tuple[str, ...] = ()


def verify(ws: Workspace, run_or_name: str) -> Verification:
    """Run a trial again, in a process of its own, with its parameters, seed and variables.

    It runs in the environment that the experiment names, else with this process's own Python.
    What comes of it is kept as an event, by which a model may be judged later.

    Parameters
    ----------
    ws : Workspace
    run_or_name : str
        A run that is a trial of an experiment.

    Raises
    ------
    Invalid
        The run isn't an experiment's trial: the values of its variables weren't kept. Or it fails
        this time.
    """
    found = find_run(ws, run_or_name)
    with ws.read() as session:
        trial = session.get_one(TrialRecord, found.id)
        row = None if trial.experiment is None else session.get(ExperimentRecord, trial.experiment)
        session.expunge_all()
    if row is None or trial.number is None:
        raise Invalid(
            f"run {found.short} can't be replayed",
            "its cell's variables weren't kept; those of an experiment's trials are",
            "run the notebook again",
            code="E-VERIFY-001",
        )
    shipment = Shipment.at(shipments(ws) / row.shipment)
    given = replace(
        template(row, str(shipment.folder), None),
        id=trial.id,
        number=trial.number,
        seed=trial.seed or 0,
        params=trial.params,
        only_given=True,
    )
    where, here = _where(ws, row)
    environ = variables(row.plan["workers"], cores())
    if row.plan["environment"]:
        environ = {**environ, ENVIRONMENT: row.plan["environment"]}
    outcome = run_apart(given, where, environ)
    if outcome.status == "failed":
        raise Invalid(
            f"run {found.short} fails when it is run again",
            outcome.error,
            "see whether what it reads from outside of the cell has changed",
            code="E-VERIFY-002",
        )
    pairs = {name: (value, outcome.metrics.get(name)) for name, value in trial.metrics.items()}
    changed = [name for name, pair in pairs.items() if not _same(*pair)]
    notes = _notes(found, here)
    with ws.write() as tx:
        payload = {"same": not changed, "changed": changed[:50], "notes": notes}
        tx.emit("run.verified", found.ref, payload=payload)
    return Verification(found, pairs, not changed, outcome.seconds, tuple(notes))


def _same(before: float, now: Any) -> bool:
    return now is not None and math.isclose(before, now, rel_tol=_SAME, abs_tol=1e-12)


def _where(ws: Workspace, row: ExperimentRecord) -> tuple[Path | None, Environment]:
    """The Python that trials of the experiment ran with, and its packages as they are now."""
    if not row.plan["environment"]:
        return None, environment()
    from jupyter_mlops.experiments import environments

    python = environments.interpreter(ws, row.plan["environment"])
    return python, environments.surroundings_of(python)


def _notes(found: Run, here: Environment) -> list[str]:
    if here.digest == found.environment:
        return []
    return ["The packages installed now aren't the ones that it ran with."]

"""Experiments as they are told to others: one with its trials, many, and finding one by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jupyter_mlops.experiments.records import CellRecord, ExperimentRecord, TrialRecord
from jupyter_mlops.experiments.trials import SHORT, SHORTEST_PREFIX, may_live
from jupyter_mlops.workspace import NotFound, Reference, Result, Workspace, closest
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Experiment", "Experiments", "Goal", "Trial", "experiments", "find_experiment"]

#: Nobody holds it any more: the process that ran it is gone.
ORPHANED: Final = "the process that ran it is gone; `experiment resume` goes on with it"


@dataclass(frozen=True)
class Goal:
    """A metric, and whether more of it is better.

    Examples
    --------
    >>> Goal("auc", True).better(0.8, 0.7)
    True
    """

    metric: str
    maximize: bool = False

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`; a number is better than none."""
        if math.isnan(a) or math.isnan(b):
            return not math.isnan(a)
        return a > b if self.maximize else a < b


@dataclass(frozen=True)
class Trial:
    """One trial of an experiment, without what only its own page shows.

    Attributes
    ----------
    id : str
        Of the run: ``run:`` and this refers to it.
    number : int
        Counted from 0 within the experiment.
    status : str
        ``running``, ``finished``, ``pruned``, ``failed``, ``stopped`` or ``interrupted``.
    metrics : dict of str to float
    params : dict
    curve : list of [step, value]
        What it reported on the way.
    attempts : int
        How often it was begun; more than one after a worker was lost.
    usage : dict of str to float
        ``cpu_seconds``, ``peak_bytes``, ``gpu_bytes``, ``gpu_share``, as far as known.
    has_model : bool
        Whether its model was kept and can be registered.
    """

    id: str
    number: int
    status: str
    started_at: datetime
    seconds: float | None
    metrics: dict[str, float]
    params: dict[str, Any]
    curve: list[list[float]]
    worker: str
    attempts: int
    usage: dict[str, float]
    error: str
    seed: int | None
    distributions: dict[str, Any]
    has_model: bool

    @classmethod
    def of(cls, row: TrialRecord) -> Trial:
        return cls(
            row.id,
            row.number or 0,
            row.status,
            row.started_at,
            row.seconds,
            row.metrics,
            row.params,
            row.curve,
            row.worker,
            row.attempts,
            row.usage,
            row.error,
            row.seed,
            row.distributions,
            bool(row.model.get("sha256")),
        )

    @property
    def ref(self) -> str:
        """``run:`` and the id."""
        return f"run:{self.id}"


@dataclass(frozen=True)
class Experiment(Result):
    """An experiment and its trials, by number.

    Attributes
    ----------
    goals : tuple of Goal
        The first is the one that the trials are ordered by.
    plan : dict
        What was asked for: ``trials``, ``sampler``, ``pruner``, ``timeout``, ``workers``, ….
    outcome : dict
        At the end: ``why``, ``best`` (numbers of the best trials; several where several metrics
        trade off), ``corrected``, ``optimism``, ``interval``, ``importance``.
    workers : tuple of dict
        While it runs, who works on it, as in `SearchStep`.
    cluster : dict of str to str
        While it runs, what it runs on: ``name``, ``kind``, ``dashboard``.
    queue : tuple of dict
        While it runs, parameters that a person wants tried next.
    stops : tuple of int
        While it runs, trials that a person wants stopped and that weren't yet.
    """

    id: str
    name: str
    status: str
    actor: str
    started_at: datetime
    ended_at: datetime | None
    goals: tuple[Goal, ...]
    plan: dict[str, Any]
    trials: tuple[Trial, ...]
    cell: str
    source: str
    environment: str
    data_ref: str | None
    seed: int
    outcome: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    error: str = ""
    workers: tuple[dict[str, Any], ...] = ()
    cluster: dict[str, str] = field(default_factory=dict)
    queue: tuple[dict[str, Any], ...] = ()
    stops: tuple[int, ...] = ()

    @property
    def short(self) -> str:
        """The first eight digits of the id."""
        return self.id[:SHORT]

    @property
    def ref(self) -> str:
        """``experiment:`` and the id."""
        return f"experiment:{self.id}"

    @property
    def goal(self) -> Goal:
        return self.goals[0]

    @cached_property
    def finished(self) -> tuple[Trial, ...]:
        """Trials that have the metric, the pruned ones left out."""
        return tuple(one for one in self.trials if one.status == "finished")

    def keeps(self, trial: Trial) -> bool:
        """Whether a trial keeps to the constraints; only then it can be the best."""
        wanted: list[str] = self.plan.get("constraints") or []
        return all(trial.metrics.get(name, math.inf) <= 0 for name in wanted)

    @cached_property
    def best(self) -> Trial | None:
        """The trial with the best value of the first metric, the earliest of equals.

        One that breaks a constraint isn't, however good it looks.
        """
        found: Trial | None = None
        for one in filter(self.keeps, self.finished):
            value = one.metrics.get(self.goal.metric, math.nan)
            known = math.nan if found is None else found.metrics.get(self.goal.metric, math.nan)
            if self.goal.better(value, known):
                found = one
        return found

    def count(self, status: str) -> int:
        """How many trials have that status."""
        return sum(one.status == status for one in self.trials)

    @property
    def seconds(self) -> float | None:
        """From its beginning to its end, or until now.

        Where its process died, until the last of its trials ended; None without its trials.
        """
        if self.ended_at is not None or self.status in {"running", "waiting"}:
            return ((self.ended_at or utcnow()) - self.started_at).total_seconds()
        ends = [one.started_at + timedelta(seconds=one.seconds or 0.0) for one in self.trials]
        return (max(ends) - self.started_at).total_seconds() if ends else None

    def __repr__(self) -> str:
        best = self.best
        shown = f", best {self.goal.metric}={best.metrics[self.goal.metric]:.4g}" if best else ""
        told = f"{self.name} {self.short}, {self.status}, {len(self.trials)} trials{shown}"
        return f"<experiment {told}>"


@dataclass(frozen=True)
class Experiments(Result, Sequence[Experiment]):
    """Experiments, the newest first, without their trials; `counts` and `bests` by id."""

    items: tuple[Experiment, ...]
    counts: dict[str, dict[str, int]]
    bests: dict[str, float]
    total: int

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def experiments(ws: Workspace, limit: int = 200) -> Experiments:
    """List experiments, the newest first, with the counts of their trials by status."""
    with ws.read() as session:
        total = session.scalar(select(func.count()).select_from(ExperimentRecord)) or 0
        rows = session.execute(
            select(ExperimentRecord, CellRecord)
            .join(CellRecord, ExperimentRecord.cell == CellRecord.id)
            .order_by(ExperimentRecord.started_at.desc(), ExperimentRecord.id)
            .limit(limit)
        ).all()
        items = tuple(_told(row, cell, ()) for row, cell in rows)
        counts: dict[str, dict[str, int]] = {one.id: {} for one in items}
        grouped = (
            select(TrialRecord.experiment, TrialRecord.status, func.count())
            .where(TrialRecord.experiment.in_(counts))
            .group_by(TrialRecord.experiment, TrialRecord.status)
        )
        for experiment, status, many in session.execute(grouped):
            counts[str(experiment)][status] = many
    bests = {one.id: one.outcome["value"] for one in items if "value" in one.outcome}
    return Experiments(items, counts, bests, total)


def find_experiment(
    ws: Workspace, experiment: str | Experiment, *, with_trials: bool = True
) -> Experiment:
    """Find the experiment a person means, with its trials.

    Parameters
    ----------
    ws : Workspace
    experiment : str or Experiment
        ``experiment:1f3c``, a unique prefix of an id, or a name, which means the latest.
    with_trials : bool
        Whether its trials are read too: thousands of them take a second.

    Raises
    ------
    NotFound
        Nothing fits, or several ids begin so.
    """
    name = experiment.id if isinstance(experiment, Experiment) else experiment
    name = Reference.parse(name, kind="experiment").name
    with ws.read() as session:
        row = _row(session, name)
        cell = session.get_one(CellRecord, row.cell)
        if not with_trials:
            return _told(row, cell, ())
        trials = session.scalars(
            select(TrialRecord).where(TrialRecord.experiment == row.id).order_by(TrialRecord.number)
        )
        return _told(row, cell, tuple(Trial.of(one) for one in trials))


def _row(session: Session, name: str) -> ExperimentRecord:
    latest = select(ExperimentRecord).where(ExperimentRecord.name == name)
    found = session.scalar(latest.order_by(ExperimentRecord.started_at.desc()).limit(1))
    if found is not None:
        return found
    if len(name) >= SHORTEST_PREFIX and set(name) <= set("0123456789abcdef"):
        query = select(ExperimentRecord).where(ExperimentRecord.id.startswith(name)).limit(2)
        several = list(session.scalars(query))
        if len(several) > 1:
            raise NotFound(
                f"more than one experiment begins with {name!r}",
                fix="write more of its digits",
                code="E-EXPERIMENT-002",
            )
        if several:
            return several[0]
    known = list(session.scalars(select(ExperimentRecord.name).distinct().limit(200)))
    raise NotFound(
        f"no experiment is called {name!r}",
        f"there are {', '.join(sorted(known)[:10])}" if known else "there are none yet",
        closest(name, known) or "`%mlops experiment ls` lists them",
        code="E-EXPERIMENT-001",
    )


def _told(row: ExperimentRecord, cell: CellRecord, trials: tuple[Trial, ...]) -> Experiment:
    goals = tuple(Goal(one["metric"], one["maximize"]) for one in row.plan["goals"])
    # Until it is summed up, how busy its workers are is kept where the sum will be.
    outcome = dict(row.outcome)
    workers, cluster = outcome.pop("workers", ()), outcome.pop("cluster", {})
    orphaned = row.status == "running" and not may_live(row.process)
    runs = row.status == "running" and not orphaned
    return Experiment(
        row.id,
        row.name,
        "interrupted" if orphaned else row.status,
        row.actor,
        row.started_at,
        row.ended_at,
        goals,
        row.plan,
        trials,
        cell.id,
        cell.source,
        cell.environment,
        cell.data_ref,
        cell.seed,
        outcome,
        tuple(row.notes),
        ORPHANED if orphaned else row.error,
        tuple(workers) if runs else (),
        cluster if runs else {},
        tuple(row.queue) if runs or row.status == "waiting" else (),
        tuple(row.stops) if runs else (),
    )

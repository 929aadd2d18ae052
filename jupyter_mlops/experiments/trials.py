"""Runs as they are told to others: one, many, and finding one by what a person writes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import psutil
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jupyter_mlops.experiments.records import CellRecord, TrialRecord
from jupyter_mlops.workspace import NotFound, Reference, Result, Workspace, closest
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Run", "Runs", "find_run", "may_live", "process_name", "runs", "settle"]

SHORT = 8
SHORTEST_PREFIX = 4
GONE = "its process ended before the cell did"


@dataclass(frozen=True)
class Run(Result):
    """One run of a sealed cell.

    Attributes
    ----------
    id : str
        32 hexadecimal digits; any unique prefix of four or more refers to it.
    status : str
        ``running``, ``finished``, ``failed`` or ``interrupted``.
    seconds : float or None
        How long the body ran.
    cell : str
        The sealed cell's digest.
    model : dict
        Of the model, as far as known: ``variable``, ``class``, ``task``, ``target``,
        ``classes``, ``features``, ``signature``, ``dtypes``, ``file``, ``sha256``.
    validation : dict
        Of the held-out rows: ``ref``, ``digest``, ``rows``, ``file``, ``key``, ``time``.
    notes : list of str
        Sentences a person should read.
    """

    id: str
    name: str
    status: str
    actor: str
    started_at: datetime
    seconds: float | None
    metrics: dict[str, float]
    params: dict[str, Any]
    cell: str
    seed: int
    data_ref: str | None
    source: str
    validity: str
    environment: str
    git: dict[str, Any]
    variables: dict[str, Any]
    modules: dict[str, str]
    model: dict[str, Any] = field(default_factory=dict)
    validation: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    error: str = ""
    mlflow_run_id: str | None = None
    mlflow_model_id: str | None = None
    sent: bool = False
    send_error: str = ""

    @classmethod
    def of(cls, trial: TrialRecord, cell: CellRecord) -> Run:
        return cls(
            trial.id,
            trial.name,
            trial.status,
            trial.actor,
            trial.started_at,
            trial.seconds,
            trial.metrics,
            trial.params,
            cell.id,
            cell.seed if trial.seed is None else trial.seed,
            cell.data_ref,
            cell.source,
            cell.validity,
            cell.environment,
            cell.git,
            cell.variables,
            cell.modules,
            trial.model,
            trial.validation,
            trial.notes,
            trial.error,
            trial.mlflow_run_id,
            trial.mlflow_model_id,
            trial.sent_at is not None,
            trial.send_error,
        )

    @property
    def short(self) -> str:
        """The first eight digits of the id."""
        return self.id[:SHORT]

    @property
    def ref(self) -> str:
        """``run:`` and the id."""
        return f"run:{self.id}"

    @property
    def task(self) -> str | None:
        return self.model.get("task")

    @property
    def target(self) -> str | None:
        return self.model.get("target")

    @property
    def features(self) -> list[str] | None:
        return self.model.get("features")

    @property
    def signature(self) -> dict[str, Any] | None:
        return self.model.get("signature")

    @property
    def has_model(self) -> bool:
        """Whether a model was kept that can be registered."""
        return bool(self.model.get("sha256"))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value:.4g}" for name, value in self.metrics.items())
        return f"<run {self.short} of {self.name}, {self.status}{': ' if shown else ''}{shown}>"


@dataclass(frozen=True)
class Runs(Result, Sequence[Run]):
    """Runs, the newest first; `total` counts all there are."""

    items: tuple[Run, ...]
    total: int
    name: str | None = None

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def runs(ws: Workspace, name: str | None = None, limit: int = 200) -> Runs:
    """List runs, the newest first.

    Parameters
    ----------
    ws : Workspace
    name : str, optional
        Only runs of the cell of that name; all but experiments' trials when left out.
    limit : int
        How many at the most.

    Raises
    ------
    NotFound
        No run has that name.
    """
    with ws.read() as session:
        query = select(TrialRecord, CellRecord).join(CellRecord, TrialRecord.cell == CellRecord.id)
        count = select(func.count()).select_from(TrialRecord)
        if name is None:
            # Trials by the thousand are listed with their experiment.
            query = query.where(TrialRecord.experiment.is_(None))
            count = count.where(TrialRecord.experiment.is_(None))
        if name is not None:
            query = query.where(TrialRecord.name == name)
            count = count.where(TrialRecord.name == name)
        total = session.scalar(count) or 0
        if name is not None and not total:
            raise _unknown(session, name)
        rows = session.execute(
            query.order_by(TrialRecord.started_at.desc(), TrialRecord.id).limit(limit)
        )
        return Runs(tuple(_as_it_is(trial, cell) for trial, cell in rows), total, name)


def _as_it_is(trial: TrialRecord, cell: CellRecord) -> Run:
    """The run, seen as interrupted when its process is gone and nobody has recorded so yet."""
    run = Run.of(trial, cell)
    if run.status == "running" and not may_live(trial.process):
        return replace(run, status="interrupted", error=GONE)
    return run


def find_run(ws: Workspace, run: str | Run, *, with_model: bool = False) -> Run:
    """Find the run a person means.

    Parameters
    ----------
    ws : Workspace
    run : str or Run
        ``run:1f3c``, a unique prefix of an id, or a name, which means its latest finished run.
    with_model : bool
        Pass over runs without a model when a name is given.

    Raises
    ------
    NotFound
        Nothing fits, or several ids begin so.
    """
    if isinstance(run, Run):
        run = run.id
    name = Reference.parse(run, kind="run").name
    joined = select(TrialRecord, CellRecord).join(CellRecord, TrialRecord.cell == CellRecord.id)
    with ws.read() as session:
        latest = (
            joined.where(TrialRecord.name == name, TrialRecord.status == "finished")
            .order_by(TrialRecord.started_at.desc())
            .limit(50)
        )
        for trial, cell in session.execute(latest):
            if not with_model or trial.model.get("sha256"):
                return Run.of(trial, cell)
        if len(name) >= SHORTEST_PREFIX and set(name) <= set("0123456789abcdef"):
            found = session.execute(joined.where(TrialRecord.id.startswith(name)).limit(2)).all()
            if len(found) > 1:
                raise NotFound(
                    f"more than one run begins with {name!r}",
                    fix="write more of its digits",
                    code="E-RUN-002",
                )
            if found:
                return Run.of(*found[0])
        raise _unknown(session, name)


def _unknown(session: Session, name: str) -> NotFound:
    known = list(session.scalars(select(TrialRecord.name).distinct().limit(200)))
    recent = session.scalars(
        select(TrialRecord.id).order_by(TrialRecord.started_at.desc()).limit(200)
    )
    shorts = [one[:SHORT] for one in recent]
    if name in known:
        return NotFound(
            f"no run of {name!r} has finished with what is needed here",
            fix=f"`%mlops runs {name}` tells how they ended",
            code="E-RUN-005",
        )
    return NotFound(
        f"no run is called {name!r}",
        f"there are runs of {', '.join(sorted(known)[:10])}" if known else "there are no runs yet",
        closest(name, [*known, *shorts]) or "`%mlops runs` lists them",
        code="E-RUN-001",
    )


def process_name(pid: int | None = None) -> str:
    """This process, or another of this machine, so that others can tell whether it lives."""
    found = psutil.Process(pid)
    return f"{socket.gethostname()}:{found.pid}:{int(found.create_time())}"


def settle(ws: Workspace) -> int:
    """Record that runs whose process is gone were interrupted; return how many."""
    with ws.read() as session:
        query = select(TrialRecord.id, TrialRecord.process).where(TrialRecord.status == "running")
        gone = [one for one, process in session.execute(query) if not may_live(process)]
    if not gone:
        return 0
    settled = 0
    with ws.write() as tx:
        for one in gone:
            trial = tx.session.get(TrialRecord, one)
            if trial is None or trial.status != "running":
                continue
            trial.status = "interrupted"
            trial.ended_at = utcnow()
            trial.error = GONE
            tx.emit("run.failed", f"run:{one}", payload={"status": "interrupted"})
            settled += 1
    return settled


def may_live(process: str) -> bool:
    """Whether the process may be alive; another machine's always may."""
    host, pid, started = process.rsplit(":", 2)
    if host != socket.gethostname():
        return True
    try:
        found = psutil.Process(int(pid))
        # A child that was killed stays as a zombie until it is reaped.
        same = abs(found.create_time() - int(started)) < 2
        return same and found.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False

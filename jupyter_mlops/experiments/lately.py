"""What was tried lately: experiments, and runs that are no experiment's trials."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.experiments.trials import may_live

__all__ = ["Attempt", "lately"]


@dataclass(frozen=True)
class Attempt:
    """An experiment or a run, in a line.

    Attributes
    ----------
    ref : str
        ``experiment:`` or ``run:`` and the id.
    done, total : int or None
        Trials that ended and that were asked for, of an experiment; None of a run, and where
        only time limits them.
    """

    ref: str
    name: str
    status: str
    at: datetime
    done: int | None = None
    total: int | None = None


def lately(session: Session, limit: int) -> tuple[list[Attempt], int]:
    """What runs, then the newest experiments and runs, and how many there are in all.

    Where a process is gone and nobody has recorded so yet, what it ran was interrupted.
    """
    alone = TrialRecord.experiment.is_(None)
    total = (session.scalar(select(func.count()).select_from(ExperimentRecord)) or 0) + (
        session.scalar(select(func.count()).select_from(TrialRecord).where(alone)) or 0
    )
    found = []
    rows = session.scalars(
        select(ExperimentRecord).order_by(ExperimentRecord.started_at.desc()).limit(limit)
    ).all()
    done = _done(session, [row.id for row in rows])
    for row in rows:
        asked = row.plan.get("trials")
        found.append(
            Attempt(f"experiment:{row.id}", row.name, _status(row.status, row.process),
                    row.ended_at or row.started_at, done.get(row.id, 0), asked)
        )  # fmt: skip
    runs = session.execute(
        select(TrialRecord.id, TrialRecord.name, TrialRecord.status, TrialRecord.process,
               TrialRecord.started_at, TrialRecord.ended_at)
        .where(alone).order_by(TrialRecord.started_at.desc()).limit(limit)
    ).tuples()  # fmt: skip
    for id_, name, status, process, began, ended in runs:
        found.append(Attempt(f"run:{id_}", name, _status(status, process), ended or began))
    found.sort(key=lambda one: one.at, reverse=True)
    found.sort(key=lambda one: one.status not in {"running", "waiting"})
    return found[:limit], total


def _done(session: Session, ids: list[str]) -> dict[str, int]:
    counted = session.execute(
        select(TrialRecord.experiment, func.count())
        .where(TrialRecord.experiment.in_(ids), TrialRecord.status != "running")
        .group_by(TrialRecord.experiment)
    ).tuples()
    return {str(experiment): many for experiment, many in counted}


def _status(status: str, process: str) -> str:
    return "interrupted" if status == "running" and not may_live(process) else status

"""The outbox: runs that ended and that MLflow hasn't heard of, and who is just sending them."""

from __future__ import annotations

import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sqlalchemy import String, bindparam, cast, or_, select, update

from jupyter_mlops.experiments.records import (
    CellRecord,
    EnvironmentRecord,
    ExperimentRecord,
    TrialRecord,
)
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["CLAIM", "Delivered", "Parcel", "claim", "is_sent", "pending", "settle"]

CLAIM: Final = timedelta(minutes=2)
_OVERDUE: Final = timedelta(minutes=1)


@dataclass(frozen=True)
class Parcel:
    """A run that this thread is to send: its rows as they were before it was claimed."""

    trial: TrialRecord
    cell: CellRecord
    packages: list[str]


@dataclass(frozen=True)
class Delivered:
    """Where a run is in MLflow."""

    run: str
    mlflow_run_id: str
    mlflow_model_id: str | None


def pending(ws: Workspace, limit: int = 1000, *, overdue: bool = False) -> list[str]:
    """Ids of runs that ended and that MLflow hasn't heard of, the oldest first.

    With `overdue` only those that the process which ran them should have sent by now. A trial
    whose model is kept waits until its experiment has ended: a better one may take its place.
    """
    ongoing = select(ExperimentRecord.id).where(ExperimentRecord.status == "running")
    query = (
        select(TrialRecord.id)
        .where(
            TrialRecord.sent_at.is_(None),
            TrialRecord.status != "running",
            or_(
                TrialRecord.experiment.is_(None),
                TrialRecord.experiment.not_in(ongoing),
                cast(TrialRecord.model, String) == "{}",
            ),
        )
        .order_by(TrialRecord.started_at, TrialRecord.number)
        .limit(limit)
    )
    if overdue:
        now = utcnow()
        unclaimed = or_(TrialRecord.claimed_until.is_(None), TrialRecord.claimed_until < now)
        query = query.where(TrialRecord.ended_at < now - _OVERDUE, unclaimed)
    with ws.read() as session:
        return list(session.scalars(query))


def is_sent(ws: Workspace, run: str) -> bool:
    """Whether MLflow has a run."""
    with ws.read() as session:
        return session.get_one(TrialRecord, run).sent_at is not None


def claim(ws: Workspace, runs: Sequence[str]) -> list[Parcel]:
    """Claim those of the runs that wait and that nobody else is sending, for two minutes."""
    now, me = utcnow(), f"{process_name()}:{threading.get_ident()}"
    with ws.write() as tx:
        waiting = select(TrialRecord).where(TrialRecord.id.in_(runs), TrialRecord.sent_at.is_(None))
        order = {run: place for place, run in enumerate(runs)}
        trials = sorted(
            (one for one in tx.session.scalars(waiting.with_for_update()) if _free(one, me)),
            key=lambda one: order[one.id],
        )
        cells = {
            cell.id: (cell, packages)
            for cell, packages in tx.session.execute(
                select(CellRecord, EnvironmentRecord.packages)
                .join(EnvironmentRecord, CellRecord.environment == EnvironmentRecord.digest)
                .where(CellRecord.id.in_({one.cell for one in trials}))
            )
        }
        # As they are now: whether an earlier attempt was made is asked of them.
        tx.session.expunge_all()
        tx.session.execute(
            update(TrialRecord)
            .where(TrialRecord.id.in_([one.id for one in trials]))
            .values(
                claimed_by=me,
                claimed_until=now + CLAIM,
                send_attempts=TrialRecord.send_attempts + 1,
            )
            .execution_options(synchronize_session=False)
        )
    return [Parcel(one, *cells[one.cell]) for one in trials]


def _free(trial: TrialRecord, me: str) -> bool:
    claimed = trial.claimed_until is not None and trial.claimed_until > utcnow()
    # The claim of a process that died is worth nothing, where that can be told.
    return not (claimed and may_live((trial.claimed_by or me).rpartition(":")[0]))


def settle(
    ws: Workspace, parcels: Sequence[Parcel], delivered: Collection[Delivered], error: str = ""
) -> None:
    """Record which of the claimed runs MLflow has; the others wait again.

    Parameters
    ----------
    error : str
        Why the first of those others couldn't be sent.
    """
    free = {"claimed_by": None, "claimed_until": None}
    done = {one.run for one in delivered}
    left = [one.trial.id for one in parcels if one.trial.id not in done]
    table = TrialRecord.__table__
    with ws.write() as tx:
        connection = tx.session.connection()
        if delivered:
            connection.execute(
                update(table)  # type: ignore[arg-type]
                .where(table.c.id == bindparam("_id"))
                .values(mlflow_run_id=bindparam("_run"), mlflow_model_id=bindparam("_model"),
                        sent_at=utcnow(), send_error="", **free),
                [{"_id": one.run, "_run": one.mlflow_run_id, "_model": one.mlflow_model_id}
                 for one in delivered],
            )  # fmt: skip
        if left:
            connection.execute(update(TrialRecord).where(TrialRecord.id.in_(left)).values(**free))
        if left and error:
            connection.execute(
                update(TrialRecord).where(TrialRecord.id == left[0]).values(send_error=error[:2000])
            )

"""An experiment in the store: each change is one transaction, made before anybody is told."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from jupyter_mlops.experiments.driver.trial import Outcome
from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.workspace import Conflict, Workspace
from jupyter_mlops.workspace.events import Told
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Journal", "Started", "Wishes"]


@dataclass
class Started:
    """A trial that was asked for and handed to a worker.

    Attributes
    ----------
    id : str
    attempt : int
        1 the first time; more after its worker, or the process that drove it, was lost.
    """

    number: int
    params: dict[str, Any]
    seed: int
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    attempt: int = 1
    at: datetime = field(default_factory=utcnow)


@dataclass(frozen=True)
class Wishes:
    """What people asked of a running experiment, from whichever process."""

    stop: bool
    stops: tuple[int, ...]
    queue: tuple[dict[str, Any], ...]


class Journal:
    """The store's side of one experiment that this process drives.

    Parameters
    ----------
    ws : Workspace
    experiment : str
        Its id.
    """

    def __init__(self, ws: Workspace, experiment: str) -> None:
        self.ws = ws
        with ws.read() as session:
            row = session.get_one(ExperimentRecord, experiment)
            session.expunge_all()
        self.row = row
        self.inputs = (f"cell:{row.cell}", f"experiment:{row.id}")
        self._process = process_name()
        self._known: set[str] = set()

    def take(self) -> list[TrialRecord]:
        """Become the one process that drives it; return its trials so far, by number.

        Raises
        ------
        Conflict
            Another process drives it.
        """
        with self.ws.write() as tx:
            row = tx.session.get_one(ExperimentRecord, self.row.id, with_for_update=True)
            mine = process_name()
            if row.status == "running" and row.process != mine and may_live(row.process):
                raise Conflict(
                    f"experiment {row.name!r} is running in another process",
                    row.process.rpartition(":")[0],
                    f"`%mlops experiment stop {row.name}` stops it",
                    code="E-EXPERIMENT-020",
                )
            row.status, row.process, row.desired = "running", mine, "running"
            row.ended_at, row.sent_at, row.error = None, None, ""
            trials = list(
                tx.session.scalars(
                    select(TrialRecord)
                    .where(TrialRecord.experiment == row.id)
                    .order_by(TrialRecord.number)
                )
            )
            if trials:
                tx.emit(
                    "experiment.resumed", f"experiment:{row.id}", payload={"trials": len(trials)}
                )
            tx.session.flush()
            tx.session.expunge_all()
        self._known = {one.id for one in trials}
        return trials

    def record(
        self,
        started: Sequence[Started],
        ended: Sequence[tuple[Started, Outcome]],
        dropped: Sequence[str] = (),
    ) -> None:
        """Record trials that began and trials that ended, in one transaction.

        The files of what ended are written first: a row never points at a file that isn't there.

        Parameters
        ----------
        started : sequence of Started
        ended : sequence of (Started, Outcome)
        dropped : sequence of str
            Trials whose model is no longer among those to be kept.
        """
        if not (started or ended or dropped):
            return
        rows = [self._ended(begun, outcome) for begun, outcome in ended]
        with self.ws.write() as tx:
            connection = tx.session.connection()
            # Not told by its attempts: a worker may have died of it before it is recorded.
            fresh = [self._started(one) for one in started if one.id not in self._known]
            if fresh:
                connection.execute(insert(TrialRecord), fresh)
            for one in started:
                if one.id in self._known:
                    connection.execute(
                        update(TrialRecord).where(TrialRecord.id == one.id),
                        {"status": "running", "attempts": one.attempt, "sent_at": None,
                         "process": self._process, "error": "", "ended_at": None},
                    )  # fmt: skip
            if rows:
                # Rows differ in nothing but their values, so that they go in one statement.
                columns: dict[str, Any] = {key: bindparam(key) for key in rows[0] if key != "_id"}
                connection.execute(
                    update(TrialRecord.__table__)  # type: ignore[arg-type]
                    .where(TrialRecord.__table__.c.id == bindparam("_id"))
                    .values(columns),
                    rows,
                )
            files = [f"runs/{trial}/predictions.parquet" for trial in dropped]
            for trial in dropped:
                kept = tx.session.scalar(select(TrialRecord.model).where(TrialRecord.id == trial))
                files += [kept["file"]] if kept and "file" in kept else []
                connection.execute(
                    update(TrialRecord).where(TrialRecord.id == trial),
                    {"model": {}, "validation": {}},
                )
            told = [self._told("run.started", one, {"number": one.number}) for one in started]
            for begun, outcome in ended:
                fine = outcome.status == "finished"
                payload: dict[str, Any] = {"number": begun.number, "status": outcome.status}
                payload |= {"metrics": outcome.metrics} if fine else {"reason": outcome.error[:500]}
                told.append(self._told("run.finished" if fine else "run.failed", begun, payload))
            tx.emit_all(told)
        self._known |= {one.id for one in started}
        for file in files:
            self.ws.artifacts.delete(file)

    def _told(self, kind: str, one: Started, payload: dict[str, Any]) -> Told:
        known = {"name": self.row.name, "experiment": self.row.id}
        return Told(kind, f"run:{one.id}", known | payload, self.inputs)

    def _started(self, one: Started) -> dict[str, Any]:
        return {
            "id": one.id,
            "name": self.row.name,
            "status": "running",
            "actor": self.ws.user,
            "process": self._process,
            "started_at": one.at,
            "cell": self.row.cell,
            "experiment": self.row.id,
            "number": one.number,
            "seed": one.seed,
            "params": one.params,
        }

    def _ended(self, begun: Started, outcome: Outcome) -> dict[str, Any]:
        model, validation = dict(outcome.model), dict(outcome.validation)
        write = self.ws.artifacts.write_bytes
        folder = f"runs/{begun.id}"
        if outcome.content is not None:
            model["file"] = f"{folder}/{model['file']}"
            model["sha256"] = hashlib.sha256(outcome.content).hexdigest()
            write(model["file"], outcome.content)
        if outcome.rows is not None:
            validation |= self.row.plan.get("validation", {})
            validation["file"] = f"{folder}/predictions.parquet"
            write(validation["file"], outcome.rows)
        if outcome.losses is not None:
            write(f"{folder}/losses-{outcome.losses_of}.f32", outcome.losses)
        if outcome.output:
            write(f"{folder}/output.txt", outcome.output.encode("utf-8", "replace"))
        for name, content in outcome.files.items():
            write(f"{folder}/{name}", content)
        return {
            "_id": begun.id,
            "status": outcome.status,
            "ended_at": utcnow(),
            "seconds": outcome.seconds,
            "params": outcome.params,
            "distributions": outcome.distributions,
            "metrics": outcome.metrics,
            "curve": outcome.curve,
            "error": outcome.error,
            "notes": outcome.notes,
            "usage": outcome.usage,
            "worker": outcome.worker,
            "attempts": begun.attempt,
            "model": model,
            "validation": validation,
        }

    def wishes(self) -> Wishes:
        """What people asked for since the last look; parameters are taken out of the queue."""
        with self.ws.read() as session:
            row = session.get_one(ExperimentRecord, self.row.id)
            found = Wishes(row.desired != "running", tuple(row.stops), tuple(row.queue))
        if found.queue or found.stops:
            with self.ws.write() as tx:
                row = tx.session.get_one(ExperimentRecord, self.row.id, with_for_update=True)
                found = Wishes(row.desired != "running", tuple(row.stops), tuple(row.queue))
                row.queue, row.stops = [], []
        return found

    def end(self, status: str, outcome: dict[str, Any], notes: Sequence[str], error: str) -> None:
        """Record how it ended."""
        with self.ws.write() as tx:
            row = tx.session.get_one(ExperimentRecord, self.row.id)
            row.status, row.ended_at = status, utcnow()
            row.outcome, row.notes, row.error = outcome, list(notes), error
            counted = tx.session.execute(
                select(TrialRecord.status, func.count())
                .where(TrialRecord.experiment == row.id)
                .group_by(TrialRecord.status)
            )
            payload = {"name": row.name, "trials": dict(counted.tuples().all())}
            if "value" in outcome:
                payload |= {"metric": row.plan["goals"][0]["metric"], "value": outcome["value"]}
            kind = "experiment.failed" if status == "failed" else "experiment.ended"
            tx.emit(kind, f"experiment:{row.id}", payload={**payload, "status": status},
                    inputs=[f"cell:{row.cell}"])  # fmt: skip

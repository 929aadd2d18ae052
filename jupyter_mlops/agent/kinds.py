"""The kinds of work that can be left to the agent: experiments, streams, batches, decisions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Sequence
from typing import Final, Generic, TypeVar

from sqlalchemy import func, select

from jupyter_mlops.agent.detached import Kind, Piece
from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.retraining.decisions import ACTIVE, end, unfinished
from jupyter_mlops.retraining.records import DecisionRecord
from jupyter_mlops.serving.records import BatchRecord, StreamRecord
from jupyter_mlops.workspace import Transaction, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["KINDS", "Batches", "Decisions", "Experiments", "Streams"]

Row = TypeVar("Row", StreamRecord, BatchRecord)
_ENDED: Final = ("finished", "pruned", "failed")


class Experiments:
    """Experiments, which consist of trials."""

    called = "experiment"
    fruit = "ending a trial"
    module = "jupyter_mlops.cli"

    def pieces(self, ws: Workspace) -> Sequence[Piece]:
        query = select(ExperimentRecord).where(
            ExperimentRecord.detached.is_(True), ExperimentRecord.status.in_(("waiting", "running"))
        )
        with ws.read() as session:
            rows = session.scalars(query).all()
            counting = (
                select(TrialRecord.experiment, func.count())
                .where(
                    TrialRecord.experiment.in_([row.id for row in rows]),
                    TrialRecord.status.in_(_ENDED),
                )
                .group_by(TrialRecord.experiment)
            )
            ended = Counter(dict(session.execute(counting).tuples().all()) if rows else {})
            return [
                Piece(
                    row.id, row.id[:8], row.process if row.status == "running" else "",
                    row.status == "running", ended[row.id], row.restarts,
                )
                for row in rows
            ]  # fmt: skip

    def arguments(self, ws: Workspace, piece: Piece) -> list[str]:
        return ["experiment", "resume", piece.key, "--workspace", str(ws.root)]

    def note(self, tx: Transaction, piece: Piece, restarts: int) -> bool:
        tx.session.get_one(ExperimentRecord, piece.key).restarts = restarts
        return True

    def give_up(self, tx: Transaction, piece: Piece, reason: str) -> None:
        row = tx.session.get_one(ExperimentRecord, piece.key)
        row.status, row.ended_at, row.error = "failed", utcnow(), reason
        payload = {"name": row.name, "status": "failed"}
        tx.emit("experiment.failed", f"experiment:{row.id}", payload=payload)


class _Flow(ABC, Generic[Row]):
    """What is declared to run, goes on record by record, and tells how far it is."""

    called: str
    fruit: str
    module: str
    record: type[Row]
    failed: str
    subject: str
    code: str

    def pieces(self, ws: Workspace) -> Sequence[Piece]:
        record = self.record
        query = select(record).where(record.detached.is_(True), record.desired == "running")
        with ws.read() as session:
            return [
                Piece(
                    *self.names(row), row.process or "",
                    row.started_at is not None and row.started_at >= row.declared_at,
                    self.done(row), row.restarts, row.error or "",
                )
                for row in session.scalars(query)
            ]  # fmt: skip

    @abstractmethod
    def names(self, row: Row) -> tuple[str, str]:
        """Its key, and what people call it."""

    @abstractmethod
    def done(self, row: Row) -> int:
        """How far it is."""

    def arguments(self, ws: Workspace, piece: Piece) -> list[str]:
        return ["--workspace", str(ws.root), piece.key]

    def note(self, tx: Transaction, piece: Piece, restarts: int) -> bool:
        row = tx.session.get_one(self.record, piece.key)
        row.restarts = restarts
        return row.desired == "running"

    def give_up(self, tx: Transaction, piece: Piece, reason: str) -> None:
        row = tx.session.get_one(self.record, piece.key)
        if row.desired != "running":
            return
        row.desired, row.state, row.ended_at, row.error = "stopped", "failed", utcnow(), reason
        payload = {"code": self.code, "reason": reason}
        tx.emit(self.failed, f"{self.subject}:{piece.key}", payload=payload)


class Streams(_Flow[StreamRecord]):
    """Streams, which consist of records."""

    called, fruit = "stream", "an answer"
    module = "jupyter_mlops.serving.streaming"
    record = StreamRecord
    failed, subject, code = "stream.failed", "stream", "E-AGENT-032"

    def names(self, row: StreamRecord) -> tuple[str, str]:
        return row.name, row.name

    def done(self, row: StreamRecord) -> int:
        return row.answered + row.refused


class Batches(_Flow[BatchRecord]):
    """Batch predictions, which consist of parts."""

    called, fruit = "predict", "a part"
    module = "jupyter_mlops.serving.batch"
    record = BatchRecord
    failed, subject, code = "prediction.batch_failed", "prediction", "E-AGENT-031"

    def names(self, row: BatchRecord) -> tuple[str, str]:
        return row.id, row.id[:8]

    def done(self, row: BatchRecord) -> int:
        return row.done


class Decisions:
    """Decisions of policies, which look, train and judge."""

    called = "decision"
    fruit = "getting further"
    module = "jupyter_mlops.retraining"

    def pieces(self, ws: Workspace) -> Sequence[Piece]:
        return [
            Piece(
                one.id, one.id[:8], process or "", one.attempts > 0, ACTIVE.index(one.state),
                one.attempts,
            )
            for one, process in unfinished(ws)
            if not one.dry
        ]  # fmt: skip

    def arguments(self, ws: Workspace, piece: Piece) -> list[str]:
        return ["--workspace", str(ws.root), piece.key]

    def note(self, tx: Transaction, piece: Piece, restarts: int) -> bool:
        # Whoever begins on it counts: that is what a person is shown.
        return tx.session.get_one(DecisionRecord, piece.key).state in ACTIVE

    def give_up(self, tx: Transaction, piece: Piece, reason: str) -> None:
        end(tx, piece.key, "failed", f"{reason[:1].upper()}{reason[1:]}.")


KINDS: Final[tuple[Kind, ...]] = (Experiments(), Streams(), Batches(), Decisions())

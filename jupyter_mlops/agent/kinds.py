"""The kinds of work that can be left to the agent: experiments, streams, batches, decisions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from sqlalchemy import func, select

from jupyter_mlops.agent.detached import Kind, Piece
from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.retraining.decisions import ACTIVE, end, unfinished
from jupyter_mlops.retraining.records import DecisionRecord
from jupyter_mlops.serving.records import BatchRecord, StreamRecord
from jupyter_mlops.workspace import Transaction, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["KINDS", "Batches", "Decisions", "Experiments", "Streams"]

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


class Streams:
    """Streams, which consist of records."""

    called = "stream"
    fruit = "an answer"
    module = "jupyter_mlops.serving.streaming"

    def pieces(self, ws: Workspace) -> Sequence[Piece]:
        query = select(StreamRecord).where(
            StreamRecord.detached.is_(True), StreamRecord.desired == "running"
        )
        with ws.read() as session:
            return [
                Piece(
                    row.name, row.name, row.process or "",
                    row.started_at is not None and row.started_at >= row.declared_at,
                    row.answered + row.refused, row.restarts, row.error or "",
                )
                for row in session.scalars(query)
            ]  # fmt: skip

    def arguments(self, ws: Workspace, piece: Piece) -> list[str]:
        return ["--workspace", str(ws.root), piece.key]

    def note(self, tx: Transaction, piece: Piece, restarts: int) -> bool:
        row = tx.session.get_one(StreamRecord, piece.key)
        row.restarts = restarts
        return row.desired == "running"

    def give_up(self, tx: Transaction, piece: Piece, reason: str) -> None:
        row = tx.session.get_one(StreamRecord, piece.key)
        if row.desired != "running":
            return
        row.desired, row.state, row.ended_at, row.error = "stopped", "failed", utcnow(), reason
        payload = {"code": "E-AGENT-030", "reason": reason}
        tx.emit("stream.failed", f"stream:{row.name}", payload=payload)


class Batches:
    """Batch predictions, which consist of parts."""

    called = "predict"
    fruit = "a part"
    module = "jupyter_mlops.serving.batch"

    def pieces(self, ws: Workspace) -> Sequence[Piece]:
        query = select(BatchRecord).where(
            BatchRecord.detached.is_(True), BatchRecord.desired == "running"
        )
        with ws.read() as session:
            return [
                Piece(
                    row.id, row.id[:8], row.process or "",
                    row.started_at is not None and row.started_at >= row.declared_at,
                    row.done, row.restarts, row.error or "",
                )
                for row in session.scalars(query)
            ]  # fmt: skip

    def arguments(self, ws: Workspace, piece: Piece) -> list[str]:
        return ["--workspace", str(ws.root), piece.key]

    def note(self, tx: Transaction, piece: Piece, restarts: int) -> bool:
        row = tx.session.get_one(BatchRecord, piece.key)
        row.restarts = restarts
        return row.desired == "running"

    def give_up(self, tx: Transaction, piece: Piece, reason: str) -> None:
        row = tx.session.get_one(BatchRecord, piece.key)
        if row.desired != "running":
            return
        row.desired, row.state, row.ended_at, row.error = "stopped", "failed", utcnow(), reason
        payload = {"code": "E-AGENT-031", "reason": reason}
        tx.emit("prediction.batch_failed", f"prediction:{row.id}", payload=payload)


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

"""Policies that are due, and decisions that must go on: a process for each."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from jupyter_mlops.agent.processes import Known, last_line, launch
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.models.records import ApprovalRecord
from jupyter_mlops.retraining.decisions import Decision, close, due, unfinished
from jupyter_mlops.retraining.records import DecisionRecord, PolicyRecord
from jupyter_mlops.serving.records import FeedbackRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Retraining"]

_LOOK: Final = 1.0
#: A process that dies so often takes its decision with it.
_ATTEMPTS: Final = 3
#: Approvals and the truth about promoted versions are looked at by a process of their own.
_SETTLE: Final = 5.0
_WATCHED: Final = timedelta(days=30)


class Retraining:
    """Begins decisions when they are due and watches their processes.

    They go on when the agent ends; the next one finds them by what the store says.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.busy = False
        self._children: dict[str, Known] = {}
        self._settling: Known | None = None
        self._settled = 0.0
        self._looked = 0.0
        self._seen: tuple[object, ...] = ()

    def step(self) -> None:
        """Look at the store when it is time, and start what should run."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with self.ws.read() as session:
            policies = session.scalar(
                select(func.count()).select_from(PolicyRecord).where(PolicyRecord.paused.is_(False))
            )
        due(self.ws, at_once=self.ws.settings.retrain_at_once)
        active = unfinished(self.ws)
        for decision, process in active:
            child = self._children.get(decision.id)
            if child is not None and child.alive():
                continue
            if process is not None and may_live(process):
                continue
            if not decision.dry:
                self._start(decision)
        # An agent that ended now would never see the next one become due.
        self.busy = bool(policies or active)
        if now - self._settled >= _SETTLE:
            self._settled = now
            self._settle()

    def _start(self, decision: Decision) -> None:
        log = self.ws.home / "logs" / f"decision-{decision.id[:8]}.log"
        if decision.attempts >= _ATTEMPTS:
            said = last_line(log)
            reason = f"Its process ended {_ATTEMPTS} times"
            close(
                self.ws,
                decision.ref,
                "failed",
                f"{reason}; its last words: {said}" if said else f"{reason}.",
            )
            return
        arguments = ["--workspace", str(self.ws.root), decision.id]
        self._children[decision.id] = launch(
            "jupyter_mlops.retraining", arguments, log, self.ws.root
        )

    def _settle(self) -> None:
        """Let a process look at approvals and promoted versions, when there is news of them."""
        if self._settling is not None and self._settling.alive():
            return
        with self.ws.read() as session:
            waiting = session.scalar(
                select(func.count())
                .select_from(DecisionRecord)
                .where(DecisionRecord.state == "waiting")
            )
            promoted = session.scalar(
                select(func.count())
                .select_from(DecisionRecord)
                .where(
                    DecisionRecord.state == "promoted",
                    DecisionRecord.ended_at > utcnow() - _WATCHED,
                )
            )
            if not waiting and not promoted:
                return
            news = (
                waiting and session.scalar(select(func.max(ApprovalRecord.approved_at))),
                promoted and session.scalar(select(func.count()).select_from(FeedbackRecord)),
                waiting,
                promoted,
            )
        if news == self._seen:
            return
        self._seen = news
        log = self.ws.home / "logs" / "decisions.log"
        arguments = ["--workspace", str(self.ws.root), "--settle"]
        self._settling = launch("jupyter_mlops.retraining", arguments, log, self.ws.root)

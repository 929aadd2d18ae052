"""Policies that are due, and what became of decisions that ended."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from jupyter_mlops.agent.processes import Known, launch
from jupyter_mlops.models.records import ApprovalRecord
from jupyter_mlops.retraining.decisions import due
from jupyter_mlops.retraining.records import DecisionRecord, PolicyRecord
from jupyter_mlops.serving.records import FeedbackRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Retraining"]

_LOOK: Final = 1.0
#: Approvals and the truth about promoted versions are looked at by a process of their own.
_SETTLE: Final = 5.0
_AGAIN: Final = 60.0
_WATCHED: Final = timedelta(days=30)


class Retraining:
    """Begins decisions when they are due; `detached` then runs them.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.busy = False
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
        # An agent that ended now would never see the next one become due.
        self.busy = bool(policies)
        if now - self._settled >= _SETTLE:
            self._settled = now
            self._settle()

    def _settle(self) -> None:
        """Let a process look at approvals and promoted versions, when there is news of them."""
        if self._settling is not None:
            if self._settling.alive():
                return
            if self._settling.exit_status():
                # It couldn't look, and looks again in a while.
                self._settling, self._seen = None, ()
                self._settled += _AGAIN
                return
            self._settling = None
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

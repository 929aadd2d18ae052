"""Queues of labeling tasks that are to be put in order again."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Final

from sqlalchemy import func, select

from jupyter_mlops.agent.processes import Known, launch
from jupyter_mlops.labeling.records import AnnotationRecord
from jupyter_mlops.labeling.timing import due
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Rankings"]

_LOOK: Final = 1.0
#: A ranking that failed is tried again after this, longer each time.
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 300.0
#: While somebody labels, the agent stays.
_LIVELY: Final = timedelta(minutes=5)


class Rankings:
    """Has queues put in order once a batch of labels has come, each by a process of its own.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.busy = False
        self._children: dict[str, Known] = {}
        self._pauses: dict[str, tuple[float, float]] = {}
        self._looked = 0.0

    def step(self) -> None:
        """Look at the store when it is time, and start what should run."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        waiting = due(self.ws)
        for task in list(self._pauses):
            if task not in waiting:
                del self._pauses[task]
        for task in waiting:
            self._begin(task, now)
        self.busy = any(child.alive() for child in self._children.values()) or self._labelled()

    def _begin(self, task: str, now: float) -> None:
        child = self._children.get(task)
        if child is not None and child.alive():
            return
        until, pause = self._pauses.get(task, (0.0, _FIRST_PAUSE))
        if now < until:
            return
        # It is due again only when more labels came; until the process wrote, it just failed.
        self._pauses[task] = (now + pause, min(_LONGEST_PAUSE, 2 * pause))
        log = self.ws.home / "logs" / "rankings.log"
        arguments = ["label", "rank", task, "--workspace", str(self.ws.root)]
        self._children[task] = launch("jupyter_mlops.cli", arguments, log, self.ws.root)

    def _labelled(self) -> bool:
        """Whether somebody labelled a moment ago in a task that a strategy chooses for."""
        if not self._pauses and not self._children:
            return False
        with self.ws.read() as session:
            newest = select(func.max(AnnotationRecord.number)).scalar_subquery()
            last = session.scalar(
                select(AnnotationRecord.stored_at).where(AnnotationRecord.number == newest)
            )
        return last is not None and last > utcnow() - _LIVELY

"""Experiments that were left to the agent: a process for each, begun again when it dies."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import select

from jupyter_mlops.agent.processes import Known, last_line, launch
from jupyter_mlops.experiments.records import ExperimentRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Detached"]

_LOOK: Final = 1.0
_RESTARTS: Final = 5


class Detached:
    """Starts and watches the processes of detached experiments.

    They go on when the agent ends; the next one finds them by what the store says.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.busy = False
        self._children: dict[str, Known] = {}
        self._due: dict[str, float] = {}
        self._looked = 0.0

    def step(self) -> None:
        """Look at the store when it is time, and start what should run."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with self.ws.read() as session:
            query = select(ExperimentRecord).where(
                ExperimentRecord.detached.is_(True),
                ExperimentRecord.status.in_(("waiting", "running")),
            )
            rows = list(session.scalars(query))
            session.expunge_all()
        self.busy = bool(rows)
        for row in rows:
            child = self._children.get(row.id)
            if child is not None and child.alive():
                continue
            if row.status == "running" and may_live(row.process):
                continue
            if now >= self._due.get(row.id, 0.0):
                self._start(row, now)

    def _start(self, row: ExperimentRecord, now: float) -> None:
        log = self.ws.home / "logs" / f"experiment-{row.id[:8]}.log"
        begun_before = row.id in self._children or row.status == "running"
        if begun_before and row.restarts >= _RESTARTS:
            self._give_up(row, last_line(log))
            return
        with self.ws.write("agent") as tx:
            kept = tx.session.get_one(ExperimentRecord, row.id)
            kept.restarts += int(begun_before)
        arguments = ["experiment", "resume", row.id, "--workspace", str(self.ws.root)]
        self._children[row.id] = launch("jupyter_mlops.cli", arguments, log, self.ws.root)
        # Each attempt waits twice as long as the one before.
        self._due[row.id] = now + 2.0 ** (row.restarts + 1)

    def _give_up(self, row: ExperimentRecord, said: str) -> None:
        with self.ws.write("agent") as tx:
            kept = tx.session.get_one(ExperimentRecord, row.id)
            kept.status, kept.ended_at = "failed", utcnow()
            reason = f"its process ended {_RESTARTS + 1} times"
            kept.error = f"{reason}; its last words: {said}" if said else reason
            payload = {"name": row.name, "status": "failed"}
            tx.emit("experiment.failed", f"experiment:{row.id}", payload=payload)

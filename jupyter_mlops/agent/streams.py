"""Streams that were left to the agent: a process for each, begun again when it dies."""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import select

from jupyter_mlops.agent.processes import Known, last_line, launch
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.serving.records import StreamRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["DetachedStreams"]

_LOOK: Final = 1.0
_FIRST, _LONGEST = 1.0, 60.0
#: Runs that end one after the other without an answer before a stream is given up.
_FRUITLESS: Final = 6


class DetachedStreams:
    """Starts and watches the processes of detached streams.

    They go on when the agent ends; the next one finds them by what the store says. A stream that
    gets something done is begun again however often it fails; one that doesn't is given up.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.busy = False
        self._children: dict[str, Known] = {}
        self._due: dict[str, float] = {}
        self._done: dict[str, int] = {}
        self._looked = 0.0

    def step(self) -> None:
        """Look at the store when it is time, and start what should run."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with self.ws.read() as session:
            query = select(StreamRecord).where(
                StreamRecord.detached.is_(True), StreamRecord.desired == "running"
            )
            rows = list(session.scalars(query))
            session.expunge_all()
        self.busy = bool(rows)
        for row in rows:
            child = self._children.get(row.name)
            if child is not None and child.alive():
                continue
            if row.process and may_live(row.process):
                continue
            if now >= self._due.get(row.name, 0.0):
                self._start(row, now)

    def _start(self, row: StreamRecord, now: float) -> None:
        log = self.ws.home / "logs" / f"stream-{row.name}.log"
        done = row.answered + row.refused
        began_before = row.started_at is not None and row.started_at >= row.declared_at
        again = began_before or row.name in self._children
        fruitful = done > self._done.get(row.name, -1)
        restarts = 0 if fruitful else row.restarts + int(again)
        self._done[row.name] = done
        if restarts >= _FRUITLESS:
            self._give_up(row, row.error or last_line(log))
            return
        with self.ws.write("agent") as tx:
            kept = tx.session.get_one(StreamRecord, row.name)
            if kept.desired != "running":
                return
            kept.restarts = restarts
        arguments = ["--workspace", str(self.ws.root), row.name]
        try:
            child = launch("jupyter_mlops.serving.streaming", arguments, log, self.ws.root)
            self._children[row.name] = child
        finally:
            # Each attempt waits twice as long as the one before.
            self._due[row.name] = now + min(_LONGEST, _FIRST * 2.0**restarts)

    def _give_up(self, row: StreamRecord, said: str) -> None:
        reason = f"its process ended {_FRUITLESS} times without an answer"
        with self.ws.write("agent") as tx:
            kept = tx.session.get_one(StreamRecord, row.name)
            if kept.desired != "running":
                return
            kept.desired, kept.state, kept.ended_at = "stopped", "failed", utcnow()
            kept.error = f"{reason}; its last words: {said}" if said else reason
            payload = {"code": "E-AGENT-030", "restarts": _FRUITLESS}
            tx.emit("stream.failed", f"stream:{row.name}", payload=payload)

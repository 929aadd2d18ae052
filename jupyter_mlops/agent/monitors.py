"""Checks that are due, what endpoints count, and what is to be told of alerts."""

from __future__ import annotations

import signal
import time
from typing import Final

from sqlalchemy import func, select

from jupyter_mlops.agent.processes import Known, last_line, launch
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.monitoring.alerts import active_keys, observe
from jupyter_mlops.monitoring.budget import LOOK
from jupyter_mlops.monitoring.levels import Levels
from jupyter_mlops.monitoring.live import Live
from jupyter_mlops.monitoring.monitors import Terms
from jupyter_mlops.monitoring.outbox import waiting
from jupyter_mlops.monitoring.records import DeliveryRecord, MonitorRecord
from jupyter_mlops.monitoring.watching import ATTEMPTS, follow_events, give_up
from jupyter_mlops.serving import places
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Monitoring"]

_LOOK: Final = 1.0
#: A check that takes longer won't end by itself.
_HANGS: Final = 3600.0


class Monitoring:
    """Begins checks when they are due, looks at what endpoints count, and has alerts told.

    Checks and sending are processes of their own: neither a large window nor a server that
    doesn't answer holds up the agent.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.busy = False
        self._children: dict[str, Known] = {}
        self._begun: dict[str, float] = {}
        self._sender: Known | None = None
        self._live, self._levels = Live(), Levels()
        self._looked = self._counted = 0.0

    def step(self) -> None:
        """Look at the store when it is time, and start what should run."""
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with self.ws.read() as session:
            query = select(MonitorRecord).where(MonitorRecord.paused.is_(False))
            rows = list(session.scalars(query))
            unsent = session.scalar(
                select(func.count())
                .select_from(DeliveryRecord)
                .where(DeliveryRecord.state == "waiting")
            )
            session.expunge_all()
        self.busy = bool(rows or unsent)
        for row in rows:
            if row.due_at <= utcnow():
                self._begin(row)
        if rows:
            follow_events(self.ws)
            if now - self._counted >= LOOK.total_seconds():
                self._counted = now
                self._count(rows, now)
        if unsent and (self._sender is None or not self._sender.alive()) and waiting(self.ws):
            arguments = ["--workspace", str(self.ws.root), "--send"]
            log = self.ws.home / "logs" / "alerts.log"
            self._sender = launch("jupyter_mlops.monitoring", arguments, log, self.ws.root)

    def _begin(self, row: MonitorRecord) -> None:
        child = self._children.get(row.endpoint)
        if child is not None and child.alive():
            if time.monotonic() - self._begun[row.endpoint] > _HANGS:
                child.send(signal.SIGKILL)
            return
        if row.process is not None and may_live(row.process):
            return
        log = self.ws.home / "logs" / f"monitor-{row.endpoint}.log"
        if row.attempts >= ATTEMPTS:
            said = last_line(log)
            reason = f"its process ended {ATTEMPTS} times"
            give_up(self.ws, row.endpoint, f"{reason}; its last words: {said}" if said else reason)
            return
        self._begun[row.endpoint] = time.monotonic()
        arguments = ["--workspace", str(self.ws.root), row.endpoint]
        self._children[row.endpoint] = launch(
            "jupyter_mlops.monitoring", arguments, log, self.ws.root
        )

    def _count(self, rows: list[MonitorRecord], now: float) -> None:
        for row in rows:
            state = places.read_state(places.state_path(self.ws, row.endpoint))
            terms = Terms.of(row.terms)
            found = self._live.look(row.endpoint, state, terms, now)
            found += self._levels.look(row.endpoint, state, terms, now)
            if not found:
                continue
            with self.ws.read() as session:
                active = active_keys(session)
            # What is well and has no alert changes nothing.
            if news := [one for one in found if one.bad or one.key in active]:
                observe(self.ws, news, good_checks=terms.good_checks)

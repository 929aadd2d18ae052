"""The one agent of a workspace, elected by a row in the store."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import psutil

from jupyter_mlops.agent.processes import Known
from jupyter_mlops.agent.records import AgentLeaseRecord
from jupyter_mlops.workspace import Result, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["AgentState", "Lease", "holder", "interpreter", "state"]

SECONDS = 15.0
RENEW_SECONDS = 4.0
_ROW = 1


@dataclass(frozen=True)
class AgentState(Result):
    """The workspace's agent.

    Attributes
    ----------
    running : bool
        Whether one holds the lease and lives, as far as can be told from here.
    pid : int or None
    host : str
    actor : str
        Who started it.
    started_at, heartbeat : datetime or None
    log : Path
        Its log file.
    """

    running: bool
    pid: int | None
    host: str
    actor: str
    started_at: datetime | None
    heartbeat: datetime | None
    log: Path


def state(ws: Workspace) -> AgentState:
    """Tell whether an agent runs."""
    log = ws.home / "logs" / "agent.log"
    with ws.read() as session:
        row = session.get(AgentLeaseRecord, _ROW)
        if row is None:
            return AgentState(False, None, "", "", None, None, log)
        running = row.expires > utcnow() and not _dead_here(row)
        return AgentState(running, row.pid, row.host, row.actor, row.started_at, row.heartbeat, log)


def interpreter(ws: Workspace) -> Path:
    """The Python that endpoints' gateways run in: the agent's, or this one that would start it."""
    found = state(ws)
    if found.running and found.pid is not None and found.host == socket.gethostname():
        try:
            python = Path(psutil.Process(found.pid).cmdline()[0])
        except (psutil.Error, IndexError):
            python = Path()  # it has ended since
        if python.is_absolute():
            return python
    return Path(sys.executable)


def holder(ws: Workspace) -> tuple[str, Known] | None:
    """The machine and the process of whoever has the lease."""
    with ws.read() as session:
        row = session.get(AgentLeaseRecord, _ROW)
        return None if row is None else (row.host, Known(row.pid, row.pid_created))


class Lease:
    """A claim to be the agent.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.holder = new_id()

    def acquire(self) -> bool:
        """Take the lease if nobody alive holds it."""
        now = utcnow()
        with self.ws.write("agent") as tx:
            row = tx.session.get(AgentLeaseRecord, _ROW)
            if row is not None and row.expires > now and not _dead_here(row):
                return row.holder == self.holder
            if row is None:
                row = AgentLeaseRecord(id=_ROW)
                tx.session.add(row)
            row.holder = self.holder
            row.pid = os.getpid()
            row.pid_created = psutil.Process().create_time()
            row.host = socket.gethostname()
            row.actor = self.ws.user
            row.started_at = row.heartbeat = now
            row.expires = now + timedelta(seconds=SECONDS)
        return True

    def renew(self) -> bool:
        """Say that we are alive; False when another has taken over."""
        now = utcnow()
        with self.ws.write("agent") as tx:
            row = tx.session.get(AgentLeaseRecord, _ROW)
            if row is None or row.holder != self.holder:
                return False
            row.heartbeat = now
            row.expires = now + timedelta(seconds=SECONDS)
        return True

    def release(self) -> None:
        """Give the lease back, so that the next agent need not wait for it to expire."""
        with self.ws.write("agent") as tx:
            row = tx.session.get(AgentLeaseRecord, _ROW)
            if row is not None and row.holder == self.holder:
                tx.session.delete(row)


def _dead_here(row: AgentLeaseRecord) -> bool:
    """Whether the holder ran on this machine and is gone."""
    return row.host == socket.gethostname() and not Known(row.pid, row.pid_created).alive()

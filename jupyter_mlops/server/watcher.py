"""What the server does in the background: it tells browsers what happened in the workspace.

Kernels, the agent, endpoints and other users' processes write to the store. A thread
reads the log's tail from there, so that no writer needs to know about the server.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tornado.ioloop import IOLoop

from jupyter_mlops.server.served import ServedWorkspace
from jupyter_mlops.server.traffic import TrafficLook
from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Event, Workspace

__all__ = ["SCHEMA_ID", "Watcher"]

SCHEMA_ID = "https://schema.jupyter-mlops.org/event/v1"
ACTIVITY = "jupyter_mlops_last_activity"
"""Setting that keeps an idle-culler away while something runs."""
CHECK_SECONDS = 15.0
TRAFFIC_SECONDS = 2.0
"""Between two looks at what endpoints answer: what follows them can't be read faster."""
RETRY_SECONDS = 5.0
BATCH = 200


class Watcher:
    """A thread that follows the workspace's log, and looks after the agent.

    Parameters
    ----------
    served : ServedWorkspace
        The workspace; there may be none yet.
    emit : callable
        Takes ``schema_id`` and ``data``; called on the event loop.
    settings : dict
        The web application's settings, where activity is noted.
    log : logging.Logger
    interval : float
        Seconds between two looks at the log.
    start_agent : bool
        Whether to start the agent when something needs it.
    """

    def __init__(
        self,
        served: ServedWorkspace,
        *,
        emit: Callable[..., Any],
        settings: dict[str, Any],
        log: logging.Logger,
        interval: float,
        start_agent: bool,
    ) -> None:
        self.served = served
        self.emit = emit
        self.settings = settings
        self.log = log
        self.interval = interval
        self.start_agent = start_agent
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._home: tuple[Path, int] | None = None
        self._seen = 0
        self._next_check = 0.0
        self._traffic = TrafficLook()
        self._next_traffic = 0.0

    def start(self) -> None:
        """Begin; called on the event loop."""
        self._loop = IOLoop.current()
        # What was there before the server is no news.
        self._thread = threading.Thread(target=self._follow, name="mlops-watcher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _follow(self) -> None:
        waiting = not self.served.exists()
        failing = False
        while not self._stopped.wait(RETRY_SECONDS if failing else self.interval):
            try:
                self._look(from_start=waiting)
            except MLOpsError as error:
                if not failing:
                    self.log.warning("mlops: %s", error)
                failing = True
            else:
                failing = False

    def _look(self, from_start: bool) -> None:
        if not self.served.exists():
            self._home = None
            return
        workspace = self.served.open(create=False)
        home = (workspace.home, workspace.home.stat().st_ino)
        if home != self._home:
            newest = workspace.events(limit=1, newest=True)
            # All of a workspace that came into being under our eyes is news.
            self._seen = newest[0].seq if newest and not from_start else 0
            self._home, self._next_check = home, 0.0
            self._traffic = TrafficLook()
        events = workspace.events(after=self._seen, limit=BATCH)
        full = events
        while full:
            self._seen = full[-1].seq
            self._loop.add_callback(self._tell, full)
            # A search records faster than one look at a time is read.
            full = workspace.events(after=self._seen, limit=BATCH) if len(full) == BATCH else []
        if events or time.monotonic() >= self._next_check:
            self._next_check = time.monotonic() + CHECK_SECONDS
            self._care(workspace)
        if time.monotonic() >= self._next_traffic:
            self._next_traffic = time.monotonic() + TRAFFIC_SECONDS
            for name in self._traffic.moved(workspace):
                self._loop.add_callback(self._tell_traffic, name)

    def _tell_traffic(self, name: str) -> None:
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        data = {"seq": self._seen, "kind": "endpoint.traffic", "actor": "", "at": at}
        self.emit(schema_id=SCHEMA_ID, data=data | {"subject": f"endpoint:{name}"})

    def tell_progress(
        self, job: str, actor: str, done: int, total: int | None, seconds: float
    ) -> None:
        """Say how far somebody's verb is; called from the thread that runs it."""
        at = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        data = {"seq": max(1, self._seen), "kind": "job.progress", "actor": actor, "at": at}
        data |= {"subject": f"job:{job}", "done": done, "seconds": seconds}
        if total is not None:
            data["total"] = total
        self._loop.add_callback(self.emit, schema_id=SCHEMA_ID, data=data)

    def _tell(self, events: list[Event]) -> None:
        for event in digested(events):
            self.emit(schema_id=SCHEMA_ID, data=payload(event))

    def _care(self, workspace: Workspace) -> None:
        """Have the agent run where there is work for it, and note that there is."""
        from sqlalchemy import func, select

        from jupyter_mlops.serving.records import EndpointRecord

        query = select(func.count()).where(EndpointRecord.desired == "running")
        with workspace.read() as session:
            wanted = session.scalar(query) or 0
        if not wanted:
            return
        self.settings[ACTIVITY] = datetime.now(UTC)
        if self.start_agent:
            from jupyter_mlops import agent

            agent.ensure(workspace)


def digested(events: list[Event]) -> list[Event]:
    """The events without those that others of the same kind, which say as much, follow.

    An experiment's trials end, and people label, faster than anybody looks; telling it takes a
    server longer than keeping it.
    """
    last = {key: event.seq for event in events if (key := _much_told(event))}
    return [event for event in events if last.get(_much_told(event), event.seq) == event.seq]


def _much_told(event: Event) -> tuple[str, ...]:
    """What an event has in common with those that stand for it; empty when it stands alone."""
    if "experiment" in event.payload:
        return event.kind, str(event.payload["experiment"])
    return (event.kind, event.subject, event.actor) if event.kind == "label.committed" else ()


def payload(event: Event) -> dict[str, Any]:
    """What browsers are told of an event: enough to know what to ask for again."""
    experiment = event.payload.get("experiment")
    return {
        **({"experiment": experiment} if isinstance(experiment, str) else {}),
        "seq": event.seq,
        "kind": event.kind,
        "subject": event.subject,
        "actor": event.actor,
        "at": event.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
    }

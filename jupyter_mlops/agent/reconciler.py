"""Make endpoints as they were declared: one look at the store, one step, again and again."""

from __future__ import annotations

import contextlib
import socket
import time
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from jupyter_mlops.agent import instances
from jupyter_mlops.agent.instances import Instance
from jupyter_mlops.agent.processes import last_line
from jupyter_mlops.serving import places
from jupyter_mlops.serving.process import TAKEN, WRONG
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import MLOpsError, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Reconciler"]

START_SECONDS = 120.0
SILENT_SECONDS = 15.0
STEADY_SECONDS = 60.0
CRASHES = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0


@dataclass
class _Watch:
    """What the agent remembers of an endpoint between two looks."""

    instances: list[Instance] = field(default_factory=list)
    crashes: int = 0
    not_before: float = 0.0
    next_check: float = 0.0

    def of(self, generation: int) -> Instance | None:
        """The process of a generation."""
        return next((one for one in self.instances if one.generation == generation), None)


class Reconciler:
    """Starts, watches, replaces and ends endpoint processes.

    Parameters
    ----------
    ws : Workspace

    Notes
    -----
    Processes that live when the reconciler is made are adopted, never started twice: each
    holds a lock on its generation for as long as it lives.
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._watched: dict[str, _Watch] = {}
        for instance in instances.find(ws):
            self._watch(instance.name).instances.append(instance)

    def _watch(self, name: str) -> _Watch:
        return self._watched.setdefault(name, _Watch())

    @property
    def busy(self) -> bool:
        """Whether any process runs or should run."""
        return self._wanted or any(watch.instances for watch in self._watched.values())

    _wanted = False

    def step(self) -> None:
        """Look at every endpoint once and do what is due; never waits."""
        with self.ws.read() as session:
            rows = list(session.scalars(select(EndpointRecord)))
            session.expunge_all()
        self._wanted = any(row.desired == "running" and row.state != "failed" for row in rows)
        for row in rows:
            watch = self._watch(row.name)
            if row.desired == "running":
                self._keep(row, watch)
            else:
                self._stop(row, watch)

    def end_all(self) -> None:
        """Tell every process to finish, and wait for none."""
        for watch in self._watched.values():
            for one in watch.instances:
                one.end()

    def _keep(self, row: EndpointRecord, watch: _Watch) -> None:
        current = watch.of(row.generation)
        if current is None:
            if row.failed != row.generation and time.monotonic() >= watch.not_before:
                self._start(row, watch)
        elif not current.process.alive():
            self._ended(row, watch, current)
        else:
            self._check(row, watch, current)
        for old in [one for one in watch.instances if one.generation != row.generation]:
            if not old.process.alive():
                self._drop(watch, old)
                if row.serving == old.generation:
                    self._record(row, serving=None, pid=None)
            elif row.serving == row.generation:
                old.end()

    def _start(self, row: EndpointRecord, watch: _Watch) -> None:
        older = [one for one in watch.instances if one.process.alive()]
        port = row.port
        takeover = False
        for one in older:
            held = one.state().get("port")
            if held and port in (0, held):
                port, takeover = held, True
        if port == 0 and row.url:
            # Callers keep their URL over restarts, unless somebody else took the port.
            port = _free_again(int(row.url.rpartition(":")[2]))
        try:
            watch.instances.append(instances.start(self.ws, row, port=port, takeover=takeover))
        except (MLOpsError, OSError) as error:
            self._crashed(row, watch, _as_reason(error))
            return
        if not older:
            self._record(row, state="starting")

    def _check(self, row: EndpointRecord, watch: _Watch, current: Instance) -> None:
        now = time.monotonic()
        if row.serving == row.generation and row.pid == current.process.pid:
            if current.ready_since is None:
                current.ready_since = now  # adopted
            if watch.crashes and now - current.ready_since > STEADY_SECONDS:
                watch.crashes = 0
            if now >= watch.next_check:
                watch.next_check = now + 1.0
                self._listen(current)
            return
        state = current.state()
        if state.get("ready"):
            current.ready_since = now
            self._ready(row, current, state)
        elif now - current.since > START_SECONDS:
            current.kill()

    def _listen(self, current: Instance) -> None:
        """Kill a process that neither writes its state nor answers."""
        state = current.state()
        if time.time() - state.get("at", 0) < SILENT_SECONDS:
            current.silent = 0
            return
        # A full disk makes the state old, too: only silence on the line is a reason.
        current.silent = 0 if _answers(state.get("url", "")) else current.silent + 1
        if current.silent >= 3:
            current.kill()

    def _ready(self, row: EndpointRecord, current: Instance, state: dict[str, Any]) -> None:
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.generation != row.generation or found.desired != "running":
                return  # declared anew meanwhile: the next look sees it
            found.state, found.reason = "ready", None
            found.serving, found.failed = row.generation, None
            found.pid, found.pid_created = current.process.pid, state["created"]
            found.host, found.url = socket.gethostname(), state["url"]
            found.ready_at = utcnow()
            tx.emit(
                "endpoint.ready",
                f"endpoint:{row.name}",
                payload={
                    "generation": row.generation,
                    "pid": current.process.pid,
                    "url": state["url"],
                    "digest": row.digest,
                },
                inputs=[f"model:{row.model}@{row.version}"],
            )

    def _ended(self, row: EndpointRecord, watch: _Watch, current: Instance) -> None:
        state = current.state()
        status = current.process.exit_status()
        self._drop(watch, current)
        if status == TAKEN:
            # Started by an agent before this one, that died before it could say so.
            for found in instances.find(self.ws):
                if found.name == row.name and watch.of(found.generation) is None:
                    watch.instances.append(found)
            watch.not_before = time.monotonic() + FIRST_PAUSE
            return
        reason = state.get("error")
        if status == WRONG or reason:
            self._failed(row, watch, reason or self._last_words(row.name, status))
        else:
            self._crashed(row, watch, self._last_words(row.name, status))

    def _crashed(self, row: EndpointRecord, watch: _Watch, reason: dict[str, str]) -> None:
        watch.crashes += 1
        if watch.crashes >= CRASHES:
            reason = {**reason, "why": f"it ended {watch.crashes} times; {reason['why']}"}
            self._failed(row, watch, reason)
            return
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (watch.crashes - 1))
        watch.not_before = time.monotonic() + pause
        serving = None if row.serving == row.generation else row.serving
        values: dict[str, Any] = {"restarts": row.restarts + 1, "serving": serving}
        if serving is None:
            values |= {"state": "starting", "pid": None, "reason": reason}
        self._record(row, **values)

    def _failed(self, row: EndpointRecord, watch: _Watch, reason: dict[str, str]) -> None:
        watch.crashes = 0
        goes_on = any(one.process.alive() for one in watch.instances)
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.generation != row.generation:
                return
            found.failed, found.reason = row.generation, reason
            if not goes_on:
                found.state, found.serving, found.pid = "failed", None, None
            tx.emit(
                "endpoint.failed",
                f"endpoint:{row.name}",
                payload={"generation": row.generation, "code": reason.get("code", "")},
                inputs=[f"model:{row.model}@{row.version}"],
            )

    def _stop(self, row: EndpointRecord, watch: _Watch) -> None:
        for one in list(watch.instances):
            if one.process.alive():
                one.end()
            else:
                self._drop(watch, one)
        if watch.instances or row.state == "stopped":
            return
        watch.crashes, watch.not_before = 0, 0.0
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.desired != "stopped":
                return
            found.state, found.serving, found.pid, found.reason = "stopped", None, None, None
            tx.emit("endpoint.stopped", f"endpoint:{row.name}")

    def _drop(self, watch: _Watch, instance: Instance) -> None:
        watch.instances.remove(instance)
        instance.forget()

    def _record(self, row: EndpointRecord, **values: Any) -> None:
        """Write what was found, unless the endpoint was declared anew meanwhile."""
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.generation == row.generation and found.desired == row.desired:
                for column, value in values.items():
                    setattr(found, column, value)

    def _last_words(self, name: str, status: int | None) -> dict[str, str]:
        log = places.log_path(self.ws, name)
        how = f"killed by signal {-status}" if status is not None and status < 0 else "it ended"
        if status is not None and status > 0:
            how = f"exit status {status}"
        said = last_line(log)
        return {
            "code": "E-AGENT-010",
            "what": "the endpoint's process ended by itself",
            "why": f"{how}; its last words: {said}" if said else how,
            "fix": f"read {log}",
        }


def _as_reason(error: Exception) -> dict[str, str]:
    if isinstance(error, MLOpsError):
        return error.as_dict()
    return {
        "code": "E-AGENT-011",
        "what": "the endpoint's files cannot be written",
        "why": str(error),
        "fix": "make room, or make the workspace writable",
    }


def _answers(url: str) -> bool:
    import httpx  # needed when something is wrong, and slow to load

    try:
        return httpx.get(f"{url}/v2/health/live", timeout=1.0, trust_env=False).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False


def _free_again(port: int) -> int:
    """Return `port` if it can be taken, else 0 for any."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port

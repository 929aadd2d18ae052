"""Make endpoints as they were declared: one look at the store, one step, again and again."""

from __future__ import annotations

import math
import socket
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from jupyter_mlops.agent import instances
from jupyter_mlops.agent.gpus import Holdings, gpus_of
from jupyter_mlops.agent.instances import Instance
from jupyter_mlops.agent.ports import ports_of
from jupyter_mlops.agent.reasons import as_reason, last_words
from jupyter_mlops.experiments.gpus.leases import Lease
from jupyter_mlops.serving import places
from jupyter_mlops.serving.config import Gpus
from jupyter_mlops.serving.process import TAKEN, WRONG
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import MLOpsError, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Reconciler"]

START_SECONDS = 120.0
#: Until a process has said its first word.
MUTE_SECONDS = 30.0
SILENT_SECONDS = 15.0
STEADY_SECONDS = 10.0
CRASHES = 5
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 30.0
#: The longest for one that did answer: whoever ended it, its callers wait.
_SERVED_PAUSE = 0.5
_SOON = 0.02
#: Why one that has answered may not begin again at once: its port is taken, or its model's process
#: was killed while it was loaded. It is tried again.
_PASSING = {"E-SERVE-022", "E-SERVE-025"}


@dataclass
class _Watch:
    """What the agent remembers of an endpoint between two looks."""

    instance: Instance | None = None
    crashes: int = 0
    not_before: float = 0.0
    #: Since when its port is waited for.
    barred: float | None = None
    next_check: float = 0.0


class Reconciler:
    """Starts, watches, replaces and ends endpoint processes.

    Parameters
    ----------
    ws : Workspace

    Notes
    -----
    Processes that live when the reconciler is made are adopted, never started twice: each
    holds a lock on its endpoint for as long as it lives.
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self.holdings = Holdings(ws)
        self._watched: dict[str, _Watch] = {}
        for instance in instances.find(ws):
            self._watch(instance.name).instance = instance

    def _watch(self, name: str) -> _Watch:
        return self._watched.setdefault(name, _Watch())

    @property
    def busy(self) -> bool:
        """Whether any process runs or should run."""
        return self._wanted or any(watch.instance for watch in self._watched.values())

    _wanted = False

    @property
    def patience(self) -> float:
        """Seconds until it is worth to look again: few while somebody waits for a process."""
        now = time.monotonic()
        under_way = [
            now - (one.told_to_end or one.since)
            for watch in self._watched.values()
            if (one := watch.instance) is not None
            and (one.told_to_end is not None or one.settled != one.told)
        ]
        under_way += [now - one.barred for one in self._watched.values() if one.barred is not None]
        return max(_SOON, min(under_way) / 10) if under_way else math.inf

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

    def close(self) -> None:
        """Wait for no GPU any more; endpoints go on."""
        self.holdings.close()

    def end_all(self) -> None:
        """Tell every process to finish, and wait for none."""
        for watch in self._watched.values():
            if watch.instance is not None:
                watch.instance.end()

    def _keep(self, row: EndpointRecord, watch: _Watch) -> None:
        current = watch.instance
        if current is None:
            if row.failed != row.generation and time.monotonic() >= watch.not_before:
                self._start(row, watch)
        elif not current.process.alive():
            self._ended(row, watch, current)
        elif current.told_to_end is not None or self._elsewhere(row, current):
            current.end()  # it starts again where it should listen, with the GPUs it should hold
        elif current.told != row.generation:
            try:
                current.tell(self.ws, row, self._shares(row, current))
            except OSError as error:
                self._failed(row, watch, as_reason(error))
        else:
            self._check(row, watch, current)

    def _elsewhere(self, row: EndpointRecord, current: Instance) -> bool:
        held = current.state().get("port")
        if row.port and held and row.port != held:
            return True
        gpus = current.gpus
        if gpus is None:
            return bool(row.gpus or row.gpu_memory)
        return (len(gpus.devices), gpus.memory) != (row.gpus or 1, row.gpu_memory) or not (
            row.gpus or row.gpu_memory
        )

    def _shares(self, row: EndpointRecord, current: Instance) -> Gpus | None:
        """What each of the processes that are declared now may use of what is held."""
        if current.gpus is None:
            return None
        held = current.gpus
        lease = Lease(held.lease, tuple(held.devices), held.memory, self.ws)
        return gpus_of(lease, row)

    def _start(self, row: EndpointRecord, watch: _Watch) -> None:
        now = time.monotonic()
        ports = ports_of(row, 0.0 if watch.barred is None else now - watch.barred)
        if ports is None:
            watch.barred = watch.barred or now
            return
        watch.barred = None
        lease: Lease | None = None
        gpus: Gpus | None = None
        if row.gpus or row.gpu_memory:
            try:
                lease = self.holdings.take(row)
            except MLOpsError as error:
                self._failed(row, watch, as_reason(error))
                return
            if lease is None:
                if row.state != "waiting":
                    self._record(row, state="waiting")
                return
            gpus = gpus_of(lease, row)
        try:
            watch.instance = instances.start(
                self.ws, row, port=ports[0], grpc_port=ports[1], gpus=gpus
            )
        except (MLOpsError, OSError) as error:
            self.holdings.give_back(gpus)
            self._crashed(row, watch, as_reason(error))
            return
        if lease is not None and not lease.bind(watch.instance.process.pid):
            watch.instance.end()  # somebody took it back at this very moment: it begins again
        self._record(row, state="starting")

    def _check(self, row: EndpointRecord, watch: _Watch, current: Instance) -> None:
        now = time.monotonic()
        # Whether it serves what is declared, or the one before because that can't be served.
        known = row.generation in (row.serving, row.failed)
        settled = known and row.pid == current.process.pid
        if settled and now < watch.next_check:
            return
        watch.next_check = now + 1.0
        state = current.state()
        if settled:
            current.settled = row.generation
            if current.ready_since is None:
                current.ready_since = now  # adopted
            if watch.crashes and now - current.ready_since > STEADY_SECONDS:
                watch.crashes = 0
            self._withdrawn(row, state)
            self._listen(current)
            if self.holdings.lost(current):
                current.end()  # it begins again when it is given others
            return
        watch.next_check = 0.0
        failed = state.get("failed") or {}
        if state.get("ready") and state.get("generation") == row.generation:
            current.ready_since = current.ready_since or now
            self._ready(row, current, state)
        elif failed.get("generation") == row.generation:
            self._failed(row, watch, failed["error"])
        elif not state.get("ready") and now - current.since > (
            START_SECONDS if state else MUTE_SECONDS
        ):
            current.kill()

    def _withdrawn(self, row: EndpointRecord, state: dict[str, Any]) -> None:
        """Record that the endpoint went back by itself from a version that did worse."""
        told = state.get("withdrawn")
        if not told or told["generation"] != row.generation:
            return
        beside = [one for one in row.beside if one["role"] != told["role"]]
        primary = told["primary"]
        if beside == row.beside and primary["version"] == row.version:
            return
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.generation != row.generation:
                return
            found.beside = beside
            if found.version != primary["version"]:
                for name, value in primary.items():
                    setattr(found, name, value)
                found.run_id = None
            found.reason = {
                "code": "E-AGENT-012",
                "what": f"version {told['version']} was withdrawn",
                "why": told["reason"],
                "fix": "",
            }
            tx.emit(
                "endpoint.rolled_back",
                f"endpoint:{row.name}",
                payload={key: told[key] for key in ("version", "role", "reason")},
                inputs=[f"model:{primary['model']}@{primary['version']}"],
            )

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
            found.grpc_url = state.get("grpc_url") or found.grpc_url
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
        if status == TAKEN:
            # Started by an agent before this one, that died before it could say so.
            watch.instance = next(
                (one for one in instances.find(self.ws) if one.name == row.name), None
            )
            watch.not_before = time.monotonic() + FIRST_PAUSE
            return
        self._drop(watch, current)
        if current.told_to_end is not None:
            return
        told = state.get("error")
        reason = told or last_words(places.log_path(self.ws, row.name), status)
        answered = row.ready_at is not None and row.ready_at >= row.declared_at
        passing = answered and reason.get("code") in _PASSING
        if (status == WRONG or told) and not passing:
            self._failed(row, watch, reason)
        else:
            self._crashed(row, watch, reason, served=current.ready_since is not None)

    def _crashed(
        self, row: EndpointRecord, watch: _Watch, reason: dict[str, str], *, served: bool = False
    ) -> None:
        watch.crashes += 1
        if watch.crashes >= CRASHES and not served:
            reason = {**reason, "why": f"it ended {watch.crashes} times; {reason['why']}"}
            self._failed(row, watch, reason)
            return
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (watch.crashes - 1))
        if served:
            # One that was killed is no crash loop: it comes back soon, however often.
            pause = 0.0 if watch.crashes == 1 else min(_SERVED_PAUSE, pause)
        watch.not_before = time.monotonic() + pause
        self._record(
            row, restarts=row.restarts + 1, serving=None, state="starting", pid=None, reason=reason
        )

    def _failed(self, row: EndpointRecord, watch: _Watch, reason: dict[str, str]) -> None:
        watch.crashes = 0
        goes_on = watch.instance is not None and watch.instance.process.alive()
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
        if watch.instance is not None:
            if watch.instance.process.alive():
                watch.instance.end()
            else:
                self._drop(watch, watch.instance)
        if watch.instance is not None or row.state == "stopped":
            return
        self.holdings.forget(row.name)
        watch.crashes, watch.not_before, watch.barred = 0, 0.0, None
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.desired != "stopped":
                return
            found.state, found.serving, found.pid, found.reason = "stopped", None, None, None
            tx.emit("endpoint.stopped", f"endpoint:{row.name}")

    def _drop(self, watch: _Watch, instance: Instance) -> None:
        watch.instance = None
        instance.forget()
        self.holdings.give_back(instance.gpus)

    def _record(self, row: EndpointRecord, **values: Any) -> None:
        """Write what was found, unless the endpoint was declared anew meanwhile."""
        with self.ws.write("agent") as tx:
            found = tx.session.get_one(EndpointRecord, row.name)
            if found.generation == row.generation and found.desired == row.desired:
                for column, value in values.items():
                    setattr(found, column, value)


def _answers(url: str) -> bool:
    import httpx  # needed when something is wrong, and slow to load

    try:
        return httpx.get(f"{url}/v2/health/live", timeout=1.0, trust_env=False).is_success
    except (httpx.HTTPError, httpx.InvalidURL):
        return False

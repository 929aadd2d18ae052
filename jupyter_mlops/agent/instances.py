"""Endpoint processes: started, found again after a restart of the agent, ended."""

from __future__ import annotations

import contextlib
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_mlops.agent.processes import Known, fork, launch
from jupyter_mlops.models.waivers import waived
from jupyter_mlops.serving import places, zygote
from jupyter_mlops.serving.config import Deployment, EndpointConfig, Gpus
from jupyter_mlops.serving.declarations import contract_mode, limits
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import Invalid, Workspace

__all__ = ["Instance", "find", "start"]

_STATE_FILE = re.compile(r"endpoint-(.+)\.json")
KILL_SECONDS = 30.0


@dataclass
class Instance:
    """The process that serves, or is about to serve, an endpoint.

    Attributes
    ----------
    told : int
        The generation that it was last told to serve.
    gpus : Gpus or None
        What it holds.
    settled : int
        The generation of which is known what became of it.
    """

    name: str
    told: int
    process: Known
    state_file: Path
    since: float = field(default_factory=time.monotonic)
    ready_since: float | None = None
    told_to_end: float | None = None
    silent: int = 0
    gpus: Gpus | None = None
    settled: int = 0

    def state(self) -> dict[str, Any]:
        """What the process says about itself; empty before it does."""
        state = places.read_state(self.state_file)
        return state if state.get("pid") == self.process.pid else {}

    def tell(self, ws: Workspace, row: EndpointRecord, gpus: Gpus | None = None) -> None:
        """Have it serve what `row` declares now."""
        self.gpus = gpus
        config = _config(ws, row, row.port, row.grpc_port, gpus)
        config.write(self.state_file.with_suffix(".config"))
        self.told, self.since = row.generation, time.monotonic()
        if self.state().get("ready"):
            # It would see the file within a second by itself.
            self.process.send(signal.SIGHUP)

    def end(self) -> None:
        """Ask it to finish; kill it when it does not."""
        now = time.monotonic()
        if self.told_to_end is None:
            self.told_to_end = now
            self.process.send(signal.SIGTERM)
        elif now - self.told_to_end > KILL_SECONDS:
            self.process.send(signal.SIGKILL)

    def kill(self) -> None:
        """End it at once: it does not answer."""
        self.process.send(signal.SIGKILL)

    def forget(self) -> None:
        """Remove the files of a process that has ended."""
        for suffix in (".json", ".lock", ".config"):
            self.state_file.with_suffix(suffix).unlink(missing_ok=True)


def start(
    ws: Workspace,
    row: EndpointRecord,
    *,
    port: int,
    grpc_port: int | None = None,
    gpus: Gpus | None = None,
) -> Instance:
    """Start a process for what `row` declares.

    Raises
    ------
    Unavailable
        There is no room for its files, or no process can be started.
    """
    state_file = places.state_path(ws, row.name)
    state_file.parent.mkdir(mode=0o700, exist_ok=True)
    path = state_file.with_suffix(".config")
    _config(ws, row, port, grpc_port, gpus).write(path)
    log = places.log_path(ws, row.name)
    process: Known | None = None
    if zygote.available():
        # What it imports takes a second, or has been imported by the process it is forked from.
        with contextlib.suppress(OSError):
            process = fork("gateway", {"config": str(path)}, log, ws.root)
    if process is None:
        process = launch("jupyter_mlops.serving.process", ["--config", str(path)], log, ws.root)
    return Instance(row.name, row.generation, process, state_file, gpus=gpus)


def _config(
    ws: Workspace, row: EndpointRecord, port: int, grpc_port: int | None, gpus: Gpus | None
) -> EndpointConfig:
    allowed = limits(ws, row.name)
    return EndpointConfig(
        endpoint=row.name,
        model=row.model,
        version=row.version,
        digest=row.digest,
        path=row.path,
        traffic=str(places.traffic_folder(ws, row.name)),
        state=str(places.state_path(ws, row.name)),
        token_sha256=row.token_sha256,
        port=port,
        grpc_port=grpc_port,
        key=row.key,
        time=row.time,
        contract=contract_mode(ws, row.name),
        generation=row.generation,
        beside=[
            Deployment(**{**one, "pickles": waived(ws, one["model"]) is not None})
            for one in row.beside
        ],
        # Looked up at each start: a waiver that was withdrawn opens nothing any more.
        pickles=waived(ws, row.model) is not None,
        max_body=ws.settings.body_limit,
        max_rows=ws.settings.row_limit,
        replicas=row.replicas,
        max_memory=row.max_memory,
        predict_seconds=allowed.seconds,
        max_waiting=allowed.queue,
        environment=row.environment,
        interpreter=row.interpreter,
        gpus=gpus,
        log=LogPolicy.of(row.log),
        hash_key=str(places.hash_key_path(ws)),
    )


def find(ws: Workspace) -> Iterator[Instance]:
    """Find the processes that an agent before this one started, and that live."""
    folder = ws.home / "run"
    for path in sorted(folder.glob("endpoint-*.json")):
        match = _STATE_FILE.fullmatch(path.name)
        state = places.read_state(path)
        if match is None or "pid" not in state:
            continue
        process = Known(int(state["pid"]), float(state["created"]))
        if process.alive():
            generation = int(state.get("generation", 0))
            yield Instance(match[1], generation, process, path, gpus=_held(path))


def _held(state_file: Path) -> Gpus | None:
    """What a process was given, as its configuration says."""
    try:
        return EndpointConfig.read(state_file.with_suffix(".config")).gpus
    except Invalid:
        return None  # it goes on with what it has, and the broker knows its lease

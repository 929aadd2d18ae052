"""Endpoints as the workspace records them: declared here, made so by the agent."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from jupyter_mlops.serving import breaches
from jupyter_mlops.serving.breaches import Breach
from jupyter_mlops.serving.config import Deployment
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.places import read_state, state_path, token_path, traffic_folder
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import (
    Invalid,
    NotFound,
    Reference,
    Result,
    Workspace,
    closest,
)

if TYPE_CHECKING:
    pass

__all__ = ["Endpoint", "Endpoints", "get", "list_endpoints", "retire"]


@dataclass(frozen=True)
class Endpoint(Result):
    """An endpoint, as declared and as found.

    Attributes
    ----------
    name : str
    state : str
        ``declared``, ``waiting`` (for a GPU), ``starting``, ``ready``, ``failed``, ``stopping``
        or ``stopped``.
    model, version, digest : str
        What should be served.
    serves : str
        The version that answers now; empty when none does.
    url : str
        Where it listens, ``http://127.0.0.1:PORT``.
    grpc_url : str
        Where it listens for gRPC, ``127.0.0.1:PORT``; empty when it does not.
    token_path : Path
        The file with its bearer token, readable by its owner.
    key, time : str or None
        Request columns logged as business key and event time.
    reason : str
        Why it failed.
    live : dict
        Figures of the running process: requests, rows, errors, failures by HTTP status, p50_ms,
        p95_ms, p99_ms, cpu_percent, memory_bytes, and traffic in buckets of five seconds.
    inputs : tuple of (str, str, bool)
        Name and type of each column it takes, and whether it must be there.
    example : dict
        The first row of the model's input example; empty when none was logged.
    choices : dict of str to tuple of str
        The values of columns whose model's contract lists them.
    breaches : tuple of Breach
        How many rows ever broke the contracts of its versions.
    gpu_bytes : int or None
        GPU memory that the models' processes hold; None when they hold none.
    beside : tuple of Deployment
        Canary and shadow.
    replicas : int
        Processes of each version.
    environment : str
        The managed environment that the version runs in; empty for the agent's own.
    gpus, gpu_memory : int
        What it holds of the GPUs while it runs: whole ones, or bytes on one.
    log : LogPolicy
        What is written down.
    watch : object
        How it is watched, put here by those who know; None when nobody was asked.
    """

    name: str
    state: str
    model: str
    version: str
    run_id: str | None
    digest: str
    serves: str
    url: str
    token_path: Path
    key: str | None
    time: str | None
    reason: str
    pid: int | None
    restarts: int
    actor: str
    declared_at: datetime
    ready_at: datetime | None
    live: dict[str, Any]
    inputs: tuple[tuple[str, str, bool], ...] = ()
    detailed: bool = True
    beside: tuple[Deployment, ...] = ()
    replicas: int = 1
    environment: str = ""
    gpus: int = 0
    gpu_memory: int = 0
    log: LogPolicy = field(default_factory=LogPolicy)
    grpc_url: str = ""
    example: dict[str, Any] = field(default_factory=dict)
    choices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    breaches: tuple[Breach, ...] = ()
    gpu_bytes: int | None = None
    watch: Any = field(default=None, compare=False, repr=False)

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.name}"

    @property
    def model_ref(self) -> str:
        """``model:name@version``."""
        return f"model:{self.model}@{self.version}"


@dataclass(frozen=True)
class Endpoints(Result, Sequence[Endpoint]):
    """All endpoints, those that run first."""

    items: tuple[Endpoint, ...]

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def retire(ws: Workspace, name: str) -> str:
    """Record that an endpoint should stop; return its bare name.

    Raises
    ------
    NotFound
        There is no such endpoint.
    """
    name = Reference.parse(name, kind="endpoint").name
    with ws.write() as tx:
        row = tx.session.get(EndpointRecord, name)
        if row is not None:
            if row.desired == "running":
                row.desired, row.state = "stopped", "stopping"
            return name
    raise _unknown(ws, name)


def get(ws: Workspace, name: str) -> Endpoint:
    """Return an endpoint with the figures of its process.

    Raises
    ------
    NotFound
        There is no such endpoint.
    """
    name = Reference.parse(name, kind="endpoint").name
    with ws.read() as session:
        row = session.get(EndpointRecord, name)
        if row is not None:
            return _endpoint(ws, row, detailed=True)
    raise _unknown(ws, name)


def list_endpoints(ws: Workspace) -> Endpoints:
    """Return all endpoints, those that run first."""
    with ws.read() as session:
        rows = session.scalars(select(EndpointRecord).order_by(EndpointRecord.name)).all()
        found = [_endpoint(ws, row, detailed=False) for row in rows]
    return Endpoints(tuple(sorted(found, key=lambda one: one.state == "stopped")))


def _endpoint(ws: Workspace, row: EndpointRecord, *, detailed: bool) -> Endpoint:
    live: dict[str, Any] = {}
    if row.serving is not None:
        live = read_state(state_path(ws, row.name))
        if live.get("pid") != row.pid:
            live = {}
        elif clock.time() - live.get("at", 0) > 10:
            live["stale"] = True
    details = _details(Path(row.path), live) if detailed else {}
    if detailed:
        details["breaches"] = tuple(breaches.read(traffic_folder(ws, row.name)))
    reason = row.reason or {}
    return Endpoint(
        name=row.name,
        state=row.state,
        model=row.model,
        version=row.version,
        run_id=row.run_id,
        digest=row.digest,
        serves=str(live.get("version", "")),
        url=row.url or "",
        token_path=token_path(ws, row.name),
        key=row.key,
        time=row.time,
        reason=": ".join(filter(None, (reason.get("what"), reason.get("why")))),
        pid=row.pid,
        restarts=row.restarts,
        actor=row.actor,
        declared_at=row.declared_at,
        ready_at=row.ready_at,
        live=live,
        detailed=detailed,
        beside=tuple(Deployment(**one) for one in row.beside),
        replicas=row.replicas,
        environment=row.environment,
        gpus=row.gpus,
        gpu_memory=row.gpu_memory,
        log=LogPolicy.of(row.log),
        grpc_url="" if row.grpc_port is None else row.grpc_url or "",
        **details,
    )


def _details(folder: Path, live: dict[str, Any]) -> dict[str, Any]:
    """What is read from the model's own files, and from the machine."""
    from jupyter_mlops.serving.expectations import domains
    from jupyter_mlops.serving.modelfile import first_row, read_model_file

    pids = [pid for one in live.get("versions", []) for pid in one["processes"]]
    gpu = {"gpu_bytes": _gpu_bytes(pids)} if pids else {}
    try:
        file = read_model_file(folder)
    except (OSError, Invalid, NotFound):
        return gpu  # its state says what is wrong with the model's files
    return {
        **gpu,
        "inputs": tuple((one.name, one.type.name, one.required) for one in file.fields),
        "example": first_row(file),
        "choices": domains(folder),
    }


def _gpu_bytes(pids: Sequence[int]) -> int | None:
    from jupyter_mlops.experiments.gpus import devices

    held = [one.processes[pid] for one in devices() for pid in pids if pid in one.processes]
    return sum(one or 0 for one in held) if held else None


def _unknown(ws: Workspace, name: str) -> NotFound:
    with ws.read() as session:
        known = sorted(session.scalars(select(EndpointRecord.name)))
    return NotFound(
        f"no endpoint is called '{name}'",
        f"there are {', '.join(known[:20])}" if known else "there is none yet",
        closest(name, known) or "`%mlops serve MODEL` makes one",
        code="E-SERVE-034",
    )

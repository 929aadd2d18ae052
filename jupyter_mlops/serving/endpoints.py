"""Endpoints as the workspace records them: declared here, made so by the agent."""

from __future__ import annotations

import hashlib
import time as clock
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sqlalchemy import select

from jupyter_mlops.serving.config import Deployment, Role
from jupyter_mlops.serving.places import make_token, read_state, state_path, token_path
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import (
    Conflict,
    Invalid,
    NotFound,
    Reference,
    Result,
    Workspace,
    check_name,
    closest,
    events,
)
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jupyter_mlops.serving.expectations import Mode

__all__ = ["Endpoint", "Endpoints", "contract_mode", "declare", "get", "list_endpoints", "retire"]


class Served(Protocol):
    """What serving takes of a registered version; `models.ModelVersion` is one."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def run_id(self) -> str: ...
    @property
    def digest(self) -> str: ...
    @property
    def ref(self) -> str: ...
    def path(self, ws: Workspace) -> Path: ...


@dataclass(frozen=True)
class Endpoint(Result):
    """An endpoint, as declared and as found.

    Attributes
    ----------
    name : str
    state : str
        ``declared``, ``starting``, ``ready``, ``failed``, ``stopping`` or ``stopped``.
    model, version, digest : str
        What should be served.
    serves : str
        The version that answers now; empty when none does.
    url : str
        Where it listens, ``http://127.0.0.1:PORT``.
    token_path : Path
        The file with its bearer token, readable by its owner.
    key, time : str or None
        Request columns logged as business key and event time.
    reason : str
        Why it failed.
    live : dict
        Figures of the running process: requests, rows, errors, p50_ms, p99_ms, cpu_percent,
        memory_bytes, and traffic in buckets of five seconds.
    inputs : tuple of (str, str, bool)
        Name and type of each column it takes, and whether it must be there.
    beside : tuple of Deployment
        Canary and shadow.
    replicas : int
        Processes of each version.
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


def declare(
    ws: Workspace,
    version: Served,
    name: str | None = None,
    *,
    port: int | None = None,
    key: str | None = None,
    time: str | None = None,
    contract: Mode | None = None,
    canary: tuple[Served, float] | Literal["off"] | None = None,
    shadow: Served | Literal["off"] | None = None,
    replicas: int | None = None,
    max_memory: int | None = None,
) -> int:
    """Record that an endpoint should serve a version; the agent makes it so.

    Declaring what is served already changes nothing. What isn't given stays as it was declared
    before; a canary or shadow that becomes the version served is no longer one.

    Parameters
    ----------
    ws : Workspace
    version : ModelVersion
    name : str, optional
        Default: the model's name.
    port : int, optional
        Port on 127.0.0.1; default: a free one, kept over restarts.
    key, time : str, optional
        Request columns that are logged as business key and event time.
    contract : {"observe", "enforce", "off"}, optional
        What happens to rows that break the model's contract; as declared before, or observe.
    canary : tuple of (ModelVersion, float), or "off", optional
        A version that answers a share of the requests, above 0 and below 1.
    shadow : ModelVersion or "off", optional
        A version that predicts what is asked and is compared, unheard.
    replicas : int, optional
        Processes of each version.
    max_memory : int, optional
        Bytes each process may take; 0 for as much as there is.

    Returns
    -------
    int
        The endpoint's generation, to wait for.

    Raises
    ------
    Invalid
        The model has no signature or inputs that cannot be served, or the port is none.
    Conflict
        Another endpoint of the workspace has the port.
    """
    name = check_name(name or version.name, "endpoint")
    if port is not None and not 1024 <= port <= 65535:
        raise Invalid(
            f"an endpoint cannot listen on port {port}",
            fix="choose one from 1024 to 65535, or leave it out to take a free one",
            code="E-SERVE-030",
        )
    if replicas is not None and not 1 <= replicas <= 64:
        raise Invalid(f"an endpoint can't have {replicas} processes", "1 to 64 are possible",
                      code="E-SERVE-035")  # fmt: skip
    path = _checked(ws, version)
    token_sha256 = hashlib.sha256(make_token(ws, name).encode()).hexdigest()
    with ws.write() as tx:
        row = tx.session.get(EndpointRecord, name)
        wanted: dict[str, Any] = {
            "desired": "running",
            "model": version.name,
            "version": str(version.version),
            "run_id": version.run_id,
            "digest": version.digest,
            "path": str(path),
            "token_sha256": token_sha256,
            "key": key or (row.key if row else None),
            "time": time or (row.time if row else None),
            "port": port or (row.port if row else 0),
            "replicas": replicas or (row.replicas if row else 1),
            "max_memory": (row.max_memory if row else 0) if max_memory is None else max_memory,
        }
        if port:
            _check_port(tx.session, name, port)
        before = _declared_mode(tx.session, name)
        mode = contract or before
        wanted["beside"] = _beside(ws, row.beside if row else [], version, mode, canary, shadow)
        if row is not None:
            same = all(getattr(row, column) == value for column, value in wanted.items())
            same = same and mode == before
            if same and row.failed != row.generation:
                return row.generation
            for column, value in wanted.items():
                setattr(row, column, value)
            row.generation += 1
            if row.serving is None:
                row.state, row.reason = "declared", None
            row.actor, row.declared_at, row.restarts = ws.user, utcnow(), 0
        else:
            row = EndpointRecord(name=name, generation=1, actor=ws.user, **wanted)
            tx.session.add(row)
        tx.emit(
            "endpoint.declared",
            f"endpoint:{name}",
            payload={
                "generation": row.generation,
                "digest": version.digest,
                **({} if mode == "observe" else {"contract": mode}),
                **{one["role"]: one["version"] for one in row.beside},
            },
            inputs=[version.ref, *(f"model:{o['model']}@{o['version']}" for o in row.beside)],
        )
        return row.generation


def _checked(ws: Workspace, version: Served) -> Path:
    """Where a version's files are; says now, and not in a log file, that it can't be served."""
    from jupyter_mlops.serving.modelfile import read_model_file

    path = version.path(ws)
    read_model_file(path)
    return path


def _beside(
    ws: Workspace,
    before: list[dict[str, Any]],
    primary: Served,
    mode: Mode,
    canary: tuple[Served, float] | Literal["off"] | None,
    shadow: Served | Literal["off"] | None,
) -> list[dict[str, Any]]:
    """The versions that are to run beside the primary."""
    kept = {one["role"]: {**one, "contract": mode} for one in before}
    told: dict[Role, tuple[Served, float] | Literal["off"] | None] = {
        "canary": canary,
        "shadow": (shadow, 0.0) if shadow is not None and shadow != "off" else shadow,
    }
    for role, given in told.items():
        if given == "off":
            kept.pop(role, None)
        elif given is not None:
            version, weight = given
            if role == "canary" and not 0 < weight < 1:
                raise Invalid(
                    f"a canary can't answer {weight:.0%} of the requests",
                    fix="write for example 4:10%; to have it answer all, serve that version",
                    code="E-SERVE-036",
                )
            kept[role] = asdict(
                Deployment(
                    version.name, str(version.version), version.digest,
                    str(_checked(ws, version)), mode, role, weight,
                )
            )  # fmt: skip
    same = (primary.name, str(primary.version))
    return [one for one in kept.values() if (one["model"], one["version"]) != same]


def contract_mode(ws: Workspace, name: str) -> Mode:
    """What an endpoint was last declared to do with rows that break the model's contract."""
    with ws.read() as session:
        return _declared_mode(session, name)


def _declared_mode(session: Session, name: str) -> Mode:
    # Its declarations are events, of which the last one counts.
    last = events.read(
        session, limit=1, kind="endpoint.declared", subject=f"endpoint:{name}", newest=True
    )
    told = last[0].payload.get("contract") if last else None
    return told if told in ("enforce", "off") else "observe"


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


def _check_port(session: Any, name: str, port: int) -> None:
    other = session.scalar(
        select(EndpointRecord.name).where(
            EndpointRecord.port == port,
            EndpointRecord.name != name,
            EndpointRecord.desired == "running",
        )
    )
    if other is not None:
        raise Conflict(
            f"port {port} belongs to endpoint '{other}'",
            fix=f"choose another, or `%mlops stop {other}` first",
            code="E-SERVE-033",
        )


def _endpoint(ws: Workspace, row: EndpointRecord, *, detailed: bool) -> Endpoint:
    live: dict[str, Any] = {}
    if row.serving is not None:
        live = read_state(state_path(ws, row.name))
        if live.get("pid") != row.pid:
            live = {}
        elif clock.time() - live.get("at", 0) > 10:
            live["stale"] = True
    inputs: tuple[tuple[str, str, bool], ...] = ()
    if detailed:
        from jupyter_mlops.serving.modelfile import read_model_file

        try:
            fields = read_model_file(Path(row.path)).fields
            inputs = tuple((field.name, field.type.name, field.required) for field in fields)
        except (OSError, Invalid, NotFound):
            inputs = ()  # its state says what is wrong with the model's files
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
        inputs=inputs,
        detailed=detailed,
        beside=tuple(Deployment(**one) for one in row.beside),
        replicas=row.replicas,
    )


def _unknown(ws: Workspace, name: str) -> NotFound:
    with ws.read() as session:
        known = sorted(session.scalars(select(EndpointRecord.name)))
    return NotFound(
        f"no endpoint is called '{name}'",
        f"there are {', '.join(known[:20])}" if known else "there is none yet",
        closest(name, known) or "`%mlops serve MODEL` makes one",
        code="E-SERVE-034",
    )

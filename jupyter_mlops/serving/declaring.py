"""Say what an endpoint should serve; the agent makes it so."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from sqlalchemy import or_, select

from jupyter_mlops.serving.config import Deployment, Role
from jupyter_mlops.serving.declarations import last_limits, last_mode
from jupyter_mlops.serving.grpc.port import check_installed
from jupyter_mlops.serving.homes import Home, home_of
from jupyter_mlops.serving.logpolicy import LogMode, LogPolicy
from jupyter_mlops.serving.places import make_hash_key, make_token
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.serving.succeeding import check_successor
from jupyter_mlops.workspace import Conflict, Invalid, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.serving.expectations import Mode

__all__ = ["declare"]


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
    env: str | None = None,
    canary_env: str | None = None,
    shadow_env: str | None = None,
    gpus: int | None = None,
    gpu_memory: int | str | None = None,
    own: Path | None = None,
    log: LogMode | None = None,
    redact: Sequence[str] | None = None,
    log_sample: str | float | None = None,
    keep: str | None = None,
    grpc: int | Literal["off"] | None = None,
    seconds: float | None = None,
    queue: int | None = None,
    other_columns: bool = False,
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
    env, canary_env, shadow_env : str, optional
        The managed environment that the versions run in; ``off`` for the agent's own. As
        declared before, or else the one that each was trained in; see `homes.home_of`.
    gpus : int, optional
        Whole GPUs that the endpoint holds while it runs, or, instead,
    gpu_memory : int or str, optional
        bytes on one, ``8GB``, that the processes of its versions share; 0 of both for none.
    own : Path, optional
        The agent's interpreter; this process's when not given.
    log : {"required", "best-effort", "off"}, optional
        Whether nothing is answered that cannot be logged, or nothing is logged.
    redact : sequence of str, optional
        Columns whose values are never written; of ``hash:NAME`` a keyed hash is. ``["off"]``
        for none.
    log_sample : str or float, optional
        Share of the rows that is logged, such as ``10%``.
    keep : str, optional
        Age and size of the log beyond which the oldest is removed, such as ``90d,50GB``;
        ``forever`` for no limit.
    grpc : int or "off", optional
        Port on 127.0.0.1 for gRPC; 0 for a free one. Off as long as nothing is said.
    seconds : float, optional
        Time that a process has for one batch before it is ended; 60 when nothing was ever said.
    queue : int, optional
        Rows that may wait for a process; more are refused with 429.
    other_columns : bool
        Callers send what the version asks for, although the one before didn't ask for it.

    Returns
    -------
    int
        The endpoint's generation, to wait for.

    Raises
    ------
    Invalid
        The model has no signature or inputs that cannot be served, the port is none, or the
        log can't be kept like that.
    Conflict
        Another endpoint of the workspace has the port, an environment lacks what a model was
        trained with, or callers don't send what the version asks for.
    Unavailable
        An environment is gone, this machine hasn't so much GPU, or gRPC isn't installed.
    """
    name = check_name(name or version.name, "endpoint")
    # A free port is none for HTTP, and zero for gRPC, which has to be asked for.
    ports = [port] if port is not None else []
    ports += [grpc] if isinstance(grpc, int) and grpc else []
    for wrong in (one for one in ports if not 1024 <= one <= 65535):
        raise Invalid(
            f"an endpoint cannot listen on port {wrong}",
            fix="choose one from 1024 to 65535, or leave it out to take a free one",
            code="E-SERVE-030",
        )
    if replicas is not None and not 1 <= replicas <= 64:
        raise Invalid(f"an endpoint can't have {replicas} processes", "1 to 64 are possible",
                      code="E-SERVE-035")  # fmt: skip
    path, columns = _checked(ws, version)
    if not other_columns:
        check_successor(ws, version, name)
    declared = _declared(ws, name)
    home = _home(ws, version, env, own, declared)
    others = {
        role: home_of(ws, one, named, own)
        for role, one, named in (
            ("canary", canary[0] if isinstance(canary, tuple) else None, canary_env),
            ("shadow", None if shadow == "off" else shadow, shadow_env),
        )
        if one is not None
    }
    wanted_gpus = _gpus(gpus, gpu_memory, declared)
    if isinstance(grpc, int):
        check_installed()
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
            "grpc_port": _grpc_port(grpc, row),
            "replicas": replicas or (row.replicas if row else 1),
            "max_memory": (row.max_memory if row else 0) if max_memory is None else max_memory,
            "environment": home.environment,
            "interpreter": home.interpreter,
            "gpus": wanted_gpus[0],
            "gpu_memory": wanted_gpus[1],
        }
        policy = LogPolicy.of(row.log if row else {}).changed(log, redact, log_sample, keep)
        policy.check(columns, wanted["key"], wanted["time"], names=redact is not None)
        if policy.hashed:
            make_hash_key(ws)
        wanted["log"] = policy.as_dict()
        for one in ports:
            _check_port(tx.session, name, one)
        if wanted["port"] and wanted["port"] == wanted["grpc_port"]:
            raise Invalid(
                f"port {wanted['port']} can't be for HTTP and for gRPC",
                fix="choose another for one of them",
                code="E-SERVE-039",
            )
        before, allowed = last_mode(tx.session, name), last_limits(tx.session, name)
        mode, limited = contract or before, allowed.changed(seconds, queue)
        wanted["beside"] = _beside(
            ws, row.beside if row else [], version, mode, canary, shadow, others
        )
        if row is not None:
            same = all(getattr(row, column) == value for column, value in wanted.items())
            same = same and (mode, limited) == (before, allowed)
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
                **limited.as_dict(),
                **({"log": row.log} if row.log else {}),
                **{one["role"]: one["version"] for one in row.beside},
                **({"environment": home.environment} if home.environment else {}),
                **({"differs": list(home.differs)} if home.differs else {}),
            },
            inputs=[version.ref, *(f"model:{o['model']}@{o['version']}" for o in row.beside)],
        )
        return row.generation


def _grpc_port(told: int | Literal["off"] | None, row: EndpointRecord | None) -> int | None:
    if told is None:
        return row.grpc_port if row else None
    return None if told == "off" else told


def _checked(ws: Workspace, version: Served) -> tuple[Path, list[str]]:
    """A version's files and columns; says now, and not in a log file, that it can't be served."""
    from jupyter_mlops.serving.modelfile import read_model_file

    path = version.path(ws)
    return path, [field.name for field in read_model_file(path).fields]


def _declared(ws: Workspace, name: str) -> EndpointRecord | None:
    """The endpoint as it was declared before."""
    with ws.read() as session:
        row = session.get(EndpointRecord, name)
        if row is not None:
            session.expunge(row)
        return row


def _home(
    ws: Workspace, version: Served, env: str | None, own: Path | None, row: EndpointRecord | None
) -> Home:
    """Where the version served runs: as it was declared before, as long as that is there."""
    if env is None and row is not None and row.digest == version.digest:
        same = (row.model, row.version) == (version.name, str(version.version))
        if same and (not row.interpreter or os.access(row.interpreter, os.X_OK)):
            return Home(row.environment, row.interpreter)
    return home_of(ws, version, env, own)


def _gpus(
    gpus: int | None, memory: int | str | None, row: EndpointRecord | None
) -> tuple[int, int]:
    """Whole GPUs and bytes on one; says now that this machine has never so much."""
    from jupyter_mlops.experiments.gpus import devices
    from jupyter_mlops.experiments.gpus.amounts import bytes_of
    from jupyter_mlops.experiments.gpus.refusals import too_much

    if gpus is None and memory is None:
        return (row.gpus, row.gpu_memory) if row is not None else (0, 0)
    found = gpus or 0, bytes_of(memory)
    if min(found) < 0 or all(found):
        raise Invalid(
            "an endpoint holds whole GPUs or memory of one",
            fix="give --gpus 1 or --gpu-memory 8GB",
            code="E-SERVE-068",
        )
    refusal = too_much(devices(), *found) if any(found) else None
    if refusal is not None:
        raise refusal
    return found


def _beside(
    ws: Workspace,
    before: list[dict[str, Any]],
    primary: Served,
    mode: Mode,
    canary: tuple[Served, float] | Literal["off"] | None,
    shadow: Served | Literal["off"] | None,
    homes: dict[str, Home],
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
                    str(_checked(ws, version)[0]), mode, role, weight,
                    environment=homes[role].environment, interpreter=homes[role].interpreter,
                )
            )  # fmt: skip
    same = (primary.name, str(primary.version))
    return [one for one in kept.values() if (one["model"], one["version"]) != same]


def _check_port(session: Any, name: str, port: int) -> None:
    other = session.scalar(
        select(EndpointRecord.name).where(
            or_(EndpointRecord.port == port, EndpointRecord.grpc_port == port),
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

"""Finding the cluster that is meant, or starting it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from jupyter_mlops.experiments.clusters.cluster import (
    Cluster,
    check_versions,
    check_workers,
    connect,
)
from jupyter_mlops.experiments.clusters.ending import marked
from jupyter_mlops.experiments.clusters.holding import log_of, settle
from jupyter_mlops.experiments.clusters.leasing import KINDS
from jupyter_mlops.experiments.clusters.planning import (
    IMAGES,
    check_gpus,
    cores,
    gpu_workers,
    gpus_here,
    has_dask_cuda,
    profile,
    refuse_environment,
    refuse_gpus,
    with_gpus,
)
from jupyter_mlops.experiments.records import ClusterRecord
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace, check_name
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.settings import SERVED

__all__ = ["obtain", "start"]

_START: Final = 60.0
_STEP: Final = 0.02
#: Seconds within which a scheduler must have a worker.
_WORKERS: Final = 15.0
_ADDRESSES: Final = ("tcp://", "tls://", "ucx://", "ws://", "wss://")
_OPEN: Final = ("starting", "running")
Announce = Callable[[str], None]


def obtain(
    ws: Workspace,
    cluster: str = "auto",
    *,
    workers: int | None = None,
    interpreter: Path | None = None,
    environment: str = "",
    gpus: int | None = None,
    gpu_memory: str | None = None,
    memory_limit: str | None = None,
    announce: Announce | None = None,
) -> Cluster:
    """The cluster that is meant: one that runs already, or one that is started now.

    Parameters
    ----------
    ws : Workspace
    cluster : str
        ``auto``: this machine's GPUs or cores; the address of a scheduler (``tcp://…``); the name
        of a cluster that runs, or of a profile in the setting `clusters`.
    workers : int, optional
        As many as there are GPUs or cores when left out.
    interpreter : Path, optional
        The Python of the workers; this process's own when left out.
    environment : str
        The name of the environment that is the interpreter's, to be shown.
    gpus : int, optional
        GPUs that each worker holds; None: one each, where there are any that are free.
    gpu_memory : str, optional
        Instead, memory of one GPU that each worker holds, such as ``8GB``.
    memory_limit : str, optional
        Of a worker, such as ``4GB``.
    announce : callable, optional
        Told in a sentence when something takes a while.

    Raises
    ------
    Unavailable
        A scheduler doesn't answer, or the cluster can't be started; says why.
    Conflict
        A scheduler has other versions than this kernel.
    NotFound
        Nothing is called so.
    """
    if gpu_memory is not None and cluster != "auto":
        raise Invalid(
            f"--gpu-memory doesn't go with --cluster {cluster}",
            "only for this machine's own GPUs it is known who holds what",
            "leave one of them out",
            code="E-CLUSTER-032",
        )
    if cluster.startswith(_ADDRESSES):
        if gpus:
            raise refuse_gpus(gpus, cluster, "its workers have what they were started with")
        if environment:
            why = "its workers have the packages that they were started with"
            raise refuse_environment(environment, cluster, why)
        return _at(cluster)
    settle(ws)
    if interpreter is None and os.environ.get(SERVED):
        raise Invalid(
            "a cluster started from here would have the Jupyter server's packages",
            fix="name an environment with --env, or start it from a notebook",
            code="E-CLUSTER-027",
        )
    plan: dict[str, Any] = {"kind": "local", "workers": workers, "memory_limit": memory_limit}
    if cluster == "auto":
        plan |= _gpus(ws, interpreter, gpus, gpu_memory)
        plan |= _turn(ws, plan["kind"])
        plan["workers"] = workers or (
            cores() if plan["kind"] == "local" else gpu_workers(plan.get("gpus", 1), gpu_memory)
        )
        name = _name_of(ws, plan, interpreter)
    else:
        name = check_name(cluster, "cluster")
        running = _running(ws, name)
        if running is not None:
            _check_running(ws, name, gpus)
            if running.environment != environment:
                has = f"env:{running.environment}" if running.environment else "none"
                why = f"it runs already, and its environment is {has}"
                raise refuse_environment(environment, cluster, why)
            return running
        plan |= with_gpus(name, profile(ws, name), gpus)
        if environment and plan["kind"] in IMAGES:
            why = "its workers have the packages of their image, which the profile's options name"
            raise refuse_environment(environment, cluster, why)
        plan = _turn(ws, plan["kind"]) | plan
    found = start(
        ws, name, plan, interpreter=interpreter, environment=environment, announce=announce
    )
    if interpreter is not None:
        with found.client() as client:
            check_versions(client, found.address)
    return found


def _check_running(ws: Workspace, name: str, gpus: int | None) -> None:
    """Refuse GPUs that a cluster which runs already hasn't given to its workers."""
    if not gpus:
        return
    with ws.read() as session:
        plan = session.get_one(ClusterRecord, name).plan
    held = int(plan.get("gpus") or 1) if plan.get("leases") else 0
    if held != gpus:
        raise refuse_gpus(
            gpus, name, f"it runs already, and its workers hold {held or 'none'} each"
        )


def _gpus(
    ws: Workspace, interpreter: Path | None, gpus: int | None, memory: str | None
) -> dict[str, Any]:
    """What the plan of a cluster on this machine says of GPUs; nothing where it has no part."""
    if gpus is None and memory is None:
        # Nobody asked for them: who doesn't need any shall not wait for one.
        wanted = gpus_here() and has_dask_cuda(interpreter)
        if not wanted:
            return {}
        from jupyter_mlops.experiments.gpus.leases import free

        return {"kind": "cuda", "gpus": 1} if free(ws) else {}
    if not gpus and memory is None:
        return {}
    check_gpus(gpus, memory)
    if memory is not None:
        return {"kind": "gpu", "gpu_memory": memory}
    usual = gpus == 1 and has_dask_cuda(interpreter)
    return {"kind": "cuda" if usual else "gpu", "gpus": int(gpus or 1)}


def _turn(ws: Workspace, kind: str) -> dict[str, Any]:
    """What decides, besides who came first, when a cluster is given its GPUs."""
    if kind not in KINDS:
        return {}
    told = {"priority": ws.settings.gpu_priority, "team": ws.settings.gpu_team}
    return {name: one for name, one in told.items() if one}


def start(
    ws: Workspace,
    name: str,
    plan: dict[str, Any],
    *,
    interpreter: Path | None = None,
    environment: str = "",
    announce: Announce | None = None,
) -> Cluster:
    """Start a cluster under a name, unless it runs; two who ask at once get the same one."""
    python = str(interpreter or sys.executable)
    child: subprocess.Popen[bytes] | None = None
    try:
        with ws.write() as tx:
            row = tx.session.get(ClusterRecord, name, with_for_update=True)
            if row is None or row.status not in _OPEN or not may_live(row.process):
                row = row or ClusterRecord(name=name)
                row.status, row.desired, row.reason = "starting", "running", ""
                row.kind, row.actor, row.environment = plan["kind"], ws.user, environment
                row.plan = plan | {"python": python, "mark": uuid4().hex}
                row.started_at = row.used_at = utcnow()
                row.address = row.dashboard = ""
                # It waits for this row. So the row never names another process than the
                # cluster's own, which whoever stops it may kill.
                child = _launch(ws, name, python, row.plan, environment)
                row.process = process_name(child.pid)
                tx.session.add(row)
                tx.emit("cluster.started", f"cluster:{name}", payload={"kind": plan["kind"]})
    except BaseException:
        if child is not None:
            child.kill()
            child.wait()
        raise
    if child is not None and announce is not None:
        announce(f"Starting {plan['workers'] or 'the'} workers; this takes a few seconds.")
    if child is not None:
        # Whoever waits needs it next; its process loads it at the same time.
        import_module("distributed")
    return _wait(ws, name, child, announce)


def _launch(
    ws: Workspace, name: str, python: str, plan: dict[str, Any], environment: str
) -> subprocess.Popen[bytes]:
    log = log_of(ws, name)
    module = "jupyter_mlops.experiments.clusters.host"
    told = [str(ws.root), name, plan["kind"], str(plan.get("workers") or 1)]
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        log.unlink(missing_ok=True)
        with log.open("ab") as handle:
            log.chmod(0o600)
            return subprocess.Popen(
                [python, "-m", module, *told],
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                cwd=ws.root,
                env=marked(os.environ, plan["mark"], environment),
                # It outlives this process, and an interrupt is meant for the cell.
                start_new_session=True,
            )
    except OSError as error:
        raise Unavailable(
            f"cluster {name!r} can't be started",
            f"{python}: {error.strerror or error}",
            "choose another environment, or none",
            code="E-CLUSTER-020",
        ) from None


def _record_failure(ws: Workspace, name: str, reason: str) -> None:
    with ws.write() as tx:
        row = tx.session.get_one(ClusterRecord, name)
        row.status, row.reason = "failed", reason
        row.desired = "stopped"  # should its process come to itself
        tx.emit("cluster.failed", f"cluster:{name}", payload={"reason": reason[:500]})


def _wait(
    ws: Workspace,
    name: str,
    child: subprocess.Popen[bytes] | None,
    announce: Announce | None = None,
) -> Cluster:
    try:
        return _started(ws, name, child, announce)
    except KeyboardInterrupt:
        if child is not None:
            # It may wait for a GPU, which nobody wants any more.
            child.terminate()
        raise


def _started(
    ws: Workspace, name: str, child: subprocess.Popen[bytes] | None, announce: Announce | None
) -> Cluster:
    until = time.monotonic() + _START
    waited = False
    while time.monotonic() < until:
        found = _running(ws, name)
        if found is not None:
            return found
        if child is not None and child.poll() is not None:
            settle(ws)
        with ws.read() as session:
            row = session.get_one(ClusterRecord, name)
            reason, status, lives = row.reason, row.status, may_live(row.process)
            waits = bool(row.plan.get("waits"))
        if status not in _OPEN:
            break
        if not lives:
            settle(ws)
        if waits:
            # It has its own limit for that.
            until = time.monotonic() + _START
            if announce is not None and not waited:
                announce("Waiting for a GPU; `%mlops gpu` shows who holds them.")
            waited = True
        time.sleep(10 * _STEP if waits else _STEP)
    else:
        reason = f"it didn't start within {_START:.0f} seconds"
        _record_failure(ws, name, reason)
    raise Unavailable(
        f"cluster {name!r} can't be started",
        reason or "it was stopped",
        f"read {log_of(ws, name)}",
        code="E-CLUSTER-021",
    )


def _running(ws: Workspace, name: str) -> Cluster | None:
    """The cluster of that name, when it runs."""
    with ws.read() as session:
        row = session.get(ClusterRecord, name)
        if row is None or row.status != "running" or not may_live(row.process):
            return None
        session.expunge(row)

    def lives() -> bool:
        return may_live(row.process)

    security = None
    if row.plan.get("security"):
        from distributed.security import Security

        security = Security(**row.plan["security"])
    return Cluster(
        name, row.kind, row.address, row.dashboard, row.environment,
        int(row.plan.get("workers") or 1), True, lives, security,
        (row.plan["address"], row.plan["gateway"]) if row.plan.get("gateway") else None,
    )  # fmt: skip


def _at(address: str) -> Cluster:
    """A scheduler that somebody else runs."""
    with connect(address) as client:
        check_versions(client, address)
        # A worker that died is replaced within seconds.
        with suppress(TimeoutError):
            client.wait_for_workers(1, timeout=_WORKERS)
        workers = len(client.scheduler_info(n_workers=-1)["workers"])
        check_workers(client, address)
    if not workers:
        raise Unavailable(
            f"the scheduler at {address} has no workers",
            fix="start some, then try again",
            code="E-CLUSTER-022",
        )

    def lives() -> bool:
        # Its clients notice when it goes away.
        return True

    kind = address.partition(":")[0]
    return Cluster(address, kind, address, "", "", workers, False, lives)


def _name_of(ws: Workspace, plan: dict[str, Any], interpreter: Path | None) -> str:
    """The same for whoever asks for the same: they share it."""
    told = f"{ws.user}|{interpreter or sys.executable}|{sorted(plan.items())}"
    return f"{plan['kind']}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"

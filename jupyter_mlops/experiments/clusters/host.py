"""The process that holds a cluster: ``python -m …clusters.host ROOT NAME``.

Dask's scheduler and nannies run in it, the workers below it; they end with it, however it ends.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from importlib.util import find_spec
from types import FrameType
from typing import Any, Final

from jupyter_mlops.experiments.clusters.obtaining import cores
from jupyter_mlops.experiments.records import ClusterRecord
from jupyter_mlops.experiments.trials import process_name
from jupyter_mlops.workspace import MLOpsError, Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["main"]

_LOOK: Final = 0.5
#: Libraries that would each take all cores for every worker.
_THREADS: Final = ("OMP", "MKL", "OPENBLAS", "BLIS", "NUMEXPR")


def main(root: str, name: str) -> int:
    """Hold a cluster until it is told to stop or nobody has used it for a while."""
    ws = Workspace.open(root)
    stopping = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with ws.write() as tx:
        row = tx.session.get_one(ClusterRecord, name)
        row.process = process_name()
        plan = dict(row.plan)
    try:
        cluster = _make(plan)
    except Exception as error:
        reason = f"{error.what}: {error.why}" if isinstance(error, MLOpsError) else str(error)
        _record(ws, name, "failed", reason.rstrip(": ") or type(error).__name__)
        return 1
    with contextlib.closing(cluster):
        _tell(ws, name, cluster)
        why = _hold(ws, name, cluster, plan, stopping)
    _record(ws, name, "stopped", why)
    return 0


def _make(plan: dict[str, Any]) -> Any:
    import dask

    kind, workers = plan["kind"], plan.get("workers")
    options: dict[str, Any] = dict(plan.get("options", {}))
    dashboard = ":0" if find_spec("bokeh") is not None else None
    threads = str(max(1, cores() // (workers or 1)))
    environ = {f"{one}_NUM_THREADS": threads for one in _THREADS}
    environ |= {
        "POLARS_MAX_THREADS": threads,
        # At Dask's own 64 kB each temporary array is fetched from the kernel anew, page by page,
        # which makes numerical code half as slow again.
        "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    }
    dask.config.set(
        {
            "distributed.nanny.pre-spawn-environ": environ,
            # Whatever else waited on a worker that died is begun again by the driver, which
            # knows which trial ran there.
            "distributed.scheduler.allowed-failures": 0,
            "distributed.comm.timeouts.connect": "10s",
            "distributed.worker.memory.terminate": 0.95,
            "distributed.scheduler.work-stealing": True,
        }
    )
    common: dict[str, Any] = {
        "threads_per_worker": 1,
        "dashboard_address": dashboard and f"127.0.0.1{dashboard}",
        "silence_logs": 40,
    }
    if plan.get("memory_limit"):
        common["memory_limit"] = plan["memory_limit"]
    if kind == "local":
        from distributed import LocalCluster

        return LocalCluster(n_workers=workers, host="127.0.0.1", **common, **options)
    if kind == "cuda":
        from dask_cuda import LocalCUDACluster

        return LocalCUDACluster(n_workers=workers, host="127.0.0.1", **common, **options)
    if kind == "jobqueue":
        module = _library("dask_jobqueue", "jobqueue")
        made = getattr(module, f"{plan.get('system', 'SLURM')}Cluster")(**options)
    else:
        made = _library("dask_kubernetes.operator", "kubernetes").KubeCluster(**options)
    made.scale(workers or 1)
    return made


def _library(module: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError:
        raise Unavailable(
            f"this kind of cluster needs {module.partition('.')[0].replace('_', '-')}",
            "it isn't installed",
            f'pip install "jupyter_mlops[{extra}]"',
            code="E-CLUSTER-030",
        ) from None


def _tell(ws: Workspace, name: str, cluster: Any) -> None:
    with ws.write() as tx:
        row = tx.session.get_one(ClusterRecord, name)
        row.status, row.address = "running", cluster.scheduler_address
        row.dashboard = cluster.dashboard_link if find_spec("bokeh") is not None else ""
        row.plan = {**row.plan, "workers": len(cluster.workers) or row.plan.get("workers")}
        row.used_at = utcnow()
        tx.emit("cluster.ready", f"cluster:{name}", payload={"address": row.address})


def _hold(
    ws: Workspace, name: str, cluster: Any, plan: dict[str, Any], stopping: threading.Event
) -> str:
    """Wait for a reason to end, and return it."""
    limit = float(plan.get("idle_timeout") or ws.settings.cluster_idle)
    busy = time.monotonic()
    noted = busy
    workers = len(cluster.workers)
    while not stopping.wait(_LOOK):
        if not ws.home.is_dir():
            return "the workspace is gone"
        now = time.monotonic()
        if _in_use(cluster):
            busy = now
        elif now - busy > limit:
            return f"nobody used it for {limit / 60:.0f} minutes"
        try:
            with ws.read() as session:
                row = session.get(ClusterRecord, name)
                if row is None or row.desired != "running":
                    return ""
                if row.process != process_name():
                    return "another process took its name"
                wanted = int(row.plan.get("workers") or workers)
            if wanted != workers:
                cluster.scale(wanted)
                workers = wanted
            if now - noted > 30:
                noted = now
                with ws.write() as tx:
                    if busy == now:
                        tx.session.get_one(ClusterRecord, name).used_at = utcnow()
        except MLOpsError as error:
            # The store is away for a moment; what runs goes on meanwhile.
            print(error, file=sys.stderr, flush=True)
    return ""


def _in_use(cluster: Any) -> bool:
    scheduler = getattr(cluster, "scheduler", None)
    tasks = getattr(scheduler, "tasks", None)
    if tasks is None:
        return True  # not ours to judge
    return bool(tasks)


def _record(ws: Workspace, name: str, status: str, reason: str) -> None:
    if not ws.home.is_dir():
        return
    with ws.write() as tx:
        row = tx.session.get(ClusterRecord, name)
        if row is None or row.process != process_name():
            return
        row.status, row.reason = status, reason
        tx.emit(f"cluster.{status}", f"cluster:{name}", payload={"reason": reason[:500]})


if __name__ == "__main__":
    code = main(*sys.argv[1:3])
    sys.stderr.flush()
    # Threads of Dask's must not hold up the end.
    os._exit(code)

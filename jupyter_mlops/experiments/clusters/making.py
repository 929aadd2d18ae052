"""Making the cluster that a plan describes, in the process that is to hold it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Final

from jupyter_mlops.experiments.clusters.obtaining import cores
from jupyter_mlops.workspace import Unavailable

__all__ = ["make"]

#: Libraries that would each take all cores for every worker.
_THREADS: Final = ("OMP", "MKL", "OPENBLAS", "BLIS", "NUMEXPR")


def make(plan: dict[str, Any]) -> Any:
    """Start scheduler and workers.

    Raises
    ------
    Unavailable
        The library for this kind isn't installed.
    """
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
            "distributed.worker.preload": ["jupyter_mlops.experiments.clusters.tether"],
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

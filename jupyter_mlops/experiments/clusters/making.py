"""Making the cluster that a plan describes, in the process that is to hold it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.clusters.forking import METHOD, environment, fits
from jupyter_mlops.experiments.clusters.planning import cores
from jupyter_mlops.workspace import Invalid, Unavailable, closest

if TYPE_CHECKING:
    from jupyter_mlops.experiments.gpus.leases import Lease

__all__ = ["credentials", "make"]

_TETHER: Final = "jupyter_mlops.experiments.clusters.tether"
#: What RMM's pool on a whole GPU takes at once; it grows as far as the GPU goes.
_POOL: Final = 1 << 30


def make(plan: dict[str, Any], folder: Path, leases: Sequence[Lease] = ()) -> Any:
    """Start scheduler and workers.

    Parameters
    ----------
    plan : dict
        ``kind``, ``workers``, ``idle_timeout`` in seconds, and ``options`` for the class of that
        kind; ``memory_limit``, ``system`` and ``address`` where the kind has them.
    folder : Path
        For what its workers have to read, on a disk that they share.
    leases : sequence of Lease
        The GPUs of a worker each, where the kind has GPUs on this machine.

    Raises
    ------
    Unavailable
        The library for this kind isn't installed.
    Invalid
        It doesn't know the system.
    """
    import dask

    kind, workers = plan["kind"], plan.get("workers")
    options: dict[str, Any] = dict(plan.get("options", {}))
    environ = environment(workers, cores())
    dask.config.set(
        {
            "distributed.worker.multiprocessing-method": METHOD if fits(kind) else "spawn",
            "distributed.nanny.pre-spawn-environ": environ,
            "distributed.worker.preload": [_TETHER],
            # Whatever else waited on a worker that died is begun again by the driver, which
            # knows which trial ran there.
            "distributed.scheduler.allowed-failures": 0,
            # Dask looks once, this long after a worker died: if its successor has just died, too,
            # its place would stay empty for good.
            "distributed.deploy.lost-worker-timeout": "1000h",
            "distributed.comm.timeouts.connect": "10s",
            "distributed.worker.memory.terminate": 0.95,
            "distributed.scheduler.work-stealing": True,
        }
    )
    common: dict[str, Any] = {
        "threads_per_worker": 1,
        "dashboard_address": "127.0.0.1:0",
        # Bokeh takes a second to load: it is drawn once the workers are there.
        "scheduler_kwargs": {"dashboard": False},
        "silence_logs": 40,
    }
    if plan.get("memory_limit"):
        common["memory_limit"] = plan["memory_limit"]
    if kind == "local":
        from distributed import LocalCluster

        return LocalCluster(n_workers=workers, host="127.0.0.1", **common, **options)
    if kind == "cuda":
        from dask_cuda import LocalCUDACluster

        uuids = ",".join(one.devices[0] for one in leases)
        options = {
            "CUDA_VISIBLE_DEVICES": uuids,
            # With what Dask-CUDA loads itself, it would else take the configuration's place.
            "preload": [_TETHER],
            **_pools(),
            **options,
        }
        return LocalCUDACluster(n_workers=len(leases), host="127.0.0.1", **common, **options)
    if kind == "gpu":
        from jupyter_mlops.experiments.clusters.leased import LeasedCluster

        shares = [one.environment() for one in leases]
        return LeasedCluster(shares, host="127.0.0.1", **common, **options)
    if kind == "jobqueue":
        made = _jobqueue(plan, options, folder)
    elif kind == "gateway":
        gateway = _library("dask_gateway", "gateway").Gateway(plan["address"])
        made = gateway.new_cluster(shutdown_on_close=True, **options)
    else:
        # Should this process die, the operator ends it.
        options = {"idle_timeout": int(plan["idle_timeout"]), **options}
        made = _library("dask_kubernetes.operator", "kubernetes").KubeCluster(**options)
    made.scale(workers or 1)
    return made


def _pools() -> dict[str, Any]:
    """RMM's pool in each worker, which CuPy draws on too; without RMM CuPy has its own."""
    if find_spec("rmm") is None:
        return {}
    pool: dict[str, Any] = {"rmm_pool_size": _POOL}
    if find_spec("cupy") is not None:
        pool["rmm_allocator_external_lib_list"] = ["cupy"]
    return pool


def _jobqueue(plan: dict[str, Any], options: dict[str, Any], folder: Path) -> Any:
    """Its scheduler listens on the network, so it speaks TLS unless the profile says otherwise."""
    module = _library("dask_jobqueue", "jobqueue")
    names = (one.removesuffix("Cluster") for one in dir(module) if one.endswith("Cluster"))
    known = [one for one in names if one != "JobQueue"]
    system = plan.get("system", "SLURM")
    if system not in known:
        raise Invalid(
            f"dask-jobqueue knows no system {system!r}",
            f"it knows {', '.join(known)}",
            closest(system, known),
            code="E-CLUSTER-031",
        )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {"security": True, "shared_temp_directory": str(folder), **options}
    # Nobody is asked for a password there.
    loopback = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    options["scheduler_options"] = {**loopback, **options.get("scheduler_options", {})}
    return getattr(module, f"{system}Cluster")(**options)


def credentials(cluster: Any, folder: Path) -> dict[str, Any]:
    """What a client of a cluster needs to speak TLS, its keys in files for their owner alone."""
    security = getattr(cluster, "security", None)
    if not getattr(security, "require_encryption", False):
        return {}
    told: dict[str, Any] = {"require_encryption": True}
    for name in ("tls_ca_file", "tls_client_cert", "tls_client_key"):
        value = getattr(security, name)
        if value and "\n" in value:
            path = folder / f"{name}.pem"
            with os.fdopen(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(value)
            value = str(path)
        told[name] = value
    return told


def _library(module: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        top = module.partition(".")[0]
        raise Unavailable(
            f"this kind of cluster needs {top.replace('_', '-')}",
            "it isn't installed" if error.name == top else f"it can't be loaded: {error}",
            f'pip install "jupyter_mlops[{extra}]"',
            code="E-CLUSTER-030",
        ) from None

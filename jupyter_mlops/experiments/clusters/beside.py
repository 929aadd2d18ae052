"""GPUs for who computes beside a cluster's workers: the cell that trains one model."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sqlalchemy import select

from jupyter_mlops.experiments.clusters.cluster import Cluster
from jupyter_mlops.experiments.clusters.leasing import KINDS
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Workspace

__all__ = ["at_gpus_of"]


@contextmanager
def at_gpus_of(ws: Workspace, cluster: Cluster, memory: str | None = None) -> Iterator[None]:
    """Have this process compute on GPUs that are held, while it uses a cluster that has some.

    Whole GPUs are the cluster's own, which its workers leave idle while the cell computes. Of a
    GPU that is shared, the process gets a lease of its own beside the workers'. A process that was
    told its GPUs before, as a kernel with a lease is, keeps to those; one that has used CUDA
    already can't change any more.

    Parameters
    ----------
    ws : Workspace
    cluster : Cluster
    memory : str, optional
        What each of its workers has of a GPU, such as ``8GB``; whole ones when not given.

    Raises
    ------
    Unavailable
        The part of a GPU didn't become free within the setting `gpu_wait`.
    """
    if cluster.kind not in KINDS or os.environ.get("CUDA_VISIBLE_DEVICES"):
        yield
        return
    from jupyter_mlops.experiments.gpus.caps import cap_on_import
    from jupyter_mlops.experiments.gpus.leases import ask
    from jupyter_mlops.experiments.gpus.variables import variables

    with ExitStack() as stack:
        if memory:
            settings = ws.settings
            lease = stack.enter_context(
                ask(
                    ws,
                    memory=memory,
                    holder=ws.user,
                    purpose=f"a cell beside cluster {cluster.name}",
                    priority=settings.gpu_priority,
                    team=settings.gpu_team or None,
                    timeout=settings.gpu_wait,
                )
            )
            told = lease.environment()
        else:
            told = variables(_held_by(ws, cluster.name), 0, ())
        before = {name: os.environ.get(name) for name in told}
        os.environ.update(told)
        try:
            cap_on_import()
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _held_by(ws: Workspace, cluster: str) -> list[str]:
    """The uuids of the GPUs that a cluster of this machine holds."""
    with ws.read() as session:
        query = select(GpuLeaseRecord.devices).where(
            GpuLeaseRecord.purpose == f"cluster {cluster}",
            GpuLeaseRecord.host == socket.gethostname(),
            GpuLeaseRecord.status == "held",
        )
        return list(dict.fromkeys(uuid for found in session.scalars(query) for uuid in found))

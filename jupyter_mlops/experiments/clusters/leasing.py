"""The GPUs of a cluster: its process asks for them before it starts workers, and holds them.

There is a lease a worker, of whole GPUs or of a part of one, and all are the cluster's process's:
what its workers use counts for it. So leases are by cluster and not by trial. A process that has
begun to use CUDA can't change its GPU, and a worker runs many trials; a trial has the GPU of its
worker to itself, since a worker runs one trial at a time.

The first lease is waited for. Further ones are taken as far as they are free, at the start and
later while the cluster works: two clusters that each hold a half and wait for the other half can't
come about, and who waits goes first. A cluster of Dask-CUDA keeps those that it began with, since
that is told its GPUs when it is made.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from jupyter_mlops.experiments.records import ClusterRecord, GpuLeaseRecord
from jupyter_mlops.workspace import Unavailable, Workspace

if TYPE_CHECKING:
    from jupyter_mlops.experiments.gpus.leases import Lease

__all__ = ["GROWS", "KINDS", "YIELD", "further", "give", "others_wait", "take", "whole"]

KINDS: Final = ("cuda", "gpu")
#: The kind that takes further GPUs while it runs.
GROWS: Final = "gpu"
#: Seconds without work after which a cluster ends when others wait for GPUs.
YIELD: Final = 5.0


def take(ws: Workspace, name: str, plan: dict[str, Any], stop: threading.Event) -> list[Lease]:
    """Take a lease for each worker that a plan asks for, or for as many as are free.

    Parameters
    ----------
    ws : Workspace
    name : str
        The cluster's, which must be recorded.
    plan : dict
        ``kind``, ``workers``, ``gpus`` or ``gpu_memory`` of each, and ``priority`` and ``team``.
    stop : threading.Event
        Ends the wait.

    Returns
    -------
    list of Lease
        One at least; none for a kind that has no GPUs here.

    Raises
    ------
    Unavailable
        None became free within the setting `gpu_wait`, or this machine has none.
    """
    if plan["kind"] not in KINDS:
        return []
    from jupyter_mlops.experiments.gpus import count
    from jupyter_mlops.experiments.gpus.leases import acquire

    asked = _asked(ws, name, plan)
    _say(ws, name, waits=True)
    leases = [acquire(ws, **asked, timeout=ws.settings.gpu_wait, stop=stop)]
    _say(ws, name, waits=False)
    try:
        with suppress(Unavailable):
            while len(leases) < int(plan.get("workers") or count()):
                leases.append(acquire(ws, **asked, timeout=0))
    except BaseException:
        give(leases)
        raise
    return leases


def further(ws: Workspace, name: str, plan: dict[str, Any], most: int) -> list[Lease]:
    """Up to so many leases more, for a worker each, as far as they are free and nobody waits."""
    from jupyter_mlops.experiments.gpus.leases import acquire, room

    asked = _asked(ws, name, plan)
    found: list[Lease] = []
    # Somebody else may have been faster.
    with suppress(Unavailable):
        while len(found) < most and room(ws, gpus=asked["gpus"], memory=asked["memory"]):
            found.append(acquire(ws, **asked, timeout=0))
    return found


def _asked(ws: Workspace, name: str, plan: dict[str, Any]) -> dict[str, Any]:
    memory = plan.get("gpu_memory")
    return {
        "memory": memory,
        "gpus": 0 if memory else int(plan.get("gpus") or 1),
        "holder": ws.user,
        "purpose": f"cluster {name}",
        "priority": int(plan.get("priority") or 0),
        "team": plan.get("team") or None,
    }


def give(leases: Sequence[Lease]) -> None:
    """Give them back."""
    for one in leases:
        one.release()


def whole(ws: Workspace, leases: Sequence[Lease]) -> bool:
    """Whether all of them are held still."""
    if not leases:
        return True
    with ws.read() as session:
        query = select(GpuLeaseRecord.id).where(
            GpuLeaseRecord.id.in_([one.id for one in leases]), GpuLeaseRecord.status == "held"
        )
        return len(session.scalars(query).all()) == len(leases)


def others_wait(ws: Workspace) -> bool:
    """Whether anybody waits for a GPU of this machine."""
    with ws.read() as session:
        query = select(GpuLeaseRecord.id).where(
            GpuLeaseRecord.host == socket.gethostname(), GpuLeaseRecord.status == "waiting"
        )
        return session.execute(query.limit(1)).first() is not None


def _say(ws: Workspace, name: str, *, waits: bool) -> None:
    """Whoever waits for the cluster learns what for."""
    with ws.write() as tx:
        row = tx.session.get_one(ClusterRecord, name)
        row.plan = {**row.plan, "waits": waits}

"""Why GPUs can't be had, in a sentence."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device, devices
from jupyter_mlops.experiments.gpus.granting import OPEN
from jupyter_mlops.experiments.gpus.occupants import Occupants
from jupyter_mlops.experiments.gpus.turns import place
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Unavailable, Workspace

__all__ = ["too_late", "too_much"]


def too_much(found: Sequence[Device], gpus: int, memory: int) -> Unavailable | None:
    """Why this machine can never give that much; None where it can."""
    largest = max((one.total for one in found), default=0)
    # Of MIG instances a process sees one at most.
    most = max(sum(one.parent is None for one in found), 1)
    if found and gpus <= most and memory <= largest:
        return None
    plural = "" if most == 1 else "s"
    has = f"{most} GPU{plural} for one process, the largest of {largest:,} bytes"
    has = has if found else "no GPU"
    return Unavailable("so much GPU can't be had here", f"this machine has {has}", code="E-GPU-003")


def too_late(ws: Workspace, lease: str, timeout: float) -> Unavailable:
    """Who was in the way until it was too late: leases, or processes without one."""
    found = devices()
    names = {one.uuid: f"GPU {one.index}" for one in found}
    with ws.read() as session:
        query = select(GpuLeaseRecord).where(
            GpuLeaseRecord.host == socket.gethostname(), GpuLeaseRecord.status.in_(OPEN)
        )
        rows = session.scalars(query).all()
        asking = session.get(GpuLeaseRecord, lease)
        held = [one for one in rows if one.status == "held"]
        strangers = Occupants(found).strangers(held, asking)
        blocked = asking is not None and place(asking, held, found) is not None
        holders = sorted({one.holder for one in held})
    if blocked and strangers:
        told = [
            f"process {pid} holds {held / 1e9:.1f} GB of {names[uuid]}"
            for uuid, ones in strangers.items()
            for pid, held in ones.items()
        ]
        return Unavailable(
            f"no GPU became free within {timeout:g} s",
            f"without a lease, {', '.join(told[:4])}",
            "end that, or let it ask for a lease",
            code="E-GPU-008",
        )
    who = ", ".join(holders[:4])
    return Unavailable(
        f"no GPU became free within {timeout:g} s",
        f"held by {who}" if who else "",
        "`%mlops gpu` shows who holds what",
        code="E-GPU-006",
    )

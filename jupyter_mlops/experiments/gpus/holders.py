"""Who holds which GPU of this machine, and who waits."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device, devices
from jupyter_mlops.experiments.gpus.leases import expire
from jupyter_mlops.experiments.gpus.returning import SHORT
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuQuotaRecord
from jupyter_mlops.workspace import Result, Workspace

__all__ = ["Claim", "Gpus", "gpus"]


@dataclass(frozen=True)
class Claim:
    """A lease that is held, or that somebody waits for.

    Attributes
    ----------
    id : str
        32 hexadecimal digits; the last eight are `short`.
    status : str
        ``held`` or ``waiting``.
    gpus, memory : int
        Whole GPUs, or bytes on one; the other is 0.
    devices : tuple of str
        Their uuids; empty while it waits.
    since : datetime
        Since when it is held or waited for.
    """

    id: str
    status: str
    holder: str
    team: str
    purpose: str
    gpus: int
    memory: int
    devices: tuple[str, ...]
    since: datetime

    @property
    def short(self) -> str:
        """The last digits of the id, by which it can be given back."""
        return self.id[-SHORT:]


@dataclass(frozen=True)
class Gpus(Result):
    """The GPUs of this machine and the claims on them; `quotas` are shares by team."""

    devices: tuple[Device, ...]
    claims: tuple[Claim, ...]
    quotas: dict[str, float]


def gpus(ws: Workspace) -> Gpus:
    """List this machine's GPUs, who holds them, and who waits, the longest first."""
    expire(ws)
    with ws.read() as session:
        rows = session.scalars(
            select(GpuLeaseRecord)
            .where(
                GpuLeaseRecord.status.in_(("held", "waiting")),
                GpuLeaseRecord.host == socket.gethostname(),
            )
            .order_by(GpuLeaseRecord.status, GpuLeaseRecord.asked_at)
        )
        claims = tuple(_claim(row) for row in rows)
        quotas = {row.team: row.share for row in session.scalars(select(GpuQuotaRecord))}
    return Gpus(tuple(devices()), claims, quotas)


def _claim(row: GpuLeaseRecord) -> Claim:
    return Claim(
        row.id,
        row.status,
        row.holder,
        row.team,
        row.purpose,
        row.gpus,
        row.memory,
        tuple(row.devices),
        row.granted_at or row.asked_at,
    )

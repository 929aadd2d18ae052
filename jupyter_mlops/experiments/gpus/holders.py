"""Who holds which GPU of this machine, and who waits."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device, devices
from jupyter_mlops.experiments.gpus.leases import expire
from jupyter_mlops.experiments.gpus.returning import SHORT
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuQuotaRecord
from jupyter_mlops.workspace import Result, Workspace

__all__ = ["Claim", "Excess", "Gpus", "gpus"]


@dataclass(frozen=True)
class Excess:
    """Bytes that a lease's holder had on a GPU and that it may have, and what follows.

    Attributes
    ----------
    process : int
        The process that holds most, which is ended at `until` unless memory is given back.
    device : str
        The GPU's uuid.
    """

    process: int
    device: str
    used: int
    allowed: int
    until: datetime


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
    excess : Excess or None
        What its holder uses beyond it, once that was told so.
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
    excess: Excess | None = None

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
    told = _told(ws)
    with ws.read() as session:
        rows = session.scalars(
            select(GpuLeaseRecord)
            .where(
                GpuLeaseRecord.status.in_(("held", "waiting")),
                GpuLeaseRecord.host == socket.gethostname(),
            )
            .order_by(GpuLeaseRecord.status, GpuLeaseRecord.asked_at)
        )
        claims = tuple(_claim(row, told.get(row.id)) for row in rows)
        quotas = {row.team: row.share for row in session.scalars(select(GpuQuotaRecord))}
    return Gpus(tuple(devices()), claims, quotas)


def _told(ws: Workspace) -> dict[str, Excess]:
    """Who was told lately that it uses too much, by the lease."""
    found: dict[str, Excess] = {}
    for event in ws.events(kind="gpu.warned", newest=True):
        told = event.payload
        until = event.at + timedelta(seconds=told["seconds"])
        excess = Excess(told["process"], told["device"], told["used"], told["allowed"], until)
        found.setdefault(event.subject.removeprefix("gpu:"), excess)
    return found


def _claim(row: GpuLeaseRecord, excess: Excess | None) -> Claim:
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
        excess if row.warned_at is not None else None,
    )

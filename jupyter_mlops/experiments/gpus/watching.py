"""Holders that use more than they asked for, or nothing at all: told, then stopped."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import psutil
from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device, devices
from jupyter_mlops.experiments.gpus.granting import end, serve
from jupyter_mlops.experiments.gpus.leases import expire
from jupyter_mlops.experiments.gpus.occupants import Occupants, pid_of
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Transaction, Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["watch"]

_log = logging.getLogger(__name__)
_SHARE: Final = 0.10
#: Bytes of a process that CUDA itself takes, and no framework counts.
_CONTEXT: Final = 512 << 20
#: Seconds that a process has between being asked to end and being made to.
_TERM: Final = 5.0


@dataclass(frozen=True)
class _Excess:
    """A family of processes that holds more of a GPU than its leases allow."""

    row: GpuLeaseRecord
    device: Device
    worst: int
    used: int
    allowed: int

    def __str__(self) -> str:
        return (
            f"it held {self.used / 1e9:.1f} GB of GPU {self.device.index}, and "
            f"{self.allowed / 1e9:.1f} GB were its own"
        )


def watch(ws: Workspace, only: Collection[str] | None = None) -> int:
    """Look once at what this machine's holders use of the GPUs.

    The agent looks at all of them, and each process that holds leases at its own, so that somebody
    does where no agent runs.

    What children of a holder use counts for it. A holder that uses more than its leases by 10 %
    and half a gigabyte a process is told by the event ``gpu.warned``, once. When it still does
    after the setting `gpu_grace`, the process of it that holds most is ended (``gpu.stopped``):
    the holder, whose leases end with it, or a child such as a cluster's worker, whose lease goes
    on for what replaces it. A lease whose holder uses no GPU for the setting `gpu_idle` is taken
    back.

    Parameters
    ----------
    ws : Workspace
    only : collection of str, optional
        Ids of leases; just the holders of these are looked at.

    Returns
    -------
    int
        How many were stopped or taken back.
    """
    here = socket.gethostname()
    with ws.read() as session:
        query = select(GpuLeaseRecord).where(
            GpuLeaseRecord.status == "held", GpuLeaseRecord.host == here
        )
        rows = [row for row in session.scalars(query).all() if may_live(row.process)]
        session.expunge_all()
    if only is not None:
        mine = {row.process for row in rows if row.id in only}
        rows = [row for row in rows if row.process in mine]
    if not rows:
        return 0
    found = devices()
    families: dict[int, list[GpuLeaseRecord]] = {}
    for row in rows:
        families.setdefault(pid_of(row.process), []).append(row)
    used = Occupants(found).used(families)
    excesses = {
        excess.row.id: excess
        for holder, leases in families.items()
        for excess in _excesses(leases, used.get(holder, {}), found)
    }
    busy = {one.uuid for one in found if one.utilisation}
    idle = {
        row.id
        for row in rows
        if ws.settings.gpu_idle > 0 and not _uses(row, used.get(pid_of(row.process), {}), busy)
    }
    if not any(
        (row.id in excesses) or row.warned_at or (row.id in idle) != (row.idle_since is not None)
        or row.id in idle for row in rows
    ):  # fmt: skip
        return 0
    now = utcnow()
    with ws.write() as tx:
        # Two may look at once: one of them warns, and one stops.
        known = [tx.session.get(GpuLeaseRecord, row.id, with_for_update=True) for row in rows]
        held = [row for row in known if row is not None and row.status == "held"]
        reclaimed = [row for row in held if _idles(row, row.id in idle, now, ws)]
        for row in reclaimed:
            end(tx, row, "reclaimed", f"it was idle for {ws.settings.gpu_idle:g} s")
        serve(tx, found)
        late = [
            excesses[row.id]
            for row in held
            if row.status == "held" and _judge(tx, row, excesses.get(row.id), now, ws)
        ]
    return len(reclaimed) + sum(_stop(ws, one, now) for one in late)


def _excesses(
    leases: Sequence[GpuLeaseRecord],
    used: dict[str, dict[int, int | None]],
    found: Sequence[Device],
) -> list[_Excess]:
    told: list[_Excess] = []
    for device in found:
        family = {pid: held or 0 for pid, held in used.get(device.uuid, {}).items()}
        own = [row for row in leases if device.uuid in row.devices]
        allowed = sum(row.memory or device.total for row in own)
        total = sum(family.values())
        if family and total > allowed * (1 + _SHARE) + _CONTEXT * len(family):
            worst = max(family, key=lambda pid: family[pid])
            told.append(_Excess((own or leases)[0], device, worst, total, allowed))
    return told


def _uses(row: GpuLeaseRecord, used: dict[str, dict[int, int | None]], busy: set[str]) -> bool:
    """Whether its holder uses what it holds; a part isn't told apart by the GPU's being busy."""
    return any(used.get(uuid) or (row.gpus and uuid in busy) for uuid in row.devices)


def _idles(row: GpuLeaseRecord, idle: bool, now: datetime, ws: Workspace) -> bool:
    """Note since when a lease is idle, and whether that is too long."""
    if not idle:
        row.idle_since = None
        return False
    row.idle_since = row.idle_since or now
    return (now - row.idle_since).total_seconds() >= ws.settings.gpu_idle


def _judge(
    tx: Transaction, row: GpuLeaseRecord, excess: _Excess | None, now: datetime, ws: Workspace
) -> bool:
    """Warn once; say whether the time that this gave is over."""
    if excess is None:
        row.warned_at = None
        return False
    if row.warned_at is None:
        row.warned_at = now
        # Whoever holds leases itself reads it where it works, as in a notebook's cell.
        seconds = f"{ws.settings.gpu_grace:g} s"
        _log.warning("%s of %s: %s; it is ended in %s", row.purpose, row.holder, excess, seconds)
        tx.emit(
            "gpu.warned",
            f"gpu:{row.id}",
            payload={
                "device": excess.device.uuid,
                "process": excess.worst,
                "used": excess.used,
                "allowed": excess.allowed,
                "seconds": ws.settings.gpu_grace,
                "team": row.team,
            },
        )
        return False
    if (now - row.warned_at).total_seconds() < ws.settings.gpu_grace:
        return False
    row.warned_at = now
    return True


def _stop(ws: Workspace, excess: _Excess, now: datetime) -> int:
    """End the process that holds most, and the leases if it is their holder."""
    holder = pid_of(excess.row.process)
    child = excess.worst != holder
    # Written first: whoever sees that the process is gone ends its lease with this reason.
    _note(ws, excess, "" if child else str(excess), None if child else now)
    if not _ended(excess.worst):
        _note(ws, excess, "", now)
        return 0
    if not child:
        expire(ws)
        return 1
    with ws.write() as tx:
        tx.emit(
            "gpu.stopped",
            f"gpu:{excess.row.id}",
            payload={
                "reason": str(excess), "process": excess.worst, "team": excess.row.team
            },
        )  # fmt: skip
    return 1


def _note(ws: Workspace, excess: _Excess, reason: str, warned: datetime | None) -> None:
    with ws.write() as tx:
        query = select(GpuLeaseRecord).where(
            GpuLeaseRecord.process == excess.row.process, GpuLeaseRecord.status == "held"
        )
        for row in tx.session.scalars(query):
            row.reason = reason
            if row.id == excess.row.id:
                row.warned_at = warned


def _ended(pid: int) -> bool:
    """Ask a process to end, and make it; False where it is another user's."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        try:
            process.terminate()
            try:
                process.wait(_TERM)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(_TERM)
        except psutil.AccessDenied:
            return False
        except psutil.TimeoutExpired:
            # It hangs in the driver, and ends when that lets it go.
            return True
    return True

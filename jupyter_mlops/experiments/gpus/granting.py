"""Within a transaction: ending leases, keeping them fresh, and serving who waits."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device
from jupyter_mlops.experiments.gpus.occupants import Occupants
from jupyter_mlops.experiments.gpus.turns import HALF_LIFE, in_order, past_use, place
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuQuotaRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Transaction
from jupyter_mlops.workspace.records import utcnow

__all__ = ["BEAT_SECONDS", "OPEN", "SILENT_SECONDS", "end", "look", "serve"]

BEAT_SECONDS = 20.0
SILENT_SECONDS = 90.0
"""After so long without a heartbeat, another machine's lease has ended."""
OPEN: Final = ("waiting", "held")


def look(tx: Transaction, found: Sequence[Device]) -> int:
    """End the leases of the dead, keep those of this machine's living fresh, serve who waits."""
    now = utcnow()
    here, ended = socket.gethostname(), 0
    query = select(GpuLeaseRecord).where(GpuLeaseRecord.status.in_(OPEN))
    for row in tx.session.scalars(query).all():
        silent = (now - row.beat_at).total_seconds()
        if row.host == here and may_live(row.process):
            if silent > BEAT_SECONDS:
                row.beat_at = now
        elif row.host == here or silent > SILENT_SECONDS:
            # Whoever had its process stopped wrote down why, before.
            stopped = row.status == "held" and bool(row.reason)
            status = "stopped" if stopped else "reclaimed"
            end(tx, row, status, row.reason or "its process is gone")
            ended += 1
    serve(tx, found)
    return ended


def serve(tx: Transaction, found: Sequence[Device]) -> None:
    """Give what is free to those whose turn it is."""
    tx.session.flush()
    now = utcnow()
    query = select(GpuLeaseRecord).where(
        GpuLeaseRecord.host == socket.gethostname(), GpuLeaseRecord.status.in_(OPEN)
    )
    rows = tx.session.scalars(query).all()
    waiting = [one for one in rows if one.status == "waiting"]
    if not waiting:
        return
    held = [one for one in rows if one.status == "held"]
    quotas = {one.team: one.share for one in tx.session.scalars(select(GpuQuotaRecord))}
    since = now - timedelta(seconds=10 * HALF_LIFE)
    ended = select(GpuLeaseRecord).where(GpuLeaseRecord.ended_at > since)
    used = past_use(tx.session.scalars(ended).all(), now)
    occupants = Occupants(found)
    while waiting:
        first = in_order(waiting, held, quotas, used, len(found))[0]
        strangers = occupants.strangers(held, first)
        strange = {uuid: sum(ones.values()) for uuid, ones in strangers.items()}
        chosen = place(first, held, found, strange)
        if chosen is None:
            first.reserved_at = first.reserved_at or now
            return
        first.status, first.devices, first.granted_at = "held", chosen, now
        tx.emit("gpu.leased", f"gpu:{first.id}", payload={"devices": chosen, "team": first.team})
        waiting.remove(first)
        held.append(first)


def end(tx: Transaction, row: GpuLeaseRecord, status: str, reason: str) -> None:
    """End a lease as released, reclaimed, stopped or withdrawn."""
    row.status, row.reason, row.ended_at = status, reason, utcnow()
    tx.emit(f"gpu.{status}", f"gpu:{row.id}", payload={"reason": reason, "team": row.team})

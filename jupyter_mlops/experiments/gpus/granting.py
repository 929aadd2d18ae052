"""Within a transaction: ending leases, keeping them fresh, and serving who waits."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final, cast

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device
from jupyter_mlops.experiments.gpus.occupants import Occupants
from jupyter_mlops.experiments.gpus.turns import faded, in_order, place
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuQuotaRecord, GpuUseRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Transaction
from jupyter_mlops.workspace.records import utcnow

__all__ = ["BEAT_SECONDS", "OPEN", "SILENT_SECONDS", "end", "look", "serve"]

BEAT_SECONDS = 20.0
SILENT_SECONDS = 90.0
"""After so long without a heartbeat, another machine's lease has ended."""
OPEN: Final = ("waiting", "held")
_WANTS: Final = (
    GpuLeaseRecord.id,
    GpuLeaseRecord.team,
    GpuLeaseRecord.priority,
    GpuLeaseRecord.gpus,
    GpuLeaseRecord.memory,
    GpuLeaseRecord.weight,
    GpuLeaseRecord.process,
    GpuLeaseRecord.asked_at,
    GpuLeaseRecord.reserved_at,
)


def look(tx: Transaction, found: Sequence[Device]) -> int:
    """End the leases of the dead, keep those of this machine's living fresh, serve who waits."""
    now = utcnow()
    here, ended = socket.gethostname(), 0
    query = select(GpuLeaseRecord).where(GpuLeaseRecord.status.in_(OPEN))
    rows = tx.session.scalars(query).all()
    # Many wait in one process, and asking the system for each takes long.
    lives = {name: may_live(name) for name in {row.process for row in rows if row.host == here}}
    for row in rows:
        silent = (now - row.beat_at).total_seconds()
        if lives.get(row.process):
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
    now, here = utcnow(), socket.gethostname()
    columns = select(*_WANTS).where(GpuLeaseRecord.host == here, GpuLeaseRecord.status == "waiting")
    # Hundreds may wait, of whom one or two are served: their columns are enough.
    waiting = cast("list[GpuLeaseRecord]", tx.session.execute(columns).all())
    if not waiting:
        return
    holding = select(GpuLeaseRecord).where(
        GpuLeaseRecord.host == here, GpuLeaseRecord.status == "held"
    )
    held = list(tx.session.scalars(holding))
    quotas = {one.team: one.share for one in tx.session.scalars(select(GpuQuotaRecord))}
    past = tx.session.scalars(select(GpuUseRecord).where(GpuUseRecord.host == here))
    used = {one.team: faded(one.seconds, (now - one.at).total_seconds()) for one in past}
    for row in held:
        seconds = (now - (row.granted_at or now)).total_seconds()
        used[row.team] = used.get(row.team, 0.0) + row.weight * seconds
    occupants = Occupants(found)
    while waiting:
        first = in_order(waiting, held, quotas, used, len(found))[0]
        strangers = occupants.strangers(held, first)
        strange = {uuid: sum(ones.values()) for uuid, ones in strangers.items()}
        chosen = place(first, held, found, strange)
        row = tx.session.get_one(GpuLeaseRecord, first.id)
        if chosen is None:
            sizes = {(one.gpus, one.memory): one for one in waiting}
            if any(place(one, held, found, strange) for one in sizes.values()):
                # It would lose its place to one that needs less.
                row.reserved_at = row.reserved_at or now
            return
        row.status, row.devices, row.granted_at = "held", chosen, now
        tx.emit("gpu.leased", f"gpu:{row.id}", payload={"devices": chosen, "team": row.team})
        waiting.remove(first)
        held.append(row)


def end(tx: Transaction, row: GpuLeaseRecord, status: str, reason: str) -> None:
    """End a lease as released, reclaimed, stopped or withdrawn."""
    now = utcnow()
    row.status, row.reason, row.ended_at = status, reason, now
    if row.granted_at is not None:
        held = row.weight * (now - row.granted_at).total_seconds()
        use = tx.session.get(GpuUseRecord, (row.team, row.host))
        if use is None:
            use = GpuUseRecord(team=row.team, host=row.host, seconds=0.0, at=now)
            tx.session.add(use)
        use.seconds = faded(use.seconds, (now - use.at).total_seconds()) + held
        use.at = now
    tx.emit(f"gpu.{status}", f"gpu:{row.id}", payload={"reason": reason, "team": row.team})

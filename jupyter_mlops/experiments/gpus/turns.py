"""Whose turn it is, and on which devices: a plan over the open leases of one machine.

Priority goes first. Among equals: who was first in line before and didn't fit where another would
have (its place is reserved, and nobody behind it is served until it is, so that small requests
can't starve a big one), then teams within their quota, then who holds least for its share, then
who used least lately (half of it forgotten each hour), then who came first.

A quota of 2.4 GPUs is two and, some of the time, a third: among teams that hold less than their
quota but would be beyond it, who used least for its share goes first, so that it comes out right
over time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jupyter_mlops.experiments.gpus.devices import Device
from jupyter_mlops.experiments.gpus.occupants import little
from jupyter_mlops.experiments.records import GpuLeaseRecord

__all__ = ["HALF_LIFE", "faded", "in_order", "place"]

HALF_LIFE = 3600.0
"""Seconds after which past use counts half."""


def place(
    lease: GpuLeaseRecord,
    held: Sequence[GpuLeaseRecord],
    devices: Sequence[Device],
    strange: Mapping[str, int] | None = None,
) -> list[str] | None:
    """Choose devices for a lease; None when it doesn't fit beside those that are held.

    Parameters
    ----------
    lease, held
        Who asks, and who holds what.
    devices : sequence of Device
    strange : mapping, optional
        Bytes that processes without a lease hold, by uuid. That much less of a GPU is shared,
        and none is handed out whole on which it is more than a little.
    """
    strange = strange or {}
    taken: dict[str, int] = {}
    whole: set[str] = set()
    for one in held:
        for uuid in one.devices:
            taken[uuid] = taken.get(uuid, 0) + one.memory
            if one.gpus:
                whole.add(uuid)
    if lease.gpus:
        free = [
            one
            for one in devices
            if one.uuid not in taken and strange.get(one.uuid, 0) <= little(one)
        ]
        if lease.gpus > 1:
            # CUDA shows a process one MIG instance at most.
            free = [one for one in free if one.parent is None]
        return [one.uuid for one in free[: lease.gpus]] if len(free) >= lease.gpus else None
    rest = {
        one.uuid: one.total - taken.get(one.uuid, 0) - strange.get(one.uuid, 0) for one in devices
    }
    fitting = [uuid for uuid, n in rest.items() if uuid not in whole and n >= lease.memory]
    # Best fit: what stays free stays in large pieces.
    return [min(fitting, key=lambda uuid: rest[uuid])] if fitting else None


def in_order(
    waiting: Sequence[GpuLeaseRecord],
    held: Sequence[GpuLeaseRecord],
    quotas: Mapping[str, float],
    used: Mapping[str, float],
    total: int,
) -> list[GpuLeaseRecord]:
    """Sort those who wait; a team without a quota counts as if all were its own."""
    holds: dict[str, float] = {}
    for one in held:
        holds[one.team] = holds.get(one.team, 0.0) + one.weight

    def key(one: GpuLeaseRecord) -> tuple[object, ...]:
        share = quotas.get(one.team, 1.0)
        has, own = holds.get(one.team, 0.0), share * total
        partly = has < own - 1e-9 and has + one.weight > own + 1e-9
        return (
            -one.priority,
            one.reserved_at is None,
            0 if has + one.weight <= own + 1e-9 else 1 if partly else 2,
            0.0 if partly else has / share,
            used.get(one.team, 0.0) / share,
            one.asked_at,
            one.id,
        )

    return sorted(waiting, key=key)


def faded(seconds: float, age: float) -> float:
    """GPU seconds as they count some seconds later.

    Examples
    --------
    >>> faded(100.0, HALF_LIFE)
    50.0
    """
    return float(seconds * 0.5 ** (max(age, 0.0) / HALF_LIFE))

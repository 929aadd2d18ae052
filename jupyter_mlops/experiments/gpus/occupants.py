"""The processes that use the GPUs, as NVML tells of them, beside those that hold leases."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import psutil

from jupyter_mlops.experiments.gpus.devices import Device
from jupyter_mlops.experiments.records import GpuLeaseRecord

__all__ = ["Occupants", "little", "pid_of"]

_LITTLE: Final = 256 << 20
"""Bytes that a display or a monitor may hold on a GPU that counts as free nevertheless."""


def little(device: Device) -> float:
    """Bytes that don't make a GPU taken: 256 MiB, or 2 % of a small one."""
    return min(_LITTLE, device.total * 0.02)


def pid_of(process: str) -> int:
    """The process id in a process's name."""
    return int(process.rsplit(":", 2)[1])


class Occupants:
    """Who uses which GPU, at one look.

    A process belongs to the nearest of itself and its ancestors that holds a lease. All rows that
    are handed in are of this machine.

    Parameters
    ----------
    devices : sequence of Device
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices
        self._lines = {pid: _line(pid) for one in devices for pid in one.processes}

    def strangers(
        self, held: Iterable[GpuLeaseRecord], asking: GpuLeaseRecord | None = None
    ) -> dict[str, dict[int, int]]:
        """Processes that use a GPU without a lease of it.

        Parameters
        ----------
        held : iterable of GpuLeaseRecord
        asking : GpuLeaseRecord, optional
            Who wants one: its own processes are no strangers to it.

        Returns
        -------
        dict
            Bytes by process, by the GPU's uuid. What the driver doesn't tell of a process is
            what the GPU has in use beyond what it tells.
        """
        holders: dict[str, set[int]] = {}
        for row in held:
            for uuid in row.devices:
                holders.setdefault(uuid, set()).add(pid_of(row.process))
        own = set() if asking is None else {pid_of(asking.process)}
        found: dict[str, dict[int, int]] = {}
        for one in self._devices:
            known = own | holders.get(one.uuid, set())
            untold = max(one.used - sum(held or 0 for held in one.processes.values()), 0)
            for pid, memory in one.processes.items():
                if known.isdisjoint(self._lines[pid]):
                    found.setdefault(one.uuid, {})[pid] = untold if memory is None else memory
        return found

    def used(self, holders: Collection[int]) -> dict[int, dict[str, dict[int, int | None]]]:
        """What the family of each holder uses: by holder, by the GPU's uuid, by process."""
        found: dict[int, dict[str, dict[int, int | None]]] = {}
        for one in self._devices:
            for pid, memory in one.processes.items():
                holder = next((each for each in self._lines[pid] if each in holders), None)
                if holder is not None:
                    found.setdefault(holder, {}).setdefault(one.uuid, {})[pid] = memory
        return found


def _line(pid: int) -> list[int]:
    """A process and its ancestors, the nearest first."""
    try:
        return [pid, *(one.pid for one in psutil.Process(pid).parents())]
    except psutil.Error:
        # It has ended since, or isn't seen from within this container.
        return [pid]

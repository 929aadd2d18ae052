"""What the processes of each version take: processor time, memory, and memory of GPUs."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

from jupyter_mlops.experiments.gpus.devices import FAKE, Device, devices
from jupyter_mlops.workspace.errors import MLOpsError

__all__ = ["SECONDS", "GpuUse", "Taken", "Usage"]

#: Between two looks: telling shared pages apart takes the kernel 7 ms, asking a driver longer.
SECONDS: Final = 10.0
#: Between two looks at a machine that had no GPU.
_NONE: Final = 300.0


@dataclass
class Taken:
    """What the processes of one version take.

    Attributes
    ----------
    cpu : float
        Seconds of all that ever ran.
    memory : int
        Bytes; what processes share counts for each by its share.
    """

    cpu: float = 0.0
    memory: int = 0
    ended: float = 0.0
    running: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class GpuUse:
    """One GPU, as far as an endpoint's processes work with it.

    Attributes
    ----------
    device : Device
    bytes : dict of str to int
        Memory that the processes of each version hold.
    """

    device: Device
    bytes: dict[str, int]

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        one = self.device
        return {
            "uuid": one.uuid,
            "name": one.name,
            "total": one.total,
            "used": one.used,
            "utilisation": one.utilisation,
            "versions": self.bytes,
        }


class Usage:
    """Looks at processes now and then, and keeps what it saw.

    Parameters
    ----------
    processes : callable
        Ids of the models' processes by version.

    Attributes
    ----------
    versions : dict of str to Taken
    own : Taken
        The gateway's.
    gpus : list of GpuUse
        Those that any of the processes holds memory of.
    """

    def __init__(self, processes: Callable[[], Mapping[str, Sequence[int]]]) -> None:
        self.processes = processes
        self.versions: dict[str, Taken] = {}
        self.own = Taken()
        self.gpus: list[GpuUse] = []
        self._here = psutil.Process()
        self._known: dict[int, psutil.Process] = {}
        self._seen = self._seen_gpus = -math.inf
        self._pause = SECONDS

    @property
    def cpu(self) -> float:
        """Seconds of processor time of all, those that have ended included."""
        return self.own.cpu + sum(one.cpu for one in self.versions.values())

    @property
    def memory(self) -> int:
        """Bytes of memory of all that run."""
        return self.own.memory + sum(one.memory for one in self.versions.values())

    def look(self) -> None:
        """Read the clocks of all processes, and at times their memory."""
        now = time.monotonic()
        due = now - self._seen > SECONDS
        times = self._here.cpu_times()
        self.own.cpu = times.user + times.system
        if due:
            self._seen = now
            self.own.memory = _memory(self._here)
        running = self.processes()
        for version in {*running, *self.versions}:
            self._look(self.versions.setdefault(version, Taken()), running.get(version, ()), due)

    def _look(self, taken: Taken, pids: Sequence[int], due: bool) -> None:
        # What processes that have ended spent was spent all the same.
        for pid in set(taken.running) - set(pids):
            taken.ended += taken.running.pop(pid)
            self._known.pop(pid, None)
        memory = 0
        for pid in pids:
            with contextlib.suppress(psutil.Error):
                process = self._known.setdefault(pid, psutil.Process(pid))
                spent = process.cpu_times()
                taken.running[pid] = spent.user + spent.system
                memory += _memory(process) if due else 0
        taken.cpu = taken.ended + sum(taken.running.values())
        if due or not pids:
            taken.memory = memory

    def look_at_gpus(self) -> None:
        """Ask the driver, when it is time; it may take a while, so never in the event loop."""
        now = time.monotonic()
        if now - self._seen_gpus < self._pause:
            return
        self._seen_gpus = now
        try:
            found = devices()
        except MLOpsError:
            found = []
        self._pause = SECONDS if found or os.environ.get(FAKE) else _NONE
        families = {version: _family(pids) for version, pids in self.processes().items()}
        self.gpus = [use for one in found if (use := _use(one, families)).bytes]


def _use(device: Device, families: Mapping[str, set[int]]) -> GpuUse:
    held: dict[str, int] = {}
    for version, pids in families.items():
        mine = [memory or 0 for pid, memory in device.processes.items() if pid in pids]
        if mine:
            held[version] = sum(mine)
    return GpuUse(device, held)


def _family(pids: Sequence[int]) -> set[int]:
    found = set(pids)
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            found |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return found


def _memory(process: psutil.Process) -> int:
    """Bytes of a process: forked ones share most of what is resident."""
    found = process.memory_full_info()
    return int(getattr(found, "pss", found.rss))

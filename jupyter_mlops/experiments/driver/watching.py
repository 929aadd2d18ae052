"""What a trial prints and what it takes: kept within bounds, measured while it runs."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jupyter_mlops.experiments.driver.trial import Outcome

__all__ = ["Output", "measured"]

_HEAD, _TAIL = 4_000, 12_000
_SAMPLE: Final = 0.25


class Output(io.TextIOBase):
    """Keeps the beginning and the end of what a trial prints, however much that is."""

    def __init__(self) -> None:
        self._head: list[str] = []
        self._tail = ""
        self._room = _HEAD
        self._lost = 0

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        size = len(text)
        if self._room:
            self._head.append(text[: self._room])
            text = text[self._room :]
            self._room -= len(self._head[-1])
        if text:
            kept = (self._tail + text[-_TAIL:])[-_TAIL:]
            self._lost += len(self._tail) + len(text) - len(kept)
            self._tail = kept
        return size

    def text(self) -> str:
        lost = f"\n… {self._lost:,} characters left out …\n" if self._lost else ""
        return "".join(self._head) + lost + self._tail


@contextlib.contextmanager
def measured(outcome: Outcome) -> Iterator[None]:
    """Time, CPU seconds of the process and its children, and the most memory in use.

    Where it was given GPUs, also the most of their memory, and how busy they were.
    """
    done = threading.Event()
    peak = [_resident()]
    gpus = GpuUse()

    def sample() -> None:
        while not done.wait(_SAMPLE):
            peak[0] = max(peak[0], _resident())
            gpus.look()

    thread = threading.Thread(target=sample, name="trial-memory", daemon=True)
    thread.start()
    cpu, started = _cpu(), time.perf_counter()
    try:
        yield
    finally:
        outcome.seconds = time.perf_counter() - started
        done.set()
        outcome.usage = {
            "cpu_seconds": round(_cpu() - cpu, 3),
            "peak_bytes": float(max(peak[0], _resident())),
            **gpus.told(),
        }


def _cpu() -> float:
    return sum(
        sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


class GpuUse:
    """What this process takes of the GPUs that it was given, looked at now and then."""

    def __init__(self) -> None:
        self._visible = [
            one for one in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if one
        ]
        self._bytes = 0
        self._shares: list[float] = []

    def look(self) -> None:
        if not self._visible:
            return
        from jupyter_mlops.experiments.gpus import devices, held_here

        found = devices()
        self._bytes = max(self._bytes, held_here(found))
        # By number, or by the beginning of what identifies it.
        given = [
            one
            for one in found
            if any(str(one.index) == name or one.uuid.startswith(name) for name in self._visible)
        ]
        busy = [one.utilisation for one in given if one.utilisation is not None]
        if busy:
            self._shares.append(sum(busy) / len(busy))

    def told(self) -> dict[str, float]:
        """``gpu_bytes`` and ``gpu_share``, as far as they are known."""
        if not self._visible:
            return {}
        self.look()
        found = {"gpu_bytes": float(self._bytes)}
        if self._shares:
            found["gpu_share"] = round(sum(self._shares) / len(self._shares), 3)
        return found

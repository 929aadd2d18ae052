"""What a trial prints and what it takes: kept within bounds, measured while it runs."""

from __future__ import annotations

import contextlib
import io
import os
import resource
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from jupyter_mlops.experiments.driver.trial import Outcome

__all__ = ["Output", "measured"]

_HEAD, _TAIL = 4_000, 12_000
_SAMPLE: Final = 0.25
#: Samples without a trial after which no more are taken.
_IDLE: Final = 40


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
    gpus = GpuUse()
    peak = _memory.begin(gpus)
    cpu, started = _cpu(), time.perf_counter()
    try:
        yield
    finally:
        outcome.seconds = time.perf_counter() - started
        _memory.end()
        outcome.usage = {
            "cpu_seconds": round(_cpu() - cpu, 3),
            "peak_bytes": float(max(peak[0], _resident())),
            **gpus.told(),
        }


def _cpu() -> float:
    return sum(
        sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )


class _Memory:
    """Samples this process's memory, and its GPUs, while something is measured.

    One thread for all trials of a process: to start one takes longer than the rest of measuring.
    """

    def __init__(self) -> None:
        self._peak: list[int] | None = None
        self._gpus: GpuUse | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def begin(self, gpus: GpuUse) -> list[int]:
        """Sample from now on; the most so far is the one number in the list."""
        peak = [_resident()]
        with self._lock:
            self._peak, self._gpus = peak, gpus
            # After a fork it isn't alive.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="trial-memory", daemon=True)
                self._thread.start()
        return peak

    def end(self) -> None:
        """Sample no more."""
        self._peak = self._gpus = None

    def _run(self) -> None:
        idle = 0
        while True:
            time.sleep(_SAMPLE)
            peak, gpus = self._peak, self._gpus
            if peak is not None:
                peak[0], idle = max(peak[0], _resident()), 0
                if gpus is not None:
                    gpus.look()
                continue
            idle += 1
            with self._lock:
                if idle > _IDLE and self._peak is None:
                    self._thread = None
                    return


_memory = _Memory()


def _resident() -> int:
    return int(_process(os.getpid()).memory_info().rss)


@lru_cache(maxsize=1)
def _process(pid: int) -> Any:
    import psutil

    return psutil.Process(pid)


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

"""How a running trial and the process that drives it talk: reports one way, commands the other.

A trial runs in a worker's thread. What it reports goes to the driver as an event of Dask's; what
the driver wants of it is set from the worker's event loop, and heard at the trial's next report,
or at once where it has to stop.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from jupyter_mlops.workspace import Invalid

__all__ = ["Command", "Control", "Pruned", "Stopped", "answered", "command", "control", "topic"]

Command = Literal["prune", "stop"]

#: Seconds between two reports that are sent; all are kept.
_PAUSE: Final = 0.05
#: Points of a curve that are kept; beyond them every other one is dropped.
_POINTS: Final = 2_000


class Pruned(BaseException):
    """The search has seen enough of this trial. Not an `Exception`: no handler of errors in a
    trial's own code may take it for one."""


class Stopped(BaseException):
    """A person, or the end of the experiment, stops this trial."""


@dataclass
class Control:
    """One running trial, as the thread that runs it and the driver see it.

    Attributes
    ----------
    trial : str
    tell : callable
        Takes a message for the driver.
    curve : list of [step, value]
        What was reported so far.
    """

    trial: str
    tell: Callable[[dict[str, Any]], None]
    curve: list[list[float]] = field(default_factory=list)
    wanted: Command | None = None
    _thread: int = field(default_factory=threading.get_ident)
    _sent: float = 0.0
    _stride: int = 1
    _count: int = 0

    def report(self, step: float, value: float) -> None:
        """Tell how far the trial is; the search may end it here.

        Parameters
        ----------
        step : float
            For example the epoch. The search compares trials at equal steps.
        value : float
            The metric so far.

        Raises
        ------
        Invalid
            One of the two is no number.
        """
        try:
            pair = [float(step), float(value)]
        except (TypeError, ValueError):
            raise Invalid(
                f"report({step!r}, {value!r}) takes two numbers",
                fix="write report(step, value), for example report(epoch, loss)",
                code="E-TRIAL-001",
            ) from None
        if self.wanted == "prune":
            raise Pruned
        if self.wanted == "stop":
            raise Stopped
        if not math.isfinite(pair[1]):
            return  # no pruner can compare it, and JSON can't hold it
        self._count += 1
        if self._count % self._stride == 0:
            self.curve.append(pair)
        if len(self.curve) > _POINTS:
            del self.curve[::2]
            self._stride *= 2
        now = time.monotonic()
        if now - self._sent >= _PAUSE:
            self._sent = now
            self.tell({"kind": "report", "trial": self.trial, "step": pair[0], "value": pair[1]})

    def interrupt(self) -> None:
        """Raise `Stopped` in the trial's thread at its next bytecode."""
        ctypes.pythonapi.PyThreadState_SetAsyncExc(
            ctypes.c_ulong(self._thread), ctypes.py_object(Stopped)
        )


_running: dict[str, Control] = {}
#: What this process has to say there, by topic, goes straight to the driver.
_lines: dict[str, Callable[[dict[str, Any]], None]] = {}
_lock = threading.Lock()


@contextmanager
def answered(place: str, tell: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Answer commands where the trials report meanwhile, so that the driver hears both in order."""
    _lines[place] = tell
    try:
        yield
    finally:
        _lines.pop(place, None)


class control:
    """Let a trial be found by its id while it runs."""

    def __init__(self, trial: str, tell: Callable[[dict[str, Any]], None]) -> None:
        self._control = Control(trial, tell)

    def __enter__(self) -> Control:
        with _lock:
            _running[self._control.trial] = self._control
        return self._control

    def __exit__(self, *_: object) -> None:
        # Under the lock no command can be on its way to a thread that does something else by now.
        with _lock:
            _running.pop(self._control.trial, None)


async def command(
    trials: Collection[str],
    wanted: Command,
    place: str | None = None,
    dask_worker: Any = None,
) -> None:
    """Tell those of the trials that run in this process what is wanted of them.

    A coroutine, since Dask lets only those be sent without waiting for their end. Where a `place`
    is given, the worker says there that it has heard.
    """
    with _lock:
        for found in [_running[one] for one in trials if one in _running]:
            found.wanted = wanted
            if wanted == "stop":
                found.interrupt()
    if place is not None:
        told = {"kind": "here", "worker": dask_worker.address}
        straight = _lines.get(place)
        if straight is not None:
            straight(told)
        else:
            dask_worker.log_event(place, told)


def topic(experiment: str) -> str:
    """Where the trials of an experiment report to."""
    return f"jupyter-mlops-{experiment}"

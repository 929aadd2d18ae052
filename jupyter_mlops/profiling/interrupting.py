"""Interrupts that wait for the end of a step, so that what is known stays whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["deferred"]


@contextmanager
def deferred(cancel: threading.Event | None = None) -> Iterator[threading.Event]:
    """Turn the first interrupt into an event that is looked at between two steps.

    A second interrupt is raised at once.  Signals arrive in the main thread only; elsewhere the
    event is all there is.

    Parameters
    ----------
    cancel : threading.Event, optional
        Set by someone else to stop; a new one when left out.

    Examples
    --------
    >>> with deferred() as stop:
    ...     signal.raise_signal(signal.SIGINT)
    ...     stop.is_set()
    True
    """
    stop = cancel or threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def note(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.getsignal(signal.SIGINT)
    if before is None or before is signal.SIG_IGN:
        # Not Python's to handle, or meant to be ignored.
        yield stop
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)

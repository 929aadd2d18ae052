"""Waking the agent when there is something new, which it would see a moment later by itself."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import threading

from jupyter_mlops.agent.lease import holder
from jupyter_mlops.workspace import Workspace

__all__ = ["Bell", "ring"]

#: Does nothing to a process that doesn't listen for it, and doesn't exist everywhere.
_SIGNAL = getattr(signal, "SIGCONT", None)


class Bell:
    """What the agent waits at. In the main thread, any signal rings it."""

    def __init__(self) -> None:
        self._ours, self._line = os.pipe()
        for end in (self._ours, self._line):
            os.set_blocking(end, False)
        self._before: int | None = None
        if threading.current_thread() is threading.main_thread():
            if _SIGNAL is not None:
                signal.signal(_SIGNAL, lambda *_: None)
            self._before = signal.set_wakeup_fd(self._line, warn_on_full_buffer=False)

    def wait(self, seconds: float) -> None:
        """Wait so long, or until it rings."""
        if select.select([self._ours], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(self._ours, 4096)

    def close(self) -> None:
        """Listen no more."""
        if self._before is not None:
            signal.set_wakeup_fd(self._before)
        os.close(self._ours)
        os.close(self._line)


def ring(ws: Workspace) -> None:
    """Have the workspace's agent look now, if it runs on this machine and is ours."""
    process = holder(ws)
    if process is not None and process[0] == socket.gethostname() and _SIGNAL is not None:
        with contextlib.suppress(PermissionError):
            process[1].send(_SIGNAL)

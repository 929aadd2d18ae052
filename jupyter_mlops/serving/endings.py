"""How forked processes ended, told to their logs where they could not say so themselves."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import Final

__all__ = ["Endings"]

#: Exit statuses before which a process has said what there is to say.
_SAID: Final = (0, 1, 70)


class Endings:
    """The logs of the processes that this one forked."""

    def __init__(self) -> None:
        self._logs: dict[int, tuple[int, str]] = {}

    def add(self, pid: int, log: int, role: str) -> None:
        """Remember the log of a process; its file descriptor is closed when that has ended."""
        self._logs[pid] = (log, role)

    def tell(self, pid: int, status: int) -> None:
        """Write how a process ended, as ``waitpid`` gives it."""
        if pid not in self._logs:
            return
        log, role = self._logs.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        how = f"ended with status {code}" if role == "model" and code not in _SAID else ""
        if code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        if how:
            with contextlib.suppress(OSError):  # a full disk
                os.write(log, f"process {pid} of the {role} {how}\n".encode())
        os.close(log)

    def forget(self) -> None:
        """Let go of all logs: the processes are another one's children."""
        for log, _ in self._logs.values():
            os.close(log)
        self._logs.clear()

"""Processes that outlive whoever started them, and how to know them again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from jupyter_mlops.serving import zygote
from jupyter_mlops.workspace import Unavailable

__all__ = ["Known", "fork", "last_line", "launch"]

# A process started within this of what is recorded is the recorded one: clocks are rounded.
SAME_SECONDS = 1.0


@dataclass
class Known:
    """A process by id and time of birth, so that a reused id is never taken for it.

    Attributes
    ----------
    pid : int
    created : float
        Seconds since 1970.
    child : subprocess.Popen, optional
        When it is our own child, which must be reaped.
    """

    pid: int
    created: float
    child: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def alive(self) -> bool:
        """Whether it runs."""
        if self.child is not None and self.child.poll() is not None:
            return False
        # A child that was killed is a zombie for a moment before it can be reaped.
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) <= SAME_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    def exit_status(self) -> int | None:
        """Its exit status, if it was our child and has ended."""
        return None if self.child is None else self.child.poll()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens when it is gone."""
        if self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


def launch(module: str, arguments: Sequence[str], log: Path, cwd: Path) -> Known:
    """Start ``python -m module`` in a session of its own.

    Parameters
    ----------
    module : str
    arguments : sequence of str
    log : Path
        Takes what it prints, after what is there already.
    cwd : Path
        Its working folder.

    Raises
    ------
    Unavailable
        The log cannot be written or the process not be started.
    """
    command = [sys.executable, "-m", module, *arguments]
    try:
        log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                cwd=cwd,
                start_new_session=True,
            )
        finally:
            os.close(handle)
    except OSError as error:
        raise Unavailable(
            "a process cannot be started",
            f"{error.filename or module}: {error.strerror}",
            "make room, or end programs that are not needed",
            code="E-AGENT-001",
        ) from error
    try:
        created = psutil.Process(child.pid).create_time()
    except psutil.Error:
        created = 0.0  # it has ended already
    return Known(child.pid, created, child)


def fork(role: str, arguments: dict[str, Any], log: Path, cwd: Path) -> Known:
    """Fork a process that has imported already what it needs, as `serving.zygote` does.

    Raises
    ------
    OSError
        None can be forked.
    """
    log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        pid = zygote.ask(role, arguments, handle, cwd)
    finally:
        os.close(handle)
    try:
        return Known(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return Known(pid, 0.0)  # it has ended already


def last_line(log: Path, limit: int = 300) -> str:
    """Return the last line of a log that says something, cut to `limit` characters."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 8192))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1][:limit] if spoken else ""

"""What a server of one's own needs: a free port, a user, and an end with who started it."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["Program", "free_port", "unprivileged"]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def unprivileged(folder: Path) -> dict[str, Any]:
    """How to run a program that refuses to run as root: as nobody, who is given the folder."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "nobody", "nogroup")
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


class Program:
    """A server's process, which a test may kill and start again on the same files.

    Parameters
    ----------
    command : list of str
    log : Path
        What it says is added here; its folder is where it runs.
    answers : callable
        Fails until the server can be used.
    started_as : dict, optional
        More arguments of `subprocess.Popen`; see `unprivileged`.
    """

    def __init__(
        self,
        command: list[str],
        log: Path,
        answers: Callable[[], object],
        started_as: dict[str, Any] | None = None,
    ) -> None:
        self.command = command
        self.log = log
        self.answers = answers
        self.started_as = started_as or {}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server and wait until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start the server without waiting; not in a thread, with which it would end."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.log.parent,
                preexec_fn=_end_with_parent,
                start_new_session=True,
                **self.started_as,
            )

    def wait(self) -> None:
        """Wait until the server answers."""
        assert self._process is not None
        deadline = time.monotonic() + 90
        while True:
            try:
                self.answers()
                return
            except Exception as error:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    said = self.log.read_text(errors="replace")[-2000:]
                    raise AssertionError(
                        f"{self.command[0]} did not start: {error}\n{said}"
                    ) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """End the server at once, as an administrator's restart does."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End the server as a crash does."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(60)
            self._process = None

    def pause(self) -> None:
        """Let the server hang: it keeps its connections and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """End the pause."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


def _end_with_parent() -> None:
    # A test run that is killed leaves no server behind: PR_SET_PDEATHSIG is 1, prctl(2).
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)

"""What servers on the loopback need: a free port, and an end with the test run."""

from __future__ import annotations

import ctypes
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["Program", "free_port"]


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


class Program:
    """A server's process, which a test may kill and start again on the same files."""

    def __init__(self, command: list[str], log: Path, answers: Callable[[], object]) -> None:
        self.command = command
        self.log = log
        self.answers = answers
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
            )

    def wait(self) -> None:
        """Wait until the server answers."""
        assert self._process is not None
        deadline = time.monotonic() + 30
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

    def kill(self) -> None:
        """End the server as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
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

"""A line between a running worker and the driver, where both are on one machine.

Dask hands a task to a worker, tells of its end and takes messages through its scheduler: safe over
any network, and some milliseconds of the processors for each trial. Where trials are shorter than
that is worth, a worker that has begun a turn calls the driver on a Unix socket, and both talk
straight: one message out and two in for each trial.

The socket is in a folder that nobody but its owner may enter.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from multiprocessing.connection import Client, Connection, Listener
from pathlib import Path
from typing import Any, Final, NamedTuple

__all__ = ["Caller", "Lines", "Way"]

#: Seconds that a worker waits for its next trial before its turn is over.
_PATIENCE: Final = 0.1
_BACKLOG: Final = 128
#: Seconds for the thread that takes calls to end.
_CLOSE: Final = 1.0


class Way(NamedTuple):
    """How a worker reaches the driver in one turn.

    Attributes
    ----------
    address : str
        Of the driver's socket.
    turn : str
        Who calls.
    seconds : float
        How long the turn may take further trials; 0: only the one that it begins with.
    """

    address: str
    turn: str
    seconds: float


class Lines:
    """The driver's ends of all lines.

    Parameters
    ----------
    heard : callable
        Told ``("open", turn)``, ``("line", (turn, message))`` for each message and ``("closed",
        turn)``, in the order of each line, from threads of this object's.
    """

    def __init__(self, heard: Callable[[str, Any], None]) -> None:
        self._heard = heard
        self._open: dict[str, Connection] = {}
        self._closing = self._halted = False
        self._folder = tempfile.mkdtemp(prefix="jupyter-mlops-")
        self.address = str(Path(self._folder) / "lines")
        try:
            self._listener = Listener(self.address, "AF_UNIX", _BACKLOG)
        except OSError:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._thread = threading.Thread(target=self._take, name="trial-lines", daemon=True)
        self._thread.start()

    @classmethod
    def opened(cls, heard: Callable[[str, Any], None]) -> Lines | None:
        """Lines, or None where this system has no room for any."""
        if sys.platform == "win32":
            return None
        try:
            return cls(heard)
        except OSError:  # the folder for temporary files is full, or its path too long
            return None

    def send(self, turn: str, message: Any) -> bool:
        """Whether a message to a worker in its turn was sent."""
        connection = self._open.get(turn)
        if connection is None:
            return False
        try:
            connection.send_bytes(pickle.dumps(message, 5))
        except OSError:
            return False  # it is just ending
        return True

    def halt(self) -> None:
        """Have no worker begin anything further in its turn."""
        self._halted = True
        for turn in list(self._open):
            self.send(turn, None)

    def close(self) -> None:
        """Take no more calls, and end the turns under way."""
        self._closing = True
        self.halt()
        with contextlib.suppress(OSError):
            # Wakes the thread that waits for calls, which tidies up.
            Client(self.address, "AF_UNIX").close()
        self._thread.join(_CLOSE)

    def _take(self) -> None:
        try:
            self._calls()
        finally:
            self._listener.close()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _calls(self) -> None:
        while not self._closing:
            try:
                connection = self._listener.accept()
            except ConnectionError:
                continue  # its worker has died already
            except OSError:
                return  # workers that find nobody here go by Dask alone
            threading.Thread(
                target=self._read, args=(connection,), name="trial-line", daemon=True
            ).start()

    def _read(self, connection: Connection) -> None:
        turn = ""
        with connection:
            with contextlib.suppress(EOFError, OSError):
                turn = connection.recv_bytes().decode()
                self._open[turn] = connection
                if self._halted:
                    self.send(turn, None)
                self._heard("open", turn)
                while True:
                    # From a worker of our own, as a task's result would be.
                    message = pickle.loads(connection.recv_bytes())  # noqa: S301
                    self._heard("line", (turn, message))
            self._open.pop(turn, None)
        if turn:
            self._heard("closed", turn)


class Caller:
    """A worker's end of its line to the driver."""

    def __init__(self, way: Way, worker: str) -> None:
        self._worker = worker
        self._connection = Client(way.address, "AF_UNIX")
        self._connection.send_bytes(way.turn.encode())
        self._until = time.monotonic() + way.seconds
        self._lock = threading.Lock()
        self._waiting: deque[dict[str, Any]] = deque()
        self._ended = False

    @classmethod
    def reach(cls, way: Way, worker: str) -> Caller | None:
        """Call the driver from a worker of that address; None where nobody answers."""
        try:
            return cls(way, worker)
        except OSError:
            return None

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def tell(self, message: dict[str, Any]) -> None:
        """Send a message, from any thread; when this returns, not even SIGKILL takes it back."""
        with self._lock:
            self._send(message)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._connection.send_bytes(pickle.dumps(message, 5))
        except OSError:
            # Nobody drives the trial any more, and whoever goes on will begin it anew.
            self._ended = True

    def begin(self, trial: dict[str, Any]) -> bool:
        """Tell that a trial begins, unless no more may; whether it does.

        All that has come is read before, so that an end is heard first. Within the lock, a word
        from another thread is said either before the end was looked for, or after the beginning.
        """
        with self._lock:
            self._read()
            if not self._ended:
                told = {"kind": "started", "worker": self._worker, "pid": os.getpid()}
                self._send(told | {"trial": trial["id"]})
            return not self._ended

    def next(self) -> dict[str, Any] | None:
        """What the driver handed over to be run next; None when the turn is over."""
        self._read()
        if not self._waiting and not self._ended:
            left = self._until - time.monotonic()
            with contextlib.suppress(EOFError, OSError):
                if left > 0 and self._connection.poll(min(left, _PATIENCE)):
                    self._read()
        return self._waiting.popleft() if self._waiting and not self._ended else None

    def _read(self) -> None:
        """Take all that has come."""
        try:
            while not self._ended and self._connection.poll():
                message = pickle.loads(self._connection.recv_bytes())  # noqa: S301  the driver's
                if message is None:
                    self._ended = True
                else:
                    self._waiting.append(message)
        except (EOFError, OSError):
            self._ended = True

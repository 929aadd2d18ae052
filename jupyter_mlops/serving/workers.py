"""The gateway's side of a model's process: started, asked, and ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import psutil

from jupyter_mlops.models.threads import single
from jupyter_mlops.serving import zygote
from jupyter_mlops.serving.frames import LENGTH, MOST, pack, receive, unpack
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.serving.wire import WIRE
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, Unavailable

__all__ = ["Portrait", "Worker", "WorkerLost", "start"]

_START: Final = 120.0
#: Seconds without any work after which a forked process is taken for stuck.
_STUCK: Final = 5.0
_GLANCE: Final = 0.5
_TRIES: Final = 5


class WorkerLost(Exception):
    """A model's process ended, or was ended, before it answered."""


@dataclass(frozen=True)
class Portrait:
    """What a model's process says of its model.

    Attributes
    ----------
    task : {"binary", "multiclass", "classes", "regression", "any"}
    classes : list or None
        Of a classifier with probabilities, its classes in their order.
    labels : list or None
        Of any classifier.
    as_array : bool
        Whether the model gets arrays, not data frames.
    description : str
        Its type's name.
    answers : {"typed", "number", "boolean", "text", "json"}
        What its predictions are; typed ones are numbers or of `labels`.
    unusual : bool
        Whether it tells how strange rows are.
    speechless : str
        Why it doesn't answer its own input example; empty when it does, or has none.
    """

    task: str
    classes: list[Any] | None
    labels: list[Any] | None
    as_array: bool
    description: str
    answers: str = "typed"
    unusual: bool = False
    speechless: str = ""

    @classmethod
    def of(cls, told: dict[str, Any]) -> Portrait:
        """From what a process tells, which may be of another release and say more."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in told.items() if name in known})


class Worker(asyncio.Protocol):
    """One process of a model; it answers one message at a time.

    Parameters
    ----------
    connection : socket.socket
        The gateway's end of a pair that nobody else can reach.
    pid : int
    portrait : Portrait
    """

    def __init__(self, connection: socket.socket, pid: int, portrait: Portrait) -> None:
        self.pid = pid
        self.portrait = portrait
        self._connection = connection
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._tell: Callable[[dict[str, Any] | Exception], None] | None = None
        self._late: asyncio.TimerHandle | None = None
        self.lost = False
        #: Called when the process is gone.
        self.on_lost: Callable[[], None] = lambda: None

    async def attach(self) -> None:
        """Listen to the process in this event loop: from now on its end is noticed."""
        if self._transport is None and not self.lost:
            self._loop = asyncio.get_running_loop()
            self._transport, _ = await self._loop.create_connection(
                lambda: self, sock=self._connection
            )

    @property
    def attached(self) -> bool:
        """Whether it can be asked."""
        return self._transport is not None and not self.lost

    async def ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Send a message and wait for its answer.

        Raises
        ------
        WorkerLost
            The process ended before it answered.
        TimeoutError
            It didn't answer within `seconds`, and was ended.
        """
        await self.attach()
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def tell(told: dict[str, Any] | Exception) -> None:
            if future.done():
                return
            if isinstance(told, Exception):
                future.set_exception(told)
            else:
                future.set_result(told)

        self.put(message, seconds, tell)
        return await future

    def put(
        self,
        message: dict[str, Any],
        seconds: float,
        tell: Callable[[dict[str, Any] | Exception], None],
    ) -> None:
        """Send a message; `tell` is called with its answer, or with what `ask` would raise.

        Raises
        ------
        WorkerLost
            The process has ended, or nobody listens to it yet.
        ValueError, TypeError, OverflowError
            The message can't travel.
        """
        if self.lost or self._transport is None or self._loop is None:
            raise WorkerLost
        content = pack(message)
        self._tell = tell
        self._late = self._loop.call_later(seconds, self._give_up)
        self._transport.write(content)

    def _give_up(self) -> None:
        self.kill()
        self._told(TimeoutError())

    def _told(self, told: dict[str, Any] | Exception) -> None:
        tell, self._tell = self._tell, None
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if tell is not None:
            tell(told)

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer."""
        self._received += data
        if len(self._received) < LENGTH.size:
            return
        size = LENGTH.unpack_from(self._received)[0]
        if size > MOST:
            self.kill()
            return
        if len(self._received) < LENGTH.size + size:
            return
        content = bytes(memoryview(self._received)[LENGTH.size :])
        self._received.clear()
        try:
            told = unpack(content)
        except ValueError:
            # A model that writes to a socket that isn't its own isn't asked again.
            self.kill()
            return
        self._told(told)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits that nothing will come."""
        self.lost = True
        self.on_lost()
        self._told(WorkerLost())

    def kill(self) -> None:
        """End the process at once."""
        self.lost = True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Let the process end: it does when its gateway is gone."""
        self.lost = True
        with contextlib.suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        if self._loop is None or self._loop.is_closed():
            self._connection.close()
        elif self._transport is not None:
            self._transport.close()


def start(task: Task) -> Worker:
    """Start a model's process and wait until its model is ready.

    Raises
    ------
    MLOpsError
        The model can't be loaded; the sentence says why.
    """
    _check_there(task)
    # What holds GPUs must be a child of the process that the lease is bound to.
    begun = _forked(task) if zygote.available() and not task.variables else None
    ours, pid = begun or _spawned(task)
    told = _told(ours, pid, _STUCK if begun else _START)
    if told is None and begun:
        print(f"the forked process {pid} ended or hangs, one is started", file=sys.stderr)
        _end(ours, pid)
        ours, pid = _spawned(task)
        told = _told(ours, pid, _START)
    if told is None:
        _end(ours, pid)
        raise Unavailable(
            "the model's process ended before its model was loaded",
            "it was killed, ran out of memory, or took too long",
            "the endpoint's log holds the details",
            code="E-SERVE-025",
        )
    if "error" in told:
        ours.close()
        raise _as_error(told["error"])
    if told.get("wire") != WIRE:
        ours.close()
        raise Unavailable(
            f"the model's process in env:{task.environment} can't be talked to",
            f"its jupyter-mlops says {told.get('wire', 'nothing')} where this one says {WIRE}",
            f"`env lock {task.environment}` brings it up to date",
            code="E-SERVE-065",
        )
    ours.setblocking(False)
    return Worker(ours, pid, Portrait.of(told))


def _check_there(task: Task) -> None:
    if task.python and not os.access(task.python, os.X_OK):
        raise Unavailable(
            f"env:{task.environment}, which the model runs in, is gone",
            f"there is no {task.python}",
            f"`env create {task.environment}` makes it again; or serve the model with another"
            " --env",
            code="E-SERVE-066",
        )


def _forked(task: Task) -> tuple[socket.socket, int] | None:
    """Our end of a pair and the process that has the other one; None when none can be forked."""
    for _ in range(_TRIES):
        # A pair each time: two processes at one end would take each other's messages.
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                return ours, zygote.ask(
                    "model", asdict(task), 2, Path.cwd(), (theirs.fileno(),), python=task.python
                )
        except InterruptedError:
            ours.close()
        except (OSError, ValueError) as error:
            ours.close()
            print(f"no process can be forked, one is started: {error}", file=sys.stderr)
            return None
    return None


def _spawned(task: Task) -> tuple[socket.socket, int]:
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        command = [task.python or sys.executable, "-m", "jupyter_mlops.serving.model_process"]
        environ = dict(os.environ)
        if task.python:
            from jupyter_mlops.experiments.environments.uv import surroundings_for

            environ = surroundings_for({})
        child = subprocess.Popen(
            [*command, task.as_json(), str(number)],
            stdin=subprocess.DEVNULL,
            pass_fds=(number,),
            env=single(environ) | task.variables,
        )
    return ours, child.pid


def _told(ours: socket.socket, pid: int, idle: float) -> dict[str, Any] | None:
    """Wait for what a process says of its model; None when it is gone, or idle for so long."""
    deadline = time.monotonic() + _START
    moved, spent = time.monotonic(), -1.0
    while time.monotonic() < deadline:
        if select.select([ours], [], [], _GLANCE)[0]:
            ours.settimeout(_START)
            with contextlib.suppress(TimeoutError):
                return receive(ours)
            return None
        now = _spent(pid)
        if now != spent:
            moved, spent = time.monotonic(), now
        elif time.monotonic() - moved > idle:
            return None
    return None


def _spent(pid: int) -> float:
    """Seconds of CPU and bytes read: what a process that loads a model uses."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            read = process.io_counters().read_chars if hasattr(process, "io_counters") else 0
            return float(sum(process.cpu_times()[:2])) + read
    except psutil.Error:
        return 0.0


def _end(ours: socket.socket, pid: int) -> None:
    ours.close()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _as_error(told: dict[str, Any]) -> MLOpsError:
    return Invalid(
        str(told.get("what", "")),
        str(told.get("why", "")),
        str(told.get("fix", "")),
        code=str(told.get("code", "E-SERVE-024")),
    )

"""Kill a writer at random points and collect what it had acknowledged.

A writer is a function of a module, or a program. It acknowledges a write by a line on a
pipe, after the write is committed: a function through the `Acknowledge` it is given, a
program on its standard output. The pipe outlives the writer, so each acknowledged line is
seen, however the writer ended.

The points are drawn from a seed that is printed when a test fails; ``FAULT_SEED=…``
replays them, and ``FAULT_TIMES=…`` makes fewer or more kills.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from types import ModuleType
from typing import Any

__all__ = ["Acknowledge", "Kills", "kill_at_random"]

# Children are forked from a process that imported this and nothing of the tests' state.
PRELOAD = ["jupyter_mlops.workspace.workspace", "sqlalchemy.dialects.sqlite", "psycopg"]


@dataclass
class Kills:
    """What happened: the seed, how many writers were killed, and what they acknowledged."""

    seed: int
    killed: int = 0
    ended: int = 0
    acknowledged: list[str] = field(default_factory=list)

    @property
    def started(self) -> int:
        return self.killed + self.ended


class Acknowledge:
    """Tell the test that something is durable. A line is written whole or not at all."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, line: object) -> None:
        os.write(self._pipe.fileno(), f"{line}\n".encode())


def kill_at_random(
    writer: Callable[..., Any] | Sequence[str],
    *args: Any,
    times: int = 200,
    seed: int | None = None,
    window: float = 0.15,
    after: Callable[[int, list[str]], None] | None = None,
) -> Kills:
    """Start `writer` `times` times and kill it with SIGKILL at a random moment each time.

    Parameters
    ----------
    writer : callable or sequence of str
        A module-level function, called as ``writer(acknowledge, round, *args)`` in a
        child process, or a command whose standard output acknowledges. A writer that
        raises, or a program that fails before it is killed, fails the test.
    times : int
        How many kills; the variable FAULT_TIMES goes before it.
    seed : int, optional
        Where the random moments start; default: the variable FAULT_SEED, else new.
    window : float
        Seconds after its first acknowledgement within which a writer is killed; one in
        eight is killed before it, while it starts.
    after : callable, optional
        Called as ``after(round, lines)`` after each kill.

    Examples
    --------
    >>> kills = kill_at_random(append_lines, tmp_path / "log", times=50)   # doctest: +SKIP
    >>> assert set(kills.acknowledged) <= set((tmp_path / "log").read_text().split())
    """
    times = int(os.environ.get("FAULT_TIMES", times))
    if seed is None:
        seed = int(os.environ.get("FAULT_SEED", random.randrange(1 << 32)))
    print(f"FAULT_SEED={seed} FAULT_TIMES={times} replays these kills")
    moments = random.Random(seed)
    kills = Kills(seed)
    for turn in range(times):
        moment = moments.uniform(0, window)
        early = moments.random() < 1 / 8
        if callable(writer):
            lines, code = _run_function(writer, turn, args, moment, early)
        else:
            lines, code = _run_program([*writer, *args], moment, early)
        kills.acknowledged += lines
        assert code in {0, -signal.SIGKILL}, f"writer {turn} failed with {code} (seed {seed})"
        kills.killed += code != 0
        kills.ended += code == 0
        if after is not None:
            after(turn, lines)
    return kills


def _run_function(
    writer: Callable[..., Any], turn: int, args: tuple[Any, ...], moment: float, early: bool
) -> tuple[list[str], int | None]:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(
        target=_in_child, args=(writer, theirs, dict(os.environ), turn, args), daemon=True
    )
    with _no_main_module():
        child.start()
    theirs.close()
    read = _Reader(ours.fileno())
    if not early:
        read.first_line()
    time.sleep(moment)
    child.kill()
    child.join()
    lines = read.rest()
    ours.close()
    return lines, child.exitcode


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Spare each child the import of the program that runs here: pytest takes 0.2 s."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _in_child(
    writer: Callable[..., Any],
    pipe: Connection,
    environment: dict[str, str],
    turn: int,
    args: tuple[Any, ...],
) -> None:
    # The process it was forked from has the environment of an earlier test.
    os.environ.clear()
    os.environ.update(environment)
    writer(Acknowledge(pipe), turn, *args)


def _run_program(
    command: Sequence[str], moment: float, early: bool
) -> tuple[list[str], int | None]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as child:
        assert child.stdout is not None
        read = _Reader(child.stdout.fileno())
        if not early:
            read.first_line()
        time.sleep(moment)
        if child.poll() is None:
            # With everything it started.
            os.killpg(child.pid, signal.SIGKILL)
        lines = read.rest()
        return lines, child.wait()


class _Reader:
    """Whole lines of a pipe; what a killed writer left unfinished isn't one."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._said = b""

    def first_line(self) -> None:
        while b"\n" not in self._said and self._more():
            pass

    def rest(self) -> list[str]:
        while self._more():
            pass
        whole, _, _ = self._said.rpartition(b"\n")
        return whole.decode().splitlines()

    def _more(self) -> bool:
        found = os.read(self._descriptor, 1 << 16)
        self._said += found
        return bool(found)

"""Run one function in many processes that start at the same moment."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

from faults.kill import PRELOAD, Acknowledge, _no_main_module, _Reader

__all__ = ["crowd"]


def crowd(count: int, function: Callable[..., Any], *args: Any) -> list[str]:
    """Call ``function(acknowledge, number, *args)`` in `count` processes; what they acknowledged.

    A process that raises fails the test.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    gate = context.Barrier(count)
    lines: list[str] = []
    children, readers = [], []
    for number in range(count):
        ours, theirs = context.Pipe(duplex=False)
        arguments = (function, gate, theirs, dict(os.environ), number, args)
        child = context.Process(target=_in_child, args=arguments, daemon=True)
        with _no_main_module():
            child.start()
        theirs.close()
        reader = threading.Thread(target=_collect, args=(ours, lines))
        reader.start()
        children.append(child)
        readers.append(reader)
    for child, reader in zip(children, readers, strict=True):
        child.join()
        reader.join()
    codes = [child.exitcode for child in children]
    assert codes == [0] * count, f"processes ended with {codes}"
    return lines


def _collect(pipe: Connection, lines: list[str]) -> None:
    lines += _Reader(pipe.fileno()).rest()
    pipe.close()


def _in_child(
    function: Callable[..., Any],
    gate: Barrier,
    pipe: Connection,
    environment: dict[str, str],
    number: int,
    args: tuple[Any, ...],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    gate.wait()
    function(Acknowledge(pipe), number, *args)

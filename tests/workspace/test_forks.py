"""A forked child has connections of its own and leaves its parent's alone."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from jupyter_mlops.workspace import Unavailable, Workspace


def _in_fork(work: Callable[[], None]) -> int:
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return child


def _ended_well(child: int) -> bool:
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def test_parent_and_children_write_at_the_same_time(ws: Workspace) -> None:
    def write(name: str) -> None:
        for number in range(20):
            with ws.write() as tx:
                tx.emit("run.started", f"run:{name}-{number}")

    write("before")
    children = [_in_fork(lambda name=name: write(name)) for name in ("a", "b", "c")]
    write("parent")
    ended_well = [_ended_well(child) for child in children]
    assert all(ended_well)
    write("after")
    audit = ws.audit()
    assert audit.intact, audit.reason
    assert audit.events == 20 * 6


def test_a_child_that_ends_leaves_the_parents_connection_open(ws: Workspace) -> None:
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
        assert _ended_well(_in_fork(lambda: None))
        tx.emit("run.finished", "run:a")
    assert ws.audit().events == 2


def test_a_child_forked_within_a_write_writes_after_it_or_says_why_not(ws: Workspace) -> None:
    """PostgreSQL gives it a session of its own; SQLite's locks are lost in the fork."""
    with ws.write() as tx:
        tx.emit("run.started", "run:a")
        child = _in_fork(lambda: _write(ws) if not ws.store.sqlite else _refused(ws))
    assert _ended_well(child)
    assert len(ws.events()) == (1 if ws.store.sqlite else 2)
    assert ws.audit().intact


def _write(ws: Workspace) -> None:
    with ws.write() as tx:
        tx.emit("run.started", "run:child")


def _refused(ws: Workspace) -> None:
    with pytest.raises(Unavailable, match=r"forked while its parent was writing.*E-STORE-020"):
        _write(ws)

"""The heartbeat of a process that holds GPUs or waits for some: one thread, however many leases.

A lease that nobody keeps fresh counts as dead on other machines. What this process uses of the
GPUs that it holds is watched here too, whether an agent runs or not. The thread ends with the
last lease, and goes on when the store is away for a while.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import select

from jupyter_mlops.experiments.gpus import granting
from jupyter_mlops.experiments.gpus.devices import devices
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

__all__ = ["drop", "keep"]

NAME: Final = "gpu-heartbeat"
_log = logging.getLogger(__name__)
_turn = threading.Condition()
_kept: dict[str, Workspace] = {}
_thread: threading.Thread | None = None


def keep(ws: Workspace, lease: str) -> None:
    """Keep a lease fresh from now on, as long as this process lives."""
    global _thread
    with _turn:
        _kept[lease] = ws
        if _thread is None:
            _thread = threading.Thread(target=_run, name=NAME, daemon=True)
            _thread.start()


def drop(lease: str) -> None:
    """Keep it no longer."""
    with _turn:
        _kept.pop(lease, None)
        if not _kept:
            _turn.notify_all()


def _run() -> None:
    global _thread
    failed = ""
    while True:
        with _turn:
            if _kept:
                _turn.wait(granting.BEAT_SECONDS / 2)
            if not _kept:
                # Under the lock: whoever comes next starts another.
                _thread = None
                return
            kept = dict(_kept)
        try:
            for lease in _beat(kept):
                drop(lease)
                del kept[lease]
            _watch(kept)
            failed = ""
        except Exception as error:
            # A store that is away comes back, and a GPU that is lost is told of once.
            if str(error) != failed:
                failed = str(error)
                _log.warning("leases of GPUs can't be kept fresh: %s", failed)


def _beat(kept: dict[str, Workspace]) -> list[str]:
    """Refresh what has become old; return those leases that have ended."""
    over: list[str] = []
    for ws, mine in _by_store(kept):
        with ws.read() as session:
            query = select(GpuLeaseRecord.id, GpuLeaseRecord.beat_at).where(
                GpuLeaseRecord.id.in_(mine), GpuLeaseRecord.status.in_(granting.OPEN)
            )
            beats = dict(session.execute(query).tuples().all())
        over += [lease for lease in mine if lease not in beats]
        now = utcnow()
        if any((now - one).total_seconds() > granting.BEAT_SECONDS for one in beats.values()):
            # One look refreshes all leases of this machine: other processes needn't.
            with ws.write() as tx:
                granting.look(tx, devices())
    return over


def _watch(kept: dict[str, Workspace]) -> None:
    """Look at what the holders of these leases use."""
    from jupyter_mlops.experiments.gpus.watching import watch

    for ws, mine in _by_store(kept):
        watch(ws, only=mine)


def _by_store(kept: dict[str, Workspace]) -> Iterator[tuple[Workspace, list[str]]]:
    for ws in {id(one.store): one for one in kept.values()}.values():
        yield ws, [lease for lease, one in kept.items() if one.store is ws.store]


def _after_fork() -> None:
    global _turn, _thread
    # The leases are the parent's, and so is the thread.
    _turn, _thread = threading.Condition(), None
    _kept.clear()


_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None:
    _register(after_in_child=_after_fork)

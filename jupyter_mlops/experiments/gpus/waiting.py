"""Waiting for one's turn: one thread looks for all who wait in this process.

Whoever gives something back serves those who wait, in the store; what remains is to notice.
Many threads of one process cost one query a look, so that who is near the front can look often.
The thread ends with the last who waits.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import aliased

from jupyter_mlops.experiments.gpus.devices import devices
from jupyter_mlops.experiments.gpus.granting import BEAT_SECONDS, OPEN, look
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Workspace

__all__ = ["Turn", "Waiter", "anybody_dead", "cease", "turn", "waiter"]

NAME: Final = "gpu-turns"
#: Seconds between two looks: for each who is before the first of this process, and at most.
PAUSE, LONGEST_PAUSE = 0.04, 1.0
#: Seconds between two looks whether somebody died with a GPU.
DEAD_SECONDS = 1.0
#: Seconds between two looks of who is first in line: what is in the way may be no lease.
FIRST_IN_LINE = 2.0


class Turn(NamedTuple):
    """How a lease stood at the last look, and how many of its team waited longer."""

    id: str
    status: str
    devices: list[str]
    memory: int
    reserved_at: datetime | None
    before: int


@dataclass
class Waiter:
    """Somebody who waits; `told` is set when there is a `turn`, or what hindered a look."""

    ws: Workspace
    key: str
    told: threading.Event = field(default_factory=threading.Event)
    turn: Turn | None = None
    error: Exception | None = None


@dataclass
class _Store:
    """When something was last done about one store."""

    checked: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)


_turns = threading.Condition()
_waiting: dict[str, Waiter] = {}
_thread: threading.Thread | None = None


def waiter(ws: Workspace, key: str) -> Waiter:
    """Wait for the lease of that id from now on, until `cease`."""
    global _thread
    found = Waiter(ws, key)
    with _turns:
        _waiting[key] = found
        if _thread is None:
            _thread = threading.Thread(target=_run, name=NAME, daemon=True)
            _thread.start()
    return found


def cease(key: str) -> None:
    """Wait for it no longer."""
    with _turns:
        _waiting.pop(key, None)
        if not _waiting:
            _turns.notify_all()


def anybody_dead(ws: Workspace) -> bool:
    """Whether a process of this machine died with a lease."""
    with ws.read() as session:
        query = select(GpuLeaseRecord.process).where(
            GpuLeaseRecord.status.in_(OPEN), GpuLeaseRecord.host == socket.gethostname()
        )
        return any(not may_live(one) for one in session.scalars(query.distinct()))


def turn(ws: Workspace, key: str) -> Turn | None:
    """How the lease of that id stands; None when there is none."""
    return _turns_of(ws, [key]).get(key)


def _run() -> None:
    global _thread
    stores: dict[int, _Store] = {}
    while True:
        with _turns:
            if not _waiting:
                # Under the lock: whoever comes next starts another.
                _thread = None
                return
            those = list(_waiting.values())
        ahead = [_look(some, stores.setdefault(id(some[0].ws.store), _Store()))
                 for some in _by_store(those)]  # fmt: skip
        with _turns:
            if _waiting:
                _turns.wait(min(PAUSE * (min(ahead) + 1), LONGEST_PAUSE))


def _look(waiters: Sequence[Waiter], store: _Store) -> int:
    """Tell who is served or can wait no longer; return how many are before the others' first."""
    ws = waiters[0].ws
    try:
        turns = _turns_of(ws, [one.key for one in waiters])
        still = [one for one in turns.values() if one.status == "waiting"]
        for one in waiters:
            found = turns.get(one.key)
            if found is None or found.status != "waiting":
                one.turn = found
                one.told.set()
        _attend(ws, still, store)
    except Exception as error:
        for one in waiters:
            # Who has been served already has what it waited for.
            if not one.told.is_set():
                one.error = error
                one.told.set()
        return 0
    return min((one.before for one in still), default=0)


def _turns_of(ws: Workspace, keys: Sequence[str]) -> dict[str, Turn]:
    with ws.read() as session:
        return {row.id: Turn._make(row) for row in session.execute(_query(keys))}


def _attend(ws: Workspace, still: Sequence[Turn], store: _Store) -> None:
    """Look after what nobody tells of: of many who wait, the first of each team do."""
    now = time.monotonic()
    first = any(one.before == 0 for one in still)
    dead = False
    if first and now - store.checked > DEAD_SECONDS:
        store.checked = now
        dead = anybody_dead(ws)
    # Strangers tell nobody when they leave.
    often = first or any(one.reserved_at is not None for one in still)
    if dead or (still and now - store.looked > (FIRST_IN_LINE if often else BEAT_SECONDS)):
        store.looked = time.monotonic()
        with ws.write() as tx:
            look(tx, devices())


def _query(keys: Sequence[str]) -> Select[tuple[str, str, list[str], int, datetime | None, int]]:
    mine, other = GpuLeaseRecord, aliased(GpuLeaseRecord)
    before = (
        select(func.count())
        .where(
            other.host == mine.host,
            other.status == "waiting",
            other.team == mine.team,
            other.priority >= mine.priority,
            other.asked_at < mine.asked_at,
        )
        .correlate(mine)
        .scalar_subquery()
    )
    columns = mine.id, mine.status, mine.devices, mine.memory, mine.reserved_at
    return select(*columns, before.label("before")).where(mine.id.in_(keys))


def _by_store(waiters: Sequence[Waiter]) -> Iterator[list[Waiter]]:
    for store in {id(one.ws.store) for one in waiters}:
        yield [one for one in waiters if id(one.ws.store) == store]


def _after_fork() -> None:
    global _turns, _thread
    # Who waits does so in the parent, and so does the thread.
    _turns, _thread = threading.Condition(), None
    _waiting.clear()


_register: Callable[..., None] | None = getattr(os, "register_at_fork", None)
if _register is not None:
    _register(after_in_child=_after_fork)

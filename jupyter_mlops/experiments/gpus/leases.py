"""Leases of GPUs: asking, waiting, holding, and taking back what the dead held."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import select

from jupyter_mlops.experiments.gpus import pulse, waiting
from jupyter_mlops.experiments.gpus.amounts import bytes_of
from jupyter_mlops.experiments.gpus.devices import devices
from jupyter_mlops.experiments.gpus.granting import OPEN, end, look, serve
from jupyter_mlops.experiments.gpus.occupants import Occupants, little
from jupyter_mlops.experiments.gpus.refusals import too_late, too_much
from jupyter_mlops.experiments.gpus.turns import place
from jupyter_mlops.experiments.gpus.variables import variables
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuQuotaRecord
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["Lease", "acquire", "ask", "expire", "free", "in_use", "room", "set_quota"]

#: Seconds between two looks whether a wait is to end.
GLANCE = 0.1


@dataclass(frozen=True)
class Lease:
    """GPUs that are held; `devices` are their uuids, `memory` bytes on the one, or 0."""

    id: str
    devices: tuple[str, ...]
    memory: int
    ws: Workspace

    def release(self, reason: str = "") -> None:
        """Give them back; doing so twice is harmless."""
        pulse.drop(self.id)
        with self.ws.write() as tx:
            row = tx.session.get(GpuLeaseRecord, self.id)
            if row is not None and row.status == "held":
                end(tx, row, "released", reason)
                serve(tx, devices())

    def bind(self, pid: int | None = None) -> bool:
        """Let another process of this machine hold them: the lease ends when that one dies.

        Parameters
        ----------
        pid : int, optional
            This process when not given.

        Returns
        -------
        bool
            False when the lease has ended meanwhile.
        """
        process = process_name(pid)
        with self.ws.write() as tx:
            row = tx.session.get(GpuLeaseRecord, self.id)
            if row is None or row.status != "held":
                return False
            if row.process != process:
                row.process = process
                tx.emit("gpu.bound", f"gpu:{self.id}", payload={"process": process})
        return True

    def environment(self) -> dict[str, str]:
        """Environment variables for a child process that may use them."""
        return variables(self.devices, self.memory, devices() if self.memory else ())


@contextlib.contextmanager
def ask(
    ws: Workspace,
    *,
    gpus: int = 0,
    memory: int | str | None = None,
    holder: str,
    purpose: str,
    priority: int = 0,
    team: str | None = None,
    timeout: float | None = None,
) -> Iterator[Lease]:
    """Wait for GPUs, hold them, and give them back at the end.

    Parameters
    ----------
    gpus, memory, holder, purpose, priority, team, timeout
        See `acquire`.

    Examples
    --------
    >>> with ask(ws, memory="8GB", holder="ana", purpose="trial 3") as lease:
    ...     subprocess.run(command, env=os.environ | lease.environment())
    """
    lease = acquire(
        ws, gpus=gpus, memory=memory, holder=holder, purpose=purpose,
        priority=priority, team=team, timeout=timeout,
    )  # fmt: skip
    try:
        yield lease
    finally:
        lease.release()


def acquire(
    ws: Workspace,
    *,
    gpus: int = 0,
    memory: int | str | None = None,
    holder: str,
    purpose: str,
    priority: int = 0,
    team: str | None = None,
    timeout: float | None = None,
    stop: threading.Event | None = None,
) -> Lease:
    """Wait for GPUs and hold them until the lease is released, or this process ends.

    Parameters
    ----------
    gpus : int
        Whole GPUs; or, instead,
    memory : int or str
        bytes on one GPU: ``8GB``.
    holder, purpose : str
        Who has it, and what for, as others see it.
    priority : int
        The higher goes first.
    team : str, optional
        Whose quota it counts to; the holder's own when not given.
    timeout : float, optional
        Seconds to wait; None waits for as long as it takes.
    stop : threading.Event, optional
        Ends the wait when it is set.

    Raises
    ------
    Invalid
        Not exactly one of `gpus` and `memory` was given, or it makes no sense.
    Unavailable
        This machine hasn't that much, or it didn't become free in time.
    """
    size = bytes_of(memory)
    if gpus < 0 or size < 0 or bool(gpus) == bool(size):
        raise Invalid(
            "a lease is of whole GPUs or of memory on one",
            fix="give gpus=1 or memory='8GB'",
            code="E-GPU-002",
        )
    found = devices()
    largest = max((one.total for one in found), default=0)
    refusal = too_much(found, gpus, size)
    if refusal is not None:
        raise refusal
    now = utcnow()
    row = GpuLeaseRecord(
        id=new_id(), status="waiting", holder=holder, team=team or holder, purpose=purpose,
        priority=priority, gpus=gpus, memory=size, weight=gpus or size / largest, devices=[],
        host=socket.gethostname(), process=process_name(), asked_at=now, beat_at=now,
    )  # fmt: skip
    key = row.id
    with ws.write() as tx:
        tx.session.add(row)
        serve(tx, found)
        at_once = (row.status == "held", tuple(row.devices))
    pulse.keep(ws, key)
    if at_once[0]:
        return Lease(key, at_once[1], size, ws)
    try:
        return _wait(ws, key, timeout, stop)
    except BaseException:
        pulse.drop(key)
        with ws.write() as tx:
            left = tx.session.get(GpuLeaseRecord, key)
            if left is not None and left.status in OPEN:
                end(tx, left, "withdrawn", "it was no longer waited for")
                serve(tx, found)
        raise


def expire(ws: Workspace) -> int:
    """Take back what dead processes held, serve who waits; return how many were taken back."""
    if not in_use(ws):
        return 0
    with ws.write() as tx:
        return look(tx, devices())


def free(ws: Workspace) -> int:
    """How many GPUs of this machine a whole one could be had of at once."""
    found = devices()
    with ws.read() as session:
        query = select(GpuLeaseRecord).where(
            GpuLeaseRecord.status.in_(OPEN), GpuLeaseRecord.host == socket.gethostname()
        )
        rows = [row for row in session.scalars(query) if may_live(row.process)]
        if any(row.status == "waiting" for row in rows):
            return 0
        strangers = Occupants(found).strangers(rows)
        taken = {uuid for row in rows for uuid in row.devices}
    return sum(
        one.uuid not in taken and sum(strangers.get(one.uuid, {}).values()) <= little(one)
        for one in found
    )


def room(ws: Workspace, *, gpus: int = 0, memory: int | str | None = None) -> bool:
    """Whether so much could be had at once: it is free, and nobody waits. Writes nothing."""
    found = devices()
    wanted = GpuLeaseRecord(gpus=gpus, memory=bytes_of(memory), process=process_name())
    with ws.read() as session:
        query = select(GpuLeaseRecord).where(
            GpuLeaseRecord.status.in_(OPEN), GpuLeaseRecord.host == socket.gethostname()
        )
        rows = [row for row in session.scalars(query) if may_live(row.process)]
        if any(row.status == "waiting" for row in rows):
            return False
        strangers = Occupants(found).strangers(rows, wanted)
        strange = {uuid: sum(ones.values()) for uuid, ones in strangers.items()}
        return place(wanted, rows, found, strange) is not None


def in_use(ws: Workspace) -> bool:
    """Whether anybody holds a GPU or waits for one."""
    with ws.read() as session:
        query = select(GpuLeaseRecord.id).where(GpuLeaseRecord.status.in_(OPEN))
        return session.execute(query.limit(1)).first() is not None


def set_quota(ws: Workspace, team: str, share: float) -> None:
    """Let a team hold that share of the GPUs, above 0 and up to 1, before others who wait."""
    if not 0 < share <= 1:
        raise Invalid(
            f"a quota can't be {share:g}", "it is a share above 0 and up to 1", code="E-GPU-004"
        )
    with ws.write() as tx:
        row = GpuQuotaRecord(team=team, share=share, actor=ws.settings.user, set_at=utcnow())
        tx.session.merge(row)
        tx.emit("gpu.quota_set", f"gpu:{team}", payload={"share": share})


def _wait(ws: Workspace, key: str, timeout: float | None, stop: threading.Event | None) -> Lease:
    deadline = None if timeout is None else time.monotonic() + timeout
    if waiting.anybody_dead(ws):
        expire(ws)
        turn = waiting.turn(ws, key)
        if turn is not None and turn.status == "held":
            return Lease(key, tuple(turn.devices), turn.memory, ws)
    mine = waiting.waiter(ws, key)
    try:
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            # A second event can't be waited for beside the first.
            told = mine.told.wait(left if stop is None else min(GLANCE, left or GLANCE))
            if mine.error is not None:
                raise mine.error
            if told:
                break
            if stop is not None and stop.is_set():
                raise _ended()
            if deadline is not None and time.monotonic() >= deadline:
                assert timeout is not None
                raise too_late(ws, key, timeout)
    finally:
        waiting.cease(key)
    if mine.turn is None or mine.turn.status != "held":
        raise _ended()
    return Lease(key, tuple(mine.turn.devices), mine.turn.memory, ws)


def _ended() -> Unavailable:
    return Unavailable("the wait for a GPU was ended by somebody", code="E-GPU-005")

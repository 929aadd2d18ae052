"""Leases of GPUs: asking, waiting, holding, and taking back what the dead held."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import Device, devices
from jupyter_mlops.experiments.gpus.turns import HALF_LIFE, in_order, past_use, place
from jupyter_mlops.experiments.records import GpuLeaseRecord, GpuQuotaRecord
from jupyter_mlops.experiments.trials import may_live, process_name
from jupyter_mlops.workspace import Invalid, Transaction, Unavailable, Workspace
from jupyter_mlops.workspace.records import new_id, utcnow

__all__ = ["Lease", "ask", "expire", "set_quota"]

BEAT_SECONDS = 20.0
SILENT_SECONDS = 90.0
"""After so long without a heartbeat, another machine's lease has ended."""
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 2.0
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


@dataclass(frozen=True)
class Lease:
    """GPUs that are held; `devices` are their uuids, `memory` bytes on the one, or 0."""

    id: str
    devices: tuple[str, ...]
    memory: int
    ws: Workspace

    def release(self, reason: str = "") -> None:
        """Give them back; doing so twice is harmless."""
        with self.ws.write() as tx:
            row = tx.session.get(GpuLeaseRecord, self.id)
            if row is not None and row.status == "held":
                _end(tx, row, "released", reason)
                _serve(tx, devices())

    def environment(self) -> dict[str, str]:
        """Environment variables for a child process that may use them."""
        told = {"CUDA_VISIBLE_DEVICES": ",".join(self.devices)}
        if self.memory:
            told["JUPYTER_MLOPS_GPU_MEMORY"] = told["CUPY_GPU_MEMORY_LIMIT"] = str(self.memory)
        return told


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
    gpus : int
        Whole GPUs; or, instead,
    memory : int or str
        bytes on one GPU: ``8GB``.
    timeout : float, optional
        Seconds to wait; None waits for as long as it takes.

    Raises
    ------
    Invalid
        Not exactly one of `gpus` and `memory` was given, or it makes no sense.
    Unavailable
        This machine hasn't that much, or it didn't become free in time.

    Examples
    --------
    >>> with ask(ws, memory="8GB", holder="ana", purpose="trial 3") as lease:
    ...     subprocess.run(command, env=os.environ | lease.environment())
    """
    size = _bytes(memory)
    if gpus < 0 or size < 0 or bool(gpus) == bool(size):
        raise Invalid(
            "a lease is of whole GPUs or of memory on one",
            fix="give gpus=1 or memory='8GB'",
            code="E-GPU-002",
        )
    found = devices()
    largest = max((one.total for one in found), default=0)
    # Of MIG instances a process sees one at most.
    most = max(sum(one.parent is None for one in found), 1)
    if not found or gpus > most or size > largest:
        plural = "" if most == 1 else "s"
        has = f"{most} GPU{plural} for one process, the largest of {largest:,} bytes"
        has = has if found else "no GPU"
        raise Unavailable(
            "so much GPU can't be had here", f"this machine has {has}", code="E-GPU-003"
        )
    now = utcnow()
    row = GpuLeaseRecord(
        id=new_id(), status="waiting", holder=holder, team=team or holder, purpose=purpose,
        priority=priority, gpus=gpus, memory=size, weight=gpus or size / largest, devices=[],
        host=socket.gethostname(), process=process_name(), asked_at=now, beat_at=now,
    )  # fmt: skip
    key = row.id
    with ws.write() as tx:
        tx.session.add(row)
        tx.session.flush()
        _look(tx, found)
    try:
        lease = _wait(ws, key, timeout)
    except BaseException:
        with ws.write() as tx:
            left = tx.session.get(GpuLeaseRecord, key)
            if left is not None and left.status in {"waiting", "held"}:
                _end(tx, left, "withdrawn", "it was no longer waited for")
                _serve(tx, found)
        raise
    try:
        yield lease
    finally:
        lease.release()


def expire(ws: Workspace) -> int:
    """Take back what dead processes held, serve who waits; return how many were taken back."""
    with ws.read() as session:
        query = select(GpuLeaseRecord.id).where(GpuLeaseRecord.status.in_(["waiting", "held"]))
        if session.execute(query.limit(1)).first() is None:
            return 0
    with ws.write() as tx:
        return _look(tx, devices())


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


def _wait(ws: Workspace, key: str, timeout: float | None) -> Lease:
    started = looked = time.monotonic()
    pause = FIRST_PAUSE
    while True:
        # Reading disturbs nobody; who gives something back serves those who wait.
        with ws.read() as session:
            row = session.get(GpuLeaseRecord, key)
            if row is not None and row.status == "held":
                return Lease(key, tuple(row.devices), row.memory, ws)
            if row is None or row.status != "waiting":
                raise Unavailable("the wait for a GPU was ended by somebody", code="E-GPU-005")
            query = select(GpuLeaseRecord.process).where(
                GpuLeaseRecord.status.in_(["waiting", "held"]), GpuLeaseRecord.host == row.host
            )
            dead = any(not may_live(one) for one in session.scalars(query))
        now = time.monotonic()
        if timeout is not None and now - started >= timeout:
            raise Unavailable(f"no GPU became free within {timeout:g} s", code="E-GPU-006")
        if dead or now - looked > BEAT_SECONDS:
            expire(ws)
            looked = now
            continue
        time.sleep(pause * random.uniform(0.7, 1.3))  # noqa: S311
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _look(tx: Transaction, found: list[Device]) -> int:
    """End the leases of the dead, keep those of this machine's living fresh, serve who waits."""
    now = utcnow()
    here, ended = socket.gethostname(), 0
    query = select(GpuLeaseRecord).where(GpuLeaseRecord.status.in_(["waiting", "held"]))
    for row in tx.session.scalars(query).all():
        silent = (now - row.beat_at).total_seconds()
        if row.host == here and may_live(row.process):
            if silent > BEAT_SECONDS:
                row.beat_at = now
        elif row.host == here or silent > SILENT_SECONDS:
            _end(tx, row, "reclaimed", "its process is gone")
            ended += 1
    _serve(tx, found)
    return ended


def _serve(tx: Transaction, found: list[Device]) -> None:
    tx.session.flush()
    now = utcnow()
    query = select(GpuLeaseRecord).where(
        GpuLeaseRecord.host == socket.gethostname(), GpuLeaseRecord.status.in_(["waiting", "held"])
    )
    rows = tx.session.scalars(query).all()
    waiting = [one for one in rows if one.status == "waiting"]
    if not waiting:
        return
    held = [one for one in rows if one.status == "held"]
    quotas = {one.team: one.share for one in tx.session.scalars(select(GpuQuotaRecord))}
    since = now - timedelta(seconds=10 * HALF_LIFE)
    ended = select(GpuLeaseRecord).where(GpuLeaseRecord.ended_at > since)
    used = past_use(tx.session.scalars(ended).all(), now)
    while waiting:
        first = in_order(waiting, held, quotas, used, len(found))[0]
        chosen = place(first, held, found)
        if chosen is None:
            first.reserved_at = first.reserved_at or now
            return
        first.status, first.devices, first.granted_at = "held", chosen, now
        tx.emit("gpu.leased", f"gpu:{first.id}", payload={"devices": chosen, "team": first.team})
        waiting.remove(first)
        held.append(first)


def _end(tx: Transaction, row: GpuLeaseRecord, status: str, reason: str) -> None:
    row.status, row.reason, row.ended_at = status, reason, utcnow()
    tx.emit(f"gpu.{status}", f"gpu:{row.id}", payload={"reason": reason, "team": row.team})


def _bytes(text: int | str | None) -> int:
    if text is None or isinstance(text, int):
        return text or 0
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if found is None:
        raise Invalid(f"{text!r} is no amount of memory", fix="write 8GB", code="E-GPU-007")
    number, unit, binary = found.groups()
    factor = _UNITS[unit.upper()]
    if binary:
        factor = 1024 ** "KMGT".index(unit.upper()) * 1024 if unit else 1
    return int(float(number) * factor)

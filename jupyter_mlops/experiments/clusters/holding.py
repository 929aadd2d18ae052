"""The clusters that the store knows: listed, resized and stopped from any process."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import select

from jupyter_mlops.experiments.clusters.ending import end, here, sweep
from jupyter_mlops.experiments.clusters.leasing import GROWS
from jupyter_mlops.experiments.clusters.orphans import end_behind
from jupyter_mlops.experiments.clusters.planning import gpu_workers
from jupyter_mlops.experiments.records import ClusterRecord
from jupyter_mlops.experiments.trials import may_live
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Result, Workspace, closest

__all__ = ["Clusters", "Held", "clusters", "held", "log_of", "scale", "settle", "stop", "trim_log"]

_WAIT: Final = 10.0
_LOG: Final = 16 << 20


@dataclass(frozen=True)
class Held(Result):
    """A cluster that was started here.

    Attributes
    ----------
    status : str
        ``starting``, ``running``, ``stopped`` or ``failed``.
    process : str
        The process that holds it, as host, id and time of birth.
    workers : int
    used_at : datetime
        When it last computed something.
    """

    name: str
    status: str
    kind: str
    actor: str
    process: str
    address: str
    dashboard: str
    environment: str
    workers: int
    started_at: datetime
    used_at: datetime
    reason: str

    @classmethod
    def of(cls, row: ClusterRecord) -> Held:
        return cls(
            row.name,
            row.status,
            row.kind,
            row.actor,
            row.process,
            row.address,
            row.dashboard,
            row.environment,
            int(row.plan.get("workers") or 0),
            row.started_at,
            row.used_at,
            row.reason,
        )

    @property
    def ref(self) -> str:
        """``cluster:`` and the name."""
        return f"cluster:{self.name}"


@dataclass(frozen=True)
class Clusters(Result, Sequence[Held]):
    """Clusters, those that run first."""

    items: tuple[Held, ...]

    def __getitem__(self, index: Any) -> Any:
        return self.items[index]

    def __len__(self) -> int:
        return len(self.items)


def clusters(ws: Workspace) -> Clusters:
    """All clusters that were started here."""
    settle(ws)
    with ws.read() as session:
        rows = [Held.of(row) for row in session.scalars(select(ClusterRecord))]
    rows.sort(key=lambda one: (one.status not in {"running", "starting"}, one.name))
    return Clusters(tuple(rows))


def held(ws: Workspace, name: str) -> Held:
    """One cluster, as the store knows it."""
    with ws.read() as session:
        row = session.get(ClusterRecord, name)
        if row is not None:
            return Held.of(row)
    raise _unknown(ws, name)


def settle(ws: Workspace) -> int:
    """Record that clusters whose process is gone have failed; return how many."""
    with ws.read() as session:
        query = select(ClusterRecord).where(ClusterRecord.status.in_(("running", "starting")))
        gone = [row.name for row in session.scalars(query) if not may_live(row.process)]
    for name in gone:
        with ws.write() as tx:
            row = tx.session.get_one(ClusterRecord, name, with_for_update=True)
            if row.status not in {"running", "starting"} or may_live(row.process):
                continue
            wanted = row.desired != "running"
            sweep(row.plan.get("mark", ""))
            row.status = "stopped" if wanted else "failed"
            row.reason = "" if wanted else _last_words(ws, name)
            kind = "cluster.stopped" if wanted else "cluster.failed"
            tx.emit(kind, f"cluster:{name}", payload={"reason": row.reason[:500]})
            behind = (row.plan["address"], row.plan["gateway"]) if "gateway" in row.plan else None
        if behind is not None and (left := end_behind(*behind)):
            with ws.write() as tx:
                row = tx.session.get_one(ClusterRecord, name)
                row.reason = "; ".join(one for one in (row.reason, left) if one)
    return len(gone)


def log_of(ws: Workspace, name: str) -> Path:
    """Where a cluster's process writes what it has to say."""
    return ws.home / "logs" / f"cluster-{name}.log"


def trim_log(ws: Workspace, name: str, most: int = _LOG) -> None:
    """Begin a cluster's log anew once it is longer than that many bytes.

    What programs print that a trial begins, or libraries past Python, goes there.
    """
    log = log_of(ws, name)
    # Without it there is nothing to trim, and nobody reads it.
    with contextlib.suppress(OSError):
        if log.stat().st_size > most:
            # All who write append, and so go on at its new end.
            with log.open("ab") as file:
                file.truncate(0)
                file.write(f"(over {most:,} bytes were left out here)\n".encode())


def _last_words(ws: Workspace, name: str) -> str:
    try:
        text = log_of(ws, name).read_text("utf-8", "replace")[-4000:]
    except OSError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"its process ended; its last words: {lines[-1][:300]}" if lines else "its process ended"


def stop(ws: Workspace, name: str, timeout: float = _WAIT) -> Held:
    """Stop a cluster, also when whoever started it is gone; its process is killed in the end.

    Raises
    ------
    NotFound
        No cluster has that name.
    Denied
        Another user of this machine runs it.
    Conflict
        It is on another machine, and hasn't stopped in time.
    """
    with ws.write() as tx:
        row = tx.session.get(ClusterRecord, name, with_for_update=True)
        if row is None:
            raise _unknown(ws, name)
        process, status, mark = row.process, row.status, row.plan.get("mark", "")
        if status in {"running", "starting"}:
            row.desired = "stopped"
            tx.emit("cluster.told", f"cluster:{name}", payload={"to": "stop"})
    if status in {"running", "starting"}:
        if here(process):
            end(process, timeout)
            sweep(mark)
        else:
            _wait_for(ws, name, timeout)
    settle(ws)
    with ws.read() as session:
        return Held.of(session.get_one(ClusterRecord, name))


def _wait_for(ws: Workspace, name: str, timeout: float) -> None:
    """Wait until a process of another machine has read that it shall stop."""
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        with ws.read() as session:
            row = session.get_one(ClusterRecord, name)
            process = row.process
            if row.status not in {"running", "starting"}:
                return
        time.sleep(0.2)
    raise Conflict(
        f"cluster {name!r} hasn't stopped after {timeout:.0f} seconds",
        f"its process is on {process.rsplit(':', 2)[0]}",
        "it stops once that machine reads the store",
        code="E-CLUSTER-014",
    )


def scale(ws: Workspace, name: str, workers: int) -> Held:
    """Give a running cluster another number of workers; its process hears of it in a moment.

    One whose workers hold GPUs gets them as those become free, while it works.

    Raises
    ------
    Conflict
        It isn't running, or can't have so many.
    """
    if workers < 1:
        raise Invalid(
            f"a cluster can't have {workers} workers", fix="1 or more", code="E-CLUSTER-010"
        )
    settle(ws)
    with ws.write() as tx:
        row = tx.session.get(ClusterRecord, name, with_for_update=True)
        if row is None:
            raise _unknown(ws, name)
        if row.status != "running":
            raise Conflict(f"cluster {name!r} isn't running", f"it is {row.status}",
                           code="E-CLUSTER-011")  # fmt: skip
        held = int(row.plan.get("leases") or 0)
        if held and workers > held:
            _check_growth(row, held, workers)
        # A worker more needs a GPU more, and is there once its process has got that.
        now = min(workers, held) if held else workers
        row.plan = {**row.plan, "workers": now, "wanted": workers}
        tx.emit("cluster.told", f"cluster:{name}", payload={"to": "scale", "workers": workers})
        tx.session.flush()
        return Held.of(row)


def _check_growth(row: ClusterRecord, held: int, workers: int) -> None:
    """Refuse more workers than a cluster that holds GPUs can ever have."""
    if row.kind != GROWS:
        raise Conflict(
            f"cluster {row.name!r} holds GPUs for {held} workers",
            "Dask-CUDA is told its GPUs when it starts",
            "stop it, and start one with more; GPUs that are free then are its",
            code="E-CLUSTER-015",
        )
    memory = row.plan.get("gpu_memory")
    most = gpu_workers(0 if memory else int(row.plan.get("gpus") or 1), memory)
    if here(row.process) and workers > most:
        raise Conflict(
            f"cluster {row.name!r} can't have {workers} workers",
            f"this machine has GPUs for {most}",
            f"ask for {most} at most",
            code="E-CLUSTER-016",
        )


def _unknown(ws: Workspace, name: str) -> NotFound:
    with ws.read() as session:
        known = list(session.scalars(select(ClusterRecord.name)))
    return NotFound(
        f"no cluster is called {name!r}",
        f"there are {', '.join(sorted(known))}" if known else "none was started here",
        closest(name, known) or "`%mlops cluster ls` lists them",
        code="E-CLUSTER-012",
    )

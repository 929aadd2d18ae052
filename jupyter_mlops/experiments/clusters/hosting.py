"""What a cluster's process does: start it, keep its record, and end it when that is due.

Dask's scheduler and nannies run in it, the workers below it; they end with it, however it ends.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.experiments.clusters.ending import sweep
from jupyter_mlops.experiments.clusters.holding import trim_log
from jupyter_mlops.experiments.clusters.leasing import (
    GROWS,
    YIELD,
    further,
    give,
    others_wait,
    take,
    whole,
)
from jupyter_mlops.experiments.clusters.making import credentials, make
from jupyter_mlops.experiments.clusters.using import Use
from jupyter_mlops.experiments.records import ClusterRecord
from jupyter_mlops.experiments.trials import process_name
from jupyter_mlops.workspace import MLOpsError, Workspace
from jupyter_mlops.workspace.records import utcnow

if TYPE_CHECKING:
    from jupyter_mlops.experiments.gpus.leases import Lease

__all__ = ["main"]

_LOOK: Final = 0.5
#: Seconds between two notes that it works.
_NOTE: Final = 30.0
#: Seconds between two looks for further GPUs.
_GROW: Final = 2.0
#: Characters of what a library says.
_SAID: Final = 400
#: Seconds until its record is there.
_START: Final = 20.0


def main(root: str, name: str) -> int:
    """Hold a cluster until it is told to stop or nobody has used it for a while."""
    ws = Workspace.open(root)
    stopping = threading.Event()

    def end(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    found = _plan(ws, name)
    if found is None:
        return 1
    plan = found
    plan["idle_timeout"] = float(plan.get("idle_timeout") or ws.settings.cluster_idle)
    folder = ws.home / "clusters" / plan["mark"]
    leases: list[Lease] = []
    try:
        leases = take(ws, name, plan, stopping)
        if leases:
            plan["wanted"] = plan.get("workers") or len(leases)
            plan["workers"] = len(leases)
        cluster = make(plan, folder, leases)
    except Exception as error:
        give(leases)
        if stopping.is_set():
            _record(ws, name, "stopped", "")
            return 0
        parts = [error.what, error.why, error.fix] if isinstance(error, MLOpsError) else [error]
        # What other libraries say may go over lines, and is to be one sentence.
        said = [" ".join(str(one).split())[:_SAID] for one in parts]
        reason = "; ".join(one for one in said if one) or type(error).__name__
        _record(ws, name, "failed", reason)
        return 1
    try:
        with contextlib.closing(cluster):
            _tell(ws, name, cluster, folder, plan, len(leases))
            threading.Thread(target=_draw, args=(cluster,), daemon=True).start()
            why = _hold(ws, name, cluster, plan, stopping, leases)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        sweep(plan["mark"])
        # Not before its workers are gone, which use them.
        if ws.home.is_dir():
            give(leases)
    _record(ws, name, "stopped", why)
    return 0


def _plan(ws: Workspace, name: str) -> dict[str, Any] | None:
    """What it shall be, once whoever started this process has written that down."""
    until = time.monotonic() + _START
    while time.monotonic() < until:
        with ws.read() as session:
            row = session.get(ClusterRecord, name)
            if row is not None and _ours(row):
                return dict(row.plan)
        time.sleep(0.02)
    print("it was never recorded who started this", file=sys.stderr)
    return None


def _ours(row: ClusterRecord) -> bool:
    """Whether the record still means this process. (Times of birth differ by rounding.)"""
    return row.process.rsplit(":", 1)[0] == process_name().rsplit(":", 1)[0]


def _tell(
    ws: Workspace, name: str, cluster: Any, folder: Path, plan: dict[str, Any], leases: int
) -> None:
    workers = getattr(cluster, "workers", {})
    secure = credentials(cluster, folder)
    with ws.write() as tx:
        row = tx.session.get(ClusterRecord, name, with_for_update=True)
        if row is None or not _ours(row) or row.desired != "running":
            return  # which ends it at the first look
        row.status, row.address = "running", cluster.scheduler_address
        row.dashboard = _dashboard(cluster)
        row.plan = {**row.plan, "workers": len(workers) or row.plan.get("workers") or 1}
        if leases:
            row.plan = {
                **row.plan, "workers": leases, "leases": leases, "wanted": plan["wanted"]
            }  # fmt: skip
        if secure:
            row.plan = {**row.plan, "security": secure}
        if row.kind == "gateway":
            row.plan = {**row.plan, "gateway": cluster.name}
        row.used_at = utcnow()
        tx.emit("cluster.ready", f"cluster:{name}", payload={"address": row.address})


def _dashboard(cluster: Any) -> str:
    """Where it is; of a scheduler in this process, the plain place, which a proxy can be given."""
    server = getattr(getattr(cluster, "scheduler", None), "http_server", None)
    if server is None:
        return cluster.dashboard_link or ""
    if find_spec("bokeh") is None:
        return ""
    return f"http://127.0.0.1:{cluster.scheduler.services['dashboard'].port}/status"


def _draw(cluster: Any) -> None:
    """Draw Dask's dashboard, of a scheduler in this process; Bokeh takes a second to load."""
    scheduler: Any = getattr(cluster, "scheduler", None)
    if getattr(scheduler, "http_server", None) is None or find_spec("bokeh") is None:
        return
    from distributed.dashboard.scheduler import connect

    scheduler.loop.add_callback(
        connect, scheduler.http_application, scheduler.http_server, scheduler
    )


def _hold(
    ws: Workspace,
    name: str,
    cluster: Any,
    plan: dict[str, Any],
    stopping: threading.Event,
    leases: list[Lease],
) -> str:
    """Wait for a reason to end, and return it; GPUs that it takes meanwhile join the leases."""
    limit = plan["idle_timeout"]
    busy = noted = time.monotonic()
    workers = int(plan.get("workers") or len(getattr(cluster, "workers", ())) or 1)
    use = Use(cluster)
    grow = 0.0
    alive = _processes(cluster)
    while not stopping.wait(_LOOK):
        trim_log(ws, name)
        if not ws.home.is_dir():
            return "the workspace is gone"
        now = time.monotonic()
        if use.seen():
            busy = now
        elif now - busy > limit:
            told = f"{limit / 60:.0f} minutes" if limit >= 120 else f"{limit:.0f} seconds"
            return f"nobody used it for {told}"
        if use.lost:
            return use.lost
        try:
            with ws.read() as session:
                row = session.get(ClusterRecord, name)
                if row is None or row.desired != "running":
                    return ""
                if not _ours(row):
                    return "another process took its name"
                wanted = int(row.plan.get("workers") or workers)
                lacking = int(row.plan.get("wanted") or wanted) - len(leases)
            if not whole(ws, leases):
                return "its lease of a GPU was ended"
            if leases and now - busy > YIELD and others_wait(ws):
                return "others waited for its GPUs, and nobody used them"
            if plan["kind"] == GROWS and lacking > 0 and now - busy < YIELD and now >= grow:
                grow = now + _GROW
                more = further(ws, name, plan, lacking)
                leases += more
                for one in more:
                    cluster.lend(one.environment())
                if more:
                    wanted = len(leases)
                    _note_growth(ws, name, wanted)
            if wanted != workers:
                cluster.scale(wanted)
                workers = wanted
            before, alive = alive, _processes(cluster)
            for gone in before - alive:
                # What a trial began ends with its worker.
                sweep(plan["mark"], below=gone)
            # Often enough while it works, and once more when it has ended.
            if noted < busy and (now - noted > _NOTE or busy < now):
                noted = now
                with ws.write() as tx:
                    tx.session.get_one(ClusterRecord, name).used_at = utcnow()
        except MLOpsError as error:
            # The store is away for a moment; what runs goes on meanwhile.
            print(error, file=sys.stderr, flush=True)
    return ""


def _note_growth(ws: Workspace, name: str, workers: int) -> None:
    with ws.write() as tx:
        row = tx.session.get_one(ClusterRecord, name, with_for_update=True)
        row.plan = {**row.plan, "workers": workers, "leases": workers}
        tx.emit("cluster.grown", f"cluster:{name}", payload={"workers": workers})


def _processes(cluster: Any) -> set[str]:
    """The process ids of its workers, as far as they run below this process."""
    nannies = list(getattr(cluster, "workers", {}).values())
    return {str(pid) for one in nannies if isinstance(pid := getattr(one, "pid", None), int)}


def _record(ws: Workspace, name: str, status: str, reason: str) -> None:
    if not ws.home.is_dir():
        return
    with ws.write() as tx:
        row = tx.session.get(ClusterRecord, name)
        if row is None or not _ours(row) or row.status not in {"starting", "running"}:
            return
        row.status, row.reason = status, reason
        tx.emit(f"cluster.{status}", f"cluster:{name}", payload={"reason": reason[:500]})

"""The agent's life: take the lease, look and act, keep house, end when nothing is left to do."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import FrameType

from sqlalchemy import select

from jupyter_mlops.agent.bell import Bell
from jupyter_mlops.agent.detached import Detached
from jupyter_mlops.agent.kinds import KINDS
from jupyter_mlops.agent.labels import Rankings
from jupyter_mlops.agent.lease import RENEW_SECONDS, Lease
from jupyter_mlops.agent.monitors import Monitoring
from jupyter_mlops.agent.reconciler import Reconciler
from jupyter_mlops.agent.retraining import Retraining
from jupyter_mlops.experiments.gpus.leases import expire, in_use
from jupyter_mlops.experiments.gpus.watching import watch
from jupyter_mlops.serving import zygote
from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.places import traffic_root
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import MLOpsError, Workspace

__all__ = ["run"]

LOOK_SECONDS = 0.2
HOUSE_SECONDS = 10.0
PRUNE_SECONDS = 60.0
#: Closed hours of traffic are profiled so often; a check does it too, of what it needs.
PROFILE_SECONDS = 1800.0


def run(ws: Workspace) -> bool:
    """Be the workspace's agent until there is nothing to do, or until told to stop.

    Parameters
    ----------
    ws : Workspace

    Returns
    -------
    bool
        False when another agent has the lease.

    Notes
    -----
    Endpoint processes go on when the agent ends, however it ends; the next agent adopts them.
    """
    lease = Lease(ws)
    if not lease.acquire():
        return False
    with _told_to_stop() as stopping:
        return _live(ws, lease, stopping)


@contextlib.contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """Set by SIGTERM and by an interrupt."""
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()

    before = {one: signal.signal(one, stop) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _live(ws: Workspace, lease: Lease, stopping: threading.Event) -> bool:
    while True:
        _say(f"agent of {ws.root} starts")
        bell = Bell()
        with ThreadPoolExecutor(1, thread_name_prefix="compact") as keeper:
            try:
                seen = _work(ws, lease, stopping, bell, keeper)
            finally:
                bell.close()
        if seen is None:
            _say("agent ends without its lease")
            return True
        lease.release()
        _say("agent ends")
        # Who declared something while it was ending found an agent at work, and started none.
        if stopping.is_set() or _newest(ws) <= seen or not lease.acquire():
            return True


def _work(
    ws: Workspace,
    lease: Lease,
    stopping: threading.Event,
    bell: Bell,
    keeper: ThreadPoolExecutor,
) -> int | None:
    """Work until told to stop or idle for too long.

    Returns
    -------
    int or None
        The newest event at the last look; None when the lease is ours no more.
    """
    zygote.warm()  # while the agent looks round: the first endpoint needs it
    reconciler = Reconciler(ws)
    try:
        return _go_on(ws, lease, stopping, bell, keeper, reconciler)
    finally:
        reconciler.close()


def _go_on(
    ws: Workspace,
    lease: Lease,
    stopping: threading.Event,
    bell: Bell,
    keeper: ThreadPoolExecutor,
    reconciler: Reconciler,
) -> int | None:
    seen = _newest(ws)
    detached = Detached(ws, KINDS)
    retraining = Retraining(ws)
    monitoring = Monitoring(ws)
    rankings = Rankings(ws)
    renewed = busy = time.monotonic()
    next_house = next_prune = 0.0
    next_profiles = renewed + PRUNE_SECONDS  # nothing that starts waits for it
    house: Future[int] | None = None
    while not stopping.is_set():
        now = time.monotonic()
        idle = now - busy > ws.settings.agent_idle
        if not ws.home.is_dir():
            # Somebody removed the workspace: nobody can ask for its endpoints any more.
            _say("the workspace is gone")
            reconciler.end_all()
            return None
        try:
            if now - renewed > RENEW_SECONDS:
                # Before anything else: after a long sleep another agent may be at work.
                if not lease.renew():
                    return None
                renewed = time.monotonic()
            if idle:
                seen = _newest(ws)
            reconciler.step()
            detached.step()
            retraining.step()
            monitoring.step()
            rankings.step()
        except MLOpsError as error:
            # The store is away for a moment (a restart, a full disk): endpoints go on meanwhile.
            _say(str(error))
            bell.wait(1.0)
        if house is not None and house.done():
            if house.exception() is not None:
                traceback.print_exception(house.exception())
            elif house.result():
                busy = now
            house = None
        if house is None and now >= next_house:
            next_house = now + HOUSE_SECONDS
            house = keeper.submit(
                _keep_house, ws, prune=now >= next_prune, profiles=now >= next_profiles
            )
            if now >= next_prune:
                next_prune = now + PRUNE_SECONDS
            if now >= next_profiles:
                next_profiles = now + PROFILE_SECONDS
        # Looking whether there is something to tidy up is no work: it happens all the time.
        watchers = (reconciler, detached, retraining, monitoring, rankings)
        if any(one.busy for one in watchers):
            busy = now
        elif house is None and idle:
            _keep_house(ws)
            if not in_use(ws):
                break
            # Somebody has to watch those who hold GPUs.
            busy = now
        bell.wait(min(LOOK_SECONDS, reconciler.patience))
    return seen


def _newest(ws: Workspace) -> int:
    """The number of the newest event."""
    return max((event.seq for event in ws.events(limit=1, newest=True)), default=0)


def _keep_house(ws: Workspace, *, prune: bool = False, profiles: bool = False) -> int:
    # Two small queries while nobody holds or waits for a GPU.
    taken_back = expire(ws) + watch(ws)
    if prune:
        taken_back += _prune(ws)
    if any(traffic_root(ws).glob(f"**/{FRESH}/*")):
        # Arrow is loaded when there is something to do, and beside the loop.
        from jupyter_mlops.serving.compaction import compact_all

        taken_back += compact_all(ws)
    if profiles and any(traffic_root(ws).glob("*/*")):
        from jupyter_mlops.monitoring.hourly import bring_all_up_to_date

        bring_all_up_to_date(ws)
    return taken_back


def _prune(ws: Workspace) -> int:
    """Remove what logs are not to keep any longer; before compaction, which may need the room."""
    with ws.read() as session:
        policies = [LogPolicy.of(log) for log in session.scalars(select(EndpointRecord.log))]
    if not any(policy.limited for policy in policies):
        return 0
    from jupyter_mlops.serving.retention import prune_all

    return prune_all(ws)


def _say(text: str) -> None:
    print(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), text, file=sys.stderr, flush=True)

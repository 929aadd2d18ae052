"""Eight GPUs and two hundred who want them: never twice, none lost, by quota, in order, how fast.

Usage: ``python benchmarks/gpus.py [storm|shares|alone] … [--seconds 30]``, all of them when none
is named. The GPUs are told of by a file, the store is SQLite, the requesters are ten processes of
twenty threads.

- ``storm``: whole GPUs and parts are asked for; processes are killed at random while they hold and
  wait, and replaced. A look every few milliseconds and, afterwards, the log of all events say
  whether any GPU was ever held twice; in the end all eight must be had by one.
- ``shares``: three teams, whose quotas are 50, 30 and 20 %, want more than there is all the time.
  Shares are of GPU seconds. Order: of all pairs of requests of one team that waited at the same
  time, how many were served in the order in which they were asked. The first 30 % of the time
  don't count. The peer, in the same run: a ``filelock`` a GPU that whoever comes first takes,
  which knows no teams, no order, no parts and not who holds what.
- ``alone``: one grant and its end, when nobody else asks.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

GPUS, TOTAL = 8, 80 * 10**9
PROCESSES, THREADS = 10, 20
HOLD = 0.5
QUOTAS = {"red": 0.5, "blue": 0.3, "green": 0.2}


def requester(root: str, kind: str, number: int, seconds: float) -> None:
    """A process of many who ask, hold and ask again; it prints what it was given, a line each."""
    until = time.time() + seconds
    lines: list[str] = []

    def want(thread: int) -> None:
        rng = random.Random(number * 1000 + thread)
        team = list(QUOTAS)[(number * THREADS + thread) % len(QUOTAS)]
        while time.time() < until:
            asked = time.time()
            got, back = take(rng, team)
            granted = time.time()
            time.sleep(rng.uniform(0.5, 1.5) * HOLD)
            back()
            lines.append(json.dumps([team, asked, granted, time.time(), got]))

    take = _lock(Path(root)) if kind == "filelock" else _ask(root, kind)
    threads = [threading.Thread(target=want, args=(one,)) for one in range(THREADS)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    print("\n".join(lines), flush=True)


def _ask(root: str, kind: str) -> Any:
    from jupyter_mlops.experiments.gpus.leases import acquire
    from jupyter_mlops.workspace import Workspace

    ws = Workspace.open(root)

    def take(rng: random.Random, team: str) -> Any:
        size = {"gpus": 1}
        if kind == "storm":
            size = rng.choice([{"gpus": 1}, {"gpus": 2}, *[{"memory": n * 10**10} for n in (1, 3)]])
        lease = acquire(ws, holder=team, team=team, purpose="benchmark", **size)
        return list(lease.devices), lease.release

    return take


def _lock(folder: Path) -> Any:
    from filelock import FileLock, Timeout

    def take(rng: random.Random, _team: str) -> Any:
        while True:
            for number in rng.sample(range(GPUS), GPUS):
                lock = FileLock(folder / f"{number}.lock", thread_local=False)
                try:
                    lock.acquire(blocking=False)
                except Timeout:
                    continue
                return [str(number)], lock.release
            time.sleep(rng.uniform(0.02, 0.08))

    return take


class Crowd:
    """The processes that ask, some of which die and are replaced."""

    def __init__(self, root: Path, kind: str, seconds: float) -> None:
        self.root, self.kind, self.until = root, kind, time.time() + seconds
        self.running = [self._start(number) for number in range(PROCESSES)]
        self.killed = 0

    def _start(self, number: int) -> subprocess.Popen[str]:
        left = self.until - time.time()
        command = [sys.executable, __file__, "--requester", self.kind, str(self.root)]
        return subprocess.Popen(
            [*command, str(number), str(left)], stdout=subprocess.PIPE, text=True
        )

    def kill(self, rng: random.Random) -> None:
        number = rng.randrange(PROCESSES)
        self.running[number].send_signal(signal.SIGKILL)
        self.running[number].communicate()
        self.killed += 1
        self.running[number] = self._start(PROCESSES + self.killed)

    def lines(self) -> list[Any]:
        """What all that lived to the end were given."""
        told = "\n".join(one.communicate(timeout=300)[0] for one in self.running)
        return [json.loads(line) for line in told.splitlines() if line]


def overlaps(ws: Any) -> int:
    """How many GPUs are held twice, or beyond their memory, at this moment."""
    from sqlalchemy import select

    from jupyter_mlops.experiments.records import GpuLeaseRecord

    with ws.read() as session:
        columns = GpuLeaseRecord.gpus, GpuLeaseRecord.memory, GpuLeaseRecord.devices
        rows = session.execute(select(*columns).where(GpuLeaseRecord.status == "held")).all()
    return sum(too_much([(gpus, size) for gpus, size, on in rows if f"GPU-{n}" in on])
               for n in range(GPUS))  # fmt: skip


def too_much(holds: list[tuple[int, int]]) -> bool:
    whole = sum(gpus > 0 for gpus, _ in holds)
    return whole > 1 or (whole and len(holds) > 1) or sum(size for _, size in holds) > TOTAL


def replay(ws: Any) -> tuple[int, int]:
    """All grants in their order: how many there were, and how many put two onto one place."""
    from sqlalchemy import select

    from jupyter_mlops.experiments.records import GpuLeaseRecord

    with ws.read() as session:
        query = select(GpuLeaseRecord.id, GpuLeaseRecord.gpus, GpuLeaseRecord.memory)
        sizes = {f"gpu:{key}": (gpus, size) for key, gpus, size in session.execute(query)}
    held: dict[str, set[str]] = {}
    grants = twice = after = 0
    while events := ws.events(after=after, limit=1000):
        for event in events:
            after = event.seq
            if event.kind == "gpu.leased":
                grants += 1
                for uuid in event.payload["devices"]:
                    on = held.setdefault(uuid, set())
                    on.add(event.subject)
                    twice += too_much([sizes[one] for one in on])
            else:
                for on in held.values():
                    on.discard(event.subject)
    return grants, twice


def storm(ws: Any, seconds: float) -> None:
    from jupyter_mlops.experiments.gpus.leases import ask

    rng = random.Random(1)
    crowd = Crowd(ws.root, "storm", seconds)
    looks = seen = 0
    kill = time.time() + 4
    while time.time() < crowd.until:
        seen += overlaps(ws)
        looks += 1
        if time.time() > kill and time.time() < crowd.until - 4:
            crowd.kill(rng)
            kill = time.time() + rng.uniform(0.5, 1.5)
        time.sleep(0.005)
    crowd.lines()
    grants, twice = replay(ws)
    with ask(ws, gpus=GPUS, holder="all", purpose="benchmark", timeout=30) as lease:
        lost = GPUS - len(lease.devices)
    print(f"{PROCESSES * THREADS} requesters, {GPUS} GPUs, {seconds:.0f} s, whole and parts:")
    print(f"  grants {grants}, processes of {THREADS} killed {crowd.killed}")
    print(f"  held twice: {seen} in {looks} looks, {twice} by the log; lost in the end: {lost}")


def shares(ws: Any, seconds: float) -> None:
    from jupyter_mlops.experiments.gpus.leases import set_quota

    for team, share in QUOTAS.items():
        set_quota(ws, team, share)
    print(f"{PROCESSES * THREADS} requesters, {GPUS} GPUs, {seconds:.0f} s, held {HOLD} s each:")
    rates = []
    with tempfile.TemporaryDirectory() as folder:
        for kind, root in (("leases", ws.root), ("filelock", Path(folder))):
            crowd = Crowd(root, kind, seconds)
            # From when all have asked to when the first stops asking.
            begin, end = crowd.until - 0.7 * seconds, crowd.until
            lines = crowd.lines()
            use = dict.fromkeys(QUOTAS, 0.0)
            for team, _, granted, back, got in lines:
                use[team] += max(0.0, min(back, end) - max(granted, begin)) * len(got)
            whole = sum(use.values())
            ours = {team: used / whole for team, used in use.items()}
            off = max(abs(ours[team] - QUOTAS[team]) for team in QUOTAS)
            told = ", ".join(f"{team} {share:.1%}" for team, share in ours.items())
            within = [one for one in lines if begin <= one[2] < end]
            waits = sorted(granted - asked for _, asked, granted, _, _ in within)
            rates.append(len(within) / (end - begin))
            busy = whole / (end - begin) / GPUS
            print(f"  {kind:9} {rates[-1]:6.1f} grants/s, GPUs held {busy:.0%} of the time")
            print(f"  {'':9} shares {told}; off by {off:.1%} of all at most (quota 50, 30, 20)")
            print(f"  {'':9} in order {in_order(lines):.1%}; waits: median "
                  f"{statistics.median(waits):.2f} s, longest {waits[-1]:.2f} s")  # fmt: skip
    print(f"  leases against filelock: {rates[0] / rates[1]:.2f} of its grants a second")


def alone(ws: Any, _seconds: float) -> None:
    """What one grant and its end cost when nobody else asks."""
    from filelock import FileLock

    from jupyter_mlops.experiments.gpus.leases import ask

    times = []
    for _ in range(50):
        started = time.perf_counter()
        with ask(ws, gpus=1, holder="ana", purpose="benchmark"):
            pass
        times.append(time.perf_counter() - started)
    lock = FileLock(ws.root / "peer.lock")
    peer = []
    for _ in range(50):
        started = time.perf_counter()
        with lock:
            pass
        peer.append(time.perf_counter() - started)
    print(f"one grant and its end, alone: {statistics.median(times) * 1000:.1f} ms, durable and "
          f"told of; filelock {statistics.median(peer) * 1000:.2f} ms")  # fmt: skip


def in_order(lines: list[Any]) -> float:
    """Share of pairs of one team, both waiting at one time, that were served as they came."""
    right = pairs = 0
    for team in QUOTAS:
        mine = sorted((one for one in lines if one[0] == team), key=lambda one: one[1])
        for place, one in enumerate(mine):
            for other in mine[place + 1 :]:
                if other[1] >= one[2]:
                    break
                # Two that asked within the time of a commit have no order.
                if other[1] - one[1] > 0.1:
                    pairs += 1
                    right += one[2] <= other[2]
    return right / max(pairs, 1)


def main() -> None:
    if "--requester" in sys.argv:
        kind, root, number, seconds = sys.argv[2:6]
        requester(root, kind, int(number), float(seconds))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("which", nargs="*", choices=["storm", "shares", "alone", []], default=[])
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    from jupyter_mlops.workspace import Workspace

    for name, measure in {"storm": storm, "shares": shares, "alone": alone}.items():
        if given.which and name not in given.which:
            continue
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            told = [{"uuid": f"GPU-{n}", "name": "F", "total": TOTAL} for n in range(GPUS)]
            (Path(folder) / "gpus.json").write_text(json.dumps(told))
            os.environ["JUPYTER_MLOPS_FAKE_GPUS"] = str(Path(folder) / "gpus.json")
            ws = Workspace.open(Path(folder) / "project")
            measure(ws, given.seconds)


if __name__ == "__main__":
    main()

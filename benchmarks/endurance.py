"""What an endpoint bears: swaps, kills, an hour of load; what a further model costs.

Usage: ``python benchmarks/endurance.py [first|memory|swaps|kills|hour] … [--minutes 60]``, all of
them when none is named. Each works on a workspace of its own with a real agent, and prints its
figures and whether they hold. A version's answers tell which version computed them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import costs
import psutil
from callers import Record, records
from grounds import calling, processes, project, quantile, tell, until


def logged(ws: Any, name: str) -> dict[str, tuple[int, float]]:
    """Version and prediction by id, as the traffic log has them; no id may be there twice."""
    from jupyter_mlops import serving

    frame = serving.traffic.read(ws, name).collect()
    ids = frame["prediction_id"].to_list()
    found = dict(zip(ids, zip(frame["version"], frame["prediction"], strict=True), strict=True))
    assert len(found) == len(ids), f"{len(ids) - len(found)} ids are in the log twice"
    return {id_: (int(version), value) for id_, (version, value) in found.items()}


def in_log(ws: Any, name: str, answered: list[Record]) -> bool:
    """Whether the log holds every answer as it was given, and each id was given once."""
    log = logged(ws, name)
    lost = sum(one.prediction_id not in log for one in answered)
    other = sum(
        log.get(one.prediction_id, (one.version, one.predicted)) != (one.version, one.predicted)
        for one in answered
    )
    twice = len(answered) - len({one.prediction_id for one in answered})
    figure = (
        f"{len(answered):,} answered, {lost} not in the log, {other} there with another value, "
        f"{twice} ids given twice; {len(log) - len(answered):,} more in the log"
    )
    return tell("every answer is in the log", figure, not (lost or other or twice))


def swaps(given: argparse.Namespace) -> bool:
    """Swap versions under load; every answer is that of a version live meanwhile."""
    from jupyter_mlops import mlops

    with project(3) as ws:
        mlops.serve("m@1")
        with calling(ws, "m", callers=16, requests=10_000) as out:
            pass
        still = [one.end - one.begin for one in records(out) if one.status == 200]
        turns: list[tuple[float, float, int]] = [(0.0, 0.0, 1)]
        with calling(ws, "m", callers=16) as out:
            until(lambda: out.exists() and out.stat().st_size)
            # Two before the last one is long retired: each of these loads its model anew.
            for turn in range(given.swaps):
                version = (turn + 1) % 3 + 1
                begin = time.monotonic()
                mlops.serve(f"m@{version}")
                turns.append((begin, time.monotonic(), version))
            until(lambda: len(records(out)) >= 10_000)
        told = records(out)
        answered = [one for one in told if one.status == 200]
        seconds = [one.end - one.begin for one in answered]
        wrong = [one for one in answered if not (one.right and live(one, turns))]
        took = statistics.median(end - begin for begin, end, _ in turns[1:])
        held = [
            tell("swaps", f"{given.swaps}, {took:.2f} s each at the median, among "
                 f"{len(told):,} requests of 16 callers", len(turns) == given.swaps + 1),
            tell("failures", str(len(told) - len(answered)), len(told) == len(answered)),
            tell("answers of a version that wasn't live, or not its own", str(len(wrong)),
                 not wrong),
            in_log(ws, "m", answered),
        ]  # fmt: skip
        p99, before = (1000 * quantile(one, 0.99) for one in (seconds, still))
        held.append(
            tell("p99", f"{p99:.1f} ms, without swaps {before:.1f} ms, ratio {p99 / before:.2f}; "
                 f"longest {1000 * max(seconds):.0f} ms", p99 <= 2 * before)
        )  # fmt: skip
    return all(held)


def live(one: Record, turns: list[tuple[float, float, int]]) -> bool:
    """Whether the version that answered was live at some moment of the request."""
    for at, (begin, _, version) in enumerate(turns):
        ends = turns[at + 1][1] if at + 1 < len(turns) else float("inf")
        if version == one.version and begin <= one.end and one.begin <= ends:
            return True
    return False


def kills(given: argparse.Namespace) -> bool:
    """Kill whoever serves at random under load; look for each answer in the log."""
    from jupyter_mlops import agent, mlops, serving

    rng = random.Random(given.seed)
    with project(1) as ws:
        mlops.serve("m@1")
        folder = Path(ws.root)
        stopping = threading.Event()

        def care() -> None:
            # As the Jupyter server does it while it runs.
            while not stopping.wait(1.0):
                with contextlib.suppress(Exception):
                    agent.ensure(ws)

        def pid_of(who: str) -> int | None:
            if who == "agent":
                return agent.state(ws).pid if agent.state(ws).running else None
            if who == "zygote":
                every = processes(folder)
                names = ("mlops-gateway", "mlops-model")
                found = [
                    one.pid
                    for one in every
                    if one.name() not in names and "jupyter_mlops.serving.zygote" in one.cmdline()
                ]
                return found[0] if found else None
            state = serving.get(ws, "m").live
            if who == "gateway":
                return state.get("pid")
            return next(iter(state.get("versions", [{}])[0].get("processes", [])), None)

        keeper = threading.Thread(target=care)
        keeper.start()
        killed: list[tuple[float, str]] = []
        try:
            with contextlib.ExitStack() as opened, calling(ws, "m", callers=8) as out:
                until(lambda: out.exists() and out.stat().st_size)
                line = opened.enter_context(out.open())
                while len(killed) < given.kills:
                    who = rng.choice(["gateway", "model", "agent", "zygote"])
                    pid = pid_of(who)
                    if pid is None or not psutil.pid_exists(pid):
                        time.sleep(0.05)
                        continue
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                        killed.append((time.monotonic(), who))
                    line.seek(0, os.SEEK_END)
                    until(lambda: any("\t200\t" in text for text in line.readlines()))
                    time.sleep(rng.uniform(0.0, given.pause))
        finally:
            stopping.set()
            keeper.join()
        told = records(out)
        answered = [one for one in told if one.status == 200]
        starts = sorted((one.begin, one.end) for one in answered)
        waits: dict[str, list[float]] = {}
        at = 0
        for moment, who in killed:
            while at < len(starts) and starts[at][0] < moment:
                at += 1
            waits.setdefault(who, []).append(
                min((end for _, end in starts[at : at + 50]), default=moment + 1e9) - moment
            )
        every = [one for some in waits.values() for one in some]
        codes: dict[str, int] = {}
        for one in told:
            if one.status != 200:
                key = f"{one.status or 'broken'} {one.prediction_id}".strip()
                codes[key] = codes.get(key, 0) + 1
        held = [in_log(ws, "m", answered)]
        wrong = sum(not one.right for one in answered)
        held.append(tell("answers that are not the model's", str(wrong), not wrong))
        for who, some in sorted(waits.items()):
            middle = statistics.median(some)
            print(f"        {who}: {len(some)} killed, next answer after {middle:.2f} s at the "
                  f"median, {max(some):.2f} s at most", flush=True)  # fmt: skip
        print(f"        not answered: {codes}", flush=True)
        held.append(
            tell("next answer", f"{len(killed)} kills, p99 {quantile(every, 0.99):.2f} s, "
                 f"at most {max(every):.2f} s", max(every) <= 2.0)
        )  # fmt: skip
    return all(held)


def hour(given: argparse.Namespace) -> bool:
    """Answer at a steady rate for long; memory and descriptors stay as they are."""
    from jupyter_mlops import mlops

    with project(1) as ws:
        mlops.serve("m@1")
        folder = Path(ws.root)
        seconds = 60 * given.minutes
        samples: list[tuple[float, dict[str, tuple[float, int]]]] = []
        with calling(ws, "m", callers=16, rate=200, requests=int(200 * seconds)) as out:
            started = time.monotonic()
            while time.monotonic() - started < seconds:
                samples.append((time.monotonic() - started, look(folder)))
                time.sleep(min(10.0, seconds / 60))
        told = records(out)
        answered = [one for one in told if one.status == 200]
        took = max(one.end for one in told) - min(one.begin for one in told)
        begin = [sample for at, sample in samples if 0.1 * seconds <= at < 0.2 * seconds]
        end = [sample for at, sample in samples if at >= 0.9 * seconds]
        for who in sorted({who for sample in begin + end for who in sample}):
            first, last = (
                statistics.median(sample[who][0] for sample in some if who in sample)
                if any(who in sample for sample in some) else 0.0
                for some in (begin, end)
            )  # fmt: skip
            print(f"        {who}: {first:.1f} MB, at the end {last:.1f} MB", flush=True)
        sums = [
            [sum(memory for memory, _ in sample.values()) for sample in some]
            for some in (begin, end)
        ]
        first, last = (statistics.median(some) for some in sums)
        every = [sum(m for m, _ in s.values()) for at, s in samples if at >= 0.1 * seconds]
        files = [
            max(sum(count for _, count in sample.values()) for sample in some)
            for some in (begin, end)
        ]
        p99 = quantile([one.end - one.begin for one in answered], 0.99)
        held = [
            tell("requests", f"{len(told):,} in {took / 60:.1f} minutes, "
                 f"{len(answered) / took:.0f} a second, p99 {1000 * p99:.1f} ms",
                 len(answered) / took > 190),
            tell("errors", str(len(told) - len(answered)), len(told) == len(answered)),
            tell("memory (PSS of all processes)", f"{first:.1f} MB, at the end {last:.1f} MB, "
                 f"{100 * (last / first - 1):+.1f} %; from {min(every):.1f} to {max(every):.1f} MB",
                 abs(last / first - 1) <= 0.05),
            tell("open files", f"{files[0]}, at the end {files[1]}", files[1] <= files[0] + 4),
            in_log(ws, "m", answered),
        ]  # fmt: skip
        held.append(
            tell(
                "rows in the log",
                f"{len(logged(ws, 'm')):,}",
                len(logged(ws, "m")) == len(answered),
            )
        )
    return all(held)


def look(folder: Path) -> dict[str, tuple[float, int]]:
    """MB (PSS) and open files of each process of a workspace."""
    found: dict[str, tuple[float, int]] = {}
    for one in processes(folder):
        with contextlib.suppress(psutil.Error):
            name = one.name()
            if name not in ("mlops-gateway", "mlops-model"):
                name = "agent" if "jupyter_mlops.agent" in one.cmdline() else "zygote"
            memory, files = found.get(name, (0.0, 0))
            found[name] = (
                memory + one.memory_full_info().pss / 1e6,
                files + one.num_fds(),
            )
    return found


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "first": costs.first,
    "memory": costs.memory,
    "swaps": swaps,
    "kills": kills,
    "hour": hour,
}


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--minutes", type=float, default=60.0, help="how long hour takes")
    parser.add_argument("--swaps", type=int, default=20)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--pause", type=float, default=1.5, help="longest between two kills")
    parser.add_argument("--rounds", type=int, default=3, help="of first")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    # Whoever is told to end cleans up first.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    held = True
    for part in given.parts or PARTS:
        print(part, flush=True)
        held = PARTS[part](given) and held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())

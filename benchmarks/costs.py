"""What the first answer of an endpoint, and a further model, cost beside `mlflow models serve`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from callers import Line
from grounds import calling, processes, project, tell, until

from serving import free_port


@contextmanager
def mlflow_server(model: Path, folder: Path) -> Iterator[tuple[int, psutil.Process]]:
    """MLflow's scoring server; its port, and the process above all of it."""
    port = free_port()
    command = ["-m", "mlflow", "models", "serve", "-m", str(model), "--env-manager", "local"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {key: value for key, value in os.environ.items() if key != "XDG_RUNTIME_DIR"}
    with (folder / f"mlflow-{port}.log").open("wb") as log:
        child = subprocess.Popen(
            [sys.executable, *command, "-h", "127.0.0.1", "-p", str(port)],
            stdout=log, stderr=log, env=environment | {"PATH": path},
        )  # fmt: skip
    parent = psutil.Process(child.pid)
    try:
        yield port, parent
    finally:
        for one in [*parent.children(recursive=True), parent]:
            with contextlib.suppress(psutil.Error):
                one.kill()
        child.wait()


def answered(port: int, token: str, count: int = 1) -> None:
    """Ask until there were so many answers."""
    import asyncio

    async def ask() -> None:
        line, left = Line(port, token), count
        until = time.monotonic() + 300
        while left:
            assert time.monotonic() < until, "no answer in time"
            if (await line.ask(left)).status == 200:
                left -= 1
            else:
                await asyncio.sleep(0.02)

    asyncio.run(ask())


def port_of(ws: Any, name: str) -> int:
    """Where an endpoint listens."""
    from jupyter_mlops import serving

    return int(serving.get(ws, name).url.rpartition(":")[2])


def end(folder: Path) -> None:
    """End a workspace's agent and zygote, and all that they started."""
    from jupyter_mlops import mlops

    for one in mlops.endpoints():
        if one.state != "stopped":
            mlops.stop(one.name)
    while every := processes(folder):
        for one in every:
            with contextlib.suppress(psutil.Error):
                one.send_signal(signal.SIGKILL)
    # The next one takes the lease of one that is dead.
    until(lambda: not processes(folder))


def first(given: argparse.Namespace) -> bool:
    """Time from the verb to the first answer."""
    from jupyter_mlops import mlops, models
    from jupyter_mlops.serving.places import token

    took: dict[str, list[float]] = {"warm": [], "kernel": [], "cold": [], "mlflow": []}
    with project(2) as ws:
        folder = Path(ws.root)
        path = models.get(ws, "m@1").path(ws)
        for turn in range(given.rounds):
            began = time.monotonic()
            mlops.serve("m@1", name=f"kernel{turn}")
            answered(port_of(ws, f"kernel{turn}"), token(ws, f"kernel{turn}"))
            took["kernel"].append(time.monotonic() - began)
            time.sleep(2.0)
            for again in range(5):
                began = time.monotonic()
                found = mlops.serve("m@2", name=f"warm{turn}{again}")
                answered(int(found.url.rpartition(":")[2]), token(ws, found.name))
                took["warm"].append(time.monotonic() - began)
                mlops.stop(found.name)
                time.sleep(0.17)
            end(folder)
            began = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "jupyter_mlops.cli", "serve", "m@1", "--name", "cold",
                 "--quiet"], check=True,
            )  # fmt: skip
            answered(port_of(ws, "cold"), token(ws, "cold"))
            took["cold"].append(time.monotonic() - began)
            end(folder)
            began = time.monotonic()
            with mlflow_server(path, folder) as (port, _):
                answered(port, "")
                took["mlflow"].append(time.monotonic() - began)
    warm, kernel, cold, theirs = (statistics.median(one) for one in took.values())
    best = {key: min(one) for key, one in took.items()}
    print(f"        mlflow models serve: {theirs:.2f} s, best {best['mlflow']:.2f} s", flush=True)
    return all(
        [
            tell("first answer, agent warm", f"{warm:.2f} s, best {best['warm']:.2f} s, of "
                 f"{len(took['warm'])}", warm <= 0.5),
            tell("no agent, in a kernel at work", f"{kernel:.2f} s, best {best['kernel']:.2f} s, "
                 f"{kernel / theirs:.2f} of mlflow's", kernel <= theirs / 4),
            tell("nothing running, from the command line", f"{cold:.2f} s, best "
                 f"{best['cold']:.2f} s, {cold / theirs:.2f} of mlflow's", cold <= theirs / 4),
        ]
    )  # fmt: skip


def memory(given: argparse.Namespace) -> bool:
    """Memory that a further model costs, once it has answered."""
    from jupyter_mlops import mlops, models

    def total(every: list[psutil.Process]) -> float:
        return sum(one.memory_full_info().pss for one in every) / 1e6

    def ask(name: str) -> None:
        with calling(ws, name, callers=8, requests=2000):
            pass

    with project(3) as ws:
        folder = Path(ws.root)
        mlops.serve("m@1")
        ask("m")
        time.sleep(1)
        one = total(processes(folder))
        known = {process.pid for process in processes(folder)}
        mlops.serve("m@2", name="second")
        ask("second")
        time.sleep(1)
        two = total(processes(folder))
        fresh = [process for process in processes(folder) if process.pid not in known]
        told = ", ".join(
            f"{process.name()} {process.memory_full_info().uss / 1e6:.1f} MB" for process in fresh
        )
        mlops.serve("m@2", name="second", shadow="m@3")
        ask("second")
        time.sleep(1)
        beside = total(processes(folder))
        # Anew: where it is changed, the processes before stay warm for two minutes.
        mlops.serve("m@3", name="third", replicas=2)
        ask("third")
        time.sleep(1)
        replica = total(processes(folder))
        path = models.get(ws, "m@1").path(ws)
        theirs, parents = [], []
        with contextlib.ExitStack() as stack:
            for _ in range(2):
                port, parent = stack.enter_context(mlflow_server(path, folder))
                answered(port, "", 200)
                parents.append(parent)
                theirs.append(total([parent, *parent.children(recursive=True)]))
            # What two of them share counts for each by half.
            both = total([p for up in parents for p in [up, *up.children(recursive=True)]])
    their_own = both - theirs[0]
    print(f"        a first endpoint with agent and zygote: {one:.0f} MB; mlflow models serve: "
          f"{theirs[0]:.0f} MB; of a further endpoint their own: {told}", flush=True)  # fmt: skip
    held = [
        tell(what, f"{more:.1f} MB; a further mlflow models serve: {their_own:.0f} MB, "
             f"{their_own / more:.1f} times", more <= 40)
        for what, more in (
            ("a further endpoint", two - one),
            ("a further version beside it", beside - two),
            ("a further replica", (replica - beside) - (two - one)),
        )
    ]  # fmt: skip
    return all(held)

"""Where endpoints are tried: a workspace of its own with registered versions, and callers."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from callers import COLUMNS, STEP

os.environ["MLFLOW_DISABLE_TELEMETRY"] = os.environ["DO_NOT_TRACK"] = "true"

TRAIN = f"""
from sklearn.linear_model import LinearRegression
columns = {list(COLUMNS)!r}
model = LinearRegression().fit(data[columns], data["sent"] + {STEP} * {{version}})
"""


@contextmanager
def project(versions: int) -> Iterator[Any]:
    """A workspace with a model of so many versions; all that it started is ended."""
    import numpy as np
    import pandas as pd

    from jupyter_mlops import mlops
    from jupyter_mlops.workspace import Workspace

    folder = Path(tempfile.mkdtemp(prefix="endurance-"))
    # A zygote of its own, which may be killed.
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    before = Path.cwd()
    os.chdir(folder)
    try:
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.uniform(0, 1000, (400, 4)), columns=list(COLUMNS))
        mlops.data.add("numbers", frame)
        for version in range(1, versions + 1):
            body = TRAIN.format(version=version)
            run = mlops.train("m", body, data="numbers", target="sent")
            mlops.register(run.id, "m")
        ws = Workspace.open(folder)
        yield ws
    finally:
        os.chdir(before)
        while every := processes(folder):  # those killed have twins that go on
            for one in every:
                with contextlib.suppress(psutil.Error):
                    one.kill()
        if os.environ.get("ENDURANCE_LOGS"):
            shutil.copytree(
                folder / ".mlops/logs", os.environ["ENDURANCE_LOGS"], dirs_exist_ok=True
            )
        shutil.rmtree(folder, ignore_errors=True)


def processes(folder: Path) -> list[psutil.Process]:
    """All that belongs to a workspace: agent, zygote, gateways, models."""
    found = []
    for one in psutil.process_iter(["pid", "environ", "status"]):
        told = (one.info["environ"] or {}).get("XDG_RUNTIME_DIR")
        ended = one.info["status"] == psutil.STATUS_ZOMBIE
        if one.pid != os.getpid() and told == str(folder) and not ended:
            found.append(one)
    return found


def tell(what: str, figure: str, holds: bool) -> bool:
    """Print a figure and whether it holds."""
    load = os.getloadavg()[0]
    print(f"{'holds' if holds else 'FAILS':>6}  {what}: {figure} (load {load:.1f})", flush=True)
    return holds


@contextmanager
def calling(ws: Any, name: str, **how: Any) -> Iterator[Path]:
    """Callers that ask for as long as this lasts; what they were answered is in the file."""
    from jupyter_mlops import serving
    from jupyter_mlops.serving.places import token

    out = Path(ws.root) / f"answers-{time.monotonic_ns()}"
    port = serving.get(ws, name).url.rpartition(":")[2]
    more = [word for key, value in how.items() for word in (f"--{key}", str(value))]
    child = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("callers.py")), "--port", port,
         "--token", token(ws, name), "--out", str(out), *more],
        env={key: value for key, value in os.environ.items() if key != "XDG_RUNTIME_DIR"},
    )  # fmt: skip
    try:
        yield out
        if how.get("requests"):
            child.wait(600)
    finally:
        child.terminate()
        child.wait(60)


def quantile(values: list[float], q: float) -> float:
    """The value below which that share lies."""
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def until(what: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)

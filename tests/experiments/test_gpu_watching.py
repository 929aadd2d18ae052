"""Who uses more of a GPU than it holds is told, then stopped; who uses nothing gives it back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.agent.loop import _keep_house
from jupyter_mlops.experiments.gpus import pulse
from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.experiments.gpus.watching import watch
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Workspace

GB = 10**9
HOLD = """
import subprocess, sys, time
from jupyter_mlops.experiments.gpus import granting
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace
granting.BEAT_SECONDS = float(sys.argv[2])
sleep = [sys.executable, "-c", "import time; time.sleep(90)"]
with ask(Workspace.open(sys.argv[1]), memory="8GB", holder="greedy", purpose="test", timeout=60):
    child = subprocess.Popen(sleep, stdout=subprocess.DEVNULL)
    print(child.pid, flush=True)
    child.wait()
    print("my child has ended", flush=True)
    time.sleep(90)
"""


@pytest.fixture
def tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def tell(processes: dict[int, int | None], busy: float = 0.0) -> None:
        row = {"uuid": "GPU-a", "name": "F", "total": 80 * GB, "utilisation": busy}
        (tmp_path / "new.json").write_text(json.dumps([row | {"processes": processes}]))
        (tmp_path / "new.json").replace(tmp_path / "gpus.json")

    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "gpus.json"))
    tell({})
    return tell


@pytest.fixture
def place(database: str, tell: object, tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "work", create=True, gpu_grace=30.0)


@pytest.fixture
def holder(place: Workspace) -> Iterator[tuple[subprocess.Popen[str], int]]:
    # One that doesn't look at itself meanwhile: the tests do.
    with _holder(place, 1000.0) as found:
        yield found


@contextmanager
def _holder(place: Workspace, beat: float) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-c", HOLD, str(place.root), str(beat)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline())
    try:
        yield process, child
    finally:
        process.kill()
        process.communicate()
        if psutil.pid_exists(child):
            psutil.Process(child).kill()


def _kinds(ws: Workspace) -> list[str]:
    return [one.kind for one in ws.events() if one.kind != "gpu.leased"]


def _later(ws: Workspace, column: str, seconds: float) -> None:
    """Let a time that was noted lie further back."""
    with ws.write() as tx:
        for row in tx.session.query(GpuLeaseRecord).filter_by(status="held"):
            setattr(row, column, getattr(row, column) - timedelta(seconds=seconds))


def test_a_holder_beyond_its_lease_is_told_once_then_stopped(
    place: Workspace,
    tell: Callable[..., None],
    holder: tuple[subprocess.Popen[str], int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    process, child = holder
    # A tenth more and what CUDA itself takes is no offence; a child's share counts for it.
    tell({process.pid: 8 * GB, child: 1 * GB})
    assert watch(place) == 0
    tell({process.pid: 12 * GB, child: 1 * GB})
    assert watch(place) == watch(place) == 0
    assert _kinds(place) == ["gpu.warned"]
    warned = place.events(kind="gpu.warned")[0].payload
    assert (warned["used"], warned["allowed"], warned["process"]) == (
        13 * GB, 8 * GB, process.pid
    )  # fmt: skip
    # Whoever looks at the GPUs sees it, and so does whoever reads what the process says.
    assert "it held 13.0 GB of GPU 0, and 8.0 GB were its own; it is ended in 30 s" in caplog.text
    (claim,) = gpus(place).claims
    assert claim.excess is not None
    assert claim.excess.until == place.events(kind="gpu.warned")[0].at + timedelta(seconds=30)
    told = f"holds 13.0 GB of GPU 0, and 8.0 GB are its own: process {process.pid} is ended at"
    assert told in mimebundle(gpus(place))["text/plain"].replace("\n", " ")
    _later(place, "warned_at", 31)
    assert _keep_house(place) == 1
    assert not psutil.pid_exists(process.pid)
    assert _kinds(place) == ["gpu.warned", "gpu.stopped"]
    stopped = place.events(kind="gpu.stopped")[0].payload
    assert stopped["reason"] == "it held 13.0 GB of GPU 0, and 8.0 GB were its own"
    with place.read() as session:
        assert session.query(GpuLeaseRecord).one().status == "stopped"
    tell({})
    with ask(place, gpus=1, holder="bo", purpose="test", timeout=60):
        pass


def test_who_gives_memory_back_in_time_goes_on(
    place: Workspace, tell: Callable[..., None], holder: tuple[subprocess.Popen[str], int]
) -> None:
    process, _ = holder
    for _ in range(2):
        tell({process.pid: 20 * GB})
        assert watch(place) == 0
        _later(place, "warned_at", 31)
        tell({process.pid: 5 * GB})
        assert watch(place) == 0
    assert process.poll() is None
    assert _kinds(place) == ["gpu.warned", "gpu.warned"]
    assert gpus(place).claims[0].excess is None


def test_of_a_family_the_process_that_holds_most_ends_and_the_lease_goes_on(
    place: Workspace, tell: Callable[..., None], holder: tuple[subprocess.Popen[str], int]
) -> None:
    process, child = holder
    tell({process.pid: 1 * GB, child: 30 * GB})
    assert watch(place) == 0
    _later(place, "warned_at", 31)
    assert watch(place) == 1
    assert process.stdout is not None
    assert process.stdout.readline() == "my child has ended\n"
    assert process.poll() is None
    tell({process.pid: 1 * GB})
    assert watch(place) == 0
    assert _kinds(place) == ["gpu.warned", "gpu.stopped"]
    with place.read() as session:
        assert session.query(GpuLeaseRecord).one().status == "held"


def test_an_idle_lease_is_taken_back_only_where_that_is_set(
    place: Workspace, tell: Callable[..., None], holder: tuple[subprocess.Popen[str], int]
) -> None:
    process, _ = holder
    assert watch(place) == 0
    with place.read() as session:
        assert session.query(GpuLeaseRecord).one().idle_since is None
    place.settings.gpu_idle = 60.0
    tell({process.pid: 1 * GB})
    assert watch(place) == 0
    tell({})
    assert watch(place) == 0
    _later(place, "idle_since", 59)
    assert watch(place) == 0
    _later(place, "idle_since", 2)
    assert watch(place) == 1
    assert _kinds(place) == ["gpu.reclaimed"]
    assert place.events(kind="gpu.reclaimed")[0].payload["reason"] == "it was idle for 60 s"
    assert process.poll() is None


def test_a_whole_gpu_that_works_isnt_idle(place: Workspace, tell: Callable[..., None]) -> None:
    place.settings.gpu_idle = 60.0
    with ask(place, gpus=1, holder="ana", purpose="test", timeout=0):
        tell({}, busy=0.3)
        watch(place)
        with place.read() as session:
            assert session.query(GpuLeaseRecord).one().idle_since is None
        tell({}, busy=0.0)
        watch(place)
        with place.read() as session:
            assert session.query(GpuLeaseRecord).one().idle_since is not None


def test_where_no_agent_runs_a_holder_is_watched_by_itself_and_by_no_other(
    place: Workspace, tell: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_GPU_GRACE", "0.5")
    with (
        ask(place, memory="8GB", holder="ana", purpose="test", timeout=0) as other,
        _holder(place, 0.2) as (process, child),
    ):
        pulse.drop(other.id)  # it hangs, and looks at nothing
        tell({process.pid: 1 * GB, child: 30 * GB, os.getpid(): 30 * GB})
        assert process.stdout is not None
        assert process.stdout.readline() == "my child has ended\n"
        tell({process.pid: 1 * GB, os.getpid(): 30 * GB})
        _until(lambda: _kinds(place) == ["gpu.warned", "gpu.stopped"])
        assert process.poll() is None
        with place.read() as session:
            row = session.get_one(GpuLeaseRecord, other.id)
            assert (row.status, row.warned_at) == ("held", None)


def test_of_two_that_look_at_once_one_stops(
    place: Workspace, tell: Callable[..., None], holder: tuple[subprocess.Popen[str], int]
) -> None:
    process, child = holder
    tell({process.pid: 1 * GB, child: 30 * GB})
    assert watch(place) == 0
    _later(place, "warned_at", 31)
    with ThreadPoolExecutor(2) as both:
        assert sum(both.map(watch, [place, place])) == 1
    assert _kinds(place).count("gpu.stopped") == 1


def _until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_without_leases_nothing_is_looked_at(
    place: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", "/nowhere")
    assert watch(place) == 0

"""Processes that use GPUs without asking: their memory isn't promised to anybody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Unavailable, Workspace

GB = 10**9
WHO: dict[str, Any] = {"holder": "ana", "purpose": "test", "timeout": 0}


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "gpus.json"))
    _tell(tmp_path)
    return Workspace.open(tmp_path / "work", create=True)


@pytest.fixture
def stranger() -> Iterator[int]:
    # A child of ours would be one of ours: its parent has ended.
    code = (
        "import subprocess, sys; print(subprocess.Popen("
        "[sys.executable, '-c', 'import time; time.sleep(60)'], "
        "stdout=subprocess.DEVNULL, start_new_session=True).pid)"
    )
    pid = int(subprocess.check_output([sys.executable, "-c", code], text=True))
    yield pid
    os.kill(pid, 9)


def _tell(folder: Path, *processes: dict[int, int | None], used: int = 0) -> None:
    rows = [
        {
            "uuid": f"GPU-{name}",
            "name": "F",
            "total": 80 * GB,
            "used": used,
            "processes": processes[number] if number < len(processes) else {},
        }
        for number, name in enumerate("ab")
    ]
    (folder / "new.json").write_text(json.dumps(rows))
    (folder / "new.json").replace(folder / "gpus.json")


def test_a_part_is_given_of_what_strangers_leave(
    place: Workspace, stranger: int, tmp_path: Path
) -> None:
    _tell(tmp_path, {stranger: 30 * GB}, {stranger: 60 * GB})
    with ask(place, memory="50GB", **WHO) as lease:
        assert lease.devices == ("GPU-a",)
        with ask(place, memory="20GB", **WHO) as small:
            assert small.devices == ("GPU-b",)
        with pytest.raises(Unavailable) as refused, ask(place, memory="25GB", **WHO):
            pass
    assert refused.value.code == "E-GPU-008"
    assert f"process {stranger} holds 30.0 GB of GPU 0" in str(refused.value)


def test_a_gpu_that_a_stranger_uses_isnt_handed_out_whole(
    place: Workspace, stranger: int, tmp_path: Path
) -> None:
    _tell(tmp_path, {stranger: 400 << 20}, {stranger: 100 << 20})
    with ask(place, gpus=1, **WHO) as lease:
        # A little, as a display takes, counts as nothing.
        assert lease.devices == ("GPU-b",)
    with pytest.raises(Unavailable, match="without a lease"), ask(place, gpus=2, **WHO):
        pass
    with ask(place, gpus=1, **WHO):
        with pytest.raises(Unavailable) as refused, ask(place, gpus=1, **WHO):
            pass
    assert refused.value.code == "E-GPU-008"


def test_memory_that_the_driver_doesnt_tell_counts_as_what_is_in_use(
    place: Workspace, stranger: int, tmp_path: Path
) -> None:
    _tell(tmp_path, {stranger: None}, {stranger: None}, used=70 * GB)
    with ask(place, memory="10GB", **WHO):
        pass
    with pytest.raises(Unavailable), ask(place, memory="11GB", **WHO):
        pass


def test_holders_and_their_children_are_no_strangers(place: Workspace, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with ask(place, memory="40GB", **WHO) as lease:
            _tell(tmp_path, {os.getpid(): 10 * GB, child.pid: 30 * GB})
            with ask(place, memory="40GB", **WHO) as other:
                assert other.devices == lease.devices
    finally:
        child.kill()
        child.wait()


def test_when_the_stranger_is_gone_who_waits_is_served(
    place: Workspace, stranger: int, tmp_path: Path
) -> None:
    _tell(tmp_path, {stranger: 70 * GB}, {stranger: 70 * GB})
    got: list[str] = []

    def want() -> None:
        with ask(place, gpus=1, **WHO | {"timeout": 60}) as lease:
            got.extend(lease.devices)

    thread = threading.Thread(target=want)
    thread.start()
    time.sleep(0.3)
    assert not got
    _tell(tmp_path, {}, {stranger: 70 * GB})
    started = time.monotonic()
    thread.join(60)
    assert got == ["GPU-a"]
    assert time.monotonic() - started < 20

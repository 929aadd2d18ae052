"""GPUs are shared fairly, never twice, and come back from the dead."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from jupyter_mlops.agent.loop import _keep_house
from jupyter_mlops.experiments.gpus.leases import ask, expire, set_quota
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace

HOLD = """
import sys, time
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace
with ask(Workspace.open(sys.argv[1]), gpus=1, holder="dead", purpose="test", timeout=60):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gpus.json"
    path.write_text(json.dumps([{"uuid": f"GPU-{n}", "name": "F", "total": 80} for n in "ab"]))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(path))


@pytest.fixture
def place(database: str, gpus: None, tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "work", create=True)


def test_parts_are_packed_and_a_whole_one_stays_free(place: Workspace) -> None:
    who = {"holder": "ana", "purpose": "test", "timeout": 0}
    with ask(place, memory=30, **who) as a, ask(place, memory=50, **who) as b:
        assert a.devices == b.devices
        with ask(place, gpus=1, **who) as c:
            assert c.devices != a.devices
            told = {"CUDA_VISIBLE_DEVICES": c.devices[0], "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
            assert c.environment() == told
            with pytest.raises(Unavailable, match="within 0 s"), ask(place, memory=1, **who):
                pass
    with ask(place, gpus=2, **who) as whole:
        assert sorted(whole.devices) == ["GPU-a", "GPU-b"]
    with pytest.raises(Unavailable, match="2 GPUs"), ask(place, gpus=3, **who):
        pass
    with pytest.raises(Invalid), ask(place, **who):
        pass


def test_what_a_killed_process_held_comes_back(place: Workspace) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert expire(place) == 0
    finally:
        child.kill()
        child.communicate()
    with ask(place, gpus=2, holder="ana", purpose="test", timeout=60) as lease:
        assert len(lease.devices) == 2
    assert "gpu.reclaimed" in [event.kind for event in place.events()]


def _asked(ws: Workspace) -> int:
    with ws.read() as session:
        return session.query(GpuLeaseRecord).count()


def test_a_team_beyond_its_quota_waits_for_one_within(place: Workspace) -> None:
    set_quota(place, "red", 0.5)
    order: list[str] = []

    def want(team: str) -> None:
        with ask(place, gpus=1, holder=team, team=team, purpose="test", timeout=60):
            order.append(team)

    who = {"gpus": 1, "purpose": "test", "timeout": 0}
    with ask(place, holder="red", **who), ask(place, holder="blue", **who) as second:
        threads = []
        for team in ("blue", "red", "green"):
            before = _asked(place)
            threads.append(threading.Thread(target=want, args=(team,)))
            threads[-1].start()
            end = time.monotonic() + 60
            while _asked(place) == before:
                assert time.monotonic() < end
                time.sleep(0.01)
        # Green has used nothing so far, and blue has; red, who holds its share, comes last.
        second.release()
        for one in threads:
            one.join()
    assert order == ["green", "blue", "red"]


def test_the_agent_takes_back_what_the_dead_held(place: Workspace) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place.root)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert _keep_house(place) == 0
    finally:
        child.kill()
        child.communicate()
    assert _keep_house(place) == 1
    assert _keep_house(place) == 0
    assert [event.kind for event in place.events()].count("gpu.reclaimed") == 1


def test_a_process_gets_one_mig_instance_at_most(place: Workspace, tmp_path: Path) -> None:
    rows = [{"uuid": f"MIG-{n}", "name": "F", "total": 80, "parent": "GPU-a"} for n in "ab"]
    (tmp_path / "gpus.json").write_text(json.dumps(rows))
    who = {"holder": "ana", "purpose": "test", "timeout": 0}
    with ask(place, gpus=1, **who) as one:
        assert one.devices[0].startswith("MIG-")
    with pytest.raises(Unavailable, match="1 GPU for one"), ask(place, gpus=2, **who):
        pass

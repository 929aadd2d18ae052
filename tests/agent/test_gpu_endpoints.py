"""Endpoints that hold GPUs: given by the broker, told to the models' processes, given back."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest
from living import Version, kill, until, up

from jupyter_mlops import agent, serving
from jupyter_mlops.experiments.gpus.holders import Claim, gpus
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.experiments.gpus.returning import give_back
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid, Unavailable, Workspace

GB = 10**9


@pytest.fixture
def ws(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A machine with two GPUs."""
    told = [{"uuid": f"GPU-{n}", "name": "H100", "total": 80 * GB} for n in "ab"]
    (tmp_path / "gpus.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "gpus.json"))
    return workspace


def held(ws: Workspace) -> list[Claim]:
    return [one for one in gpus(ws).claims if one.status == "held"]


def told(pid: int) -> dict[str, str]:
    return psutil.Process(pid).environ()


def models_of(ws: Workspace) -> list[int]:
    return [p for one in serving.get(ws, "delay").live["versions"] for p in one["processes"]]


def test_a_part_of_a_gpu_is_held_shared_and_given_back(ws: Workspace, version: Version) -> None:
    endpoint = up(ws, version, gpu_memory="8GB", replicas=2)
    (claim,) = held(ws)
    assert (claim.purpose, claim.memory, claim.gpus) == ("endpoint delay", 8 * GB, 0)
    processes = models_of(ws)
    assert len(processes) == 2
    for pid in processes:
        assert told(pid)["CUDA_VISIBLE_DEVICES"] == claim.devices[0]
        assert told(pid)["JUPYTER_MLOPS_GPU_MEMORY"] == str(4 * GB)
        # What it uses is the holder's, as the broker sees it.
        assert psutil.Process(pid).ppid() == endpoint.pid
    assert "GPUs: 8.0 GB of one" in mimebundle(endpoint)["text/plain"]

    # The agent dies: the endpoint goes on with what it has, and so does its lease.
    kill(agent.state(ws).pid)
    until(lambda: not agent.state(ws).running)
    assert held(ws) == [claim]
    agent.ensure(ws)
    until(lambda: agent.state(ws).running)

    # Other GPUs are asked for: those before are given back.
    other = up(ws, version, gpus=2)
    (claim,) = held(ws)
    assert (claim.gpus, sorted(claim.devices)) == (2, ["GPU-a", "GPU-b"])
    assert other.pid != endpoint.pid
    assert set(told(models_of(ws)[0])["CUDA_VISIBLE_DEVICES"].split(",")) == {"GPU-a", "GPU-b"}
    assert "JUPYTER_MLOPS_GPU_MEMORY" not in told(models_of(ws)[0])

    # Somebody takes them back: it begins again with others.
    give_back(ws, claim.id)
    until(lambda: held(ws) and held(ws)[0].id != claim.id)
    until(lambda: serving.get(ws, "delay").state == "ready")

    serving.retire(ws, "delay")
    agent.bring_down(ws, "delay")
    assert held(ws) == []
    kinds = [event.kind for event in ws.events(limit=200) if event.kind.startswith("gpu.")]
    assert kinds.count("gpu.released") == 3
    assert ws.audit().intact


def test_it_waits_for_its_turn_and_says_so(
    ws: Workspace, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ask(ws, gpus=2, holder="ben", purpose="training"):
        generation = serving.declare(ws, version, gpus=1)
        agent.ensure(ws)
        until(lambda: serving.get(ws, "delay").state == "waiting")
        with pytest.raises(Unavailable, match="it waits for a GPU") as late:
            agent.bring_up(ws, "delay", generation, seconds=0.5)
        assert "mlops gpu" in late.value.fix
    found = agent.bring_up(ws, "delay", generation)
    (claim,) = held(ws)
    assert claim.devices == (told(models_of(ws)[0])["CUDA_VISIBLE_DEVICES"],)
    # The gateway dies with what it held, and the next one is given the same again.
    kill(found.pid)
    until(lambda: serving.get(ws, "delay").pid not in (None, found.pid))
    until(lambda: [one.id for one in held(ws)] not in ([], [claim.id]))
    # Nothing of it any more: the models run without.
    without = up(ws, version, gpus=0)
    assert held(ws) == []
    assert "CUDA_VISIBLE_DEVICES" not in told(models_of(ws)[0])
    assert without.gpus == 0


def test_an_endpoint_that_stops_waiting_leaves_the_line(ws: Workspace, version: Version) -> None:
    with ask(ws, gpus=2, holder="ben", purpose="training"):
        serving.declare(ws, version, gpus=1)
        agent.ensure(ws)
        until(lambda: any(one.status == "waiting" for one in gpus(ws).claims))
        serving.retire(ws, "delay")
        agent.bring_down(ws, "delay")
        until(lambda: all(one.status == "held" for one in gpus(ws).claims))
        began = time.monotonic()
    assert time.monotonic() - began < 20
    assert held(ws) == []


def test_what_this_machine_never_has_is_told_before_anything_starts(
    ws: Workspace, version: Version
) -> None:
    with pytest.raises(Unavailable, match="this machine has 2 GPUs"):
        serving.declare(ws, version, gpus=3)
    with pytest.raises(Invalid, match="whole GPUs or memory of one"):
        serving.declare(ws, version, gpus=1, gpu_memory="8GB")
    with pytest.raises(Invalid, match="no amount of memory"):
        serving.declare(ws, version, gpu_memory="much")
    assert list(serving.list_endpoints(ws)) == []

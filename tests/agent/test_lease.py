"""One agent a workspace, whatever becomes of the one before; and none when none is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from living import Version, until

from jupyter_mlops import agent, serving
from jupyter_mlops.agent.lease import Lease
from jupyter_mlops.agent.records import AgentLeaseRecord
from jupyter_mlops.serving.places import traffic_folder
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow


@pytest.fixture
def ws(database: str, tmp_path: Path) -> Workspace:
    """A workspace on SQLite, then on PostgreSQL."""
    return Workspace.open(tmp_path)


def test_the_lease_is_held_by_one_and_given_back(ws: Workspace) -> None:
    first, second = Lease(ws), Lease(ws)
    assert not agent.state(ws).running
    assert first.acquire()
    assert first.acquire()
    assert not second.acquire()
    assert agent.state(ws).pid == os.getpid()
    assert first.renew()
    second.release()
    assert agent.state(ws).running
    first.release()
    assert not agent.state(ws).running
    assert second.acquire()
    assert not first.renew()


def test_the_lease_of_a_dead_process_is_taken_at_once(ws: Workspace) -> None:
    first, second = Lease(ws), Lease(ws)
    first.acquire()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with ws.write() as tx:
        tx.session.get_one(AgentLeaseRecord, 1).pid = gone.pid
    assert not agent.state(ws).running
    assert second.acquire()
    assert not first.renew()


def test_the_lease_of_another_machine_is_taken_when_it_expires(ws: Workspace) -> None:
    first, second = Lease(ws), Lease(ws)
    first.acquire()
    with ws.write() as tx:
        row = tx.session.get_one(AgentLeaseRecord, 1)
        row.host, row.pid = "elsewhere", 1
    assert agent.state(ws).running
    assert not second.acquire()
    with ws.write() as tx:
        tx.session.get_one(AgentLeaseRecord, 1).expires = utcnow() - timedelta(seconds=1)
    assert second.acquire()
    assert not first.renew()


def test_an_idle_agent_tidies_up_and_ends(tmp_path: Path, version: Version) -> None:
    from jupyter_mlops.serving.intake import Intake
    from jupyter_mlops.serving.modelfile import read_model_file
    from jupyter_mlops.serving.predictor import Answer
    from jupyter_mlops.serving.trafficlog import Logged, TrafficLog

    ws = Workspace.open(tmp_path, agent_idle=1.0)
    serving.declare(ws, version, keep="90d")
    serving.retire(ws, "delay")
    fields = read_model_file(version.folder).fields
    log = TrafficLog(traffic_folder(ws, "delay"), fields, labels=None, many=False, about={})
    row = {"hour": [1], "distance": [2.0], "carrier": ["UA"]}
    rows = Intake(fields).columns(row, 1)
    log.append([[Logged("r", ["old"], rows, Answer(np.array([0.1]), None))]])
    log.close()
    (old,) = log.folder.iterdir()
    old.rename(old.with_name("20200101T000000000000-1.frames"))
    log.append([[Logged("r", ["r-0"], rows, Answer(np.array([0.5]), None))]])
    log.close()
    begin = time.monotonic()
    assert agent.run(ws)
    assert time.monotonic() - begin < 60
    assert not agent.state(ws).running
    assert serving.get(ws, "delay").state == "stopped"
    assert not list(traffic_folder(ws, "delay").glob("hot/*"))
    assert serving.traffic.read(ws, "delay").collect()["prediction"].to_list() == [0.5]
    assert [e.payload["rows"] for e in ws.events() if e.kind == "traffic.pruned"] == [1]


def test_what_is_declared_while_an_agent_ends_is_not_left_alone(
    tmp_path: Path, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.open(tmp_path, agent_idle=1.0)
    give_back, declared = Lease.release, []

    def release(lease: Lease) -> None:
        if not declared:
            # Whoever declares this sees that an agent runs, and starts none.
            assert agent.state(ws).running
            declared.append(serving.declare(ws, version))
            serving.retire(ws, "delay")
        give_back(lease)

    monkeypatch.setattr(Lease, "release", release)
    assert agent.run(ws)
    assert serving.get(ws, "delay").state == "stopped"
    assert not agent.state(ws).running


def test_the_agent_of_a_workspace_that_was_removed_ends(tmp_path: Path) -> None:
    root = tmp_path / "w"
    ws = Workspace.open(root)
    command = [sys.executable, "-m", "jupyter_mlops.agent", "--workspace", str(root)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until(lambda: agent.state(ws).running)
    shutil.rmtree(ws.home)
    assert process.wait(60) == 0

"""An endpoint's life under the agent, with real processes and real kills."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import served
from living import Version, kill, until, up

from jupyter_mlops import agent, data, serving
from jupyter_mlops.serving.places import log_path, token
from jupyter_mlops.workspace import Conflict, Invalid, MLOpsError, NotFound, Unavailable, Workspace


def kinds(ws: Workspace) -> list[str]:
    return [event.kind for event in ws.events()]


def test_an_endpoint_survives_kills_of_everybody_and_stops_from_elsewhere(
    workspace: Workspace, version: Version
) -> None:
    ws = workspace
    first = up(ws, version, key="flight")
    assert first.state == "ready"
    assert first.url.startswith("http://127.0.0.1:")
    assert oct(first.token_path.stat().st_mode)[-3:] == "600"

    table = served.flights(30)
    table["flight"] = [f"AA{n}" for n in range(30)]
    answers = serving.call(ws, "delay", data.resolve(ws, table), chunk=7)
    assert answers.versions == {"1": 30}
    assert answers.frame.columns.tolist() == [
        "flight",
        "prediction_id",
        "prediction",
        "probability",
    ]

    # The same declaration changes nothing, not even the process.
    assert up(ws, version).pid == first.pid

    # The agent is killed: the endpoint goes on, and the next agent adopts it.
    before = agent.state(ws)
    assert before.running
    kill(before.pid)
    assert httpx.get(f"{first.url}/ping", timeout=60).status_code == 200
    until(lambda: agent.state(ws).running and agent.state(ws).pid != before.pid)
    time.sleep(1)
    assert serving.get(ws, "delay").pid == first.pid

    # The endpoint is killed: it comes back at the same address with all it had logged.
    kill(first.pid)
    until(lambda: serving.get(ws, "delay").pid not in (None, first.pid))
    again = serving.get(ws, "delay")
    assert again.url == first.url
    serving.call(ws, "delay", data.resolve(ws, table.head(5)))
    logged = serving.traffic.read(ws, "delay").collect()
    assert logged.height == 35
    assert set(answers.rows["prediction_id"]) <= set(logged["prediction_id"])

    # Another process stops it.
    code = f"""
from jupyter_mlops import agent, serving
from jupyter_mlops.workspace import Workspace
ws = Workspace.open({str(ws.root)!r})
agent.bring_down(ws, serving.retire(ws, "endpoint:delay"))
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert serving.get(ws, "delay").state == "stopped"
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{first.url}/ping", timeout=60)
    with pytest.raises(Unavailable, match="is stopped"):
        serving.call(ws, "delay", data.resolve(ws, table))
    assert kinds(ws) == [
        "endpoint.declared",
        "endpoint.ready",
        "endpoint.ready",
        "endpoint.stopped",
    ]
    assert ws.audit().intact


def test_another_version_takes_over_without_a_refused_request(
    workspace: Workspace, version: Version, tmp_path: Path
) -> None:
    ws = workspace
    first = up(ws, version)
    answered: dict[str, str] = {}
    table = served.flights(3)
    body = {"inputs": table.to_dict(orient="list")}
    auth = {"authorization": f"Bearer {token(ws, 'delay')}"}

    def ask() -> str:
        said = httpx.post(f"{first.url}/invocations", json=body, headers=auth, timeout=60).json()
        answered.update(dict.fromkeys(said["prediction_ids"], said["model"]["version"]))
        return str(said["model"]["version"])

    serving.declare(ws, replace(version, version=2))
    until(lambda: ask() == "2")
    assert [ask() for _ in range(5)] == ["2"] * 5
    until(lambda: serving.get(ws, "delay").serves == "2")
    assert (serving.get(ws, "delay").url, serving.get(ws, "delay").pid) == (first.url, first.pid)
    logged = serving.traffic.read(ws, "delay").collect()
    assert dict(zip(logged["prediction_id"], logged["version"], strict=True)) == answered

    # A version that cannot be loaded leaves the one before at work, and says why.
    broken = tmp_path / "broken"
    subprocess.run(["cp", "-r", str(version.folder), str(broken)], check=True)
    (broken / "model.skops").write_bytes(b"no model")
    with pytest.raises(MLOpsError, match=r"the version before goes on.*digest has changed"):
        up(ws, replace(version, version=3, folder=broken))
    assert ask() == "2"
    shown = serving.get(ws, "delay")
    assert (shown.state, shown.serves, shown.version) == ("ready", "2", "3")
    assert "digest has changed" in shown.reason
    assert kinds(ws)[-1] == "endpoint.failed"


def test_the_log_of_a_running_endpoint_is_declared_anew_and_its_process_stays(
    workspace: Workspace, version: Version
) -> None:
    ws = workspace
    first = up(ws, version, key="flight")
    table = served.flights(20).assign(flight=[f"AA{n}" for n in range(20)])
    rows = data.resolve(ws, table)
    serving.call(ws, "delay", rows)
    again = up(ws, version, redact=["carrier", "hash:flight"], log_sample="50%")
    assert (again.pid, again.url) == (first.pid, first.url)
    answers = serving.call(ws, "delay", rows).rows
    assert answers["flight"].to_list() == table["flight"].tolist()  # callers see their own
    kept = [id_ for id_ in answers["prediction_id"] if not id_.endswith("u")]
    assert 0 < len(kept) < 20
    logged = serving.traffic.read(ws, "delay").collect()
    assert logged.height == 20 + len(kept)
    assert logged.filter(logged["share"] == 0.5)["in.carrier"].null_count() == len(kept)
    assert serving.traffic.hidden(ws, "delay") == {"carrier", "flight"}
    truth = table[["flight"]].assign(late=True)
    told = serving.feedback.add(ws, "delay", data.resolve(ws, truth), "late")
    # Those of before are in the log, all of them.
    assert (told.matched, told.unlogged, told.total) == (20, 0, 20 + len(kept))
    live = until_found(lambda: serving.get(ws, "delay").live.get("log", {}), "sampled_out")
    assert live["logged"] == logged.height


def until_found(what: Callable[[], dict[str, int]], name: str) -> dict[str, int]:
    until(lambda: what().get(name))
    return what()


def test_two_agents_never_both_work(workspace: Workspace, version: Version) -> None:
    ws = workspace
    command = [sys.executable, "-m", "jupyter_mlops.agent", "--workspace", str(ws.root)]
    agents = [
        subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
        for _ in range(3)
    ]
    until(lambda: sum(one.poll() is None for one in agents) == 1)
    winner = next(one for one in agents if one.poll() is None)
    until(lambda: agent.state(ws).pid == winner.pid)
    assert [one.wait() for one in agents if one is not winner] == [0, 0]
    winner.terminate()
    assert winner.wait(60) == 0
    assert not agent.state(ws).running


def test_a_port_that_is_taken_is_told(workspace: Workspace, version: Version) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(Invalid, match=f"port {port} cannot be used: another program uses it"):
            up(workspace, version, port=port)
    assert serving.get(workspace, "delay").state == "failed"
    # The same line works once the port is free: what failed is tried again.
    assert up(workspace, version, port=port).url.endswith(f":{port}")
    with pytest.raises(Conflict, match="belongs to endpoint 'delay'"):
        serving.declare(workspace, version, "other", port=port)


def test_a_crash_loop_ends_with_the_reason(
    workspace: Workspace, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The endpoint's Python is told to end as soon as it starts.
    from jupyter_mlops.agent import reconciler

    monkeypatch.setattr(reconciler, "CRASHES", 3)
    monkeypatch.setattr(reconciler, "FIRST_PAUSE", 0.01)
    spoil = workspace.root / "spoiled"
    spoil.mkdir()
    (spoil / "sitecustomize.py").write_text(
        "import os, sys\nprint('out of luck', file=sys.stderr)\nos._exit(3)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(spoil))
    generation = serving.declare(workspace, version)
    worker = reconciler.Reconciler(workspace)
    until(lambda: worker.step() or serving.get(workspace, "delay").state == "failed")
    monkeypatch.delenv("PYTHONPATH")
    with pytest.raises(Unavailable, match=r"ended 3 times; exit status 3.*out of luck"):
        agent.bring_up(workspace, "delay", generation)
    assert log_path(workspace, "delay").read_text().count("out of luck") == 3


def test_an_agent_that_cannot_start_is_told(
    workspace: Workspace, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = Workspace.open(workspace.root, agent_start=False)
    generation = serving.declare(ws, version)
    with pytest.raises(Unavailable, match="no agent runs, and the setting agent_start forbids"):
        agent.bring_up(ws, "delay", generation, seconds=0.2)


def test_wrong_names_are_told_with_the_closest(workspace: Workspace, version: Version) -> None:
    serving.declare(workspace, version)
    with pytest.raises(NotFound, match="did you mean 'delay'"):
        serving.get(workspace, "dellay")
    with pytest.raises(NotFound, match="no endpoint is called 'x'"):
        serving.retire(workspace, "x")
    with pytest.raises(Invalid, match="can't name a endpoint"):
        serving.declare(workspace, version, "../x")
    with pytest.raises(Invalid, match="cannot listen on port 80"):
        serving.declare(workspace, version, port=80)


def test_a_token_is_made_once_and_only_its_hash_is_stored(
    workspace: Workspace, version: Version
) -> None:
    serving.declare(workspace, version)
    secret = token(workspace, "delay")
    assert len(secret) >= 40
    serving.declare(workspace, replace(version, version=2))
    assert token(workspace, "delay") == secret
    stored = (workspace.home / "mlops.db").read_bytes()
    stored += (workspace.home / "mlops.db-wal").read_bytes()
    assert secret.encode() not in stored
    assert hashlib.sha256(secret.encode()).hexdigest().encode() in stored


def test_a_read_only_traffic_folder_is_told(workspace: Workspace, version: Version) -> None:
    if os.geteuid() == 0:
        # Root writes everywhere; a file in the folder's place stops root, too.
        (workspace.home / "traffic").mkdir(exist_ok=True)
        (workspace.home / "traffic" / "delay").write_text("")
    else:
        (workspace.home / "traffic").mkdir(mode=0o500)
    with pytest.raises(Invalid, match="the traffic log cannot be written"):
        up(workspace, version)


def test_a_model_without_signature_is_told_before_anything_starts(
    workspace: Workspace, version: Version, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    lines = (version.folder / "MLmodel").read_text().splitlines()
    (bare / "MLmodel").write_text("\n".join(lines[: lines.index("signature:")]))
    with pytest.raises(Invalid, match="the model has no signature"):
        serving.declare(workspace, replace(version, folder=bare))
    with pytest.raises(NotFound, match="the file MLmodel is missing"):
        serving.declare(workspace, replace(version, folder=tmp_path / "nowhere"))
    assert not serving.list_endpoints(workspace).items

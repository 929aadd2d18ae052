"""Streams that were left to the agent go on without the notebook, whatever is killed."""

from __future__ import annotations

import json
import os
import signal
import time

import psutil
from living import kill, until, up

from jupyter_mlops import agent
from jupyter_mlops.serving import streaming


def flights(first: int, last: int) -> str:
    rows = ({"hour": n % 24, "distance": 100.0 + n, "carrier": "AA"} for n in range(first, last))
    return "".join(json.dumps(one) + "\n" for one in rows)


def pid_of(stream: streaming.Stream) -> int:
    assert stream.process is not None
    return int(stream.process.split(":")[-2])


def test_a_detached_stream_goes_on_whatever_is_killed(workspace, version, tmp_path):
    up(workspace, version)
    source, sink = tmp_path / "flights.ndjson", tmp_path / "answers.ndjson"
    source.write_text(flights(0, 50))

    def answered() -> int:
        return len(sink.read_bytes().splitlines()) if sink.exists() else 0

    def look() -> streaming.Stream:
        return streaming.get(workspace, "far")

    streaming.declare(
        workspace, "delay", str(source), str(sink), name="far", follow=True, detached=True
    )
    agent.ensure(workspace)
    until(lambda: answered() == 50)
    until(lambda: look().answered == 50)
    first = pid_of(look())

    # The agent dies: the stream goes on, and the next agent takes it for what it is.
    killed = agent.state(workspace).pid
    kill(killed)
    with source.open("a") as file:
        file.write(flights(50, 80))
    until(lambda: answered() == 80)
    until(lambda: agent.state(workspace).running and agent.state(workspace).pid != killed)
    time.sleep(2.5)  # in which it looks at the streams twice
    assert pid_of(look()) == first

    # The stream's process dies: the agent begins it again where it was.
    kill(first)
    until(lambda: not psutil.pid_exists(first) or look().state != "running")
    with source.open("a") as file:
        file.write(flights(80, 100))
    until(lambda: answered() == 100)
    until(lambda: look().state == "running" and pid_of(look()) != first)
    places = [json.loads(one)["position"] for one in sink.read_bytes().splitlines()]
    assert places == [f"flights.ndjson:{n + 1}" for n in range(100)]

    streaming.stop(workspace, "far")
    until(lambda: look().state == "stopped")
    ended = look()
    assert ended.answered == 100
    time.sleep(2.5)  # in which the agent would begin it again
    assert look().state == "stopped"
    assert workspace.audit().intact


def test_a_stream_that_gets_nothing_done_is_given_up_and_says_why(
    workspace, version, tmp_path, monkeypatch
):
    from jupyter_mlops.agent import detached, kinds

    up(workspace, version)
    source = tmp_path / "flights.ndjson"
    source.write_text(flights(0, 5))
    streaming.declare(
        workspace, "delay", str(source), str(tmp_path / "a.ndjson"), name="lost", detached=True
    )
    source.unlink()
    monkeypatch.setattr(detached, "_FIRST", 0.01)
    monkeypatch.setattr(detached, "_FRUITLESS", 2)
    monkeypatch.setattr(detached, "_LOOK", 0.05)
    keeper = detached.Detached(workspace, [kinds.Streams()])

    def given_up() -> bool:
        keeper.step()
        return "times without an answer" in streaming.get(workspace, "lost").error

    os.kill(agent.state(workspace).pid, signal.SIGTERM)  # this one is the test's
    until(lambda: not agent.state(workspace).running)
    until(given_up)
    lost = streaming.get(workspace, "lost")
    assert lost.state == "failed"
    assert "there is no file" in lost.error
    assert not keeper.busy or keeper.step() is None

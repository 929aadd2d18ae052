"""Streams by their verbs: from a cell, from a shell, stopped from elsewhere, and how they look."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path += [str(Path(__file__).parents[1] / "agent"), str(Path(__file__).parents[1])]

import flowing
from flowing import Place, until
from living import Version, end_all, up

from data.conftest import redis_server  # noqa: F401  fixture
from jupyter_mlops import mlops
from jupyter_mlops.serving.modelfile import directory_digest
from jupyter_mlops.verbs.progress import shown_by
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import NotFound, Workspace


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Workspace]:
    root = tmp_path_factory.mktemp("verbs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JUPYTER_MLOPS_AGENT_IDLE", "20")
        patch.setenv("JUPYTER_MLOPS_WORKSPACE", str(root))
        workspace = Workspace.open(root)
        up(workspace, Version(model, directory_digest(model)))
        yield workspace
        end_all(root)


@pytest.fixture
def redis(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue("redis_server")


def shown(result: Any) -> tuple[str, dict[str, Any]]:
    bundle = mimebundle(result)
    return bundle["text/plain"], next(v for mime, v in bundle.items() if mime.endswith("+json"))


def test_a_bounded_stream_runs_in_a_shell_and_says_what_it_did(
    ws: Workspace, tmp_path: Path, redis: Any
) -> None:
    source = Place("redis", redis, "SHELL", tmp_path)
    rows: list[Any] = flowing.records(40)
    rows[7] = {**rows[7], "hour": "soon"}
    source.put(rows)
    command = [sys.executable, "-m", "jupyter_mlops.cli", "stream", "delay", "--from", source.uri]
    command += ["--to", str(tmp_path / "out.ndjson"), "--name", "shell", "--until-idle", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert "39 answered" in done.stdout
    assert "1 records were refused" in done.stdout
    assert len((tmp_path / "out.ndjson").read_bytes().splitlines()) == 39
    text, view = shown(mlops.streams())
    assert view["kind"] == "streams"
    (row,) = [one for one in view["blocks"][0]["rows"] if one["ref"] == "stream:shell"]
    assert (row["answered"], row["refused"], row["lag"]) == (39, 1, 0)
    assert row["state"] == {"text": "finished", "level": "good"}
    assert "shell" in text
    _, one = shown(mlops.streams(name="shell"))
    assert (one["kind"], one["ref"]) == ("stream", "stream:shell")
    assert "exactly once" in json.dumps(one)


def test_an_interrupt_ends_a_cell_gracefully(ws: Workspace, tmp_path: Path, redis: Any) -> None:
    source = Place("redis", redis, "CELL", tmp_path)
    rows = flowing.records(20)
    source.put(rows)
    sink = Place("redis", redis, "CELLOUT", tmp_path)
    drawn: list[str] = []

    def interrupt() -> None:
        until(lambda: sink.count() == 20)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with shown_by(lambda one: drawn.append(one.line)):
        ended = mlops.stream("delay", from_=source.uri, to=sink.uri, name="cell")
    thread.join()
    assert (ended.state, ended.why, ended.answered) == ("stopped", "stopped", 20)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert any(line.startswith("cell: ") and "a second" in line for line in drawn)
    text, _ = shown(ended)
    assert "finished what was in flight" in text
    source.put(flowing.records(5, first=20))
    again = threading.Timer(
        0, lambda: until(lambda: sink.count() == 25) or mlops.stream.stop("cell")
    )
    again.start()
    assert mlops.stream.resume("cell").answered == 25
    again.join()


def test_a_detached_stream_is_left_to_the_agent_and_stopped(ws: Workspace, tmp_path: Path) -> None:
    source = Place("file", None, "left", tmp_path)
    source.put(flowing.records(30))
    out = tmp_path / "left-out.ndjson"
    begun = mlops.stream(
        "delay", from_=source.uri, to=str(out), name="left", follow=True, detach=True
    )
    assert (begun.state, begun.detached) == ("waiting", True)
    until(lambda: out.exists() and len(out.read_bytes().splitlines()) == 30)
    _, view = shown(mlops.streams(name="left"))
    assert "under the agent" in json.dumps(view)
    mlops.stream.stop("left")
    until(lambda: mlops.streams(name="left").state == "stopped")


def test_an_unknown_stream_names_the_closest(ws: Workspace) -> None:
    with pytest.raises(NotFound, match="did you mean 'shell'"):
        mlops.stream.stop("shel")

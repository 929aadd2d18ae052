"""A change made by any process reaches every open browser."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tornado.websocket import WebSocketClientConnection

from jupyter_mlops.server.watcher import ACTIVITY, SCHEMA_ID
from jupyter_mlops.workspace import Workspace

WRITE = """
import sys
from jupyter_mlops.workspace import Workspace
with Workspace.open(sys.argv[1], user="ann").write() as tx:
    for subject in sys.argv[2:]:
        tx.emit("dataset.added", subject)
"""
Connect = Callable[..., Awaitable[WebSocketClientConnection]]


def write(folder: Path, *subjects: str) -> None:
    """Write events from a process of its own."""
    subprocess.run([sys.executable, "-c", WRITE, str(folder), *subjects], check=True)


async def heard(socket: WebSocketClientConnection, count: int) -> list[dict[str, Any]]:
    """The next messages of ours on the socket that Lab holds open."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        text = await asyncio.wait_for(asyncio.ensure_future(_read(socket)), 60)
        message = json.loads(text)
        if message["schema_id"] == SCHEMA_ID:
            found.append(message)
    return found


async def _read(socket: WebSocketClientConnection) -> str:
    return str(await socket.read_message())


@pytest.fixture
def running(jp_serverapp: Any, jp_asyncio_loop: asyncio.AbstractEventLoop) -> None:
    """The server after its start, which the fixture of Jupyter leaves out."""
    jp_asyncio_loop.run_until_complete(jp_serverapp.extension_manager.start_all_extensions())


async def begin(serverapp: Any) -> None:
    """Start the server as `running` does, on a workspace that it has looked at once."""
    await serverapp.extension_manager.start_all_extensions()
    watcher = serverapp.web_app.settings["jupyter_mlops"].watcher
    # What is there before its first look is no news.
    while watcher._traffic._seen is None:
        await asyncio.sleep(0.01)


async def test_another_process_is_heard(
    jp_ws_fetch: Connect, jp_root_dir: Path, workspace: Workspace, jp_serverapp: Any
) -> None:
    with workspace.write() as tx:
        tx.emit("dataset.added", "data:before@1")
    await begin(jp_serverapp)
    socket = await jp_ws_fetch("api", "events", "subscribe")
    await asyncio.to_thread(write, jp_root_dir, "data:flights@1", "data:weather@1")
    first, second = await heard(socket, 2)
    assert (first["kind"], first["subject"], first["actor"]) == (
        "dataset.added",
        "data:flights@1",
        "ann",
    )
    assert (first["seq"], second["seq"]) == (2, 3)
    assert first["at"].endswith("Z")
    socket.close()


async def test_a_workspace_made_later_is_heard_from_its_first_event(
    jp_ws_fetch: Connect, jp_root_dir: Path, running: None
) -> None:
    socket = await jp_ws_fetch("api", "events", "subscribe")
    await asyncio.to_thread(write, jp_root_dir, "data:flights@1")
    assert [one["seq"] for one in await heard(socket, 1)] == [1]
    socket.close()


async def test_idle_cullers_see_no_activity_where_nothing_runs(
    jp_web_app: Any, workspace: Workspace, jp_serverapp: Any
) -> None:
    await begin(jp_serverapp)
    assert ACTIVITY not in jp_web_app.settings


async def test_browsers_hear_when_an_endpoint_answers(
    jp_ws_fetch: Connect, jp_root_dir: Path, workspace: Workspace, jp_serverapp: Any
) -> None:
    with workspace.write() as tx:
        tx.emit("endpoint.ready", "endpoint:delay")
    fresh = Path(workspace.traffic.root) / "delay" / "hot"
    fresh.mkdir(parents=True)
    (fresh / "a.frames").write_bytes(b"before")
    await begin(jp_serverapp)
    socket = await jp_ws_fetch("api", "events", "subscribe")
    with (fresh / "a.frames").open("ab") as segment:
        segment.write(b" and after")
    # Twice: an endpoint counts what it answered a moment after it wrote it.
    for _ in range(2):
        while (await heard(socket, 1))[0]["kind"] != "endpoint.traffic":
            pass
    socket.close()


def test_answers_that_are_not_logged_are_noticed_too(workspace: Workspace) -> None:
    from jupyter_mlops.server.traffic import TrafficLook

    state = workspace.home / "run" / "endpoint-delay.json"
    state.parent.mkdir(exist_ok=True)
    look = TrafficLook()
    state.write_text('{"log": {"off": 3}}')
    assert look.moved(workspace) == []
    state.write_text('{"log": {"off": 4, "logged": 9}}')
    assert look.moved(workspace) == ["delay"]
    assert look.moved(workspace) == ["delay"]
    assert look.moved(workspace) == []
    state.write_text('{"log": {"off": 4, "logged": 9}, "errors": 1}')
    assert look.moved(workspace) == ["delay"]


async def test_where_an_endpoint_is_wanted_the_agent_runs_and_cullers_stay_away(
    jp_web_app: Any, jp_serverapp: Any, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops import agent
    from jupyter_mlops.serving.records import EndpointRecord

    started: list[Path] = []
    monkeypatch.setattr(agent, "ensure", lambda ws: started.append(ws.root), raising=False)
    with workspace.write() as tx:
        tx.session.add(
            EndpointRecord(
                name="delay",
                generation=1,
                desired="running",
                model="delay",
                version="1",
                digest="0" * 64,
                path="/nowhere",
                port=0,
                token_sha256="0" * 64,
                actor="ann",
                state="declared",
            )
        )
        tx.emit("endpoint.declared", "endpoint:delay")
    watcher = jp_web_app.settings["jupyter_mlops"].watcher
    watcher.start_agent = True
    await jp_serverapp.extension_manager.start_all_extensions()
    for _ in range(600):
        if started and ACTIVITY in jp_web_app.settings:
            break
        await asyncio.sleep(0.1)
    assert started == [workspace.root]
    assert jp_web_app.settings[ACTIVITY].tzinfo is not None


async def test_who_sets_off_a_long_command_hears_how_far_it_is(
    ask: Callable[..., Awaitable[Any]], jp_ws_fetch: Connect, jp_root_dir: Path, running: None
) -> None:
    rows = 60_000
    pl.DataFrame({"x": range(rows)}).write_parquet(jp_root_dir / "rows.parquet")
    socket = await jp_ws_fetch("api", "events", "subscribe")
    job = "0f3c1c9e-8a4b-4c39-9d0e-2b8a5f6d7e10"
    status, view = await ask(
        "verbs", "profile", body={"source": "rows.parquet"}, headers={"X-MLOps-Job": job}
    )
    assert (status, view["kind"]) == (200, "profile")
    first, done = await heard(socket, 2)
    assert (first["kind"], first["subject"]) == ("job.progress", f"job:{job}")
    assert 0 < first["done"] < rows == first["total"]
    assert done["kind"] in {"job.progress", "profile.made"}
    # What is no name of a job is nobody's.
    await ask("verbs", "profile", body={"source": "rows.parquet"}, headers={"X-MLOps-Job": "../x"})
    assert (await heard(socket, 1))[0]["kind"] == "profile.made"
    socket.close()

"""A person's code runs in a process of its own, whatever it prints, raises or does."""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
from tornado.httpclient import HTTPClientError, HTTPResponse

from jupyter_mlops.server.isolated import run_isolated
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import NotFound, Unavailable, Workspace

Ask = Callable[..., Awaitable[Any]]


def train(body: str) -> dict[str, str]:
    return {"name": "late", "body": body}


async def test_what_the_code_raises_is_a_sentence(ask: Ask, workspace: Workspace) -> None:
    status, problem = await ask("verbs", "train", body=train("print('noise')\n1 / 0"))
    assert (status, problem["code"]) == (400, "E-SERVER-010")
    assert "ZeroDivisionError" in problem["what"]
    assert [event.kind for event in workspace.events()] == ["run.started", "run.failed"]


async def test_results_and_our_own_errors_come_through(workspace: Workspace) -> None:
    view = json.loads(await run_isolated(find("audit verify"), {}, workspace.root, "ann"))
    assert view["kind"] == "audit"
    with pytest.raises(NotFound, match="nosuch"):
        await run_isolated(find("data show"), {"name": "nosuch"}, workspace.root, "ann")


async def test_a_process_that_dies_is_an_error(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", shutil.which("false"))
    with pytest.raises(Unavailable, match="ended with 1"):
        await run_isolated(find("audit verify"), {}, workspace.root, "")


async def test_a_request_given_up_ends_the_process(
    jp_fetch: Callable[..., Awaitable[HTTPResponse]], workspace: Workspace
) -> None:
    code = "import time\ntime.sleep(120)"
    request = asyncio.ensure_future(
        jp_fetch(
            "mlops",
            "api",
            "verbs",
            "train",
            method="POST",
            body=json.dumps(train(code)),
            headers={"Content-Type": "application/json"},
            request_timeout=6,
        )
    )
    with pytest.raises(HTTPClientError):
        await request
    children = {one.pid for one in psutil.Process().children(recursive=True)}
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and children:
        await asyncio.sleep(0.1)
        children = {one.pid for one in psutil.Process().children() if "isolated" in _words(one)}
    assert not children
    assert [event.kind for event in workspace.events()] in (
        [],  # it had not begun
        ["run.started", "run.failed"],
    )


def _words(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""

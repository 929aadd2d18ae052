"""A real Jupyter Server with the extension, on a folder of its own."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import HTTPResponse

from jupyter_mlops.workspace import Workspace


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JUPYTER_MLOPS_WORKSPACE", raising=False)
    # Set first, so that what the server sets is undone.
    monkeypatch.setenv("JUPYTER_MLOPS_SERVER_ROOT", "")


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {
            "jpserver_extensions": {"jupyter_mlops": True},
            "allow_unauthenticated_access": False,
        },
        "MLOpsApp": {"start_agent": False, "event_interval": 0.05},
    }


@pytest.fixture
def workspace(jp_root_dir: Path) -> Workspace:
    """The workspace of the server's root."""
    return Workspace.open(jp_root_dir)


@pytest.fixture
def ask(jp_fetch: Callable[..., Awaitable[HTTPResponse]]) -> Callable[..., Awaitable[Any]]:
    """Ask a route of ours: ``await ask("verbs", "data-ls")`` gives (status, JSON)."""

    async def fetch(*parts: str, **options: Any) -> tuple[int, Any]:
        body = options.pop("body", None)
        if body is not None:
            text = body if isinstance(body, str) else json.dumps(body)
            headers = {"Content-Type": "application/json", **options.pop("headers", {})}
            options |= {"method": "POST", "body": text, "headers": headers}
        # A child process imports what it needs, which takes its time on a busy machine.
        options = {"request_timeout": 120, "raise_error": False, **options}
        answer = await jp_fetch("mlops", "api", *parts, **options)
        return answer.code, json.loads(answer.body)

    return fetch

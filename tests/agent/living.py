"""Versions to serve, and waiting for and ending what serves them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from jupyter_mlops import agent, serving
from jupyter_mlops.workspace import Workspace


@dataclass
class Version:
    """A registered version, as far as serving cares."""

    folder: Path
    digest: str
    version: int = 1
    name: str = "delay"
    run_id: str = "r" * 32

    @property
    def ref(self) -> str:
        return f"model:{self.name}@{self.version}"

    def path(self, ws: Workspace) -> Path:
        return self.folder


def end_all(root: Path) -> None:
    """End every process that was started for a workspace; others are left alone."""
    killed = True
    while killed:  # a killed agent's twin goes on in its place
        killed = False
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            command = process.info["cmdline"] or []
            if any(str(root) in part for part in command) and process.pid != os.getpid():
                killed |= process.info["status"] != psutil.STATUS_ZOMBIE
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
    # Endpoints are forked, and name no workspace on their command lines.
    for path in root.rglob("run/endpoint-*.json"):
        state = json.loads(path.read_text())
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(state["pid"])
            if abs(process.create_time() - state["created"]) < 1:
                process.kill()


def until(what: Callable[[], object], seconds: float = 120.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def up(ws: Workspace, version: Version, **more: object) -> serving.Endpoint:
    generation = serving.declare(ws, version, **more)
    return agent.bring_up(ws, str(more.get("name") or version.name), generation)


def kill(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

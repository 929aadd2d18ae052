"""Whoever is killed, the next answer comes soon: nothing is imported anew, nobody gives up."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from living import Version, kill, until, up

from jupyter_mlops import agent, serving
from jupyter_mlops.agent.bell import Bell
from jupyter_mlops.serving import zygote
from jupyter_mlops.workspace import Workspace


@pytest.fixture
def own_zygote(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A zygote that nobody else uses; sockets' paths must be short."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield folder
        while every := zygotes(folder):
            for one in every:
                one.kill()


def zygotes(folder: Path) -> list[psutil.Process]:
    """The one that works, and its twin."""
    found = []
    for one in psutil.process_iter(["cmdline", "name", "status"]):
        words = one.info["cmdline"] or []
        forked = one.info["name"] in ("mlops-gateway", "mlops-model")
        ended = one.info["status"] == psutil.STATUS_ZOMBIE
        if not (forked or ended) and "jupyter_mlops.serving.zygote" in words:
            found += [one] if any(word.startswith(str(folder)) for word in words) else []
    return found


@pytest.mark.skipif(not zygote.available(), reason="nothing is forked here")
def test_a_killed_agent_or_zygote_has_a_twin_and_a_killed_endpoint_is_never_given_up(
    workspace: Workspace, version: Version, own_zygote: Path
) -> None:
    first = up(workspace, version)

    def back(killed: int | None) -> None:
        def answers() -> bool:
            found = serving.get(workspace, "delay")
            if found.pid in (None, killed):
                return False
            try:
                return httpx.get(f"{first.url}/ping", timeout=60).is_success
            except httpx.TransportError:
                return False

        until(answers)

    # Nobody but its twin sees to it that there is an agent: no verb is run, no server is up.
    for _ in range(2):
        before = agent.state(workspace).pid
        kill(before)
        until(lambda before=before: agent.state(workspace).pid != before, 30)
    # A killed endpoint comes back as often as it is killed.
    for _ in range(6):
        pid = serving.get(workspace, "delay").pid
        kill(pid)
        back(pid)
    # Its port may be busy for a moment, as a killed process's is: callers know no other.
    pid, keeper = serving.get(workspace, "delay").pid, agent.state(workspace).pid
    os.kill(keeper, signal.SIGSTOP)
    kill(pid)
    with socket.socket() as busy:
        busy.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        until(lambda: bound(busy, int(first.url.rpartition(":")[2])))
        busy.listen()
        os.kill(keeper, signal.SIGCONT)
        time.sleep(1.5)
    back(pid)
    # Without any zygote but the twin, which has it all imported.
    parents = {one.pid: one for one in zygotes(own_zygote)}
    (working,) = [one for one in parents.values() if one.ppid() not in parents]
    working.kill()
    began = time.monotonic()
    pid = serving.get(workspace, "delay").pid
    kill(pid)
    back(pid)
    assert time.monotonic() - began < 30
    assert set(parents) & {one.pid for one in zygotes(own_zygote)} == set(parents) - {working.pid}
    assert serving.get(workspace, "delay").url == first.url


def bound(one: socket.socket, port: int) -> bool:
    try:
        one.bind(("127.0.0.1", port))
    except OSError:
        return False
    return True


def test_a_signal_rings_the_bell_at_once() -> None:
    bell = Bell()
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGCONT)).start()
        began = time.monotonic()
        bell.wait(20)
        assert time.monotonic() - began < 10
        began = time.monotonic()
        bell.wait(0.05)  # it rang once
        assert time.monotonic() - began >= 0.04
    finally:
        bell.close()
        signal.signal(signal.SIGCONT, signal.SIG_DFL)

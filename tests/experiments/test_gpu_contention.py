"""Thirty requesters at once, some killed: nothing is held twice, and nothing stays lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace

ASK = """
import os, signal, sys, threading
from jupyter_mlops.experiments.gpus.leases import ask
from jupyter_mlops.workspace import Workspace
ws = Workspace.open(sys.argv[1])
def want(n):
    who = {"gpus": n % 3} if n % 3 else {"memory": 30}
    with ask(ws, holder=f"p{n}", purpose="test", timeout=90, **who):
        if sys.argv[2] == "die" and n == 4:
            os.kill(os.getpid(), signal.SIGKILL)
threads = [threading.Thread(target=want, args=(n,)) for n in range(10)]
for one in threads:
    one.start()
for one in threads:
    one.join()
"""


def test_nothing_is_held_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "gpus.json"
    path.write_text(json.dumps([{"uuid": f"GPU-{n}", "name": "F", "total": 80} for n in "abc"]))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(path))
    ws = Workspace.open(tmp_path / "work", create=True)
    children = [
        subprocess.Popen([sys.executable, "-c", ASK, str(ws.root), how])
        for how in ("live", "live", "die")
    ]
    assert [child.wait(120) for child in children] == [0, 0, -9]
    with ask(ws, gpus=3, holder="ana", purpose="all", timeout=60) as lease:
        assert len(lease.devices) == 3
    events = [one for one in ws.events(limit=1000) if one.kind.startswith("gpu.")]
    taken: dict[str, list[str]] = {}
    parts: set[str] = set()
    for event in sorted(events, key=lambda one: one.seq):
        for uuid in event.payload.get("devices", []):
            taken.setdefault(uuid, []).append(event.subject)
            # Two parts of 30 fit on 80, three don't; a whole GPU is nobody else's.
            part = event.payload["team"] in {"p0", "p3", "p6", "p9"}
            parts.update([event.subject] if part else [])
            assert len(taken[uuid]) == 1 or (len(taken[uuid]) == 2 and parts >= {*taken[uuid]})
        if event.kind != "gpu.leased":
            for holders in taken.values():
                holders[:] = [one for one in holders if one != event.subject]
    assert not any(taken.values())

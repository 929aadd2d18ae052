"""What goes wrong while data is added leaves the store as it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from jupyter_mlops import data
from jupyter_mlops.workspace import Workspace

FULL_DISK = """
import resource, signal, sys
import numpy as np, polars as pl
from jupyter_mlops import data
from jupyter_mlops.workspace import Unavailable, Workspace

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
ws = Workspace.open(sys.argv[1])
data.add(ws, "small", pl.DataFrame({"a": [1]}))
pl.DataFrame({"x": np.random.default_rng(0).normal(size=500_000)}).write_csv(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
for source in (pl.read_csv(sys.argv[2]), sys.argv[2]):
    try:
        data.add(ws, "large", source)
    except Unavailable as error:
        print(error)
"""

KILLED = """
import sys
import numpy as np, polars as pl
from jupyter_mlops import data
from jupyter_mlops.workspace import Workspace

ws = Workspace.open(sys.argv[1])
for seed in range(1000):
    frame = pl.DataFrame({"x": np.random.default_rng(seed).normal(size=20_000)})
    print(data.add(ws, f"t{seed % 3}", frame).ref, flush=True)
"""


def test_a_full_disk_is_said_and_nothing_is_left_behind(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "ws"), str(tmp_path / "x.csv")],
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = run.stdout.strip().splitlines()
    assert "can't be copied into the workspace: File too large" in first
    assert "can't be unpacked" in second
    ws = Workspace.open(tmp_path / "ws")
    assert [one.name for one in data.list_datasets(ws)] == ["small"]
    assert len(ws.artifacts.list()) == 1


def test_datasets_acknowledged_before_a_kill_are_all_there(tmp_path: Path) -> None:
    for wait in (0.2, 0.7):
        process = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(KILLED), str(tmp_path / "ws")],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        told = [process.stdout.readline().strip()]
        time.sleep(wait)
        os.kill(process.pid, signal.SIGKILL)
        told += process.stdout.read().split()
        process.wait()
        ws = Workspace.open(tmp_path / "ws")
        # The last line may be cut in the middle.
        whole = [ref for ref in told if ref.count("@") == 1 and ref[-1].isdigit()]
        for ref in whole:
            assert data.get(ws, ref).rows == 20_000
        for ref in whole[-5:]:
            found = data.get(ws, ref)
            assert data.digest(found.scan()) == found.digest
        assert ws.audit().intact

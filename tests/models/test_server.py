"""The same chain with a tracking server instead of the embedded store."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from experiments.workbench import LOGISTIC, Bench
from jupyter_mlops import data, experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.models.outliers import FILE
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.tracking import tracking_client


@pytest.fixture
def server(tmp_path: Path, mlflow_database: Path) -> Iterator[str]:
    """A real `mlflow server`, bound to loopback and to an exact Host header."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    shutil.copy(mlflow_database, folder)
    words = ["server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    words += ["--artifacts-destination", str(folder / "artifacts")]
    hosts = f"127.0.0.1:{port}"
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_SERVER_ALLOWED_HOSTS": hosts,
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", *words],
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 120
        while True:
            try:
                if httpx.get(f"{url}/health", timeout=10).status_code == 200:
                    break
            except httpx.HTTPError:
                pass
            said = (folder / "log").read_text(errors="replace")[-2000:]
            assert process.poll() is None, said
            assert time.monotonic() < deadline, said
            time.sleep(0.2)
        yield url
    finally:
        # uvicorn runs below the command; they share a session of their own.
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


def test_train_register_and_load_over_a_tracking_server(
    server: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    bench.ws = Workspace.open(bench.ws.root)
    data.add(bench.ws, "past", bench.names["rows"])
    run = bench.scored(f"rows = data\n{LOGISTIC}", data="past")
    sending.send(bench.ws, run.id)
    version = models.register(
        bench.ws, experiments.find_run(bench.ws, run), "delay", alias="champion"
    )
    assert models.get(bench.ws, "delay@champion") == version
    rows = bench.names["held_out"].drop(columns="target")
    expected = bench.names["model"].predict_proba(rows)
    assert np.array_equal(models.load(bench.ws, version).predict_proba(rows), expected)
    # What tells outliers was added to the files on the server, before their digest was taken.
    assert (version.path(bench.ws) / FILE).is_file()
    shutil.rmtree(bench.ws.home / "models")
    assert (version.path(bench.ws) / FILE).is_file()
    # Everything is on the server, nothing of MLflow's beside our store.
    assert not (bench.ws.home / "mlflow.db").exists()
    found = tracking_client(bench.ws).get_model_version_by_alias("delay", "champion")
    assert found.run_id == experiments.find_run(bench.ws, run).mlflow_run_id

"""Clusters that somebody else runs, and those whose kernel is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dask
import httpx
import psutil
import pytest
from distributed import LocalCluster
from distributed.security import Security

from jupyter_mlops.experiments import clusters
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Unavailable, Workspace

KERNEL = """
import sys, time
from jupyter_mlops.experiments import clusters
from jupyter_mlops.workspace import Workspace
print(clusters.obtain(Workspace.open(sys.argv[1]), workers=1).name, flush=True)
time.sleep(60)
"""


@pytest.fixture
def locked() -> Iterator[tuple[LocalCluster, Security]]:
    """A scheduler and a worker that speak TLS, and what opens them."""
    security = Security.temporary()
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None,
        security=security, protocol="tls", silence_logs=50,
    ) as cluster:  # fmt: skip
        yield cluster, security


def test_a_scheduler_behind_tls_is_reached_with_dasks_own_certificates(
    ws: Workspace, locked: tuple[LocalCluster, Security], tmp_path: Path
) -> None:
    cluster, security = locked
    address = cluster.scheduler_address
    with pytest.raises(Unavailable, match="asks for certificates") as refused:
        clusters.obtain(ws, address)
    assert "distributed.comm.tls" in refused.value.why
    with pytest.raises(Unavailable, match="no Dask scheduler answers"):
        clusters.obtain(ws, address.replace("tls://", "tcp://"))
    told = {}
    for name, part in (
        ("ca-file", "ca_file"), ("client.cert", "client_cert"), ("client.key", "client_key")
    ):  # fmt: skip
        file = tmp_path / part
        file.write_text(getattr(security, f"tls_{part}"))
        told[f"distributed.comm.tls.{name}"] = str(file)
    with dask.config.set(told):
        found = clusters.obtain(ws, address)
        assert (found.kind, found.workers, found.owned) == ("tls", 1, False)
        with found.client() as client:
            assert client.submit(lambda: 6 * 7).result(60) == 42


def test_it_is_stopped_when_the_kernel_that_started_it_was_killed(ws: Workspace) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, str(ws.root)], stdout=subprocess.PIPE, text=True
    )
    assert kernel.stdout is not None
    name = kernel.stdout.readline().strip()
    os.kill(kernel.pid, signal.SIGKILL)
    kernel.communicate(timeout=60)
    (found,) = clusters.clusters(ws)
    assert (found.name, found.status, found.actor) == (name, "running", ws.user)
    host = psutil.Process(int(found.process.split(":")[1]))
    below = [host, *host.children(recursive=True)]
    assert clusters.stop(ws, name).status == "stopped"
    psutil.wait_procs(below, 60)
    assert not any(one.is_running() and one.status() != "zombie" for one in below)


def test_its_dashboard_is_drawn(ws: Workspace) -> None:
    """The way there, through Jupyter's proxy, has its tests with the server's."""
    found = clusters.obtain(ws, workers=1)
    try:
        until = time.monotonic() + 60
        while (page := httpx.get(found.dashboard)).status_code == 404 and time.monotonic() < until:
            time.sleep(0.1)  # it is drawn once the workers are there
        assert "Dask Diagnostic UI" in page.raise_for_status().text
        path = f"proxy/{httpx.URL(found.dashboard).port}/status"
        assert path in str(mimebundle(clusters.held(ws, found.name)))
    finally:
        clusters.stop(ws, found.name)

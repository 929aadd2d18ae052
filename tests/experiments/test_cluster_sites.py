"""Clusters of a site: real dask-jobqueue with a queue of this machine, and a real Dask gateway."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from jupyter_mlops.experiments import clusters
from jupyter_mlops.experiments.environments.uv import Uv
from jupyter_mlops.workspace import Unavailable, Workspace

#: What SLURM's commands do, for jobs of this machine: a job is a session of its own.
SBATCH = """#!/bin/sh
cp "$1" {jobs}.$$.sh
nohup setsid sh {jobs}.$$.sh > {jobs}.$$.out 2>&1 &
echo $! >> {jobs}
echo "Submitted batch job $!"
"""
SCANCEL = """#!/bin/sh
kill -TERM -- -"$1"
"""

GATEWAY = """
import sys
c.DaskGateway.backend_class = "dask_gateway_server.backends.local.UnsafeLocalBackend"
c.UnsafeLocalBackend.clusters_directory = "{folder}"
c.DaskGateway.authenticator_class = "dask_gateway_server.auth.SimpleAuthenticator"
c.DaskGateway.address = "127.0.0.1:{inner}"
c.Proxy.address = "127.0.0.1:{outer}"
c.ClusterConfig.scheduler_cmd = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
c.ClusterConfig.worker_cmd = [sys.executable, "-m", "distributed.cli.dask_worker"]
"""


@pytest.fixture(scope="module")
def libraries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """Put packages beside those that are installed, for this process and those below it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
        patch.setenv("PYTHONPYCACHEPREFIX", str(tmp_path_factory.mktemp("compiled")))

        def add(*packages: str) -> Path:
            folder = tmp_path_factory.mktemp("packages")
            Uv.found().run(
                *("pip", "install", "--quiet", "--no-deps", "--python", sys.executable),
                *("--target", str(folder), *packages),
            )
            patch.syspath_prepend(folder)
            patch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")
            return folder

        yield add


def _until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_profile_of_a_queue_is_jobs_that_end_with_the_cluster(
    ws: Workspace,
    libraries: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    libraries("dask-jobqueue==0.9.0")
    jobs = tmp_path / "jobs"
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(text.format(jobs=jobs))
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    profile = {"kind": "jobqueue", "system": "SLURM", "workers": 1}
    ws.settings.clusters = {
        "bare": profile,
        "hpc": profile | {"options": {"cores": 1, "memory": "1GB", "interface": "lo"}},
        "odd": profile | {"system": "Slurm"},
    }
    with pytest.raises(Unavailable, match="You must specify how much cores") as refused:
        clusters.obtain(ws, "bare")
    assert "\n" not in str(refused.value)
    with pytest.raises(Unavailable, match=r"no system 'Slurm'.*SLURM"):
        clusters.obtain(ws, "odd")
    found = clusters.obtain(ws, "hpc")
    try:
        assert found.address.startswith("tls://")
        with found.client() as client:
            worker = client.submit(os.getpid).result(60)
            # A job's, and no child of the cluster's process.
            assert os.getsid(worker) == int(jobs.read_text().split()[0])
        assert clusters.held(ws, "hpc").workers == 1
        assert clusters.obtain(ws, "hpc").address == found.address
    finally:
        told = clusters.stop(ws, "hpc")
    assert told.status == "stopped"
    _until(lambda: not psutil.pid_exists(worker))


@pytest.fixture
def gateway(libraries: Callable[..., Path], tmp_path: Path) -> Iterator[str]:
    """The address of a gateway whose clusters are processes of this machine."""
    libraries("dask-gateway==2026.3.0", "dask-gateway-server==2026.3.0", "colorlog==6.12.0")
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as free:
            ports.append(free.getsockname()[1])
    told = {"folder": tmp_path / "clusters", "inner": ports[0], "outer": ports[1]}
    (tmp_path / "gateway.py").write_text(GATEWAY.format(**told))
    command = [sys.executable, "-m", "dask_gateway_server", "-f", str(tmp_path / "gateway.py")]
    with (tmp_path / "gateway.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path)
    try:
        _until(lambda: _listens(ports[1]))
        yield f"http://127.0.0.1:{ports[1]}"
    finally:
        server.terminate()
        server.wait(60)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _at(gateway: str) -> int:
    """How many clusters a gateway has."""
    from dask_gateway import Gateway

    async def ask() -> int:
        async with Gateway(gateway, asynchronous=True) as way:
            return len(await way.list_clusters())

    return asyncio.run(ask())


def test_a_cluster_behind_a_gateway_ends_when_idle_and_when_its_process_dies(
    ws: Workspace, gateway: str
) -> None:
    profile = {"kind": "gateway", "address": gateway, "workers": 1}
    ws.settings.clusters = {"brief": profile | {"idle_timeout": 2.0}, "site": profile}
    found = clusters.obtain(ws, "brief")
    assert clusters.held(ws, "brief").dashboard.startswith(gateway)
    with found.client() as client:
        assert client.submit(os.getpid).result(60) != os.getpid()
        # What computes isn't idle, though its scheduler is elsewhere.
        client.submit(time.sleep, 3).result(60)
        assert found.alive()
    _until(lambda: clusters.held(ws, "brief").status == "stopped")
    assert clusters.held(ws, "brief").reason == "nobody used it for 2 seconds"
    assert _at(gateway) == 0
    clusters.obtain(ws, "site")
    assert _at(gateway) == 1
    host = psutil.Process(int(clusters.held(ws, "site").process.split(":")[1]))
    host.kill()
    _until(lambda: not host.is_running() or host.status() == psutil.STATUS_ZOMBIE)
    assert [one.status for one in clusters.clusters(ws)] == ["stopped", "failed"]
    assert _at(gateway) == 0

"""A kernel that holds a GPU: from its start, over a restart, until it ends however it ends."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import tomllib
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.provisioning import KernelProvisionerFactory

from jupyter_mlops.experiments.environments.kernels import PROVISIONER
from jupyter_mlops.experiments.gpus.holders import gpus
from jupyter_mlops.experiments.gpus.leases import ask, expire
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Unavailable, Workspace

GB = 10**9
GROUP = "jupyter_client.kernel_provisioners"


@pytest.fixture(autouse=True)
def registered() -> None:
    """What the package declares, as it is in an installed one."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    value = project["project"]["entry-points"][GROUP][PROVISIONER]
    factory = KernelProvisionerFactory.instance()
    factory.provisioners[PROVISIONER] = EntryPoint(PROVISIONER, value, GROUP)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    told = [{"uuid": f"GPU-{n}", "name": "H100", "total": 80 * GB} for n in "ab"]
    (tmp_path / "gpus.json").write_text(json.dumps(told))
    monkeypatch.setenv("JUPYTER_MLOPS_FAKE_GPUS", str(tmp_path / "gpus.json"))
    return Workspace.open(tmp_path / "work", create=True)


def _manager(ws: Workspace, folder: Path, **config: Any) -> AsyncKernelManager:
    kernel = folder / "kernels" / "gpu"
    kernel.mkdir(parents=True, exist_ok=True)
    stanza = {"provisioner_name": PROVISIONER, "config": config}
    (kernel / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
                "display_name": "A GPU",
                "language": "python",
                "env": {"JUPYTER_MLOPS_WORKSPACE": str(ws.root)},
                "metadata": {"kernel_provisioner": stanza},
            }
        )
    )
    specs = KernelSpecManager(kernel_dirs=[str(folder / "kernels")])
    return AsyncKernelManager(kernel_name="gpu", kernel_spec_manager=specs)


async def _told(manager: AsyncKernelManager, expression: str) -> str:
    client = manager.client()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=60)
        reply = await client.execute_interactive(
            "", user_expressions={"told": expression}, timeout=60, store_history=False
        )
        return str(reply["content"]["user_expressions"]["told"]["data"]["text/plain"])
    finally:
        client.stop_channels()


def _holder(ws: Workspace) -> tuple[int, str]:
    with ws.read() as session:
        row = session.query(GpuLeaseRecord).filter_by(status="held").one()
        return int(row.process.rsplit(":", 2)[1]), row.id


def _until(true: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


VISIBLE = "__import__('os').environ['CUDA_VISIBLE_DEVICES']"
LIMIT = "__import__('os').environ['JUPYTER_MLOPS_GPU_MEMORY']"


def test_a_kernel_holds_its_gpu_until_it_is_shut_down(
    place: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUPYTER_MLOPS_GPU_TEAM", "sound")

    async def live() -> None:
        manager = _manager(place, tmp_path, gpus=1)
        await manager.start_kernel()
        try:
            pid, lease = _holder(place)
            assert pid == manager.provisioner.pid
            assert await _told(manager, "__import__('os').getpid()") == str(pid)
            (claim,) = gpus(place).claims
            assert (claim.purpose, claim.team) == ("kernel A GPU", "sound")
            assert await _told(manager, VISIBLE) == repr(claim.devices[0])
            await manager.restart_kernel()
            again, same = _holder(place)
            assert (same, again) == (lease, manager.provisioner.pid)
            assert again != pid
            assert await _told(manager, VISIBLE) == repr(claim.devices[0])
            await manager.restart_kernel(now=True)
            assert _holder(place) == (manager.provisioner.pid, lease)
        finally:
            await manager.shutdown_kernel(now=True)
        assert gpus(place).claims == ()
        kinds = [one.kind for one in place.events() if one.kind.startswith("gpu.")]
        assert kinds.count("gpu.leased") == kinds.count("gpu.released") == 1

    asyncio.run(live())


def test_a_killed_kernels_gpu_comes_back_and_a_restart_asks_again(
    place: Workspace, tmp_path: Path
) -> None:
    async def live() -> None:
        manager = _manager(place, tmp_path, gpu_memory="8GB", team="vision")
        await manager.start_kernel()
        try:
            assert await _told(manager, LIMIT) == repr(str(8 * GB))
            pid, lease = _holder(place)
            os.kill(pid, 9)
            _until(lambda: expire(place))
            with ask(place, gpus=2, holder="bo", purpose="test", timeout=0):
                pass
            await manager.restart_kernel(now=True)
            again, other = _holder(place)
            assert other != lease
            assert again == manager.provisioner.pid
            assert gpus(place).claims[0].team == "vision"
        finally:
            await manager.shutdown_kernel(now=True)
        assert gpus(place).claims == ()

    asyncio.run(live())


def test_a_kernel_that_gets_no_gpu_says_so_and_leaves_nothing(
    place: Workspace, tmp_path: Path
) -> None:
    async def live() -> None:
        with ask(place, gpus=2, holder="bo", purpose="test", timeout=0):
            manager = _manager(place, tmp_path, gpus=1, timeout=0.3)
            with pytest.raises(Unavailable, match=r"no GPU became free within 0\.3 s: held by bo"):
                await manager.start_kernel()
            assert len(gpus(place).claims) == 1

            # Whoever closes the page no longer waits.
            manager = _manager(place, tmp_path, gpus=1, timeout=60)
            starting = asyncio.ensure_future(manager.start_kernel())
            while len(gpus(place).claims) < 2:
                await asyncio.sleep(0.05)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            while len(gpus(place).claims) > 1:
                await asyncio.sleep(0.05)
        assert gpus(place).claims == ()

    asyncio.run(live())


def test_a_kernel_that_cant_begin_gives_its_gpu_back(place: Workspace, tmp_path: Path) -> None:
    async def live() -> None:
        manager = _manager(place, tmp_path, gpus=1)
        manager.kernel_spec.argv[0] = "/nowhere/python"
        with pytest.raises(FileNotFoundError):
            await manager.start_kernel()

    asyncio.run(live())
    assert gpus(place).claims == ()


def test_another_server_goes_on_with_the_kernel(place: Workspace, tmp_path: Path) -> None:
    async def live() -> None:
        manager = _manager(place, tmp_path, gpus=1)
        await manager.start_kernel()
        info = await manager.provisioner.get_provisioner_info()
        other = _manager(place, tmp_path, gpus=1)
        factory = KernelProvisionerFactory.instance()
        found = factory.create_provisioner_instance("x", other.kernel_spec, other)
        lease = json.loads(json.dumps(info["lease"]))
        await found.load_provisioner_info({**info, "lease": lease})
        await found.cleanup()
        assert gpus(place).claims == ()
        await manager.shutdown_kernel(now=True)

    asyncio.run(live())

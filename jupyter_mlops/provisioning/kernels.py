"""A local kernel with a lease of GPUs, for as long as it lives.

A kernelspec asks for it by its metadata::

    "metadata": {"kernel_provisioner": {
        "provisioner_name": "mlops-gpu", "config": {"gpu_memory": "8GB"}}}

with ``gpus`` or ``gpu_memory``, and if need be ``priority``, ``team`` and ``timeout``.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from traitlets import Float, Int, Unicode

from jupyter_mlops.experiments.gpus.leases import Lease, acquire
from jupyter_mlops.workspace import Unavailable, Workspace

__all__ = ["GpuProvisioner"]


class GpuProvisioner(LocalProvisioner):
    """Starts a kernel once it is given a GPU, and gives that back when the kernel ends.

    The lease is the kernel's process's: when that dies it is taken back. Over a restart this
    process holds it, so that nobody else gets the GPU meanwhile.

    Raises
    ------
    Unavailable
        From `pre_launch`: no GPU became free in time, or this machine has none.
    """

    gpus = Int(0, min=0, help="Whole GPUs.").tag(config=True)
    gpu_memory = Unicode("", help="Instead, memory of one GPU, such as 8GB.").tag(config=True)
    priority = Int(0, help="The higher goes first. 0: as the setting says.").tag(config=True)
    team = Unicode("", help="Whose quota it counts to. Empty: as the setting says.").tag(
        config=True
    )
    timeout = Float(60.0, min=0.0, help="Seconds to wait for a GPU.").tag(config=True)

    _lease: Lease | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Take a lease, unless there is one from before a restart, and tell the kernel of it."""
        if self._lease is None or not await asyncio.to_thread(self._lease.bind):
            self._lease = await self._taken(kwargs)
        lease = self._lease
        try:
            kwargs = await super().pre_launch(**kwargs)
            told = await asyncio.to_thread(lease.environment)
            kwargs["env"] = {**kwargs["env"], **told}
        except BaseException:
            await self._given_back()
            raise
        return kwargs

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the kernel and let it hold the lease."""
        lease = self._lease
        try:
            told = await super().launch_kernel(cmd, **kwargs)
            bound = lease is not None and await asyncio.to_thread(lease.bind, self.pid)
        except BaseException:
            await self._given_back()
            raise
        if not bound:
            await super().kill()
            await self._given_back()
            raise Unavailable(
                "the kernel's GPU was given to somebody else before it began",
                fix="start it again",
                code="E-GPU-014",
            )
        return told

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Hold the lease while the kernel restarts."""
        if restart:
            await self._held_here()
        await super().shutdown_requested(restart=restart)

    async def kill(self, restart: bool = False) -> None:
        """Kill the kernel; hold its lease if another takes its place."""
        if restart:
            await self._held_here()
        await super().kill(restart=restart)

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel to end; hold its lease if another takes its place."""
        if restart:
            await self._held_here()
        await super().terminate(restart=restart)

    async def cleanup(self, restart: bool = False) -> None:
        """Give the GPU back when the kernel has ended for good."""
        if not restart:
            await self._given_back()
        await super().cleanup(restart=restart)

    async def get_provisioner_info(self) -> dict[str, Any]:
        """What another server needs to go on with this kernel."""
        info = await super().get_provisioner_info()
        if self._lease is not None:
            lease = self._lease
            info["lease"] = {
                "id": lease.id,
                "devices": list(lease.devices),
                "memory": lease.memory,
                "workspace": str(lease.ws.root),
            }
        return info

    async def load_provisioner_info(self, provisioner_info: dict[str, Any]) -> None:
        """Go on with a kernel that another server started."""
        await super().load_provisioner_info(provisioner_info)
        told = provisioner_info.get("lease")
        if told:
            ws = await asyncio.to_thread(Workspace.open, told["workspace"])
            self._lease = Lease(told["id"], tuple(told["devices"]), told["memory"], ws)

    async def _taken(self, kwargs: dict[str, Any]) -> Lease:
        stop = threading.Event()
        waiting = asyncio.ensure_future(asyncio.to_thread(self._take, kwargs, stop))
        try:
            return await asyncio.shield(waiting)
        except asyncio.CancelledError:
            # Whoever asked is gone: so is the wait, and what it may have got at that moment.
            stop.set()
            waiting.add_done_callback(_release)
            raise

    def _take(self, kwargs: dict[str, Any], stop: threading.Event) -> Lease:
        ws = Workspace.open(_root(self.kernel_spec.env, kwargs))
        asked: dict[str, Any] = (
            {"memory": self.gpu_memory, "gpus": self.gpus}
            if self.gpu_memory
            else {"gpus": self.gpus or 1}
        )
        return acquire(
            ws,
            **asked,
            holder=ws.user,
            purpose=f"kernel {self.kernel_spec.display_name}",
            priority=self.priority or ws.settings.gpu_priority,
            team=self.team or ws.settings.gpu_team or None,
            timeout=self.timeout,
            stop=stop,
        )

    async def _held_here(self) -> None:
        if self._lease is not None:
            await asyncio.to_thread(self._lease.bind)

    async def _given_back(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await asyncio.to_thread(lease.release)


def _release(waiting: asyncio.Future[Lease]) -> None:
    if not waiting.cancelled() and waiting.exception() is None:
        release: Callable[[], None] = waiting.result().release
        threading.Thread(target=release, daemon=True).start()


def _root(spec: dict[str, str], kwargs: dict[str, Any]) -> Path | None:
    """The workspace of the kernel: its own variable's, or the nearest to where it begins."""
    told = spec.get("JUPYTER_MLOPS_WORKSPACE") or kwargs.get("env", os.environ).get(
        "JUPYTER_MLOPS_WORKSPACE"
    )
    if told:
        return Path(told)
    begin = Path(kwargs.get("cwd") or Path.cwd()).resolve()
    return next((one for one in (begin, *begin.parents) if (one / ".mlops").is_dir()), None)

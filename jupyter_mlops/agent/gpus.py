"""GPUs of endpoints: asked for beside the agent's loop, held by the endpoint's own process.

A lease is the gateway's, whose children the models' processes are: it outlives the agent, and
ends with the gateway however that ends. How long is waited says the setting `gpu_wait`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from jupyter_mlops.agent.instances import Instance
from jupyter_mlops.experiments.gpus.devices import devices
from jupyter_mlops.experiments.gpus.leases import Lease, acquire
from jupyter_mlops.experiments.gpus.variables import variables
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.serving.config import Gpus
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import Workspace

__all__ = ["Holdings", "gpus_of"]

#: Endpoints that wait at a time; further ones wait for these.
_WAITING = 16


@dataclass
class _Asked:
    """What is waited for, and for which declaration."""

    wanted: tuple[int, int]
    stop: threading.Event = field(default_factory=threading.Event)
    lease: Future[Lease] = field(default_factory=lambda: Future[Lease]())


class Holdings:
    """The leases of a workspace's endpoints.

    Parameters
    ----------
    ws : Workspace
    """

    def __init__(self, ws: Workspace) -> None:
        self.ws = ws
        self._asked: dict[str, _Asked] = {}
        self._pool: ThreadPoolExecutor | None = None

    def take(self, row: EndpointRecord) -> Lease | None:
        """The lease that an endpoint waits for, once it is given; None while it is waited for.

        Raises
        ------
        Unavailable
            None became free in time.
        """
        wanted = (row.gpus, row.gpu_memory)
        asked = self._asked.get(row.name)
        if asked is not None and asked.wanted != wanted:
            self.forget(row.name)
            asked = None
        if asked is None:
            asked = self._asked[row.name] = _Asked(wanted)
            asked.lease = self._threads.submit(self._acquire, row.name, asked)
        if not asked.lease.done():
            return None
        del self._asked[row.name]
        return asked.lease.result()

    def forget(self, name: str) -> None:
        """Wait no longer; what is given at that very moment is given back."""
        asked = self._asked.pop(name, None)
        if asked is not None:
            asked.stop.set()
            asked.lease.add_done_callback(_give_back)

    def close(self) -> None:
        """Wait for nothing any more."""
        for name in list(self._asked):
            self.forget(name)
        if self._pool is not None:
            self._pool.shutdown()

    def lost(self, instance: Instance) -> bool:
        """Whether what an endpoint's process held was taken back meanwhile."""
        if instance.gpus is None:
            return False
        with self.ws.read() as session:
            row = session.get(GpuLeaseRecord, instance.gpus.lease)
            return row is None or row.status != "held"

    def give_back(self, gpus: Gpus | None) -> None:
        """Give back what a process held that has ended."""
        if gpus is not None:
            Lease(gpus.lease, tuple(gpus.devices), gpus.memory, self.ws).release()

    @property
    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_WAITING, thread_name_prefix="gpu-wait")
        return self._pool

    def _acquire(self, name: str, asked: _Asked) -> Lease:
        gpus, memory = asked.wanted
        return acquire(
            self.ws,
            gpus=gpus,
            memory=memory or None,
            holder=self.ws.user,
            purpose=f"endpoint {name}",
            priority=self.ws.settings.gpu_priority,
            team=self.ws.settings.gpu_team or None,
            timeout=self.ws.settings.gpu_wait,
            stop=asked.stop,
        )


def gpus_of(lease: Lease, row: EndpointRecord) -> Gpus:
    """What an endpoint's process is told: of a part of a GPU, each of its models has a share."""
    processes = row.replicas * (1 + len(row.beside))
    share = lease.memory // processes
    told = variables(lease.devices, share, devices() if share else ())
    return Gpus(lease.id, list(lease.devices), lease.memory, told)


def _give_back(given: Future[Lease]) -> None:
    if not given.cancelled() and given.exception() is None:
        given.result().release()

"""A cluster as its users hold it: where it is, and a client of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from jupyter_mlops.workspace import Conflict, Unavailable

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Cluster", "check_versions", "check_workers", "connect"]

#: Seconds within which a scheduler must answer.
WAIT: Final = 5.0
#: Packages whose versions must agree for pickles and the protocol to be understood.
_AGREE: Final = ("python", "distributed", "dask", "cloudpickle")
_US: Final = "jupyter-mlops"


@dataclass(frozen=True)
class Cluster:
    """A cluster that runs.

    Attributes
    ----------
    name : str
        As the store calls it; its address where it isn't ours.
    kind : str
        ``local``, ``cuda``, ``gpu``, that of a profile, or how its address begins: ``tcp``.
    workers : int
        At the time of asking.
    owned : bool
        Whether it was started here, and may be stopped with what it is used for.
    """

    name: str
    kind: str
    address: str
    dashboard: str
    environment: str
    workers: int
    owned: bool
    lives: Callable[[], bool]
    security: Any = None
    #: Of a cluster behind a Dask gateway, the gateway's address and its name there.
    gateway: tuple[str, str] | None = None

    @property
    def near(self) -> bool:
        """Whether its workers may be processes of this machine: it listens on loopback."""
        return urlsplit(self.address).hostname in {"127.0.0.1", "::1", "localhost"}

    def client(self) -> Client:
        """A client of its own, which its user closes.

        Raises
        ------
        Unavailable
            Its scheduler, or the gateway that it is behind, doesn't answer.
        """
        if self.gateway is not None:
            return _behind(*self.gateway)
        return connect(self.address, self.security)

    def alive(self) -> bool:
        """Whether it is still there, as far as can be told without asking it."""
        return self.lives()


def _behind(gateway: str, name: str) -> Client:
    """Connect to a cluster behind a Dask gateway."""
    from dask_gateway import Gateway
    from distributed import Client

    async def ask() -> Any:
        async with Gateway(gateway, asynchronous=True) as way:
            return await way.get_cluster(name)

    try:
        # By hand, and in a thread whose loop is its own: a client that dask-gateway makes keeps
        # its gateway open, and that complains when it is forgotten.
        with ThreadPoolExecutor(1) as aside:
            told = aside.submit(asyncio.run, ask()).result()
        if told.scheduler_address is None:
            raise ConnectionError(f"it is {told.status.name.lower()}")
        return Client(
            told.scheduler_address, security=told.security, timeout=WAIT, set_as_default=False
        )
    # What the gateway says, what its server says, and what the network does have no class in
    # common.
    except Exception as error:
        raise Unavailable(
            f"the gateway at {gateway} gives no way to its cluster {name}",
            (str(error).strip() or type(error).__name__).splitlines()[0][:200],
            "`%mlops cluster stop` the one here, then start another; the gateway's log says why "
            "it failed",
            code="E-CLUSTER-003",
        ) from None


def connect(address: str, security: Any = None) -> Client:
    """Connect to a scheduler.

    Raises
    ------
    Unavailable
        It doesn't answer within seconds, or Dask knows no certificates for it.
    """
    from distributed import Client

    try:
        # A dead port refuses at once; Dask would go on trying until its time is up.
        parts = urlsplit(address)
        if parts.hostname and parts.port:
            socket.create_connection((parts.hostname, parts.port), WAIT).close()
        return Client(address, timeout=WAIT, set_as_default=False, security=security)
    except TypeError as error:
        if not address.startswith("tls://") or security is not None:
            raise
        raise Unavailable(
            f"the scheduler at {address} asks for certificates, and there are none",
            "Dask's configuration names none under distributed.comm.tls",
            "set its ca-file, client.cert and client.key in ~/.config/dask, or as "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE and so on",
            code="E-CLUSTER-034",
        ) from error
    except (OSError, ValueError, TimeoutError) as error:
        raise Unavailable(
            f"no Dask scheduler answers at {address}",
            (str(error).strip() or type(error).__name__).splitlines()[0][:200],
            "check the address and that it is running, or leave --cluster out",
            code="E-CLUSTER-001",
        ) from None


def check_versions(client: Client, address: str) -> None:
    """Refuse a scheduler that can't exchange work with this process.

    Raises
    ------
    Conflict
        A version differs; names both.
    """
    told = client.get_versions(check=False)
    here, there = told["client"], told["scheduler"]
    for name in _AGREE:
        mine, theirs = _version(here, name), _version(there, name)
        if mine and theirs and mine != theirs:
            raise Conflict(
                f"the scheduler at {address} can't work with this kernel",
                f"it has {name} {theirs}, and here is {mine}",
                f"install the same {name} on both sides",
                code="E-CLUSTER-002",
            )


def check_workers(client: Client, address: str) -> None:
    """Refuse workers that can't run a trial: this package runs it there, too.

    Raises
    ------
    Conflict
        A worker lacks it, or has another version.
    """
    try:
        mine = version(_US)
    except PackageNotFoundError:
        return  # run from its sources
    told = client.run(version, _US, on_error="return", callback_timeout=WAIT)
    for worker, theirs in told.items():
        if isinstance(theirs, PackageNotFoundError) or (theirs != mine and isinstance(theirs, str)):
            has = f"has {_US} {theirs}" if isinstance(theirs, str) else f"lacks {_US}"
            raise Conflict(
                f"the workers of the scheduler at {address} can't run trials",
                f"the one at {worker} {has}, and here is {mine}",
                f"`pip install {_US}=={mine}` in the workers' environment",
                code="E-CLUSTER-004",
            )


def _version(told: dict[str, Any], name: str) -> str:
    if name == "python":
        # Pickled functions are bytecode: the minor version counts.
        return ".".join(str(told["host"]["python"]).split(".")[:2])
    return str(told["packages"].get(name) or "")

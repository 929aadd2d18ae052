"""The port of an endpoint's gRPC side: opened, moved and closed as its declaration says."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from jupyter_mlops.workspace.errors import Unavailable

if TYPE_CHECKING:
    from jupyter_mlops.serving.application import Endpoint
    from jupyter_mlops.serving.config import EndpointConfig
    from jupyter_mlops.serving.grpc.service import Listener

__all__ = ["GrpcPort", "check_installed"]

_GRACE = 20.0


def check_installed() -> None:
    """Make sure that gRPC can be spoken here.

    Raises
    ------
    Unavailable
        Its library is not installed.
    """
    if find_spec("grpc") is None:
        raise Unavailable(
            "endpoints can't be asked over gRPC here",
            "grpcio is not installed",
            "`pip install jupyter_mlops[grpc]`",
            code="E-SERVE-028",
        )


class GrpcPort:
    """Where an endpoint listens for gRPC, if it does; nothing of gRPC is loaded where it doesn't.

    Parameters
    ----------
    endpoint : Endpoint
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self._listener: Listener | None = None

    def told(self) -> dict[str, Any]:
        """As the state file holds it."""
        return {"grpc_url": f"127.0.0.1:{self._listener.port}" if self._listener else None}

    @contextlib.asynccontextmanager
    async def following(self, config: EndpointConfig) -> AsyncIterator[None]:
        """Listen as `config` says from the end of the block on; if it fails, as before.

        Raises
        ------
        Unavailable
            Another program has the port, or gRPC is not installed.
        """
        wanted, old = config.grpc_port, self._listener
        if (wanted is None and old is None) or (old and wanted in (0, old.port)):
            yield
            return
        fresh = None if wanted is None else await self._open(wanted)
        try:
            yield
        except BaseException:
            if fresh is not None:
                await fresh.stop(0)
            raise
        self._listener = fresh
        if old is not None:
            await old.stop(_GRACE)

    async def _open(self, port: int) -> Listener:
        check_installed()
        from jupyter_mlops.serving.grpc.service import Listener

        listener = Listener(self.endpoint, port)
        await listener.start()
        return listener

    async def close(self) -> None:
        """Take no further calls, and finish those under way."""
        if self._listener is not None:
            await self._listener.stop(_GRACE)
            self._listener = None

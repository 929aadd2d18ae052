"""The ports of endpoints over restarts: callers keep their URL."""

from __future__ import annotations

import contextlib
import socket
from typing import Final

from jupyter_mlops.serving.records import EndpointRecord

__all__ = ["PATIENCE", "Ports", "ports_of"]

#: Seconds in which the port that an endpoint had is waited for. A process that was killed holds it
#: until its last thread has ended, which on a busy disk is later than it is told to be gone.
PATIENCE: Final = 10.0

Ports = tuple[int, int | None]
"""For HTTP, and for gRPC where it is answered; 0 for any that is free."""


def ports_of(row: EndpointRecord, seconds: float) -> Ports | None:
    """Where an endpoint should listen; None while a port that it had isn't free yet.

    Parameters
    ----------
    row : EndpointRecord
    seconds : float
        How long that was waited for.
    """
    found: list[int | None] = []
    for declared, url in ((row.port, row.url), (row.grpc_port, row.grpc_url)):
        had = int(url.rpartition(":")[2]) if url else 0
        if had and declared in (0, had) and not _free(had):
            if seconds < PATIENCE:
                return None
            # Somebody else took it; one that was declared is asked for, and says so.
            found.append(declared)
        else:
            found.append(had or 0 if declared == 0 else declared)
    return found[0] or 0, found[1]


def _free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True

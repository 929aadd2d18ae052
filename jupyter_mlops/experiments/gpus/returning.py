"""Giving a lease back by its id, from anywhere."""

from __future__ import annotations

import socket

from sqlalchemy import select

from jupyter_mlops.experiments.gpus.devices import devices
from jupyter_mlops.experiments.gpus.granting import OPEN, end, serve
from jupyter_mlops.experiments.records import GpuLeaseRecord
from jupyter_mlops.workspace import Denied, Invalid, NotFound, Workspace

__all__ = ["SHORT", "give_back"]

SHORT = 8
"""Digits that name a lease: its last, since its first ones are the time."""
_SHORTEST = 4


def give_back(ws: Workspace, lease: str, *, force: bool = False) -> None:
    """End a lease that is held, or the wait for one.

    Parameters
    ----------
    lease : str
        Its id, or the last digits of it, four or more.
    force : bool
        Also when it is somebody else's.

    Raises
    ------
    NotFound
        No open lease has that id.
    Invalid
        More than one ends with these digits.
    Denied
        It is somebody else's, and `force` isn't given.

    Notes
    -----
    What a process of its holder has on the GPU stays there. Nobody else is given that memory as
    long as it does.
    """
    asked = lease.removeprefix("gpu:").strip().lower()
    with ws.write() as tx:
        query = select(GpuLeaseRecord).where(GpuLeaseRecord.status.in_(OPEN))
        rows = tx.session.scalars(query.order_by(GpuLeaseRecord.id)).all()
        found = [row for row in rows if len(asked) >= _SHORTEST and row.id.endswith(asked)]
        if not found:
            told = ", ".join(row.id[-SHORT:] for row in rows[:10])
            raise NotFound(
                f"no lease is called {lease!r}",
                f"there are {told}" if told else "nobody holds a GPU or waits for one",
                "`%mlops gpu` lists them",
                code="E-GPU-011",
            )
        if len(found) > 1:
            raise Invalid(
                f"more than one lease ends with {lease!r}", fix="write more of its digits",
                code="E-GPU-012",
            )  # fmt: skip
        (row,) = found
        if row.holder != ws.user and not force:
            raise Denied(
                f"lease {lease!r} is {row.holder}'s",
                f"it is for {row.purpose}",
                "ask for it, or take it with --force",
                code="E-GPU-013",
            )
        end(tx, row, "released" if row.status == "held" else "withdrawn", f"by {ws.user}")
        if row.host == socket.gethostname():
            serve(tx, devices())

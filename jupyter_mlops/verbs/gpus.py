"""Verbs about GPUs: who holds what, and how they are shared."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.experiments.gpus.holders import Gpus
    from jupyter_mlops.workspace import Workspace


@verb("gpu")
def gpu(ws: Workspace) -> Gpus:
    """Show this machine's GPUs, who holds them, and who waits.

    Examples
    --------
    >>> %mlops gpu
    """
    from jupyter_mlops.experiments.gpus.holders import gpus

    return gpus(ws)


@verb("gpu quota", writes=True)
def quota(ws: Workspace, team: str, share: float) -> Gpus:
    """Give a team a share of the GPUs that it gets before others who wait.

    Parameters
    ----------
    team : str
        The team, or a user who asks for none.
    share : float
        Above 0 and up to 1; what nobody else waits for may be held beyond it.

    Examples
    --------
    >>> %mlops gpu quota vision 0.5
    """
    from jupyter_mlops.experiments.gpus.holders import gpus
    from jupyter_mlops.experiments.gpus.leases import set_quota

    set_quota(ws, team, share)
    return gpus(ws)


@verb("gpu release", writes=True)
def release(ws: Workspace, lease: str, *, force: bool = False) -> Gpus:
    """End a lease of a GPU, or the wait for one.

    Its process goes on. What it still has on the GPU isn't given to others.

    Parameters
    ----------
    lease : str
        The digits that `gpu` shows.
    force : bool
        Also when it is somebody else's.

    Examples
    --------
    >>> %mlops gpu release 1f3c09ab
    """
    from jupyter_mlops.experiments.gpus.holders import gpus
    from jupyter_mlops.experiments.gpus.returning import give_back

    give_back(ws, lease, force=force)
    return gpus(ws)

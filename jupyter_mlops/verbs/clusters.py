"""Verbs for Dask clusters: those there are, and starting, resizing and stopping one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_mlops.verbs.table import verb

if TYPE_CHECKING:
    from jupyter_mlops.experiments.clusters import Clusters, Held
    from jupyter_mlops.workspace import Workspace


@verb("cluster ls")
def ls(ws: Workspace) -> Clusters:
    """List the Dask clusters that were started here, with their workers and owners.

    Examples
    --------
    >>> %mlops cluster ls
    """
    from jupyter_mlops.experiments import clusters

    return clusters.clusters(ws)


@verb("cluster start", writes=True, isolated=True)
def start(
    ws: Workspace,
    name: str = "auto",
    *,
    workers: int | None = None,
    env: str | None = None,
    memory: str | None = None,
    gpus: int | None = None,
    gpu_memory: str | None = None,
) -> Held:
    """Start a cluster, so that the first experiment needn't wait for it.

    It is a process of its own: it outlives the kernel, and ends when nobody has used it for a
    while.

    Parameters
    ----------
    name : str
        auto (this machine's GPUs or cores), or a profile in the setting `clusters`.
    workers : int
        As many as there are cores or GPUs when not given.
    env : str
        The environment its workers run in, as `env create` made it.
    memory : str
        The most memory of a worker, such as 4GB.
    gpus : int
        GPUs that each worker holds; 0 for none.
    gpu_memory : str
        Instead, memory of one GPU that each worker holds, such as 8GB.

    Examples
    --------
    >>> %mlops cluster start --workers 4
    """
    from jupyter_mlops.experiments import clusters, environments

    found = clusters.obtain(
        ws,
        name,
        workers=workers,
        interpreter=None if env is None else environments.interpreter(ws, env),
        environment=env or "",
        memory_limit=memory,
        gpus=gpus,
        gpu_memory=gpu_memory,
    )
    return clusters.held(ws, found.name)


@verb("cluster stop", writes=True)
def stop(ws: Workspace, name: str) -> Held:
    """Stop a cluster, also when the kernel that started it is gone.

    Parameters
    ----------
    name : str
        As `cluster ls` shows it.

    Examples
    --------
    >>> %mlops cluster stop local-1f3c09ab
    """
    from jupyter_mlops.experiments import clusters

    return clusters.stop(ws, name)


@verb("cluster scale", writes=True)
def scale(ws: Workspace, name: str, workers: int) -> Held:
    """Give a running cluster more or fewer workers.

    Parameters
    ----------
    name : str
        As `cluster ls` shows it.
    workers : int
        How many it shall have.

    Examples
    --------
    >>> %mlops cluster scale local-1f3c09ab 4
    """
    from jupyter_mlops.experiments import clusters

    return clusters.scale(ws, name, workers)

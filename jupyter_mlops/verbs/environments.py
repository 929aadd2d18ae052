"""Verbs for environments of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jupyter_mlops.verbs.progress import drawer
from jupyter_mlops.verbs.table import File, Namespace, verb

if TYPE_CHECKING:
    from jupyter_mlops.experiments.environments import (
        EnvironmentCheck,
        NamedEnvironment,
        NamedEnvironments,
        RemovedEnvironment,
    )
    from jupyter_mlops.workspace import Workspace


@verb("env create", writes=True)
def env_create(
    ws: Workspace,
    name: str,
    namespace: Namespace | None = None,
    *,
    from_: Literal["this", "requirements", "pyproject"] | None = None,
    file: File | None = None,
    python: str | None = None,
    add: list[str] | None = None,
    bare: bool = False,
    gpus: int = 0,
    gpu_memory: str | None = None,
    offline: bool = False,
) -> NamedEnvironment:
    """Make an environment with a lock, in which notebooks and trials can run.

    Versions that go together are found first, with the hashes of their files. The environment
    is linked from uv's cache, and offered by Jupyter's launcher as a kernel. The running
    jupyter-mlops is put into it. Without --from and --add, one whose folder is gone is made
    again from its lock.

    Parameters
    ----------
    name : str
        What the environment is called.
    from_ : str
        Take the packages of the interpreter that runs here (this), a requirements.txt, or the
        dependencies of a pyproject.toml. With --add alone: those packages and no others.
    file : str
        The file, when it isn't beside the notebook.
    python : str
        Another Python: a version such as 3.12, or an interpreter's path.
    add : list
        Packages besides, such as six,pandas>=2.
    bare : bool
        Leave jupyter-mlops out.
    gpus : int
        GPUs that each of its kernels holds; a kernel starts when it is given them.
    gpu_memory : str
        Instead, memory of one GPU, such as 8GB.
    offline : bool
        Take packages from uv's cache alone.

    Examples
    --------
    >>> %mlops env create forecasting --from requirements
    >>> %mlops env create copy --from this
    >>> %mlops env create old --add "scikit-learn==1.7.2" --python 3.11
    """
    from jupyter_mlops.experiments import environments
    from jupyter_mlops.experiments.surroundings import notebook_file

    notebook = notebook_file(namespace or {})
    beside = [notebook.parent] if notebook is not None else []
    return environments.create(
        ws,
        name,
        source=from_,
        file=file,
        python=python,
        add=add or (),
        bare=bare,
        gpus=gpus,
        gpu_memory=gpu_memory,
        offline=offline,
        near=(*beside, Path.cwd(), ws.root),
        tell=drawer(),
    )


@verb("env ls")
def env_ls(ws: Workspace) -> NamedEnvironments:
    """List the environments of the workspace.

    Examples
    --------
    >>> %mlops env ls
    """
    from jupyter_mlops.experiments import environments

    return environments.list_environments(ws)


@verb("env show")
def env_show(ws: Workspace, name: str) -> NamedEnvironment:
    """Show an environment: its packages, its lock, its kernel, the disk it takes.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> %mlops env show forecasting
    """
    from jupyter_mlops.experiments import environments

    return environments.find(ws, name)


@verb("env lock", writes=True)
def env_lock(ws: Workspace, name: str, *, offline: bool = False) -> NamedEnvironment:
    """Resolve an environment again, from what it was made from as that is now.

    Parameters
    ----------
    name : str
        Its name.
    offline : bool
        Take packages from uv's cache alone.

    Examples
    --------
    >>> %mlops env lock forecasting
    """
    from jupyter_mlops.experiments import environments

    return environments.lock(ws, name, offline=offline, tell=drawer())


@verb("env check")
def env_check(ws: Workspace, name: str) -> EnvironmentCheck:
    """Say whether an environment still is what was recorded, and fits what runs here.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> %mlops env check forecasting
    """
    from jupyter_mlops.experiments import environments

    return environments.check(ws, name)


@verb("env remove", writes=True)
def env_remove(ws: Workspace, name: str) -> RemovedEnvironment:
    """Remove an environment, its kernel and its files; its lock stays.

    Parameters
    ----------
    name : str
        Its name.

    Examples
    --------
    >>> %mlops env remove forecasting
    """
    from jupyter_mlops.experiments import environments

    return environments.remove(ws, name)

"""jupyter_mlops: a model's whole life in Jupyter.

``%load_ext jupyter_mlops`` gives the ``%mlops`` and ``%%mlops`` magics,
``from jupyter_mlops import mlops`` the same verbs as Python calls, and
``jupyter mlops`` the same verbs in a shell.
"""

from __future__ import annotations

import os
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from jupyter_mlops.verbs.facade import Facade

    mlops: Facade

__all__ = ["__version__", "load_ipython_extension", "mlops"]

try:
    __version__ = version("jupyter_mlops")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0.0.0"


def __getattr__(name: str) -> Any:
    # Everything is lazy: the server extension and the magics must load in milliseconds.
    if name == "mlops":
        from jupyter_mlops.verbs.facade import mlops

        return mlops
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register ``%mlops`` and ``%%mlops`` in an IPython shell."""
    from jupyter_mlops.magics import register

    register(shell)
    if os.environ.get("JUPYTER_MLOPS_GPU_MEMORY"):
        # The kernel has a lease of a part of a GPU.
        from jupyter_mlops.experiments.gpus.caps import cap_on_import

        cap_on_import()


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "jupyter-mlops"}]


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    from jupyter_mlops.server.app import MLOpsApp

    return [{"module": "jupyter_mlops", "app": MLOpsApp}]

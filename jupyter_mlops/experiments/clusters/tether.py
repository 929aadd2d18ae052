"""Loaded by each worker: it ends with the process that holds its cluster, whatever it does."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from typing import Any, Final

__all__ = ["ENVIRONMENT", "MARK", "WORKER", "dask_setup"]

#: Set for a cluster's process and all below it, and for all below one of its workers.
MARK: Final = "JUPYTER_MLOPS_CLUSTER"
WORKER: Final = "JUPYTER_MLOPS_CLUSTER_WORKER"
#: The name of the environment that a cluster was asked to run in.
ENVIRONMENT: Final = "JUPYTER_MLOPS_ENVIRONMENT"
_PR_SET_PDEATHSIG: Final = 1


def dask_setup(_worker: Any) -> None:
    """Called by Dask in a worker's process before it takes work."""
    os.environ[WORKER] = str(os.getpid())
    if os.environ.get("JUPYTER_MLOPS_GPU_MEMORY"):
        from jupyter_mlops.experiments.gpus.caps import cap_on_import

        cap_on_import()
    # A thread of Dask's would end it, but not while a trial keeps Python's lock for itself.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)

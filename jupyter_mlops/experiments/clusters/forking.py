"""Workers that are forked from one process: what all of them need is imported once, not in each.

It is Python's own fork server, which Dask can use. It starts while the cluster's process still
imports Dask, and has imported what workers need when the first is asked for. Workers with GPUs
are started anew each, since what uses CUDA must not be forked.
"""

from __future__ import annotations

import multiprocessing.forkserver
import os
import sys
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["METHOD", "environment", "fits", "start"]

METHOD: Final = "forkserver"
#: Libraries that would each take all cores for every worker.
_THREADS: Final = ("OMP", "MKL", "OPENBLAS", "BLIS", "NUMEXPR")
_STEM: Final = "jupyter_mlops.experiments.clusters.stem"


def fits(kind: str) -> bool:
    """Whether a cluster of that kind has workers that may be forked."""
    return kind == "local" and sys.platform == "linux"


def environment(workers: int | None, cores: int) -> dict[str, str]:
    """Variables that must be there before a worker's process begins; one's own go before them."""
    threads = str(max(1, cores // (workers or 1)))
    return {f"{one}_NUM_THREADS": threads for one in _THREADS} | {
        "POLARS_MAX_THREADS": threads,
        # At Dask's own 64 kB each temporary array is fetched from the kernel anew, page by page,
        # which makes numerical code half as slow again.
        "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
        "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        # As Dask's nannies have it, so that sets have one order everywhere.
        "PYTHONHASHSEED": "6640",
    }


def start(variables: Mapping[str, Any]) -> None:
    """Start the process that workers are forked from; wait for nothing.

    It ends with the thread that calls this, which must be the main one.
    """
    for name, value in variables.items():
        os.environ.setdefault(name, str(value))
    server = multiprocessing.forkserver
    # Dask names others once the first worker is made; then this process runs already.
    server.set_forkserver_preload([_STEM])
    server.ensure_running()

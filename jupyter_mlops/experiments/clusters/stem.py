"""Imported by the process that workers are forked from, and by nothing else."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import signal
from importlib import import_module
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
_NEEDED: Final = (
    "distributed.nanny",
    "distributed.deploy.local",
    "numpy",
    "psutil",
    "jupyter_mlops.experiments.driver.turn",
    "jupyter_mlops.experiments.metrics",
    "jupyter_mlops.experiments.search.suggesting",
)

# A worker ends with this process, and this one with the cluster's.
ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
for _name in _NEEDED:
    with contextlib.suppress(ImportError):
        import_module(_name)
# Collecting garbage would copy the pages that workers share.
gc.collect()
gc.freeze()

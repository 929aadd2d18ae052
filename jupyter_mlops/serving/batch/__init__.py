"""Batch prediction: a whole table through a model, part by part, and on where it stopped.

Names are loaded when they are first used: the process that holds the model needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.serving.batch.declared import (
        BatchJob,
        BatchJobs,
        Options,
        declare,
        get,
        list_jobs,
        resume,
        stop,
    )
    from jupyter_mlops.serving.batch.results import BatchPrediction, BatchStep
    from jupyter_mlops.serving.batch.running import predict

_HOMES = {
    "declared": (
        "BatchJob",
        "BatchJobs",
        "Options",
        "declare",
        "get",
        "list_jobs",
        "resume",
        "stop",
    ),
    "results": ("BatchPrediction", "BatchStep"),
    "running": ("predict",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "BatchJob",
    "BatchJobs",
    "BatchPrediction",
    "BatchStep",
    "Options",
    "declare",
    "get",
    "list_jobs",
    "predict",
    "resume",
    "stop",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

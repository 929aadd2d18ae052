"""Batch prediction: a whole table through a model, part by part, and on where it stopped.

Names are loaded when they are first used: the process that holds the model needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.serving.batch.results import BatchPrediction, BatchStep
    from jupyter_mlops.serving.batch.running import predict

__all__ = ["BatchPrediction", "BatchStep", "predict"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        home = "running" if name == "predict" else "results"
        return getattr(import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

"""Dask clusters: one that is found or started, those there are, and stopping them from anywhere.

A cluster started here is a process of its own, with the interpreter of whoever asks for it or of
a named environment. It outlives the kernel, is known to the store, and ends when idle.
Names are loaded when they are first used, so that workers start without them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.experiments.clusters.beside import at_gpus_of
    from jupyter_mlops.experiments.clusters.cluster import Cluster
    from jupyter_mlops.experiments.clusters.holding import (
        Clusters,
        Held,
        clusters,
        held,
        scale,
        settle,
        stop,
    )
    from jupyter_mlops.experiments.clusters.obtaining import obtain, start

_HOMES = {
    "beside": ("at_gpus_of",),
    "cluster": ("Cluster",),
    "holding": ("Clusters", "Held", "clusters", "held", "scale", "settle", "stop"),
    "obtaining": ("obtain", "start"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Cluster",
    "Clusters",
    "Held",
    "at_gpus_of",
    "clusters",
    "held",
    "obtain",
    "scale",
    "settle",
    "start",
    "stop",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

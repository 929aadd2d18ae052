"""Dask clusters: one that is found or started, those there are, and stopping them from anywhere.

A cluster started here is a process of its own, with the interpreter of whoever asks for it or of
a named environment. It outlives the kernel, is known to the store, and ends when idle.
"""

from __future__ import annotations

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

__all__ = [
    "Cluster",
    "Clusters",
    "Held",
    "clusters",
    "held",
    "obtain",
    "scale",
    "settle",
    "start",
    "stop",
]

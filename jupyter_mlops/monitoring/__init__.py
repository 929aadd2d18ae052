"""Monitoring: what moved in an endpoint's traffic, and whether its answers are still good."""

from __future__ import annotations

from jupyter_mlops.monitoring.checks import Drift, check, latest
from jupyter_mlops.monitoring.drift import drift
from jupyter_mlops.monitoring.features import FeatureDrift, compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.performance import Performance, Score, measure
from jupyter_mlops.monitoring.windows import Window

__all__ = [
    "Drift",
    "FeatureDrift",
    "Limits",
    "Performance",
    "Score",
    "Window",
    "check",
    "compare_features",
    "drift",
    "latest",
    "measure",
]

"""Monitoring: what moved in an endpoint's traffic, and whether its answers are still good."""

from __future__ import annotations

from jupyter_mlops.monitoring.checks import (
    Checks,
    Drift,
    check,
    find_check,
    latest,
    list_checks,
)
from jupyter_mlops.monitoring.drift import drift
from jupyter_mlops.monitoring.features import FeatureDrift, compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.performance import Performance, Score, measure
from jupyter_mlops.monitoring.reports import Report, make_report, report, report_of
from jupyter_mlops.monitoring.truth import validation_rows
from jupyter_mlops.monitoring.windows import Window

__all__ = [
    "Checks",
    "Drift",
    "FeatureDrift",
    "Limits",
    "Performance",
    "Report",
    "Score",
    "Window",
    "check",
    "compare_features",
    "drift",
    "find_check",
    "latest",
    "list_checks",
    "make_report",
    "measure",
    "report",
    "report_of",
    "validation_rows",
]

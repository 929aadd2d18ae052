"""Monitoring: what moved in an endpoint's traffic, and whether its answers are still good."""

from __future__ import annotations

from jupyter_mlops.monitoring.attribution import LossChange
from jupyter_mlops.monitoring.causes import Cause
from jupyter_mlops.monitoring.changes import Change, find_changes
from jupyter_mlops.monitoring.checks import (
    Checks,
    Drift,
    check,
    find_check,
    latest,
    list_checks,
)
from jupyter_mlops.monitoring.drift import drift
from jupyter_mlops.monitoring.expected import Expectation
from jupyter_mlops.monitoring.features import FeatureDrift, compare_features
from jupyter_mlops.monitoring.hourly import bring_up_to_date
from jupyter_mlops.monitoring.joint import JointDrift
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.overtime import over_time
from jupyter_mlops.monitoring.performance import Performance, Score, measure
from jupyter_mlops.monitoring.readings import KeptLog
from jupyter_mlops.monitoring.references import Earlier
from jupyter_mlops.monitoring.replaying import Replay, replay
from jupyter_mlops.monitoring.reports import (
    Report,
    Reports,
    list_reports,
    make_report,
    report,
    report_of,
)
from jupyter_mlops.monitoring.segments import Segments, by_segment
from jupyter_mlops.monitoring.skew import Skew, compare_sides
from jupyter_mlops.monitoring.skewchecks import find_skew, keep_skew
from jupyter_mlops.monitoring.timeline import PerformanceOverTime, Period
from jupyter_mlops.monitoring.truth import validation_rows
from jupyter_mlops.monitoring.windows import Window

__all__ = [
    "Cause",
    "Change",
    "Checks",
    "Drift",
    "Earlier",
    "Expectation",
    "FeatureDrift",
    "JointDrift",
    "KeptLog",
    "Limits",
    "LossChange",
    "Performance",
    "PerformanceOverTime",
    "Period",
    "Replay",
    "Report",
    "Reports",
    "Score",
    "Segments",
    "Skew",
    "Window",
    "bring_up_to_date",
    "by_segment",
    "check",
    "compare_features",
    "compare_sides",
    "drift",
    "find_changes",
    "find_check",
    "find_skew",
    "keep_skew",
    "latest",
    "list_checks",
    "list_reports",
    "make_report",
    "measure",
    "over_time",
    "replay",
    "report",
    "report_of",
    "validation_rows",
]

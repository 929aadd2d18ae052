"""Profiling: one pass over a table says what it is, what is wrong with it, and what to do."""

from __future__ import annotations

from jupyter_mlops.profiling.advice import Advice, advise
from jupyter_mlops.profiling.columns import ColumnProfile, Histogram
from jupyter_mlops.profiling.comparing import SideBySide, compare
from jupyter_mlops.profiling.keeping import get, make
from jupyter_mlops.profiling.profiles import Profile, profile
from jupyter_mlops.profiling.target import TargetAnalysis

__all__ = [
    "Advice",
    "ColumnProfile",
    "Histogram",
    "Profile",
    "SideBySide",
    "TargetAnalysis",
    "advise",
    "compare",
    "get",
    "make",
    "profile",
]

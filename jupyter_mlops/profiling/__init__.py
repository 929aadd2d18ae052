"""Profiling: one pass over a table says what it is, what is wrong with it, and what to do."""

from __future__ import annotations

from jupyter_mlops.profiling.advice import Advice, advise
from jupyter_mlops.profiling.advice.overlap import overlap
from jupyter_mlops.profiling.associations import Association, Associations
from jupyter_mlops.profiling.columns import ColumnProfile, Histogram
from jupyter_mlops.profiling.comparing import SideBySide, compare
from jupyter_mlops.profiling.keeping import get, make
from jupyter_mlops.profiling.partitions import profile_by, profile_dask, profile_parquet
from jupyter_mlops.profiling.periods import Period, Periods, by_period
from jupyter_mlops.profiling.pipelines import Preparation, prepare
from jupyter_mlops.profiling.profiles import Profile, Progress, profile
from jupyter_mlops.profiling.target import TargetAnalysis

__all__ = [
    "Advice",
    "Association",
    "Associations",
    "ColumnProfile",
    "Histogram",
    "Period",
    "Periods",
    "Preparation",
    "Profile",
    "Progress",
    "SideBySide",
    "TargetAnalysis",
    "advise",
    "by_period",
    "compare",
    "get",
    "make",
    "overlap",
    "prepare",
    "profile",
    "profile_by",
    "profile_dask",
    "profile_parquet",
]

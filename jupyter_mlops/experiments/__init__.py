"""Experiments: cells that are sealed, run, scored, and compared."""

from __future__ import annotations

from jupyter_mlops.experiments.compare import Comparison, compare
from jupyter_mlops.experiments.runs import Run, Runs, find_run, runs
from jupyter_mlops.experiments.sending import send, send_all, send_later
from jupyter_mlops.experiments.train import train

__all__ = [
    "Comparison",
    "Run",
    "Runs",
    "compare",
    "find_run",
    "runs",
    "send",
    "send_all",
    "send_later",
    "train",
]

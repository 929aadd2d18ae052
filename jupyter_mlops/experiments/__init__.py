"""Experiments: cells that are sealed, run, scored, and compared.

Names are loaded when they are first used: listing runs then imports no data frames.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.experiments.comparison import compare
    from jupyter_mlops.experiments.sending import send, send_all, send_later, send_overdue
    from jupyter_mlops.experiments.training import train
    from jupyter_mlops.experiments.trials import Run, Runs, find_run, runs
    from jupyter_mlops.experiments.verdict import Comparison

_HOMES = {
    "comparison": ("compare",),
    "trials": ("Run", "Runs", "find_run", "runs"),
    "sending": ("send", "send_all", "send_later", "send_overdue"),
    "training": ("train",),
    "verdict": ("Comparison",),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

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
    "send_overdue",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

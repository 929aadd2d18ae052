"""Experiments: a cell becomes many trials, run on a Dask cluster and recorded one by one.

Names are loaded when they are first used: a worker that runs trials needs none of what drives them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.experiments.driver.asking import (
        begun_before,
        detach,
        enqueue,
        read_params,
        stop,
        stop_trial,
    )
    from jupyter_mlops.experiments.driver.driving import Watch, drive
    from jupyter_mlops.experiments.driver.launching import Asked, launch
    from jupyter_mlops.experiments.driver.onemodel import train_on_cluster
    from jupyter_mlops.experiments.driver.replaying import Verification, verify

_HOMES = {
    "asking": ("begun_before", "detach", "enqueue", "read_params", "stop", "stop_trial"),
    "driving": ("Watch", "drive"),
    "launching": ("Asked", "launch"),
    "onemodel": ("train_on_cluster",),
    "replaying": ("Verification", "verify"),
}
_WHERE = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Asked",
    "Verification",
    "Watch",
    "begun_before",
    "detach",
    "drive",
    "enqueue",
    "launch",
    "read_params",
    "stop",
    "stop_trial",
    "train_on_cluster",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

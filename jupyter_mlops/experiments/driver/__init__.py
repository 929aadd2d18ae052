"""Experiments: a cell becomes many trials, run on a Dask cluster and recorded one by one."""

from __future__ import annotations

from jupyter_mlops.experiments.driver.asking import detach, enqueue, read_params, stop, stop_trial
from jupyter_mlops.experiments.driver.driving import Watch, drive
from jupyter_mlops.experiments.driver.launching import Asked, launch
from jupyter_mlops.experiments.driver.onemodel import train_on_cluster
from jupyter_mlops.experiments.driver.replaying import Verification, verify

__all__ = [
    "Asked",
    "Verification",
    "Watch",
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

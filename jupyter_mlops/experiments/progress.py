"""How far a search is: what its driver tells while trials run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jupyter_mlops.experiments.studies import Experiment

__all__ = ["SearchStep"]


@dataclass(frozen=True)
class SearchStep:
    """What is known of a search that goes on.

    Attributes
    ----------
    experiment : Experiment
        Its trials may be left out: nothing here reads them.
    done : int
        Trials that ended, however they ended: finished, pruned, failed or stopped.
    running : int
        Trials that run at this moment.
    total : int or None
        Trials that were asked for; None when only time limits them.
    best : float or None
        The best value of the first metric so far.
    best_params : dict
        The parameters that gave it.
    seconds : float
        That the search has run, earlier attempts included, times between them left out.
    remaining : float or None
        Seconds until it ends, as far as the driver can tell.
    failures : int
        Trials that failed, of those that are done.
    workers : tuple of dict
        Who works: ``name``, ``trial``, ``cpu`` (in cores), ``memory`` and its ``limit`` (bytes),
        ``gpu`` (share), ``gpu_memory`` and ``gpu_limit`` (bytes), as known.
    best_number : int or None
        The trial that gave the best value.
    pruned : int
        Trials ended early because they promised little, of those that are done.
    cluster : dict of str to str
        What it runs on: ``name``, ``kind`` and ``dashboard``, the address of Dask's own page.
    """

    experiment: Experiment
    done: int
    running: int
    total: int | None
    best: float | None
    best_params: dict[str, Any]
    seconds: float
    remaining: float | None
    failures: int
    workers: tuple[dict[str, Any], ...] = ()
    best_number: int | None = None
    pruned: int = 0
    cluster: dict[str, str] = field(default_factory=dict)

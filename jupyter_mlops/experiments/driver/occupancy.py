"""How busy a cluster's workers are: as they tell its scheduler, and as the store keeps it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import update

from jupyter_mlops.experiments.records import ExperimentRecord, TrialRecord
from jupyter_mlops.workspace import Workspace

if TYPE_CHECKING:
    from jupyter_mlops.experiments.clusters import Cluster

__all__ = ["Occupancy"]

#: Seconds between two times that it is written.
_APART: Final = 5.0


class Occupancy:
    """Who works on what on a cluster, and how hard.

    What it writes is no change of state, and so no event: others see it with the next one.

    Parameters
    ----------
    ws : Workspace
    experiment : str
        Its id.
    cluster : Cluster
    """

    def __init__(self, ws: Workspace, experiment: str, cluster: Cluster) -> None:
        self._ws, self._experiment = ws, experiment
        self._told: Mapping[str, Mapping[str, Any]] = {}
        self._placed: set[str] = set()
        self._due = time.monotonic()
        #: As `SearchStep.cluster`.
        self.cluster = {
            "name": cluster.name,
            "kind": cluster.kind,
            "dashboard": cluster.dashboard,
        }

    def heard(self, workers: Mapping[str, Mapping[str, Any]]) -> None:
        """Take what the scheduler knows of its workers, by address."""
        self._told = workers

    def workers(self, busy: Mapping[str, int]) -> tuple[dict[str, Any], ...]:
        """Each worker as `SearchStep.workers` has it.

        Parameters
        ----------
        busy : dict of str to int
            The numbers of trials by the address of the worker that runs them.
        """
        names = sorted({*self._told, *busy})
        return tuple(
            {"name": name, "trial": busy.get(name), **_measured(self._told.get(name, {}))}
            for name in names
        )

    def keep(self, busy: Mapping[str, int], where: Mapping[str, str]) -> None:
        """Write it down, if that is long enough ago, so that panels see it.

        Parameters
        ----------
        where : dict of str to str
            Workers by the id of the trial that was heard to begin on each.
        """
        now = time.monotonic()
        if now < self._due or not self._told:
            return
        self._due = now + _APART
        fresh = {trial: worker for trial, worker in where.items() if trial not in self._placed}
        with self._ws.write() as tx:
            row = tx.session.get_one(ExperimentRecord, self._experiment)
            row.outcome = {"workers": list(self.workers(busy)), "cluster": self.cluster}
            for trial, worker in fresh.items():
                running = TrialRecord.id == trial, TrialRecord.status == "running"
                tx.session.execute(update(TrialRecord).where(*running).values(worker=worker))
        self._placed = set(where)


def _measured(told: Mapping[str, Any]) -> dict[str, Any]:
    """Shares and bytes of what a worker told last; what it doesn't tell is left out."""
    metrics = told.get("metrics") or {}
    found: dict[str, Any] = {}
    if "cpu" in metrics:
        # Dask counts each core as 100.
        found["cpu"] = round(metrics["cpu"] / 100, 3)
    if "memory" in metrics:
        found["memory"] = int(metrics["memory"])
        found["limit"] = int(told.get("memory_limit") or 0) or None
    if metrics.get("gpu_utilization") is not None:
        found["gpu"] = round(metrics["gpu_utilization"] / 100, 3)
    if metrics.get("gpu_memory_used") is not None:
        found["gpu_memory"] = int(metrics["gpu_memory_used"])
        found["gpu_limit"] = int(metrics.get("gpu-memory-total") or 0) or None
    return found

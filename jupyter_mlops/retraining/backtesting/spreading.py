"""Policies played at the same time, on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from jupyter_mlops.retraining.backtesting.playing import Past, Played, play
from jupyter_mlops.workspace import Workspace

if TYPE_CHECKING:
    from jupyter_mlops.retraining.terms import Terms

__all__ = ["on_cluster"]


def on_cluster(
    ws: Workspace, cluster: str
) -> Callable[[list[tuple[Past, Terms, str, int, bool]]], list[Played]]:
    """Return what plays policies on a cluster, a seed on one worker.

    The policies of a seed see the same rows and share the models that they fit.

    Parameters
    ----------
    ws : Workspace
    cluster : str
        ``auto``, the name of a cluster or profile, or a scheduler's address.
    """

    def run(jobs: list[tuple[Past, Terms, str, int, bool]]) -> list[Played]:
        from jupyter_mlops.experiments import clusters

        by_seed: dict[int, list[tuple[Past, Terms, str, int, bool]]] = {}
        for job in jobs:
            by_seed.setdefault(job[3], []).append(job)
        found = clusters.obtain(ws, cluster)
        with found.client() as client:
            shipped = [client.submit(_all, one, pure=False) for one in by_seed.values()]
            return [played for each in client.gather(shipped) for played in each]

    return run


def _all(jobs: list[tuple[Past, Terms, str, int, bool]]) -> list[Played]:
    return [play(past, terms, name, seed, trust=trust) for past, terms, name, seed, trust in jobs]

"""One model trained by a whole cluster: the cell runs once, and its work on many workers."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments import environments
from jupyter_mlops.experiments.driver.driving import Watch, cluster_for
from jupyter_mlops.experiments.driver.launching import Asked, goals_of
from jupyter_mlops.experiments.outcome import Freeze
from jupyter_mlops.experiments.training import train
from jupyter_mlops.experiments.trials import Run
from jupyter_mlops.workspace import Workspace

__all__ = ["train_on_cluster"]


def train_on_cluster(
    ws: Workspace,
    name: str,
    body: str,
    asked: Asked,
    namespace: dict[str, Any],
    freeze: Freeze,
    watch: Watch | None = None,
) -> Run:
    """Run a cell once with a cluster at hand, and record it as `train` does.

    The body sees Dask's ``client``, which ``xgboost.dask`` and ``lightgbm``'s Dask estimators
    take; joblib's parallel work, and with it scikit-learn's ``n_jobs``, goes to the workers. A
    model of these estimators, or one on a GPU's arrays, is scored and kept as the plain one. What
    the body itself computes on a GPU, it does on those of a cluster that holds some.

    Parameters
    ----------
    ws : Workspace
    name, body : str
    asked : Asked
        ``metric``, ``data``, ``labels``, ``model``, ``target``, ``valid``, ``seed``,
        ``cluster``, ``workers`` and ``environment`` count.
    namespace : dict
        The notebook's names.
    freeze : callable
        Turns the model into bytes that load safely.
    watch : Watch, optional
    """
    import joblib

    from jupyter_mlops.experiments.clusters import at_gpus_of

    goals = tuple(goal.metric for goal in goals_of(asked.metric, asked.maximize))
    plan = {
        "cluster": asked.cluster,
        "workers": asked.workers,
        "environment": asked.environment,
        "gpus": asked.gpus,
        "gpu_memory": asked.gpu_memory,
    }
    if asked.environment:
        environments.refuse_unfit(ws, asked.environment)
    cluster = cluster_for(ws, plan, watch or Watch())
    before = {"client": namespace["client"]} if "client" in namespace else {}
    with cluster.client() as client, client.as_current(), at_gpus_of(ws, cluster, asked.gpu_memory):
        namespace["client"] = client
        try:
            with joblib.parallel_config(backend="dask", client=client):
                return train(
                    ws,
                    name,
                    body,
                    freeze=freeze,
                    namespace=namespace,
                    data=asked.data,
                    labels=asked.labels,
                    model=asked.model or "model",
                    target=asked.target,
                    valid=asked.valid,
                    seed=asked.seed,
                    metrics=asked.metrics,
                    goals=goals,
                )
        finally:
            namespace.pop("client", None)
            namespace.update(before)

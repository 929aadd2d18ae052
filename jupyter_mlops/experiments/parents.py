"""An experiment in MLflow: the run that its trials' runs are below, opened first, closed last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select

from jupyter_mlops.experiments.records import CellRecord, ExperimentRecord, TrialRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import explained

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["TAG", "close_ended", "data_tags", "parent_of", "unclosed"]

TAG: Final = "jupyter_mlops.experiment"
_STATUS: Final = {"finished": "FINISHED", "failed": "FAILED"}
_known: dict[tuple[str, str], str] = {}


def parent_of(ws: Workspace, client: MlflowClient, experiment: str, place: str) -> str:
    """The MLflow run of an experiment, made when it isn't there.

    Parameters
    ----------
    ws : Workspace
    client : MlflowClient
    experiment : str
        Its id here.
    place : str
        The id of MLflow's experiment, a folder of runs.
    """
    key = ws.tracking_uri, experiment
    if key in _known:
        return _known[key]
    with ws.read() as session:
        row = session.get_one(ExperimentRecord, experiment)
        cell = session.get_one(CellRecord, row.cell)
        session.expunge_all()
    found = row.mlflow_run_id
    if found is None:
        there = client.search_runs([place], f"tags.`{TAG}` = '{experiment}'", max_results=1)
        run = there[0] if there else client.create_run(
            place,
            start_time=int(row.started_at.timestamp() * 1000),
            tags=_tags(row, cell),
            run_name=f"{row.name}-{experiment[:8]}",
        )  # fmt: skip
        found = str(run.info.run_id)
        with ws.write() as tx:
            tx.session.get_one(ExperimentRecord, experiment).mlflow_run_id = found
    _known[key] = found
    return found


def _tags(row: ExperimentRecord, cell: CellRecord) -> dict[str, str]:
    plan = row.plan
    told = {
        TAG: row.id,
        "mlflow.user": row.actor,
        "mlflow.source.type": "NOTEBOOK",
        "mlflow.source.git.commit": str(cell.git.get("commit", "")),
        "mlflow.note.content": f"```python\n{cell.source[:4000]}\n```",
        "jupyter_mlops.cell": cell.id,
        **data_tags(cell),
        "jupyter_mlops.environment": cell.environment,
        "jupyter_mlops.seed": str(plan["seed"]),
        "jupyter_mlops.sampler": plan["sampler"],
        "jupyter_mlops.pruner": plan["pruner"],
    }
    return {name: value for name, value in told.items() if value}


def data_tags(cell: CellRecord) -> dict[str, str]:
    """Which data and labels a cell saw: their references and the digests of their content."""
    labels = cell.variables.get("--labels", {})
    return {
        "jupyter_mlops.data": cell.data_ref or "",
        "jupyter_mlops.data_digest": cell.data_digest or "",
        "jupyter_mlops.labels": labels.get("method", ""),
        "jupyter_mlops.labels_digest": labels.get("digest", ""),
    }


def close_ended(ws: Workspace, client: MlflowClient) -> int:
    """Tell MLflow how experiments ended whose trials are all there; return how many."""
    rows = unclosed(ws)
    for row in rows:
        with explained(ws):
            _close(client, row)
        with ws.write() as tx:
            tx.session.get_one(ExperimentRecord, row.id).sent_at = utcnow()
    return len(rows)


def unclosed(ws: Workspace) -> list[ExperimentRecord]:
    """Experiments that ended, whose trials MLflow has, and of whose end it hasn't heard."""
    with ws.read() as session:
        waiting = select(TrialRecord.id).where(
            TrialRecord.experiment == ExperimentRecord.id,
            TrialRecord.sent_at.is_(None),
            TrialRecord.status != "running",
        )
        query = select(ExperimentRecord).where(
            ExperimentRecord.sent_at.is_(None),
            ExperimentRecord.ended_at.is_not(None),
            ExperimentRecord.mlflow_run_id.is_not(None),
            ~waiting.exists(),
        )
        rows = list(session.scalars(query))
        session.expunge_all()
    return rows


def _close(client: MlflowClient, row: ExperimentRecord) -> None:
    from mlflow.entities import Metric, Param

    assert row.mlflow_run_id is not None
    assert row.ended_at is not None
    ended = int(row.ended_at.timestamp() * 1000)
    found: dict[str, Any] = row.outcome
    metric = row.plan["goals"][0]["metric"]
    values = {f"best_{metric}": found.get("value"), f"corrected_{metric}": found.get("corrected")}
    client.log_batch(
        row.mlflow_run_id,
        metrics=[
            Metric(key, value, ended, 0) for key, value in values.items() if value is not None
        ],
        params=[Param("trials", str(row.plan["trials"])), Param("metric", metric)],
    )
    if found.get("number") is not None:
        client.set_tag(row.mlflow_run_id, "jupyter_mlops.best_trial", str(found["number"]))
    client.set_terminated(row.mlflow_run_id, _STATUS.get(row.status, "KILLED"), ended)

"""Telling MLflow where aliases point.

MLflow can't be in our transactions. So a move is written down here first, with its event, and
MLflow is told afterwards; a process that died in between leaves a row without `settled_at`,
and whoever looks at the model next tells MLflow in its place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from jupyter_mlops.models.records import AliasRecord
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import explained

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["settle"]

#: Moves of others that a process follows before it leaves the rest to them.
TRIES = 20


def settle(ws: Workspace, client: MlflowClient, model: str | None = None) -> int:
    """Tell MLflow of moves it hasn't heard of; return how many aliases that were.

    Raises
    ------
    Unavailable
        MLflow doesn't answer. The moves stay written down.
    """
    query = select(AliasRecord.model, AliasRecord.alias).where(AliasRecord.settled_at.is_(None))
    if model is not None:
        query = query.where(AliasRecord.model == model)
    with ws.read() as session:
        waiting = [(str(one[0]), str(one[1])) for one in session.execute(query)]
    for name, alias in waiting:
        _settle_one(ws, client, name, alias)
    return len(waiting)


def _settle_one(ws: Workspace, client: MlflowClient, name: str, alias: str) -> None:
    with ws.read() as session:
        version = session.get_one(AliasRecord, (name, alias)).version
    for _ in range(TRIES):
        with explained(ws):
            client.set_registered_model_alias(name, alias, str(version))
        with ws.write() as tx:
            row = tx.session.get_one(AliasRecord, (name, alias), with_for_update=True)
            if row.version == version:
                row.settled_at = utcnow()
                return
            # Somebody moved it on meanwhile, and MLflow may have heard of ours last.
            version, row.settled_at = row.version, None

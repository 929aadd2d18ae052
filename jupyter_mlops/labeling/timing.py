"""When a queue is to be put in order again: asked often, so it needs nothing but the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from jupyter_mlops.labeling.records import TaskRecord

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["due"]


def due(ws: Workspace) -> list[str]:
    """The tasks whose queue should be put in order: a batch of labels came since the last time."""
    with ws.read() as session:
        rows = session.scalars(select(TaskRecord).where(TaskRecord.labeled < TaskRecord.items))
        return [row.id for row in rows if _due(row)]


def _due(row: TaskRecord) -> bool:
    settings = row.settings.get("pick")
    if not settings:
        return False
    return not row.ranking or row.labeled - row.ranking["labeled"] >= settings["batch"]

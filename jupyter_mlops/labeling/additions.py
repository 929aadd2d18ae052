"""More items for a task that is there: rows that weren't asked about before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, insert, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.items import Source, read_items
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.records import ItemRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import CHUNK, get, locked, rows_of
from jupyter_mlops.workspace.errors import Conflict

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["add_items", "known_keys"]


def add_items(
    ws: Workspace, name: str, source: Source, *, marks: Mapping[str, Any] | None = None
) -> int:
    """Put the rows of another table behind a task's items; those that it has are left out.

    Where a strategy chooses the order, the task's share of the new items is drawn at random
    as well, so that the model is measured on them too.

    Parameters
    ----------
    ws : Workspace
        Its user must own the task.
    name : str
        The task's name or id.
    source : Source
        A table with the task's columns and its key: a row whose key an item has is no new one.
    marks : mapping, optional
        What to note in the task's settings in the same transaction.

    Returns
    -------
    int
        How many items are new.

    Raises
    ------
    Denied
        The user isn't the owner.
    Conflict
        The task's rows have no key, or its items are bytes.
    NotFound, Invalid
        A column isn't there, or a row can't be labelled.
    """
    task = get(ws, name)
    if task.key is None:
        raise Conflict(
            f"rows can't be added to {task.name!r}",
            "without a key column nobody knows which rows it has",
            "make another task with --key",
            code="E-LABEL-351",
        )
    _, items = read_items(source, task.kind, task.column, task.key, ws.root)
    if any(one.data is not None for one in items):
        raise Conflict(
            f"rows can't be added to {task.name!r}",
            "its items are bytes, which were kept together when it was made",
            "make another task of them, or give paths of files",
            code="E-LABEL-352",
        )
    with ws.write() as tx:
        row = locked(tx.session, task.id)
        demand(tx.session, row, ws.user, "owner")
        there = set(tx.session.scalars(select(ItemRecord.key).where(ItemRecord.task == row.id)))
        new = [one for one in {one.key: one for one in items}.values() if one.key not in there]
        if marks:
            row.settings = {**row.settings, **marks}
        if not new:
            return 0
        rows = rows_of(ws, row.id, new, first=row.items)
        _draw(tx.session, row, rows)
        for start in range(0, len(rows), CHUNK):
            tx.session.execute(insert(ItemRecord), rows[start : start + CHUNK])
        row.items += len(rows)
        both = f"{row.data_digest}\n{source.digest}".encode()
        row.data_digest = hashlib.sha256(both).hexdigest()
        tx.emit(
            "label.items_added",
            f"label:{row.name}",
            payload={"items": len(rows), "data": source.digest, "data_digest": row.data_digest},
            inputs=[source.ref] if source.ref else [],
        )
    return len(new)


def known_keys(ws: Workspace, name: str) -> set[str]:
    """The keys of the rows that a task has."""
    task = get(ws, name)
    with ws.read() as session:
        found = session.scalars(select(ItemRecord.key).where(ItemRecord.task == task.id))
        return {one for one in found if one is not None}


def _draw(session: Session, task: TaskRecord, rows: list[dict[str, object]]) -> None:
    """Draw new items at random, to measure a model by, where a strategy chooses the rest."""
    if "pick" not in task.settings:
        return
    query = select(func.max(ItemRecord.audit)).where(ItemRecord.task == task.id)
    last = session.scalar(query) or 0
    count = round(Rules.of(task.settings).audit * len(rows))
    chosen = np.random.default_rng(task.items).choice(len(rows), count, replace=False)
    for turn, one in enumerate(chosen, 1):
        rows[int(one)]["audit"] = last + turn

"""Labels from a frame: for rules, older labels and notebooks that run without a person."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import polars as pl
from sqlalchemy import select

from jupyter_mlops.labeling.annotations import MOST_EVENTS, commit
from jupyter_mlops.labeling.decisions import Decision
from jupyter_mlops.labeling.items import Source
from jupyter_mlops.labeling.progress import TaskState, status
from jupyter_mlops.labeling.records import ItemRecord
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["import_labels", "item_numbers", "read_columns"]


def import_labels(
    ws: Workspace,
    name: str,
    source: Source,
    column: str,
    *,
    item: str | None = None,
    key: str | None = None,
) -> TaskState:
    """Label items from a column; the same import again changes nothing.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    source : Source
        A table with the labels. Empty labels are left out.
    column : str
        The column that holds them.
    item : str, optional
        The column that holds items' numbers. Without it and without `key`, the table has
        one row an item, in the same order.
    key : str, optional
        The column that holds the items' keys.

    Returns
    -------
    TaskState

    Raises
    ------
    Invalid, NotFound
        A row names no item or no class; nothing is imported then.
    """
    task = get(ws, name)
    frame = read_columns(source, [one for one in (column, item, key) if one])
    numbers = item_numbers(ws, task, frame, item, key)
    decisions = [
        _decision(task, source, number, str(value))
        for number, value in zip(numbers, frame[column], strict=True)
        if value is not None
    ]
    unknown = sorted({str(one.value) for one in decisions} - set(task.classes))
    if unknown:
        raise Invalid(
            f"{unknown[0]!r} is no class of {task.name!r}",
            f"the classes are {', '.join(task.classes[:20])}",
            closest(unknown[0], task.classes),
            code="E-LABEL-027",
        )
    for start in range(0, len(decisions), MOST_EVENTS):
        receipt = commit(ws, task.id, ws.user, decisions[start : start + MOST_EVENTS])
        if receipt.refused:
            raise Invalid(
                f"a label can't be imported into {task.name!r}",
                receipt.refused[0].what,
                code="E-LABEL-028",
            )
    return status(ws, task.id)


def read_columns(source: Source, wanted: list[str]) -> pl.DataFrame:
    """Some columns of a table of labels."""
    scan = source.scan()
    known = scan.collect_schema().names()
    for name in wanted:
        if name not in known:
            raise NotFound(
                f"the labels have no column {name!r}",
                f"they have {', '.join(known[:12])}",
                closest(name, known),
                code="E-LABEL-029",
            )
    return scan.select(list(dict.fromkeys(wanted))).collect()


def item_numbers(
    ws: Workspace, task: Task, frame: pl.DataFrame, item: str | None, key: str | None
) -> list[int]:
    """The items that the rows of a table of labels mean."""
    total = task.counts.total
    if item is None and key is None:
        if frame.height != total:
            raise Invalid(
                f"the labels don't fit {task.name!r}",
                f"they have {frame.height:,} rows, the task {total:,} items",
                "name the items with --item COLUMN or --key COLUMN",
                code="E-LABEL-030",
            )
        return list(range(total))
    known: dict[Any, int] = {}
    if key is not None:
        with ws.read() as session:
            rows = session.execute(
                select(ItemRecord.key, ItemRecord.item).where(ItemRecord.task == task.id)
            )
            known = {found: number for found, number in rows if found is not None}
        wanted = [str(one) for one in frame[key]]
    else:
        known = {number: number for number in range(total)}
        wanted = list(frame[str(item)])
    missing = [one for one in wanted if one not in known]
    if missing:
        raise NotFound(
            f"{task.name!r} has no item {missing[0]!r}",
            f"{len(missing):,} of {len(wanted):,} rows name none",
            "" if key is None or task.key else "the task was made without --key",
            code="E-LABEL-031",
        )
    return [known[one] for one in wanted]


def _decision(task: Task, source: Source, item: int, value: str) -> Decision:
    # The id follows from the content, so that a notebook run twice labels once.
    content = f"{task.id}\0{source.digest}\0{item}\0{value}".encode()
    ev = f"import:{hashlib.sha256(content).hexdigest()[:40]}"
    return Decision(ev, item, "label", value, session="import")

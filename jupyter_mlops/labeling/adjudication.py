"""Items that people disagree about, and a reviewer's last word on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from jupyter_mlops.labeling.annotations import commit
from jupyter_mlops.labeling.decisions import Decision
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.progress import shown
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, OpinionRecord, TaskRecord
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.errors import Invalid, NotFound
from jupyter_mlops.workspace.records import new_id
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Dispute", "Disputes", "adjudicate", "disputes"]


@dataclass(frozen=True)
class Dispute:
    """One item with everybody's answer: who, what and, of a skip, why."""

    item: int
    key: str
    shown: str
    agreement: float | None
    opinions: tuple[tuple[str, Any, str], ...]


@dataclass(frozen=True)
class Disputes(Result):
    """The items that wait for a reviewer, those with the least agreement first."""

    task: Task
    total: int
    items: tuple[Dispute, ...]


def disputes(ws: Workspace, name: str, *, count: int = 50) -> Disputes:
    """The items whose opinions agree less than the task's threshold, side by side.

    Parameters
    ----------
    ws : Workspace
        Its user must be a reviewer or the owner: annotators don't see each other's answers.
    name : str
        The task's name or id.
    count : int
        How many items to return at the most.

    Raises
    ------
    Denied
        The user is no reviewer.
    """
    task = get(ws, name)
    with ws.read() as session:
        demand(session, session.get_one(TaskRecord, task.id), ws.user, "reviewer")
        wanted = (ItemRecord.task == task.id) & ItemRecord.disputed
        total = session.scalar(select(func.count()).select_from(ItemRecord).where(wanted)) or 0
        rows = session.scalars(
            select(ItemRecord)
            .where(wanted)
            .order_by(ItemRecord.agreement, ItemRecord.item)
            .limit(count)
        ).all()
        said: dict[int, list[tuple[str, Any, str]]] = {row.item: [] for row in rows}
        for opinion, event in session.execute(
            select(OpinionRecord, AnnotationRecord)
            .join(AnnotationRecord, AnnotationRecord.ev == OpinionRecord.ev)
            .where(OpinionRecord.task == task.id, OpinionRecord.item.in_(said))
            .order_by(OpinionRecord.number)
        ):
            said[opinion.item].append((opinion.person, event.value, event.reason))
        found = tuple(
            Dispute(row.item, row.key or "", shown(row), row.agreement, tuple(said[row.item]))
            for row in rows
        )
    return Disputes(task, total, found)


def adjudicate(ws: Workspace, name: str, item: int, value: Any, *, reason: str = "") -> Disputes:
    """Decide what an item is, whatever others said; every answer is kept.

    Parameters
    ----------
    ws : Workspace
        Its user must be a reviewer or the owner.
    name : str
        The task's name or id.
    item : int
        The item's number.
    value : JSON
        The answer that stands from now on.
    reason : str
        Why, for the guideline.

    Returns
    -------
    Disputes
        What still waits.

    Raises
    ------
    Denied
        The user is no reviewer.
    NotFound, Invalid
        There is no such item, or the answer doesn't fit the task.
    """
    task = get(ws, name)
    if not 0 <= item < task.counts.total:
        raise NotFound(
            f"{task.name!r} has no item {item}",
            f"its items are numbered 0 to {task.counts.total - 1}",
            code="E-LABEL-108",
        )
    decision = Decision(f"word:{new_id()}", item, "adjudicate", value, reason=reason)
    receipt = commit(ws, task.id, ws.user, [decision])
    if receipt.refused:
        raise Invalid(
            f"item {item} of {task.name!r} can't be decided so",
            receipt.refused[0].what,
            code="E-LABEL-109",
        )
    return disputes(ws, task.id)

"""Everybody's standing answers to a task, as agreement, consensus and quality read them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, OpinionRecord

if TYPE_CHECKING:
    from jupyter_mlops.labeling.tasks import Task
    from jupyter_mlops.workspace import Workspace

__all__ = ["Said", "answers", "shared", "truths"]


@dataclass(frozen=True)
class Said:
    """One person's answer to one item that stands."""

    item: int
    person: str
    value: Any


def answers(ws: Workspace, task: Task, *, least: int = 1) -> list[Said]:
    """The answers to all items that at least so many people answered, by item and person."""
    with ws.read() as session:
        return list(_read(session, task.id, least))


def shared(said: list[Said]) -> dict[int, dict[str, Any]]:
    """Answers by item and person."""
    found: dict[int, dict[str, Any]] = {}
    for one in said:
        found.setdefault(one.item, {})[one.person] = one.value
    return found


def truths(ws: Workspace, task: Task) -> dict[int, tuple[str, Any]]:
    """Items whose answer is known: ``gold`` or ``adjudicated``, and the answer."""
    with ws.read() as session:
        rows = session.execute(
            select(ItemRecord.item, AnnotationRecord.kind, AnnotationRecord.value)
            .join(AnnotationRecord, AnnotationRecord.ev == ItemRecord.ev)
            .where(
                ItemRecord.task == task.id,
                AnnotationRecord.task == task.id,
                AnnotationRecord.kind.in_(("gold", "adjudicate")),
            )
        )
        names = {"gold": "gold", "adjudicate": "adjudicated"}
        return {item: (names[kind], value) for item, kind, value in rows}


def _read(session: Session, task: str, least: int) -> Iterator[Said]:
    labelled = (OpinionRecord.task == task) & (OpinionRecord.state == "label")
    query = (
        select(OpinionRecord.item, OpinionRecord.person, AnnotationRecord.value)
        .join(AnnotationRecord, AnnotationRecord.ev == OpinionRecord.ev)
        .where(labelled)
        .order_by(OpinionRecord.item, OpinionRecord.person)
    )
    if least > 1:
        enough = select(OpinionRecord.item).where(labelled).group_by(OpinionRecord.item)
        query = query.where(OpinionRecord.item.in_(enough.having(func.count() >= least)))
    for item, person, value in session.execute(query):
        yield Said(item, person, value)

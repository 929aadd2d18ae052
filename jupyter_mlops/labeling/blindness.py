"""What people see of each other's answers: of an item they have still to label, nothing."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, or_, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.folding import opinions
from jupyter_mlops.labeling.membership import role_of
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, OpinionRecord, TaskRecord

__all__ = ["answered_by", "sees_all", "still_asked"]


def sees_all(session: Session, task: str, person: str) -> bool:
    """Whether a person may see every answer: reviewers and owners may."""
    held = role_of(session, session.get_one(TaskRecord, task), person)
    return held in ("reviewer", "owner")


def still_asked(item: ItemRecord, history: Sequence[AnnotationRecord] | None, person: str) -> bool:
    """Whether an item may still be put before a person, who then must not know of any answer.

    Open items may, and one with a known answer is given once to everybody.
    """
    if item.gold:
        return person not in opinions(history or [])
    return item.state == "open"


def answered_by(person: str) -> ColumnElement[bool]:
    """`still_asked` of closed items turned around, in the words of the database."""
    mine = select(OpinionRecord.item).where(
        OpinionRecord.task == ItemRecord.task,
        OpinionRecord.item == ItemRecord.item,
        OpinionRecord.person == person,
    )
    return or_(ItemRecord.gold.is_(False), mine.exists())

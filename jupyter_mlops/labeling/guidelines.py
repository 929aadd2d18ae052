"""The guideline's versions: every text that people ever labelled by is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.records import GuidelineRecord, TaskRecord
from jupyter_mlops.labeling.rules import version_of
from jupyter_mlops.workspace.records import utcnow

__all__ = ["Guideline", "keep", "keep_all", "versions"]


@dataclass(frozen=True)
class Guideline:
    """One version of a task's guideline.

    `version` names the text: sixteen digits of its SHA-256. `number` counts a task's versions
    from 1, in the order in which they first held; `person` wrote it down.
    """

    number: int
    version: str
    text: str
    person: str
    at: datetime


def keep(session: Session, task: TaskRecord, text: str, person: str) -> str:
    """Keep a guideline's text as a version, unless it is one already, and return the version."""
    found = Guideline(0, version_of(text), text, person, utcnow())
    keep_all(session, task, [found] if text else [])
    return found.version


def keep_all(session: Session, task: TaskRecord, found: Sequence[Guideline]) -> None:
    """Keep versions with who wrote them and when; those that are there stay as they are."""
    known = {one.version for one in versions(session, task.id)}
    for one in found:
        if one.version not in known:
            known.add(one.version)
            session.add(
                GuidelineRecord(
                    task=task.id,
                    number=len(known),
                    version=one.version,
                    text=one.text,
                    person=one.person,
                    made_at=one.at,
                )
            )
    session.flush()


def versions(session: Session, task: str) -> list[Guideline]:
    """A task's guidelines, the oldest first."""
    rows = session.scalars(
        select(GuidelineRecord).where(GuidelineRecord.task == task).order_by(GuidelineRecord.number)
    )
    return [Guideline(row.number, row.version, row.text, row.person, row.made_at) for row in rows]

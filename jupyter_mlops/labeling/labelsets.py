"""A task's labels as they stand, taken out of the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Select, Text, cast, false, inspect, or_, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.blindness import sees_all, still_asked
from jupyter_mlops.labeling.charter import charter_of
from jupyter_mlops.labeling.formats import Act, Entry, LabelSet, Prediction
from jupyter_mlops.labeling.formats.naming import unique_names
from jupyter_mlops.labeling.measuring import measured
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.labeling.tasks import Task

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["agreed", "take"]

# Columns of a decision that only mean something in this store, or that its item's line has.
_OWN = {"number", "task", "item", "digest"}
SCALE = (1, 5)


def take(
    ws: Workspace,
    task: Task,
    *,
    whole: bool = False,
    waiting: bool = False,
    measure: bool = False,
    blind: bool = False,
) -> LabelSet:
    """The labels of a task, with all that was decided.

    Parameters
    ----------
    ws : Workspace
    task : Task
    whole : bool
        Also the items that nobody has decided on; needed to find items by name.
    waiting : bool
        Also those that nobody has decided on, but that have a suggestion or were drawn at
        random.
    measure : bool
        Find out how large images and films are, which opens each of them.
    blind : bool
        For the user's eyes: without what others said of items that the user, who is no
        reviewer, has still to label.
    """
    with ws.read() as session:
        names = _names(session, task.id)
        history = _history(session, task.id)
        query = select(ItemRecord).where(ItemRecord.task == task.id).order_by(ItemRecord.item)
        if not whole:
            # Also those that somebody answered and others still have to.
            query = query.where(or_(ItemRecord.item.in_(_decided(task.id)), _waits(waiting)))
        rows = session.scalars(query).all()
        charter = charter_of(session, task.id)
        hidden: set[int] = set()
        if blind and not sees_all(session, task.id, ws.user):
            hidden = {row.item for row in rows if still_asked(row, history.get(row.item), ws.user)}
        entries = [
            _entry(row, names[row.item], history.get(row.item, []))
            for row in rows
            if row.item not in hidden
        ]
    if measure:
        entries = [measured(ws, task.id, task.kind, entry) for entry in entries]
    low, high = task.settings.get("scale") or SCALE
    return LabelSet(
        task.name,
        task.kind,
        task.answer,
        task.classes,
        tuple(entries),
        (int(low), int(high)),
        task.data_ref,
        task.data_digest,
        charter,
        len(hidden),
    )


def agreed(ws: Workspace, task: Task) -> dict[str, Any] | None:
    """How well people agree on the items that several of them answered, from 0 to 1."""
    with ws.read() as session:
        query = select(ItemRecord.agreement).where(
            ItemRecord.task == task.id, ItemRecord.agreement.is_not(None)
        )
        found = [float(one) for one in session.scalars(query) if one is not None]
    return {"items": len(found), "mean": sum(found) / len(found)} if found else None


def _names(session: Session, task: str) -> dict[int, str]:
    columns = (ItemRecord.item, ItemRecord.place, ItemRecord.content, ItemRecord.media)
    rows = session.execute(
        select(*columns).where(ItemRecord.task == task).order_by(ItemRecord.item)
    )
    return unique_names(
        (item, content if place == "file" else "", media) for item, place, content, media in rows
    )


def _waits(wanted: bool) -> ColumnElement[bool]:
    suggested = cast(ItemRecord.suggestion, Text) != "{}"
    return or_(ItemRecord.audit > 0, suggested) if wanted else false()


def _decided(task: str) -> Select[Any]:
    return select(AnnotationRecord.item).where(AnnotationRecord.task == task)


def _history(session: Session, task: str) -> dict[int, list[AnnotationRecord]]:
    found: dict[int, list[AnnotationRecord]] = {}
    query = select(AnnotationRecord).where(AnnotationRecord.task == task)
    for event in session.scalars(query.order_by(AnnotationRecord.number)):
        found.setdefault(event.item, []).append(event)
    return found


def _entry(row: ItemRecord, name: str, history: Sequence[AnnotationRecord]) -> Entry:
    last: dict[str, AnnotationRecord] = {}
    undone = {event.undoes for event in history if event.kind == "undo"}
    for event in history:
        if event.kind != "undo" and event.ev not in undone:
            last[event.person] = event
    standing = next((event for event in history if event.ev == row.ev), None)
    # A reviewer's word may stand beside what the same person said as an annotator.
    others = [event for event in last.values() if event is not standing]
    shown = [*([standing] if standing else []), *others]
    said = row.suggestion or {}
    return Entry(
        item=row.item,
        digest=row.digest,
        name=name,
        key=row.key,
        text=row.content if row.place == "text" else None,
        media=row.media,
        content=row.content if row.place == "file" else "",
        standing=None if standing is None else _act(standing),
        opinions=tuple(_act(event) for event in shown),
        predictions=(
            (Prediction(said["value"], str(said.get("by", "")), said.get("confidence")),)
            if "value" in said
            else ()
        ),
        history=tuple(_decision(event) for event in history),
        suggestion=dict(said),
        audit=row.audit,
    )


def _act(event: AnnotationRecord) -> Act:
    skipped = event.kind == "skip"
    return Act(
        event.value,
        event.person,
        event.decided_at,
        skipped,
        event.reason,
        event.active_ms,
        event.guideline,
    )


def _decision(event: AnnotationRecord) -> dict[str, Any]:
    """Everything the store knows of a decision, as JSON."""
    found = {}
    for column in inspect(AnnotationRecord).columns:
        if column.key not in _OWN:
            value = getattr(event, column.key)
            found[column.key] = value.isoformat() if isinstance(value, datetime) else value
    return found

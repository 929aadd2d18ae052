"""How far a task is, and what its labels are."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.blindness import answered_by, sees_all
from jupyter_mlops.labeling.coefficients import Estimate
from jupyter_mlops.labeling.desk import OPEN
from jupyter_mlops.labeling.pace import Pace, pace_of
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, LeaseRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Counts, Task, get
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = [
    "Person",
    "Queue",
    "Recent",
    "TaskState",
    "shown",
    "status",
    "upcoming",
]

# Labelled items with lists for answers that are read to count their classes.
MOST_COUNTED = 20_000


@dataclass(frozen=True)
class Person:
    """What one person has done, and how fast."""

    name: str
    labels: int
    skips: int
    undos: int
    pace: Pace
    last: datetime


@dataclass(frozen=True)
class Recent:
    """One of the last items that were decided; `label` is None where it was skipped."""

    item: int
    shown: str
    label: str | None
    person: str


@dataclass(frozen=True)
class TaskState(Result):
    """A task and how far it is.

    `agreement` is the mean over `shared` items with two opinions or more, of how alike each
    two are; `disputed` counts those that wait for a reviewer. `accuracy` is that of the
    model which chooses, by items drawn at random; `pace` is how fast people label. `classes`
    counts the labelled items that have each class; it is empty where that would take long.
    """

    task: Task
    held: int
    classes: dict[str, int]
    people: tuple[Person, ...]
    recent: tuple[Recent, ...]
    agreement: float | None = None
    shared: int = 0
    disputed: int = 0
    accuracy: Estimate | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def counts(self) -> Counts:
        return self.task.counts


@dataclass(frozen=True)
class Queue(Result):
    """What comes next in a task: the item's number, its key and its text or media."""

    task: Task
    items: tuple[tuple[int, str, str], ...]


def status(ws: Workspace, name: str, *, recent: int = 8) -> TaskState:
    """How far a task is, per class and per person.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    recent : int
        How many of the last decided items to include.
    """
    task = get(ws, name)
    with ws.read() as session:
        held = session.scalar(
            select(func.count())
            .select_from(LeaseRecord)
            .where(LeaseRecord.task == task.id, LeaseRecord.until > utcnow())
        )
        return TaskState(
            task,
            held or 0,
            _classes(session, task),
            _people(session, task.id),
            _recent(session, task.id, recent, ws.user),
            *_agreed(session, task),
            _accuracy(session, task.id),
            pace_of(session, task.id),
        )


def upcoming(ws: Workspace, name: str, count: int) -> Queue:
    """The next open items that nobody has in hand; nothing is leased."""
    task = get(ws, name)
    held = select(LeaseRecord.item).where(LeaseRecord.task == task.id, LeaseRecord.until > utcnow())
    with ws.read() as session:
        rows = session.scalars(
            select(ItemRecord)
            .where(
                ItemRecord.task == task.id,
                ItemRecord.state == OPEN,
                ItemRecord.item.not_in(held),
            )
            .order_by(ItemRecord.rank, ItemRecord.item)
            .limit(count)
        )
        return Queue(task, tuple((row.item, row.key or "", shown(row)) for row in rows))


def _classes(session: Session, task: Task) -> dict[str, int]:
    """How many labelled items have each class."""
    found: Counter[str] = Counter()
    mine = (ItemRecord.task == task.id) & (ItemRecord.state == "labeled")
    if task.answer == "class":
        query = select(ItemRecord.label, func.count()).where(mine).group_by(ItemRecord.label)
        found.update({str(label): int(count) for label, count in session.execute(query)})
    elif task.counts.labeled > MOST_COUNTED:
        return {}
    elif task.classes:
        values = select(AnnotationRecord.value).join(
            ItemRecord, AnnotationRecord.ev == ItemRecord.ev
        )
        for value in session.scalars(values.where(mine)):
            found.update(set(_names(value)))
    return {one: found[one] for one in task.classes}


def _agreed(session: Session, task: Task) -> tuple[float | None, int, int]:
    """The mean agreement, over how many items, and how many are disputed."""
    mine = ItemRecord.task == task.id
    disputed = session.scalar(
        select(func.count()).select_from(ItemRecord).where(mine, ItemRecord.disputed)
    )
    if Rules.of(task.settings).overlap == 1:
        return None, 0, disputed or 0
    mean, count = session.execute(
        select(func.avg(ItemRecord.agreement), func.count(ItemRecord.agreement)).where(mine)
    ).one()
    return mean, count, disputed or 0


def _accuracy(session: Session, task: str) -> Estimate | None:
    told = session.scalar(select(TaskRecord.ranking).where(TaskRecord.id == task))
    return Estimate(**told["accuracy"]) if told else None


def _people(session: Session, task: str) -> tuple[Person, ...]:
    count = func.count()
    kinds = session.execute(
        select(
            AnnotationRecord.person,
            AnnotationRecord.kind,
            count,
            func.max(AnnotationRecord.decided_at),
        )
        .where(AnnotationRecord.task == task)
        .group_by(AnnotationRecord.person, AnnotationRecord.kind)
    ).all()
    done: dict[str, dict[str, int]] = {}
    last: dict[str, datetime] = {}
    for name, kind, number, at in kinds:
        done.setdefault(name, {})[kind] = number
        last[name] = max(at, last.get(name, at))
    return tuple(
        Person(
            name,
            found.get("label", 0),
            found.get("skip", 0),
            found.get("undo", 0),
            pace_of(session, task, name),
            last[name],
        )
        for name, found in sorted(done.items(), key=lambda one: -sum(one[1].values()))
    )


def _recent(session: Session, task: str, count: int, person: str) -> tuple[Recent, ...]:
    query = (
        select(ItemRecord, AnnotationRecord.kind, AnnotationRecord.value)
        .join(AnnotationRecord, AnnotationRecord.ev == ItemRecord.ev)
        .where(ItemRecord.task == task, ItemRecord.state != OPEN)
    )
    if not sees_all(session, task, person):
        query = query.where(answered_by(person))
    rows = session.execute(query.order_by(AnnotationRecord.number.desc()).limit(count))
    return tuple(
        Recent(row.item, shown(row), None if kind == "skip" else in_words(value), row.person or "")
        for row, kind, value in rows.tuples()
    )


def _names(value: Any) -> list[str]:
    """The classes in an answer that is a list of classes or of what is marked with them."""
    return [one if isinstance(one, str) else str(one["label"]) for one in value]


def in_words(value: Any) -> str:
    """An answer in a few words.

    Examples
    --------
    >>> in_words("cat"), in_words(4), in_words(["cat", "dog"]), in_words([{"label": "cat"}])
    ('cat', '4', 'cat, dog', '1 cat')
    """
    if not isinstance(value, list):
        return _cut(str(value))
    if not value:
        return "nothing"
    if not all(isinstance(one, dict) for one in value):
        return _cut(", ".join(map(str, value)))
    counts = Counter(str(one["label"]) for one in value)
    return _cut(", ".join(f"{count:,} {label}" for label, count in counts.items()))


def shown(row: ItemRecord) -> str:
    """An item in a few words."""
    if row.place == "text":
        return _cut(" ".join(row.content.split()))
    return row.content or f"{row.media}, {max(1, round(row.size / 1000)):,} kB"


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:79] + "…"

"""All tasks of a workspace, those that want somebody's attention first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from jupyter_mlops.labeling.pace import Pace, paces
from jupyter_mlops.labeling.records import ItemRecord, OpinionRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Task
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from jupyter_mlops.workspace import Workspace

__all__ = ["Standing", "Tasks", "list_tasks"]


@dataclass(frozen=True)
class Standing:
    """A task among the others.

    Parameters
    ----------
    task : Task
    people : int
        How many have answered an item.
    disputed : int
        Items that wait for a reviewer.
    agreement : float, optional
        How alike people's answers are, 0 to 1; None where no item has two.
    pace : Pace
        How fast it is labelled.
    due : date, optional
        The last day on which it is in time.
    overdue : int
        Days since then, 0 when it is in time or done.
    """

    task: Task
    people: int
    disputed: int
    agreement: float | None
    pace: Pace
    due: date | None
    overdue: int


@dataclass(frozen=True)
class Tasks(Result):
    """All tasks of the workspace: disputed ones first, then late ones, those done last."""

    standings: tuple[Standing, ...]

    @property
    def tasks(self) -> tuple[Task, ...]:
        return tuple(one.task for one in self.standings)


def list_tasks(ws: Workspace, *, now: datetime | None = None) -> Tasks:
    """All tasks with how they stand, what wants attention first.

    First those with items that wait for a reviewer, then those that are late, both the
    most pressing first; then those under way, those not begun, and those done, each the
    newest first.

    Parameters
    ----------
    ws : Workspace
    now : datetime, optional
        When it is, in UTC.

    Examples
    --------
    >>> [one.task.name for one in list_tasks(ws).standings]  # doctest: +SKIP
    ['disputed', 'late', 'under-way', 'done']
    """
    today = (now or utcnow()).date()
    with ws.read() as session:
        rows = list(session.scalars(select(TaskRecord).order_by(TaskRecord.id.desc())))
        people, disputed, pace = _people(session), _disputed(session), paces(session)
        found = [
            Standing(
                task,
                people.get(task.id, 0),
                disputed.get(task.id, 0),
                _agreement(session, task),
                pace.get(task.id, Pace()),
                Rules.of(task.settings).last_day,
                _overdue(task, today),
            )
            for task in map(Task.of, rows)
        ]
    return Tasks(tuple(sorted(found, key=_urgency)))


def _urgency(one: Standing) -> tuple[int, int, int]:
    """Small numbers first; what is equal keeps its order."""
    counts = one.task.counts
    stage = 0 if 0 < counts.open < counts.total else 1 if counts.open else 2
    return -one.disputed, -one.overdue, stage


def _overdue(task: Task, today: date) -> int:
    last = Rules.of(task.settings).last_day
    return max(0, (today - last).days) if last and task.counts.open else 0


def _people(session: Session) -> dict[str, int]:
    task = OpinionRecord.task
    count = func.count(OpinionRecord.person.distinct())
    return dict(session.execute(select(task, count).group_by(task)).tuples().all())


def _disputed(session: Session) -> dict[str, int]:
    task = ItemRecord.task
    query = select(task, func.count()).where(ItemRecord.disputed).group_by(task)
    return dict(session.execute(query).tuples().all())


def _agreement(session: Session, task: Task) -> float | None:
    if Rules.of(task.settings).overlap == 1:
        return None  # nobody is asked what somebody answered
    return session.scalar(select(func.avg(ItemRecord.agreement)).where(ItemRecord.task == task.id))

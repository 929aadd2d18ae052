"""How fast people label, by the attention that their decisions took."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from sqlalchemy import Select, func, or_, select

from jupyter_mlops.labeling.records import AnnotationRecord

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

__all__ = ["Pace", "Timed", "measure", "pace_of", "paces"]

LOOKED = 1000  # decisions of a task, or of one person in it, that its pace is told from
LOOKED_AT_ALL = 20_000  # decisions of the workspace that the paces of all tasks are told from
FEWEST = 5  # labels below which a pace would be chance

# What a pace is told from: (ev, kind, undoes, active_ms).
Timed = tuple[str, str, str | None, int]


@dataclass(frozen=True)
class Pace:
    """How fast labels come while somebody is at it.

    Parameters
    ----------
    labels : int
        Labels of which the attention they took is known and that were not taken back.
    hours : float
        The attention that was spent, with what went into skips and into labels taken back.
    per_hour : float, optional
        Labels an hour of one person's attention; None for a few labels.
    seconds : float, optional
        The median attention that a label took, in seconds; None for a few labels.
    """

    labels: int = 0
    hours: float = 0.0
    per_hour: float | None = None
    seconds: float | None = None


def measure(decisions: Iterable[Timed]) -> Pace:
    """The pace of some decisions.

    Parameters
    ----------
    decisions : iterable of (ev, kind, undoes, active_ms)
        Labels, skips and undos in any order.

    Examples
    --------
    >>> found = measure([(str(n), "label", None, 2000) for n in range(9)])
    >>> found.per_hour, found.seconds
    (1800.0, 2.0)
    """
    told = [one for one in decisions if one[1] in ("label", "skip", "undo")]
    undone = {undoes for _, kind, undoes, _ in told if kind == "undo"}
    times = [ms for ev, kind, _, ms in told if kind == "label" and ev not in undone]
    hours = sum(ms for *_, ms in told) / 3_600_000
    if len(times) < FEWEST or not hours:
        return Pace(len(times), hours)
    return Pace(len(times), hours, len(times) / hours, median(times) / 1000)


def pace_of(session: Session, task: str, person: str | None = None) -> Pace:
    """The pace of a task's last thousand decisions, or of one person's in it."""
    query = _timed().where(AnnotationRecord.task == task)
    if person is not None:
        query = query.where(AnnotationRecord.person == person)
    rows = session.execute(query.limit(LOOKED))
    return measure((ev, kind, undoes, ms) for _, ev, kind, undoes, ms in rows)


def paces(session: Session) -> dict[str, Pace]:
    """The paces of the tasks that people label, by the workspace's last 20,000 decisions.

    However many decisions there are, this reads no more than that.
    """
    found: dict[str, list[Timed]] = {}
    for task, ev, kind, undoes, ms in session.execute(_timed().limit(LOOKED_AT_ALL)):
        found.setdefault(task, []).append((ev, kind, undoes, ms))
    return {task: measure(told) for task, told in found.items()}


def _timed() -> Select[str, str, str, str | None, int]:
    """Decisions whose times are known, the last ones first."""
    return (
        select(
            AnnotationRecord.task,
            AnnotationRecord.ev,
            AnnotationRecord.kind,
            AnnotationRecord.undoes,
            func.coalesce(AnnotationRecord.active_ms, 0),
        )
        # What is taken back doesn't count, whether or not the time of taking it back is known.
        .where(or_(AnnotationRecord.active_ms.is_not(None), AnnotationRecord.kind == "undo"))
        .order_by(AnnotationRecord.number.desc())
    )

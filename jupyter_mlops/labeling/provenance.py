"""How a task's labels came to be: under which guideline, chosen and suggested by what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, case, func, literal, select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling import guidelines
from jupyter_mlops.labeling.coefficients import Estimate, wilson
from jupyter_mlops.labeling.guidelines import Guideline
from jupyter_mlops.labeling.records import AnnotationRecord, OpinionRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Chosen", "Skipped", "Stats", "Suggested", "Under", "stats"]


@dataclass(frozen=True)
class Under:
    """What was decided under one version of the guideline; None where nobody knows its text."""

    version: str
    guideline: Guideline | None
    labels: int
    skips: int
    people: int
    holds: bool


@dataclass(frozen=True)
class Chosen:
    """Labels of items that came to be chosen in one way; `audits` were drawn at random."""

    strategy: str
    labels: int
    audits: int


@dataclass(frozen=True)
class Suggested:
    """Labels of items for which one source proposed something.

    `kept` is the share that stayed as proposed, with Wilson's interval. It is no accuracy:
    people tend to accept what is proposed.
    """

    by: str
    labels: int
    kept: Estimate


@dataclass(frozen=True)
class Skipped:
    """Skips with one reason and one rule for who sees the item again."""

    reason: str
    requeue: str
    skips: int


@dataclass(frozen=True)
class Stats(Result):
    """How a task's labels came to be: each person's last word on each item counts."""

    task: Task
    labels: int
    skips: int
    guidelines: tuple[Under, ...]
    chosen: tuple[Chosen, ...]
    suggested: tuple[Suggested, ...]
    skipped: tuple[Skipped, ...]


def stats(ws: Workspace, name: str) -> Stats:
    """How a task's labels came to be.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.

    Returns
    -------
    Stats
        What stands of each person, by the version of the guideline that was shown, by how the
        item came to be chosen, by what was proposed, and by why items were skipped.
    """
    task = get(ws, name)
    with ws.read() as session:
        under = _under(session, task)
        return Stats(
            task,
            sum(one.labels for one in under),
            sum(one.skips for one in under),
            under,
            _chosen(session, task.id),
            _suggested(session, task.id),
            _skipped(session, task.id),
        )


def _under(session: Session, task: Task) -> tuple[Under, ...]:
    version = AnnotationRecord.guideline
    rows = _stands(
        session,
        task.id,
        [version],
        [_count("label"), _count("skip"), func.count(OpinionRecord.person.distinct())],
    )
    holds = Rules.of(task.settings).guideline_version
    found = {str(name): (int(labels), int(skips), who) for name, labels, skips, who in rows}
    texts = {one.version: one for one in guidelines.versions(session, task.id)}
    # One that nobody has labelled under yet is told as well.
    names = dict.fromkeys([*texts, *sorted(found), *([holds] if holds else [])])
    counted = {one: found.get(one, (0, 0, 0)) for one in names}
    return tuple(
        Under(one, texts.get(one), labels, skips, who, one == holds)
        for one, (labels, skips, who) in counted.items()
    )


def _chosen(session: Session, task: str) -> tuple[Chosen, ...]:
    audits = func.sum(case((AnnotationRecord.audit, 1), else_=0))
    rows = _stands(session, task, [AnnotationRecord.strategy], [_count("label"), audits])
    return tuple(Chosen(how or "order", int(count), int(drawn or 0)) for how, count, drawn in rows)


def _suggested(session: Session, task: str) -> tuple[Suggested, ...]:
    by = AnnotationRecord.suggestion["by"].as_string()
    changed = AnnotationRecord.suggestion["changed"].as_boolean()
    kept = func.sum(case((changed.is_(False), 1), else_=0))
    rows = _stands(
        session,
        task,
        [func.coalesce(by, literal(""))],
        [func.count(), kept],
        and_(AnnotationRecord.kind == "label", changed.is_not(None)),
    )
    return tuple(Suggested(str(by), n, wilson(int(same or 0), n)) for by, n, same in rows)


def _skipped(session: Session, task: str) -> tuple[Skipped, ...]:
    rows = _stands(
        session,
        task,
        [AnnotationRecord.reason, AnnotationRecord.requeue],
        [func.count()],
        AnnotationRecord.kind == "skip",
    )
    return tuple(Skipped(reason, requeue, count) for reason, requeue, count in rows)


def _count(kind: str) -> ColumnElement[Any]:
    return func.sum(case((AnnotationRecord.kind == kind, 1), else_=0))


def _stands(
    session: Session,
    task: str,
    by: list[Any],
    figures: list[ColumnElement[Any]],
    *more: ColumnElement[bool],
) -> list[Any]:
    """Figures of the annotations that stand for a person, those of many first."""
    query = (
        select(*by, *figures)
        .join(OpinionRecord, AnnotationRecord.ev == OpinionRecord.ev)
        .where(OpinionRecord.task == task, *more)
        .group_by(*by)
        .order_by(func.count().desc(), *by)
    )
    return list(session.execute(query).all())

"""What a task is beside its items and answers: its rules, guidelines, people and queue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from jupyter_mlops.labeling import guidelines
from jupyter_mlops.labeling.guidelines import Guideline
from jupyter_mlops.labeling.membership import Role, demand
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, RoleRecord, TaskRecord
from jupyter_mlops.labeling.rules import Rules, version_of
from jupyter_mlops.labeling.tasks import Task, locked
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Charter", "charter_of", "take_on"]


@dataclass(frozen=True)
class Charter:
    """What a file of all decisions says of its task.

    `head` has the rules, the guideline's versions and the roles, as `charter_of` gives them;
    `suggestions` and `audits` are by item.
    """

    head: Mapping[str, Any]
    suggestions: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    audits: Mapping[int, int] = field(default_factory=dict)


def charter_of(session: Session, task: str) -> dict[str, Any]:
    """A task's rules, how its queue is chosen, guidelines and roles, as JSON."""
    row = session.get_one(TaskRecord, task)
    known = {one.name for one in fields(Rules)}
    rules = {name: row.settings[name] for name in sorted(row.settings) if name in known}
    roles = session.scalars(
        select(RoleRecord).where(RoleRecord.task == task).order_by(RoleRecord.person)
    )
    return {
        "rules": rules,
        "pick": row.settings.get("pick"),
        "guidelines": [
            {
                "version": one.version,
                "text": one.text,
                "person": one.person,
                "at": one.at.isoformat(),
            }
            for one in guidelines.versions(session, task)
        ],
        "roles": [
            {
                "person": one.person,
                "role": one.role,
                "by": one.actor,
                "at": one.given_at.isoformat(),
            }
            for one in roles
        ],
    }


def take_on(ws: Workspace, task: Task, found: Charter) -> bool:
    """Give a task that nobody has labelled yet what a file says of the one it is from.

    Whoever brings it stays an owner.

    Parameters
    ----------
    ws : Workspace
        Its user must own the task.
    task : Task
    found : Charter

    Returns
    -------
    bool
        False when the task has decisions already, and keeps its own.

    Raises
    ------
    Denied
        The user isn't the owner.
    Invalid
        A rule can't be kept, or what the file says makes no sense.
    """
    head = found.head
    try:
        texts = [_guideline(one) for one in head.get("guidelines") or []]
        roles = [_role(one) for one in head.get("roles") or []]
        settings = Rules.changed({}, dict(head.get("rules") or {}))
    except (KeyError, TypeError, ValueError) as error:
        raise _misfit(f"{type(error).__name__}: {error}") from None
    pick = _pick(head.get("pick"))
    with ws.write() as tx:
        row = locked(tx.session, task.id)
        demand(tx.session, row, ws.user, "owner")
        decided = select(AnnotationRecord.number).where(AnnotationRecord.task == row.id).limit(1)
        if tx.session.scalar(decided) is not None:
            return False
        row.settings = {**settings, **({"pick": pick} if pick else {})}
        guidelines.keep_all(tx.session, row, texts)
        guidelines.keep(tx.session, row, Rules.of(row.settings).guideline, ws.user)
        for role in roles:
            if role.person != ws.user or role.role == "owner":
                role.task = row.id
                tx.session.merge(role)
        _items(tx.session, row.id, found)
        tx.emit(
            "label.charter_taken",
            f"label:{row.name}",
            payload={
                "rules": {name: settings[name] for name in settings if name != "guideline"},
                "guidelines": [one.version for one in texts],
                "roles": {one.person: one.role for one in roles},
                "suggestions": len(found.suggestions),
                "audits": len(found.audits),
            },
        )
    return True


def _items(session: Session, task: str, found: Charter) -> None:
    for item in sorted({*found.suggestions, *found.audits}):
        session.execute(
            update(ItemRecord)
            .where(ItemRecord.task == task, ItemRecord.item == item)
            .values(
                suggestion=dict(found.suggestions.get(item) or {}),
                audit=found.audits.get(item, 0),
            )
        )


def _guideline(one: Mapping[str, Any]) -> Guideline:
    version, text, person = one["version"], one["text"], one["person"]
    if not isinstance(text, str) or not isinstance(person, str) or version != version_of(text):
        raise _misfit(f"the guideline {version!r} isn't the one of its text")
    return Guideline(0, version, text, person[:255], _time(one["at"]))


def _role(one: Mapping[str, Any]) -> RoleRecord:
    person, role, by = one["person"], one["role"], one["by"]
    fits = isinstance(person, str) and 1 <= len(person) <= 255 and isinstance(by, str)
    if not fits or role not in get_args(Role):
        raise _misfit(f"{person!r} can't be {role!r}")
    return RoleRecord(person=person, role=role, actor=by[:255], given_at=_time(one["at"]))


def _pick(found: Any) -> dict[str, Any] | None:
    if not found:
        return None
    from jupyter_mlops.labeling.choosing import strategy  # numbers: not for every import

    try:
        name, model, batch = found["strategy"], found["model"], found["batch"]
    except (KeyError, TypeError) as error:
        raise _misfit(f"how the queue is chosen isn't told: {error}") from None
    strategy(str(name))
    if not isinstance(model, str) or not isinstance(batch, int) or not 1 <= batch <= 1000:
        raise _misfit(f"a queue can't be chosen by {found!r}")
    return {"strategy": name, "model": model, "batch": batch}


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise _misfit(f"{text!r} is a time without its zone")
    return at


def _misfit(why: str) -> Invalid:
    return Invalid("the file's rules and roles can't be taken over", why, code="E-LABEL-350")

"""Who may do what in a task: annotators answer, reviewers decide, owners make the rules.

Whoever made a task owns it. Anybody may label until the first annotator is named; from
then on only people with a role do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal, cast, get_args

from sqlalchemy import select
from sqlalchemy.orm import Session

from jupyter_mlops.labeling.records import RoleRecord, TaskRecord
from jupyter_mlops.labeling.tasks import Task, get, locked
from jupyter_mlops.workspace.errors import Denied, Invalid
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Held", "Role", "Roles", "demand", "give_role", "role_of", "roles"]

Role = Literal["annotator", "reviewer", "owner"]
Given = Literal["annotator", "reviewer", "owner", "none"]
_ORDER: tuple[Role, ...] = ("annotator", "reviewer", "owner")
_MAY = {"annotator": "label", "reviewer": "decide disputes", "owner": "change the rules"}


@dataclass(frozen=True)
class Held:
    """A role somebody has in a task, who gave it and when."""

    person: str
    role: Role
    actor: str
    at: datetime


@dataclass(frozen=True)
class Roles(Result):
    """Everybody's role in a task; `open` when anybody may label."""

    task: Task
    held: tuple[Held, ...]
    open: bool


def give_role(ws: Workspace, task: str, person: str, role: Given) -> Roles:
    """Give a person a role in a task, or take it away with ``none``.

    Parameters
    ----------
    ws : Workspace
        Its user must own the task.
    task : str
        The task's name or id.
    person : str
        A user's name, as the server or the hub knows it.
    role : {"annotator", "reviewer", "owner", "none"}

    Returns
    -------
    Roles

    Raises
    ------
    Denied
        The user doesn't own the task.
    Invalid
        It would be left without an owner, or there is no such role.
    """
    if role not in get_args(Given) or not 1 <= len(person) <= 255:
        raise Invalid(
            f"{person!r} can't be {role!r}",
            f"a role is one of {', '.join(get_args(Given))}",
            code="E-LABEL-106",
        )
    with ws.write() as tx:
        row = locked(tx.session, task)
        demand(tx.session, row, ws.user, "owner")
        held = tx.session.get(RoleRecord, (row.id, person))
        before = role_of(tx.session, row, person)
        if role == "none" and held is not None:
            tx.session.delete(held)
        elif role != "none" and held is not None:
            held.role, held.actor, held.given_at = role, ws.user, utcnow()
        elif role != "none":
            tx.session.add(
                RoleRecord(task=row.id, person=person, role=role, actor=ws.user, given_at=utcnow())
            )
        tx.session.flush()
        if not any(one.role == "owner" for one in _held(tx.session, row)):
            raise Invalid(
                f"{row.name!r} needs an owner",
                f"{person} is the only one",
                "make somebody else the owner first",
                code="E-LABEL-107",
            )
        if before != (None if role == "none" else role):
            tx.emit(
                "label.role_given",
                f"label:{row.name}",
                payload={"person": person, "role": role, "before": before},
            )
    return roles(ws, task)


def roles(ws: Workspace, task: str) -> Roles:
    """Everybody's role in a task."""
    found = get(ws, task)
    with ws.read() as session:
        row = session.get_one(TaskRecord, found.id)
        held = _held(session, row)
    return Roles(found, tuple(held), not any(one.role == "annotator" for one in held))


def role_of(session: Session, task: TaskRecord, person: str) -> Role | None:
    """The role a person has; None when there is none."""
    return next((one.role for one in _held(session, task) if one.person == person), None)


def demand(session: Session, task: TaskRecord, person: str, role: Role) -> None:
    """Make sure that a person may do what a role may.

    Raises
    ------
    Denied
        The person may not.
    """
    held = _held(session, task)
    if role == "annotator" and not any(one.role == "annotator" for one in held):
        return
    mine = next((one.role for one in held if one.person == person), None)
    if mine is not None and _ORDER.index(mine) >= _ORDER.index(role):
        return
    owner = next((one.person for one in held if one.role == "owner"), task.actor)
    raise Denied(
        f"{person} may not {_MAY[role]} in {task.name!r}",
        f"that takes the role {role}, and {person} is {mine or 'none'}",
        f"{owner} can give it: `%mlops label role {task.name} {person} {role}`",
        code="E-LABEL-102",
    )


def _held(session: Session, task: TaskRecord) -> list[Held]:
    """All roles, owners first."""
    rows = session.scalars(select(RoleRecord).where(RoleRecord.task == task.id))
    held = [Held(row.person, cast("Role", row.role), row.actor, row.given_at) for row in rows]
    return sorted(held, key=lambda one: (-_ORDER.index(one.role), one.person))

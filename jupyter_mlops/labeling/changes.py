"""A task's rules changed while people label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from jupyter_mlops.labeling import guidelines
from jupyter_mlops.labeling.annotations import decisions_on, settle
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.progress import TaskState, status
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import locked
from jupyter_mlops.workspace.errors import Conflict

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["change_rules"]

_CHUNK = 500


def change_rules(ws: Workspace, name: str, changes: Mapping[str, Any]) -> TaskState:
    """Change a task's rules; what stands of the decisions so far follows from the new ones.

    With a larger overlap items that were done want more opinions; with a smaller one items
    are done that waited. Another guideline is a new version of it: earlier ones are kept, and
    each decision names the one that was shown.

    Parameters
    ----------
    ws : Workspace
        Its user must own the task.
    name : str
        The task's name or id.
    changes : dict
        Rules by name; see `Rules`.

    Raises
    ------
    Denied
        The user isn't the owner.
    Invalid
        A rule can't be kept.
    Conflict
        The scale of ratings that were given already would change.
    """
    with ws.write() as tx:
        row = locked(tx.session, name)
        demand(tx.session, row, ws.user, "owner")
        before = Rules.of(row.settings)
        row.settings = Rules.changed(row.settings, changes)
        rules = Rules.of(row.settings)
        decided = select(AnnotationRecord.item).where(AnnotationRecord.task == row.id).distinct()
        items = tx.session.scalars(decided.order_by(AnnotationRecord.item)).all()
        if rules.scale != before.scale and items and row.answer == "rating":
            raise Conflict(
                f"{row.name!r} keeps its scale",
                f"ratings from {before.scale[0]} to {before.scale[1]} were given already",
                "make another task for another scale",
                code="E-LABEL-125",
            )
        if (rules.overlap, rules.threshold) != (before.overlap, before.threshold):
            for start in range(0, len(items), _CHUNK):
                part = items[start : start + _CHUNK]
                wanted = (ItemRecord.task == row.id) & ItemRecord.item.in_(part)
                rows = tx.session.scalars(select(ItemRecord).where(wanted)).all()
                settle(row, rules, rows, decisions_on(tx.session, row, rows))
        told = {one: changes[one] for one in changes if one != "guideline"}
        if "guideline" in changes:
            told["guideline"] = guidelines.keep(tx.session, row, rules.guideline, ws.user)
        tx.emit("label.rules_changed", f"label:{row.name}", payload=told)
    return status(ws, name)

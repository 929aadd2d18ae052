"""What a labeler and the store say to each other, as JSON: by HTTP and by comm alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from jupyter_mlops.labeling.annotations import Refusal, commit
from jupyter_mlops.labeling.decisions import Decision
from jupyter_mlops.labeling.desk import ClaimedItem
from jupyter_mlops.labeling.leases import claim, release, renew
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord, OpinionRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Counts, Task, get
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, NotFound, closest

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["ACTIONS", "answer", "describe"]

ACTIONS = ("state", "claim", "events", "renew", "release")
MOST_RECENT = 50
MOST_HELD = 1000


def answer(ws: Workspace, task: str, person: str, action: str, body: Any) -> dict[str, Any]:
    """Do what a labeler asks.

    Parameters
    ----------
    ws : Workspace
    task : str
        The task's name or id.
    person : str
        Who asks: the server's user, or the kernel's.
    action : str
        ``state``, ``claim``, ``events``, ``renew`` or ``release``.
    body : dict
        What the action takes: ``claim`` ``{session, count, holding, recent}``, ``events``
        ``{events: […]}``, ``renew`` and ``release`` ``{session}``.

    Returns
    -------
    dict
        JSON. ``claim`` answers ``{items, recent, counts}``, ``events``
        ``{accepted, refused, counts}``.

    Raises
    ------
    Invalid, NotFound
        The action, the body or the task makes no sense.
    """
    if not isinstance(body, Mapping):
        raise Invalid(f"`{action}` takes a JSON object", code="E-LABEL-022")
    if action == "state":
        found = get(ws, task)
        return {"task": describe(found), "counts": _counts(found.counts)}
    if action == "claim":
        return _claim(ws, task, person, body)
    if action == "events":
        return _events(ws, task, person, body)
    if action == "renew":
        return {"held": renew(ws, task, person, _session(body))}
    if action == "release":
        release(ws, task, person, _session(body))
        return {"held": 0}
    raise NotFound(
        f"a labeler can't ask for {action!r}",
        f"it can ask for {', '.join(ACTIONS)}",
        closest(action, ACTIONS),
        code="E-LABEL-023",
    )


def describe(task: Task) -> dict[str, Any]:
    """What a labeler must know of a task: how it shows an item and what it takes as an answer."""
    shown = ("scale", "guideline", "fps")
    rules = Rules.of(task.settings)
    settings = {name: task.settings[name] for name in shown if name in task.settings}
    return {
        "id": task.id,
        "name": task.name,
        "kind": task.kind,
        "answer": task.answer,
        "classes": list(task.classes),
        "settings": {
            **settings,
            "requeue": rules.requeue,
            "guideline_version": rules.guideline_version,
        },
    }


def _claim(ws: Workspace, task: str, person: str, body: Mapping[str, Any]) -> dict[str, Any]:
    count, recent = body.get("count", 16), body.get("recent", 0)
    holding = body.get("holding", [])
    numbers = [count, recent, *holding] if isinstance(holding, list) else [None]
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in numbers) or (
        len(numbers) > MOST_HELD
    ):
        raise Invalid(
            "`claim` takes whole numbers as count, recent and in the list holding",
            code="E-LABEL-024",
        )
    given = claim(ws, task, person, count, session=_session(body), holding=holding)
    return {
        "items": [_item(one) for one in given.items],
        "recent": _recent(ws, task, person, min(recent, MOST_RECENT)),
        "counts": _counts(given.counts),
        "epoch": given.epoch,
        # Classes may have been added since the labeler was opened.
        "task": describe(get(ws, task)),
    }


def _events(ws: Workspace, task: str, person: str, body: Mapping[str, Any]) -> dict[str, Any]:
    events = body.get("events")
    if not isinstance(events, list):
        raise Invalid("`events` takes a list of decisions", code="E-LABEL-025")
    decisions, misfits = [], []
    for one in events:
        try:
            decisions.append(Decision.read(one))
        except MLOpsError as error:
            # One that can't be read must not keep the others from being stored.
            if not (isinstance(one, Mapping) and isinstance(one.get("ev"), str)):
                raise
            misfits.append(Refusal(one["ev"], f"{error.what}: {error.why}"))
    receipt = commit(ws, task, person, decisions)
    return {
        "accepted": list(receipt.accepted),
        "refused": [{"ev": one.ev, "what": one.what} for one in (*receipt.refused, *misfits)],
        "counts": _counts(receipt.counts),
    }


def _recent(ws: Workspace, task: str, person: str, count: int) -> list[dict[str, Any]]:
    """The person's last standing decisions, oldest first: what undo takes back after a reload."""
    if count < 1:
        return []
    found = get(ws, task)
    with ws.read() as session:
        # One's own decisions only: what others said must not sway anybody.
        mine = (OpinionRecord.task == ItemRecord.task) & (OpinionRecord.item == ItemRecord.item)
        rows = session.execute(
            select(ItemRecord, AnnotationRecord)
            .join(OpinionRecord, mine)
            .join(AnnotationRecord, AnnotationRecord.ev == OpinionRecord.ev)
            .where(OpinionRecord.task == found.id, OpinionRecord.person == person)
            .order_by(OpinionRecord.number.desc())
            .limit(count)
        ).all()
        return [
            {"ev": event.ev, "value": event.value, **_item(ClaimedItem.of(row))}
            for row, event in reversed(rows)
        ]


def _item(item: ClaimedItem) -> dict[str, Any]:
    found: dict[str, Any] = {"item": item.item, "digest": item.digest}
    if item.suggestion:
        found["suggestion"] = item.suggestion
    if item.text is not None:
        return found | {"text": item.text}
    return found | {"media": item.media, "size": item.size}


def _counts(counts: Counts) -> dict[str, int]:
    return {
        "total": counts.total,
        "labeled": counts.labeled,
        "skipped": counts.skipped,
        "open": counts.open,
    }


def _session(body: Mapping[str, Any]) -> str:
    session = body.get("session", "")
    if not isinstance(session, str) or not re.fullmatch(r"[A-Za-z0-9_\-]{1,64}", session):
        raise Invalid(
            "a labeler names its session", "1 to 64 letters and digits", code="E-LABEL-026"
        )
    return session

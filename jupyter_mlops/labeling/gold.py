"""Items with a known answer, slipped in among the others to see how well people label."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_mlops.labeling.annotations import MOST_EVENTS, commit
from jupyter_mlops.labeling.decisions import Decision
from jupyter_mlops.labeling.imports import item_numbers, read_columns
from jupyter_mlops.labeling.items import Source
from jupyter_mlops.labeling.quality import People, people
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["known_answers", "set_gold"]

MOST_GOLD = 2000


def set_gold(ws: Workspace, name: str, known: Mapping[int, Any]) -> People:
    """Say what the right answer of some items is.

    Each is given to everybody once, among the items that are open, in an order of each
    person's own. Its known answer stands in exports. The same again changes nothing.

    Parameters
    ----------
    ws : Workspace
        Its user must be a reviewer or the owner.
    name : str
        The task's name or id.
    known : dict
        The answer by the item's number, 2,000 at the most.

    Returns
    -------
    People

    Raises
    ------
    Denied
        The user is no reviewer.
    Invalid
        An item or an answer doesn't fit; nothing after it is stored.
    """
    task = get(ws, name)
    if not 1 <= len(known) <= MOST_GOLD:
        raise Invalid(
            f"{len(known):,} items can't be gold",
            fix=f"name 1 to {MOST_GOLD:,}; some dozens tell how well people label",
            code="E-LABEL-110",
        )
    decisions = [
        Decision(_ev(task, item, value), item, "gold", value) for item, value in known.items()
    ]
    for start in range(0, len(decisions), MOST_EVENTS):
        receipt = commit(ws, task.id, ws.user, decisions[start : start + MOST_EVENTS])
        if receipt.refused:
            raise Invalid(
                f"an item of {task.name!r} can't be gold",
                receipt.refused[0].what,
                code="E-LABEL-111",
            )
    return people(ws, task.id)


def known_answers(
    ws: Workspace,
    name: str,
    source: Source,
    column: str,
    *,
    item: str | None = None,
    key: str | None = None,
) -> dict[int, Any]:
    """Known answers from a table, by the item's number; empty ones are left out.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.
    source : Source
        The table.
    column : str
        The column with the answers.
    item, key : str, optional
        The column with the items' numbers, or with their keys. Without either the table has
        a row for each item, in the task's order.

    Raises
    ------
    Invalid, NotFound
        A column isn't there, or a row names no item.
    """
    task = get(ws, name)
    frame = read_columns(source, [one for one in (column, item, key) if one])
    numbers = item_numbers(ws, task, frame, item, key)
    found = zip(numbers, frame[column].to_list(), strict=True)
    plain = task.answer == "class"
    return {one: str(value) if plain else value for one, value in found if value is not None}


def _ev(task: Task, item: int, value: Any) -> str:
    content = f"{task.id}\0{item}\0{json.dumps(value, sort_keys=True)}".encode()
    return f"gold:{hashlib.sha256(content).hexdigest()[:40]}"

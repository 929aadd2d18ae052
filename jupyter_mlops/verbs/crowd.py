"""Verbs for labeling by many: who may what, how well people agree, and who decides."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

from jupyter_mlops.verbs.table import Data, Rest, verb

if TYPE_CHECKING:
    from jupyter_mlops.labeling import Agreement, Disputes, People, Roles, Stats, TaskState
    from jupyter_mlops.workspace import Workspace


@verb("label set", writes=True)
def label_set(
    ws: Workspace,
    task: str,
    *,
    overlap: int | None = None,
    requeue: Literal["never", "me", "others"] | None = None,
    gold: float | None = None,
    audit: float | None = None,
    threshold: float | None = None,
    scale: str | None = None,
    guideline: str | None = None,
    due: str | None = None,
) -> TaskState:
    """Change a labeling task's rules; what stands of the labels so far follows from them.

    Parameters
    ----------
    task : str
        The task; only its owner may.
    overlap : int
        How many people answer each item, without seeing each other's answers.
    requeue : str
        Who sees a skipped item again when the person who skips doesn't say.
    gold : float
        The share of items with a known answer among those handed out.
    audit : float
        The share drawn at random once a strategy chooses the rest.
    threshold : float
        The agreement, 0 to 1, below which an item waits for a reviewer.
    scale : str
        The lowest and the highest rating, such as 1-5.
    guideline : str
        What the classes mean, in Markdown. Another text is a new version; each label says
        under which it was made.
    due : str
        The last day on which the labels are in time, such as 2026-12-31.

    Examples
    --------
    >>> %mlops label set digits --overlap 2 --requeue others
    """
    from jupyter_mlops import labeling

    given = {
        "overlap": overlap,
        "requeue": requeue,
        "gold": gold,
        "audit": audit,
        "threshold": threshold,
        "scale": scale,
        "guideline": guideline,
        "due": due,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    return labeling.change_rules(ws, task, changes)


@verb("label role", writes=True)
def label_role(
    ws: Workspace,
    task: str,
    person: str,
    role: Literal["annotator", "reviewer", "owner", "none"],
) -> Roles:
    """Give a person a role in a labeling task, or take it away.

    Annotators label, reviewers also decide disputes, owners also change the rules. Anybody
    may label until the first annotator is named.

    Parameters
    ----------
    task : str
        The task; only its owner may.
    person : str
        The user's name, as the server or the hub knows it.
    role : str
        The role; none takes it away.

    Examples
    --------
    >>> %mlops label role digits maria reviewer
    """
    from jupyter_mlops import labeling

    return labeling.give_role(ws, task, person, role)


@verb("label people")
def label_people(ws: Workspace, task: str) -> People:
    """Show how much and how well each person labels, with intervals.

    Parameters
    ----------
    task : str
        The task.

    Examples
    --------
    >>> %mlops label people digits
    """
    from jupyter_mlops import labeling

    return labeling.people(ws, task)


@verb("label stats")
def label_stats(ws: Workspace, task: str) -> Stats:
    """Show how labels came to be: under which guideline, chosen and suggested by what.

    Parameters
    ----------
    task : str
        The task.

    Examples
    --------
    >>> %mlops label stats digits
    """
    from jupyter_mlops import labeling

    return labeling.stats(ws, task)


@verb("label agreement")
def label_agreement(ws: Workspace, task: str) -> Agreement:
    """Show how well people agree about a task, by the measures that fit its answers.

    Parameters
    ----------
    task : str
        The task.

    Examples
    --------
    >>> %mlops label agreement digits
    """
    from jupyter_mlops import labeling

    return labeling.agreement(ws, task)


@verb("label disputes")
def label_disputes(ws: Workspace, task: str, *, count: int = 20) -> Disputes:
    """Show the items that wait for a reviewer, with everybody's answers side by side.

    Parameters
    ----------
    task : str
        The task; only its reviewers and its owner may.
    count : int
        How many items at the most.

    Examples
    --------
    >>> %mlops label disputes digits
    """
    from jupyter_mlops import labeling

    return labeling.disputes(ws, task, count=count)


@verb("label adjudicate", writes=True)
def label_adjudicate(
    ws: Workspace, task: str, item: int, value: Rest, *, reason: str = ""
) -> Disputes:
    """Decide what an item is; it stands before all labels, which are kept.

    Parameters
    ----------
    task : str
        The task; only its reviewers and its owner may.
    item : int
        The item's number.
    value : str
        The class; for other answers than classes the answer as JSON.
    reason : str
        Why.

    Examples
    --------
    >>> %mlops label adjudicate digits 17 seven
    """
    from jupyter_mlops import labeling

    found = labeling.get(ws, task)
    return labeling.adjudicate(ws, task, item, _answer(found.answer, value), reason=reason)


@verb("label gold", writes=True)
def label_gold(
    ws: Workspace,
    task: str,
    data: Data,
    *,
    column: str,
    item: str | None = None,
    key: str | None = None,
) -> People:
    """Say what the right answer of some items is, to see how well people label.

    They are slipped in among the others, to each person once.

    Parameters
    ----------
    task : str
        The task; only its reviewers and its owner may.
    data : Data
        A table with the known answers, some dozens of rows.
    column : str
        The column with the answers.
    item : str
        The column with the items' numbers.
    key : str
        The column with the items' keys.

    Examples
    --------
    >>> %mlops label gold digits {known} --column truth --item row
    """
    from jupyter_mlops import data as room
    from jupyter_mlops import labeling

    known = labeling.known_answers(ws, task, room.resolve(ws, data), column, item=item, key=key)
    return labeling.set_gold(ws, task, known)


@verb("label require")
def label_require(
    ws: Workspace,
    task: str,
    *,
    count: int | None = None,
    agreement: float | None = None,
    undisputed: bool = False,
) -> TaskState:
    """Go on only with enough labels that people agree about; else fail with the reason.

    Parameters
    ----------
    task : str
        The task.
    count : int
        The fewest labelled items; all of them when nothing else is required.
    agreement : float
        The least agreement, by the first figure of `label agreement`.
    undisputed : bool
        Whether no item may wait for a reviewer.

    Examples
    --------
    >>> %mlops label require digits --count 200 --agreement 0.8
    """
    from jupyter_mlops import labeling

    return labeling.require(ws, task, count=count, agreed=agreement, undisputed=undisputed)


def _answer(kind: str, value: str) -> Any:
    """The answer that a person wrote: a class as it is, other answers as JSON."""
    if kind in ("class", "pairwise"):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value

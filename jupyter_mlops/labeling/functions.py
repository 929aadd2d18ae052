"""Labels from rules: each votes where it can, and votes are weighed into suggestions.

Source of the table's terms (coverage, overlaps, conflicts): Ratner et al., Snorkel, 2017.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from sqlalchemy import bindparam, select, update

from jupyter_mlops.labeling.coefficients import Estimate, wilson
from jupyter_mlops.labeling.consensus import Floats, dawid_skene, majority
from jupyter_mlops.labeling.membership import demand
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.labeling.tasks import Task, get, locked
from jupyter_mlops.workspace.errors import Invalid, closest
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = [
    "Combine",
    "LabelingFunction",
    "Votes",
    "apply_functions",
    "labeling_function",
    "suggest",
]

Combine = Literal["dawid-skene", "majority"]
ABSTAIN = -1


@dataclass(frozen=True)
class LabelingFunction:
    """A rule: takes an item and returns a class, or None where it can't tell."""

    name: str
    function: Callable[[Any], str | None]

    def __call__(self, item: Any) -> str | None:
        return self.function(item)


@dataclass(frozen=True)
class Rule:
    """How one labeling function does.

    `coverage` is the share of items it votes on, `overlaps` where another votes too,
    `conflicts` where another says something else; `accuracy` is against people's labels,
    with Wilson's interval; `skill` is how likely a vote is right by all votes together.
    """

    name: str
    classes: tuple[str, ...]
    coverage: float
    overlaps: float
    conflicts: float
    accuracy: Estimate
    skill: float | None
    failed: int


@dataclass(frozen=True)
class Votes(Result):
    """What labeling functions say about a task's items.

    `probabilities` has a row an item and a column a class; `covered` tells which items any
    function voted on. `accuracy` is that of the combination against people's labels.
    `suggested` counts the items that were given a suggestion, 0 until `suggest` writes them.
    """

    task: Task
    rules: tuple[Rule, ...]
    combine: str
    covered: int
    accuracy: Estimate
    suggested: int
    probabilities: Floats
    voted: npt.NDArray[np.bool_]
    problem: str = ""


def labeling_function(
    function: Callable[[Any], str | None] | None = None, *, name: str = ""
) -> Any:
    """Make a rule that votes on items.

    The function takes an item's text (of a row of a table: a dict) and returns the name of
    a class, or None to abstain.

    Examples
    --------
    >>> @labeling_function
    ... def fog(text):
    ...     return "weather" if "fog" in text else None
    >>> fog("dense fog"), fog.name
    ('weather', 'fog')
    """
    if function is None:
        return lambda found: labeling_function(found, name=name)
    return LabelingFunction(name or getattr(function, "__name__", "function"), function)


def apply_functions(
    ws: Workspace,
    name: str,
    functions: Iterable[Callable[[Any], str | None]],
    *,
    combine: Combine = "dawid-skene",
    items: Callable[[Sequence[int]], Sequence[Any]] | None = None,
) -> Votes:
    """Let labeling functions vote on every item of a task, and weigh the votes.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id; it must ask for one class an item.
    functions : iterable of callable
        Made with `labeling_function`, or plain functions.
    combine : {"dawid-skene", "majority"}
        How votes become probabilities.
    items : callable, optional
        Items' numbers to what functions are given; the text or the row unless given.

    Returns
    -------
    Votes

    Raises
    ------
    Invalid
        There is no function, two have the same name, or one returns no class of the task.
    """
    task = get(ws, name)
    rules = [
        one if isinstance(one, LabelingFunction) else labeling_function(one) for one in functions
    ]
    _check(task, rules, items is not None)
    numbers, contents, truth = _items(ws, task)
    given = list(items(numbers)) if items is not None else contents
    table, failed, problem = _vote(task, rules, given)
    rows, voters = np.nonzero(table != ABSTAIN)
    probabilities = majority(rows, table[rows, voters], (len(numbers), len(task.classes)))
    voted = (table != ABSTAIN).any(axis=1)
    if combine == "dawid-skene" and voted.any():
        probabilities[voted] = _weighed(table[voted], probabilities[voted])
    skills = _skills(table, probabilities)
    told = tuple(
        _rule(task, one, table, column, truth, skills[column], failed[column])
        for column, one in enumerate(rules)
    )
    sure = voted & (truth != ABSTAIN)
    right = int((probabilities[sure].argmax(axis=1) == truth[sure]).sum())
    accuracy = wilson(right, int(sure.sum()))
    return Votes(task, told, combine, int(voted.sum()), accuracy, 0, probabilities, voted, problem)


def suggest(
    ws: Workspace,
    name: str,
    probabilities: npt.ArrayLike,
    *,
    by: str,
    items: Sequence[int] | None = None,
    least: float = 0.0,
) -> int:
    """Propose a class for open items; people see it beside the item and take it or not.

    Parameters
    ----------
    ws : Workspace
        Its user must own the task.
    name : str
        The task's name or id.
    probabilities : array of shape (items, classes)
        In the order of the task's classes.
    by : str
        What proposes: a model's reference, or ``functions``.
    items : sequence of int, optional
        The rows' items; all of the task's, in order, unless given.
    least : float
        The probability below which nothing is proposed.

    Returns
    -------
    int
        How many items have a suggestion now. An audit item is never given one.
    """
    task = get(ws, name)
    table = np.asarray(probabilities, float)
    numbers = np.arange(task.counts.total) if items is None else np.asarray(items)
    if table.shape != (len(numbers), len(task.classes)) or not np.isfinite(table).all():
        raise Invalid(
            f"suggestions don't fit {task.name!r}",
            f"they have the shape {table.shape}, {(len(numbers), len(task.classes))} is meant",
            code="E-LABEL-120",
        )
    best = table.argmax(axis=1)
    rows = [
        {
            "number": int(item),
            "proposed": {
                "value": task.classes[code],
                "by": by[:200],
                "confidence": round(float(row[code]), 4),
            },
        }
        for item, code, row in zip(numbers, best, table, strict=True)
        if row[code] >= least
    ]
    items_table: Any = ItemRecord.__table__
    with ws.write() as tx:
        row = locked(tx.session, task.id)
        demand(tx.session, row, ws.user, "owner")
        statement = (
            update(items_table)
            .where(
                items_table.c.task == task.id,
                items_table.c.item == bindparam("number"),
                items_table.c.state == "open",
                items_table.c.audit == 0,
            )
            .values(suggestion=bindparam("proposed"))
        )
        if rows:
            tx.session.connection().execute(statement, rows)
        digest = hashlib.sha256(json.dumps(rows).encode()).hexdigest()
        payload = {"by": by[:200], "items": len(rows), "digest": digest}
        tx.emit("label.suggested", task.ref, payload=payload)
    return len(rows)


def _weighed(table: npt.NDArray[np.int64], start: Floats) -> Floats:
    """Dawid and Skene's posterior, where saying nothing is a response as well.

    Most rules know one class only: what tells is where they speak and where they don't.
    """
    items, voters = np.indices(table.shape)
    classes = start.shape[1]
    said = np.where(table == ABSTAIN, classes, table).ravel()
    found = dawid_skene(
        items.ravel(),
        voters.ravel(),
        said,
        (*table.shape, classes),
        responses=classes + 1,
        start=start,
        smoothing=1.0,
    )
    return found.posterior


def _skills(table: npt.NDArray[np.int64], probabilities: Floats) -> list[float | None]:
    """How likely a vote of each function is right, by all votes together."""
    skills: list[float | None] = []
    for said in table.T:
        votes = said != ABSTAIN
        given = probabilities[votes, said[votes]]
        skills.append(float(given.mean()) if len(given) else None)
    return skills


def _check(task: Task, rules: list[LabelingFunction], given: bool) -> None:
    names = [one.name for one in rules]
    wrong = ""
    if not rules:
        wrong = "there is none"
    elif len(set(names)) < len(names):
        wrong = "two have the same name"
    elif task.answer != "class":
        wrong = f"{task.name!r} asks for {task.answer}, they say one class an item"
    elif task.kind not in ("text", "row") and not given:
        wrong = f"{task.name!r} shows {task.kind}s, they are given texts and rows"
    if wrong:
        raise Invalid("these labeling functions can't vote", wrong, code="E-LABEL-121")


def _items(ws: Workspace, task: Task) -> tuple[list[int], list[Any], npt.NDArray[np.int64]]:
    """Items' numbers, what they hold, and people's labels as numbers."""
    codes = {name: number for number, name in enumerate(task.classes)}
    with ws.read() as session:
        rows = session.execute(
            select(ItemRecord.item, ItemRecord.content, ItemRecord.label, AnnotationRecord.session)
            .outerjoin(AnnotationRecord, AnnotationRecord.ev == ItemRecord.ev)
            .where(ItemRecord.task == task.id)
            .order_by(ItemRecord.item)
        ).all()
    contents = [json.loads(row[1]) if str(task.kind) == "row" else row[1] for row in rows]
    truth = [codes.get(row[2] or "", ABSTAIN) for row in rows]
    return [row[0] for row in rows], contents, np.array(truth, np.int64)


def _vote(
    task: Task, rules: list[LabelingFunction], given: list[Any]
) -> tuple[npt.NDArray[np.int64], list[int], str]:
    codes = {name: number for number, name in enumerate(task.classes)}
    table = np.full((len(given), len(rules)), ABSTAIN, np.int64)
    failed, problem = [0] * len(rules), ""
    for column, rule in enumerate(rules):
        for row, item in enumerate(given):
            try:
                said = rule(item)
            except Exception as error:  # a rule that fails on an item abstains there; it is told
                failed[column] += 1
                problem = problem or f"{rule.name}, item {row}: {type(error).__name__}: {error}"
                continue
            if said is None:
                continue
            if said not in codes:
                raise Invalid(
                    f"the labeling function {rule.name!r} says {said!r} of item {row}",
                    f"the classes are {', '.join(task.classes[:20])}",
                    closest(str(said), task.classes) or "return None to abstain",
                    code="E-LABEL-122",
                )
            table[row, column] = codes[said]
    return table, failed, problem


def _rule(
    task: Task,
    rule: LabelingFunction,
    table: npt.NDArray[np.int64],
    column: int,
    truth: npt.NDArray[np.int64],
    skill: float | None,
    failed: int,
) -> Rule:
    mine = table[:, column]
    votes = mine != ABSTAIN
    others = np.delete(table, column, axis=1)
    both = votes[:, None] & (others != ABSTAIN)
    against = both & (others != mine[:, None])
    number = max(1, len(table))
    known = votes & (truth != ABSTAIN)
    right = int((mine[known] == truth[known]).sum())
    return Rule(
        rule.name,
        tuple(task.classes[code] for code in np.unique(mine[votes])),
        float(votes.sum() / number),
        float(both.any(axis=1).sum() / number),
        float(against.any(axis=1).sum() / number),
        wilson(right, int(known.sum())),
        skill if votes.any() else None,
        failed,
    )

"""How well each person labels: by items with a known answer, and by what others say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from jupyter_mlops.labeling.answers import Said, answers, shared, truths
from jupyter_mlops.labeling.coefficients import Estimate, mean, wilson
from jupyter_mlops.labeling.consensus import dawid_skene
from jupyter_mlops.labeling.membership import roles
from jupyter_mlops.labeling.progress import Person, status
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.similarity import same, similarity
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["People", "Quality", "people"]


@dataclass(frozen=True)
class Quality:
    """What one person has done, and how well.

    `gold` is the share of right answers to items with a known answer, `adjudicated` to items
    that a reviewer decided, both with Wilson's interval. `others` is how well this person
    agrees with those who answered the same items. `skill` is how often this person is right
    by Dawid and Skene's estimate, which needs no known answers; None where too few answered
    the same items.
    """

    name: str
    role: str
    done: Person | None
    gold: Estimate
    adjudicated: Estimate
    others: Estimate
    skill: float | None


@dataclass(frozen=True)
class People(Result):
    """Everybody who labels in a task, or may."""

    task: Task
    people: tuple[Quality, ...]
    gold: int
    open: bool


def people(ws: Workspace, name: str) -> People:
    """How much and how well each person labels.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.

    Returns
    -------
    People
        Those with the most labels first.
    """
    task = get(ws, name)
    rules = Rules.of(task.settings)
    said = answers(ws, task)
    known = truths(ws, task)
    held = roles(ws, name)
    ranks = {one.person: str(one.role) for one in held.held}
    done = {one.name: one for one in status(ws, task.id, recent=0).people}
    skills = _skills(task, said)
    alike = _with_others(task, said, rules)
    names = sorted(
        {*ranks, *done}, key=lambda one: (-(done[one].labels if one in done else 0), one)
    )
    found = [
        Quality(
            one,
            ranks.get(one, "annotator" if held.open else "none"),
            done.get(one),
            _right(task, said, one, known, "gold", rules),
            _right(task, said, one, known, "adjudicated", rules),
            mean(alike.get(one, [])),
            skills.get(one),
        )
        for one in names
    ]
    gold = sum(kind == "gold" for kind, _ in known.values())
    return People(task, tuple(found), gold, held.open)


def _right(
    task: Task,
    said: list[Said],
    person: str,
    known: dict[int, tuple[str, Any]],
    kind: str,
    rules: Rules,
) -> Estimate:
    marks = [
        same(task.answer, one.value, known[one.item][1], rules.scale)
        for one in said
        if one.person == person and one.item in known and known[one.item][0] == kind
    ]
    return wilson(sum(marks), len(marks))


def _with_others(task: Task, said: list[Said], rules: Rules) -> dict[str, list[float]]:
    """For each person, the mean similarity to the others, item by item."""
    found: dict[str, list[float]] = {}
    for given in shared(said).values():
        if len(given) < 2:
            continue
        for person, value in given.items():
            scores = [
                similarity(task.answer, value, other, rules.scale)
                for name, other in given.items()
                if name != person
            ]
            found.setdefault(person, []).append(sum(scores) / len(scores))
    return found


def _skills(task: Task, said: list[Said]) -> dict[str, float]:
    if task.answer != "class":
        return {}
    given = {item: found for item, found in shared(said).items() if len(found) > 1}
    names = sorted({name for found in given.values() for name in found})
    # Two people who disagree can't tell who is wrong.
    if len(names) < 3:
        return {}
    codes = {name: number for number, name in enumerate(task.classes)}
    votes = np.array(
        [
            (row, names.index(name), codes[value])
            for row, found in enumerate(given.values())
            for name, value in found.items()
        ]
    )
    shape = (len(given), len(names), len(codes))
    found = dawid_skene(votes[:, 0], votes[:, 1], votes[:, 2], shape)
    return {name: float(skill) for name, skill in zip(names, found.skill, strict=True)}

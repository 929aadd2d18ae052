"""How well people agree about a task, by the measures that fit its answers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import func, select

from jupyter_mlops.labeling.answers import answers, shared
from jupyter_mlops.labeling.coefficients import Estimate, alpha, cohen, fleiss, mean
from jupyter_mlops.labeling.records import ItemRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.similarity import same, similarity
from jupyter_mlops.labeling.tasks import Task, get
from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Agreement", "Measure", "Pair", "agreement"]

Answers = dict[int, dict[str, Any]]
Floats = npt.NDArray[np.float64]

FRAME_SECONDS = 0.1
_MOST_FRAMES = 20_000
_MOST_PAIRS = 60
_TOKEN = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class Measure:
    """One figure of agreement under its usual name."""

    name: str
    estimate: Estimate


@dataclass(frozen=True)
class Pair:
    """How two people agree: Cohen's kappa for classes and ratings, else the mean similarity."""

    first: str
    second: str
    estimate: Estimate


@dataclass(frozen=True)
class Agreement(Result):
    """How well people agree about a task.

    `measures` has the one that sums it up first; `classes` has each class against the rest.
    `items` counts those with two opinions or more, `disputed` those that wait for a reviewer.
    """

    task: Task
    items: int
    people: int
    disputed: int
    measures: tuple[Measure, ...]
    pairs: tuple[Pair, ...]
    classes: tuple[Measure, ...]

    @property
    def value(self) -> float | None:
        """The figure that sums it up, None where no item has two opinions."""
        return self.measures[0].estimate.value


def agreement(ws: Workspace, name: str) -> Agreement:
    """How well people agree about a task, from the items that more than one answered.

    Classes and choices: Krippendorff's alpha, Fleiss' kappa, and the share of equal answers.
    Ratings: alpha for ordinal and for interval data. Several classes: the mean Jaccard
    index, and alpha of each class. Shapes: the mean matched IoU and the share of items with
    at least half of the area matched. Spans: alpha over tokens; stretches of time: alpha
    over frames of 0.1 s up to the last marked one. All with 95 % bootstrap intervals that
    draw items.

    Parameters
    ----------
    ws : Workspace
    name : str
        The task's name or id.

    Returns
    -------
    Agreement
    """
    task = get(ws, name)
    rules = Rules.of(task.settings)
    found = shared(answers(ws, task, least=2))
    people = sorted({person for given in found.values() for person in given})
    with ws.read() as session:
        disputed = session.scalar(
            select(func.count())
            .select_from(ItemRecord)
            .where(ItemRecord.task == task.id, ItemRecord.disputed)
        )
    return Agreement(
        task,
        len(found),
        len(people),
        disputed or 0,
        tuple(_measures(ws, task, found, people, rules)),
        tuple(_pairs(task, found, people, rules)),
        tuple(_by_class(task, found, people)),
    )


def _measures(
    ws: Workspace, task: Task, found: Answers, people: list[str], rules: Rules
) -> list[Measure]:
    alike = _alike(task, found, rules)
    if task.answer in ("class", "pairwise"):
        table = _coded(found, people)
        return [
            Measure("Krippendorff's alpha, nominal", alpha(table)),
            Measure("Fleiss' kappa", fleiss(table)),
            Measure("Equal answers", mean(alike)),
        ]
    if task.answer == "rating":
        table = _table(found, people, lambda value: float(value))
        return [
            Measure("Krippendorff's alpha, ordinal", alpha(table, "ordinal")),
            Measure("Krippendorff's alpha, interval", alpha(table, "interval")),
            Measure("Mean closeness on the scale", mean(alike)),
        ]
    if task.answer == "spans":
        units, groups = _tokens(ws, task, found, people)
        return [
            Measure("Alpha over tokens", alpha(units, groups=groups)),
            Measure("Mean overlap (Dice)", mean(alike)),
        ]
    if task.answer in ("regions", "segments"):
        units, groups = _frames(found, people)
        return [
            Measure("Alpha over frames of 0.1 s", alpha(units, groups=groups)),
            Measure("Mean overlap (Dice)", mean(alike)),
        ]
    if task.answer == "classes":
        return [
            Measure("Mean Jaccard index", mean(alike)),
            Measure("Equal answers", mean(_alike(task, found, rules, whole=True))),
        ]
    if task.answer == "text":
        return [Measure("Equal answers", mean(alike))]
    return [
        Measure("Mean matched IoU", mean(alike)),
        Measure("Items with half or more matched", mean(_alike(task, found, rules, whole=True))),
    ]


def _pairs(task: Task, found: Answers, people: list[str], rules: Rules) -> list[Pair]:
    """Each two people who answered the same items, those with the most in common first."""
    common = {
        pair: [given for given in found.values() if pair[0] in given and pair[1] in given]
        for pair in combinations(people, 2)
    }
    ranked = sorted((pair for pair in common if common[pair]), key=lambda one: -len(common[one]))
    pairs = []
    for first, second in ranked[:_MOST_PAIRS]:
        given = common[first, second]
        if task.answer in ("class", "pairwise", "rating"):
            table = _coded(dict(enumerate(given)), [first, second])
            if task.answer == "rating":
                table = _table(dict(enumerate(given)), [first, second], float)
            weights: Any = "quadratic" if task.answer == "rating" else ""
            estimate = cohen(table[:, 0], table[:, 1], weights)
        else:
            likes = [similarity(task.answer, one[first], one[second], rules.scale) for one in given]
            estimate = mean(likes)
        pairs.append(Pair(first, second, estimate))
    return pairs


def _by_class(task: Task, found: Answers, people: list[str]) -> list[Measure]:
    """Alpha of each class against the rest: where the guideline is unclear."""
    if task.answer not in ("class", "classes"):
        return []
    measures = []
    for name in task.classes[:100]:
        table = _table(found, people, lambda value, one=name: float(_has(value, one)))
        if np.nansum(table):
            measures.append(Measure(name, alpha(table)))
    return measures


def _has(value: Any, name: str) -> bool:
    return name in value if isinstance(value, list) else bool(value == name)


def _alike(task: Task, found: Answers, rules: Rules, *, whole: bool = False) -> list[float]:
    """The mean similarity within each item; if `whole`, the share of pairs that are the same."""
    measure = same if whole else similarity
    result = []
    for given in found.values():
        values = list(given.values())
        scores = [
            float(measure(task.answer, a, b, rules.scale)) for a, b in combinations(values, 2)
        ]
        result.append(sum(scores) / len(scores))
    return result


def _table(found: Answers, people: list[str], code: Any) -> Floats:
    """Answers as numbers, shape (items, people), NaN where there is none."""
    columns = {person: number for number, person in enumerate(people)}
    table = np.full((len(found), len(people)), np.nan)
    for row, given in enumerate(found.values()):
        for person, value in given.items():
            if person in columns:
                table[row, columns[person]] = code(value)
    return table


def _coded(found: Answers, people: list[str]) -> Floats:
    codes: dict[str, int] = {}
    return _table(found, people, lambda value: codes.setdefault(str(value), len(codes)))


def _tokens(
    ws: Workspace, task: Task, found: Answers, people: list[str]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """What each person says each token is, and the token's item."""
    with ws.read() as session:
        wanted = (ItemRecord.task == task.id) & (ItemRecord.opinions >= 2)
        texts = dict(
            session.execute(select(ItemRecord.item, ItemRecord.content).where(wanted))
            .tuples()
            .all()
        )
    bounds: dict[int, list[tuple[float, float]]] = {
        item: [(one.start(), one.end()) for one in _TOKEN.finditer(texts.get(item, ""))]
        for item in found
    }
    return _units(found, people, bounds)


def _frames(found: Answers, people: list[str]) -> tuple[Floats, npt.NDArray[np.int64]]:
    """What each person says each moment is, and the moment's item."""
    bounds = {}
    for item, given in found.items():
        last = max((one["end"] for marks in given.values() for one in marks), default=0.0)
        count = min(_MOST_FRAMES, int(np.ceil(last / FRAME_SECONDS)))
        middles = (np.arange(count) + 0.5) * FRAME_SECONDS
        bounds[item] = [(float(at), float(at)) for at in middles]
    return _units(found, people, bounds)


def _units(
    found: Answers, people: list[str], bounds: dict[int, list[tuple[float, float]]]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    columns = {person: number for number, person in enumerate(people)}
    codes: dict[frozenset[str], int] = {frozenset(): 0}
    groups = np.repeat(list(found), [len(bounds[item]) for item in found]).astype(np.int64)
    units = np.full((len(groups), len(people)), np.nan)
    row = 0
    for item, given in found.items():
        for start, end in bounds[item]:
            for person, marks in given.items():
                names = frozenset(
                    one["label"]
                    for one in marks
                    if one["start"] <= start < one["end"] or start < one["start"] < end
                )
                units[row, columns[person]] = codes.setdefault(names, len(codes))
            row += 1
    return units, groups

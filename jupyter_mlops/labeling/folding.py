"""From all decisions on an item to what stands."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_mlops.labeling.records import AnnotationRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.similarity import similarity

__all__ = ["Standing", "agreement_of", "fold", "opinions"]


@dataclass(frozen=True)
class Standing:
    """What an item's decisions come to.

    `opinions` counts the people whose label stands; `agreement` is the mean similarity of
    each two of them.
    """

    state: str = "open"
    value: Any = None
    person: str | None = None
    ev: str | None = None
    opinions: int = 0
    agreement: float | None = None
    disputed: bool = False
    gold: bool = False


def fold(
    events: Iterable[AnnotationRecord], answer: str = "class", rules: Rules | None = None
) -> Standing:
    """The current state of one item from all its decisions, in the order they were stored.

    Undone decisions don't count. A reviewer's word stands before everything, then a gold
    answer. Otherwise, once enough people have labelled the item, the opinion that agrees
    best with the others stands (for classes: the majority), and of equals the one that was
    given first. A skip that nobody should see again closes the item; labels count before it.
    """
    rules = rules or Rules()
    standing = _standing(events)
    labels = _labels(standing)
    agreement = agreement_of([one.value for one in labels], answer, rules)
    count = len(labels)
    last_words = [one for one in standing if one.kind in ("adjudicate", "gold")]
    if last_words:
        word = max(last_words, key=lambda one: (one.kind == "adjudicate", one.number))
        known = any(one.kind == "gold" for one in last_words)
        return Standing("labeled", word.value, word.person, word.ev, count, agreement, gold=known)
    closing = [one for one in _last(standing) if one.kind == "skip" and closes(one)]
    if count >= rules.overlap or (closing and labels):
        best = _best(labels, answer, rules)
        disputed = agreement is not None and agreement < rules.threshold
        return Standing("labeled", best.value, best.person, best.ev, count, agreement, disputed)
    if closing:
        return Standing("skipped", None, closing[0].person, closing[0].ev)
    return Standing(opinions=count, agreement=agreement)


def opinions(events: Iterable[AnnotationRecord]) -> dict[str, AnnotationRecord]:
    """The label or skip of each person that stands."""
    return {one.person: one for one in _last(_standing(events))}


def agreement_of(values: Sequence[Any], answer: str, rules: Rules) -> float | None:
    """The mean similarity of each two answers; None for fewer than two."""
    if len(values) < 2:
        return None
    found = [
        similarity(answer, values[i], values[j], rules.scale)
        for i in range(len(values))
        for j in range(i)
    ]
    return sum(found) / len(found)


def closes(skip: AnnotationRecord) -> bool:
    """Whether a skip takes the item out of everybody's queue."""
    return skip.requeue not in ("me", "others")


def _standing(events: Iterable[AnnotationRecord]) -> list[AnnotationRecord]:
    history = sorted(events, key=lambda event: event.number)
    undone = {event.undoes for event in history if event.kind == "undo"}
    return [event for event in history if event.kind != "undo" and event.ev not in undone]


def _last(standing: list[AnnotationRecord]) -> list[AnnotationRecord]:
    """Each person's last word."""
    last = {one.person: one for one in standing if one.kind in ("label", "skip")}
    return list(last.values())


def _labels(standing: list[AnnotationRecord]) -> list[AnnotationRecord]:
    """The label of each person, in the order in which people first gave one."""
    first: dict[str, int] = {}
    for event in standing:
        if event.kind == "label":
            first.setdefault(event.person, event.number)
    labels = [event for event in _last(standing) if event.kind == "label"]
    return sorted(labels, key=lambda event: first[event.person])


def _best(labels: list[AnnotationRecord], answer: str, rules: Rules) -> AnnotationRecord:
    """The label that agrees best with the others: their medoid."""
    if len(labels) < 3:
        return labels[0]
    scores = [
        sum(similarity(answer, one.value, other.value, rules.scale) for other in labels)
        for one in labels
    ]
    return labels[scores.index(max(scores))]

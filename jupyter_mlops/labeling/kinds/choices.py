"""Answers picked from a list: one class, several, a rating, or the better of two."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.kinds.question import Question, Wrong, pick

__all__ = ["SIDES", "read_class", "read_classes", "read_pairwise", "read_rating", "scale"]

SIDES = ("left", "right", "tie")
SCALE = (1, 5)
WIDEST = 10  # a key a step


def read_class(value: Any, question: Question) -> str:
    """One class."""
    return pick(value, question)


def read_classes(value: Any, question: Question) -> list[str]:
    """Any number of classes, none included, put into the task's order."""
    if not isinstance(value, list):
        raise Wrong("several classes come as a list")
    chosen = {pick(one, question) for one in value}
    return [name for name in question.classes if name in chosen]


def read_rating(value: Any, question: Question) -> int:
    """A whole number within the task's scale."""
    low, high = scale(question)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise Wrong(f"a rating is a whole number from {low} to {high}, not {value!r}")
    return value


def read_pairwise(value: Any, _question: Question) -> str:
    """Which of two is better."""
    if value not in SIDES:
        raise Wrong(f"a comparison is left, right or tie, not {value!r}")
    return str(value)


def scale(question: Question) -> tuple[int, int]:
    """The lowest and the highest rating of a task, 1 and 5 unless its settings say otherwise.

    Raises
    ------
    Wrong
        The setting is no pair of whole numbers, or spans more than ten steps.
    """
    found = question.settings.get("scale", SCALE)
    if not (
        isinstance(found, list | tuple)
        and len(found) == 2
        and all(isinstance(one, int) and not isinstance(one, bool) for one in found)
        and 0 < found[1] - found[0] < WIDEST
    ):
        raise Wrong(f"a scale is two whole numbers at most {WIDEST - 1} apart, not {found!r}")
    return found[0], found[1]

"""What an answer is checked against, and the readings that several kinds of answers share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

__all__ = ["MOST_SHAPES", "Question", "Wrong", "labelled", "number", "pick", "whole"]

# More than a person draws by hand on one item, and little enough for one commit.
MOST_SHAPES = 2000


class Wrong(ValueError):
    """An answer doesn't fit its question; the text says why in one sentence."""


class Question(Protocol):
    """What a task asks: a task and its record both fit."""

    @property
    def answer(self) -> str: ...

    @property
    def classes(self) -> Sequence[str]: ...

    @property
    def settings(self) -> Mapping[str, Any]: ...


def pick(value: Any, question: Question) -> str:
    """One of the task's classes."""
    if not isinstance(value, str) or value not in question.classes:
        raise Wrong(f"{value!r} is no class of the task")
    return value


def labelled(value: Any, question: Question, what: str) -> list[tuple[str, Mapping[str, Any]]]:
    """A list of objects that each carry a class: (class, object) an entry."""
    if not isinstance(value, list):
        raise Wrong(f"{what} come as a list")
    if len(value) > MOST_SHAPES:
        raise Wrong(f"{len(value):,} {what} are more than {MOST_SHAPES:,}")
    found = []
    for place, one in enumerate(value, 1):
        if not isinstance(one, Mapping):
            raise Wrong(f"number {place} of the {what} is no object")
        found.append((pick(one.get("label"), question), one))
    return found


def number(found: Mapping[str, Any], name: str, *, low: float = -math.inf) -> float:
    """A finite number of at least `low`."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Wrong(f"{name} is a number, not {value!r}")
    if value < low:
        raise Wrong(f"{name} is at least {low:g}, not {value:g}")
    return float(value)


def whole(found: Mapping[str, Any], name: str, *, low: int = 0) -> int:
    """A whole number of at least `low`."""
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value < 1 << 53:
        raise Wrong(f"{name} is a whole number from {low}, not {value!r}")
    return value

"""The rules of a task: how many opinions an item needs, who sees a skipped one again, and so on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any, Literal, cast, get_args

from jupyter_mlops.labeling.kinds.choices import WIDEST
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["Again", "Rules", "version_of"]

Again = Literal["me", "others", "never"]
MOST_OPINIONS = 20
GUIDELINE_LIMIT = 100_000
MOST_FPS = 1000


@dataclass(frozen=True)
class Rules:
    """What holds for every item of a task.

    Parameters
    ----------
    overlap : int
        How many people answer each item, each without seeing the others' answers.
    requeue : {"never", "me", "others"}
        Who sees a skipped item again, when the person who skips doesn't say.
    gold : float
        The share of items with a known answer among those that are handed out, 0 to 0.5.
    audit : float
        The share of items drawn at random among those that are handed out once a strategy
        chooses the rest, 0 to 0.5.
    threshold : float
        An item whose opinions agree less than this, 0 to 1, waits for a reviewer.
    scale : tuple of int
        The lowest and the highest rating.
    guideline : str
        What the classes mean, in Markdown.
    fps : float
        Frames a second by which the tracks of a film are counted.
    due : str
        The last day on which the labels are in time, such as 2026-12-31; empty without one.
    """

    overlap: int = 1
    requeue: Again = "never"
    gold: float = 0.1
    audit: float = 0.08
    threshold: float = 0.5
    scale: tuple[int, int] = (1, 5)
    guideline: str = ""
    fps: float = 25.0
    due: str = ""

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Rules:
        """The rules among a task's settings, checked.

        Raises
        ------
        Invalid
            A rule can't be kept; the error says which.

        Examples
        --------
        >>> Rules.of({"overlap": 3}).overlap
        3
        """
        known = {one.name for one in fields(cls)}
        found = {name: value for name, value in settings.items() if name in known}
        if "scale" in found:
            found["scale"] = _scale(found["scale"])
        rules = cls(**found)
        rules._check()
        return rules

    @classmethod
    def changed(cls, settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """Settings with some rules changed, as they are stored.

        Raises
        ------
        Invalid
            There is no such rule, or it can't be kept.
        """
        known = [one.name for one in fields(cls)]
        for name in changes:
            if name not in known:
                raise Invalid(
                    f"a labeling task has no rule {name!r}",
                    f"there are {', '.join(known)}",
                    closest(name, known),
                    code="E-LABEL-103",
                )
        merged = {**settings, **changes}
        kept = asdict(cls.of(merged))
        kept["scale"] = list(kept["scale"])
        return {**merged, **{name: kept[name] for name in kept if name in merged}}

    @property
    def guideline_version(self) -> str:
        """The version of the guideline that holds; empty without one."""
        return version_of(self.guideline)

    @property
    def last_day(self) -> date | None:
        """The day on which the labels are due; None without one."""
        return date.fromisoformat(self.due) if self.due else None

    def _check(self) -> None:
        wrong = ""
        if not _whole(self.overlap) or not 1 <= self.overlap <= MOST_OPINIONS:
            wrong = f"overlap is a number of people, 1 to {MOST_OPINIONS}"
        elif self.requeue not in get_args(Again):
            wrong = "requeue is me, others or never"
        elif not _share(self.gold, 0.5) or not _share(self.audit, 0.5):
            wrong = "gold and audit are shares, 0 to 0.5"
        elif not _share(self.threshold, 1):
            wrong = "threshold is an agreement, 0 to 1"
        elif not 0 < self.scale[1] - self.scale[0] < WIDEST:
            wrong = f"scale is two whole numbers, the lower first, {WIDEST - 1} apart at the most"
        elif not isinstance(self.guideline, str) or len(self.guideline) > GUIDELINE_LIMIT:
            wrong = f"guideline is a text of up to {GUIDELINE_LIMIT:,} characters"
        elif not _share(self.fps, MOST_FPS) or self.fps == 0:
            wrong = f"fps is frames a second, above 0 and up to {MOST_FPS:,}"
        elif not _day(self.due):
            wrong = "due is a day, written 2026-12-31, or empty"
        if wrong:
            raise Invalid("a labeling task can't have this rule", wrong, code="E-LABEL-104")


def version_of(guideline: str) -> str:
    """Sixteen digits that change with a guideline's text; empty without one."""
    return hashlib.sha256(guideline.encode()).hexdigest()[:16] if guideline else ""


def _scale(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        low, _, high = value.partition("-")
        value = [int(part) if part.strip().isdigit() else None for part in (low, high)]
    if not isinstance(value, list | tuple) or len(value) != 2 or not all(map(_whole, value)):
        raise Invalid(f"{value!r} is no scale", "a scale is written 1-5", code="E-LABEL-105")
    return cast("tuple[int, int]", tuple(value))


def _day(value: Any) -> bool:
    if value == "":
        return True
    try:
        return bool(date.fromisoformat(value).isoformat() == value)
    except (TypeError, ValueError):
        return False


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _share(value: Any, most: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= most

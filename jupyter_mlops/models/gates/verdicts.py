"""What became of gates: a line each, with its numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from jupyter_mlops.models.versions import ModelVersion
from jupyter_mlops.workspace import Result

__all__ = ["GateCheck", "Line", "Verdict"]

Verdict = Literal["pass", "fail", "unknown"]


@dataclass(frozen=True)
class Line:
    """What became of one gate.

    Attributes
    ----------
    name, expression : str
    verdict : {"pass", "fail", "unknown"}
    reason : str
        One sentence.
    value, bound : float or None
        What was measured, and what it was held against; seconds for a latency.
    low, high : float or None
        The interval of `value`, or of the difference to another version where `of` says so.
    of : {"value", "difference"}
    rows, groups : int or None
        How many rows (predictions, for a latency) and groups of rows it rests on.
    against : str
        The other version, as ``name@version``.
    """

    name: str
    expression: str
    verdict: Verdict
    reason: str
    value: float | None = None
    bound: float | None = None
    low: float | None = None
    high: float | None = None
    of: Literal["value", "difference"] = "value"
    rows: int | None = None
    groups: int | None = None
    against: str = ""


@dataclass(frozen=True)
class GateCheck(Result):
    """What became of all gates of a version.

    Attributes
    ----------
    champion : str
        The version at champion then, as ``name@version``; empty when there was none.
    event : int
        The number of the event that keeps this; 0 when the model has no gates.
    """

    version: ModelVersion
    lines: tuple[Line, ...]
    champion: str
    at: datetime
    actor: str
    event: int = 0

    @property
    def passed(self) -> bool:
        """Whether every gate passed."""
        return all(line.verdict == "pass" for line in self.lines)

    @property
    def failing(self) -> tuple[Line, ...]:
        """Those that didn't."""
        return tuple(line for line in self.lines if line.verdict != "pass")

"""What is being done while an environment is made, for whoever waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from jupyter_mlops.workspace import Result

__all__ = ["Stage", "Stages"]

_TOTAL: Final = 4


@dataclass(frozen=True)
class Stage(Result):
    """One of the four things that making an environment takes.

    Attributes
    ----------
    name : str
        The environment's.
    doing : str
        What is being done.
    done, total : int
        Stages that are over, and all.
    seconds : float
        Since it began.
    """

    name: str
    doing: str
    done: int
    total: int | None
    seconds: float

    @property
    def line(self) -> str:
        """How far it is, in one line."""
        step = f"step {self.done + 1} of {self.total}"
        return f"{self.name}: {self.doing} ({step}, {self.seconds:.0f} s)"


class Stages:
    """Tells one stage after the other.

    Parameters
    ----------
    name : str
        The environment's.
    tell : callable, optional
        Takes a `Stage`, at its beginning and now and then while it lasts.

    Examples
    --------
    >>> stages = Stages("tiny", lambda stage: print(stage.line))
    >>> stages.begin(0, "finding versions that go together")
    tiny: finding versions that go together (step 1 of 4, 0 s)
    """

    def __init__(self, name: str, tell: Callable[[Stage], None] | None = None) -> None:
        self._name = name
        self._tell = tell
        self._began = time.monotonic()
        self._now = (0, "")

    def begin(self, done: int, doing: str) -> None:
        """Say that a stage begins."""
        self._now = (done, doing)
        self.tick()

    def tick(self) -> None:
        """Say that it lasts."""
        if self._tell is not None:
            done, doing = self._now
            seconds = time.monotonic() - self._began
            self._tell(Stage(self._name, doing, done, _TOTAL, seconds))

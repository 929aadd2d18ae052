"""How far a long verb is, told to whichever face set it off.

A face hands in what draws (`shown_by`), a verb passes on what it gets (`teller`) to the room
that does the work, and neither the verb nor the room knows who looks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from jupyter_mlops.workspace.results import Result

if TYPE_CHECKING:
    from jupyter_mlops.views.blocks import View

__all__ = ["Step", "Underway", "shown_by", "teller"]

#: Seconds between two looks, and how many times as long as drawing must pass between them.
_PAUSE: Final = 0.3
_SPARING: Final = 8.0


class Step(Protocol):
    """What a room tells of a long pass, as `jupyter_mlops.profiling.Progress` does."""

    rows: int
    total: int | None
    seconds: float
    due: bool

    def profile(self) -> Result:
        """What is known so far."""


@dataclass(frozen=True)
class Underway(Result):
    """What is known while a verb goes on.

    Attributes
    ----------
    partial : Result or None
        What is known so far.
    done, total : int
        Rows; `total` is None when nobody knows.
    seconds : float
        Since it began.
    """

    partial: Any
    done: int
    total: int | None
    seconds: float

    def as_view(self) -> View:
        """The figures known so far below a bar; no judgement, which would come too early."""
        from jupyter_mlops.views import view
        from jupyter_mlops.views.blocks import Explorer, Facts, Progress, View

        bar = Progress(done=self.done, total=self.total, seconds=round(self.seconds, 2))
        if self.partial is None:
            return View(kind="profile", title="Reading", blocks=[bar])
        whole = view(self.partial)
        blocks = [
            # Opened columns would make each look several times as large.
            one.model_copy(update={"details": {}, "pages": None, "detail": None})
            if isinstance(one, Explorer)
            else one
            for one in whole.blocks
            if isinstance(one, Facts | Explorer)
        ]
        update = {"blocks": [bar, *blocks], "ref": None, "line": "", "subtitle": "so far"}
        return whole.model_copy(update=update)


@dataclass(frozen=True)
class _Face:
    draw: Callable[[Underway], None]
    partial: bool


_face: ContextVar[_Face | None] = ContextVar("_face", default=None)


@contextmanager
def shown_by(draw: Callable[[Underway], None], *, partial: bool = True) -> Iterator[None]:
    """Let verbs run inside tell their progress to `draw`.

    Parameters
    ----------
    draw : callable
        Shows an `Underway`. It is called at once for the first rows and seldom enough
        afterwards that drawing doesn't slow the work down.
    partial : bool
        Whether it shows what is known so far too, which takes work to derive.
    """
    mark = _face.set(_Face(draw, partial))
    try:
        yield
    finally:
        _face.reset(mark)


def teller() -> Callable[[Step], None] | None:
    """What a verb hands on to the work, to be told how far it is; None when nobody looks."""
    face = _face.get()
    if face is None:
        return None
    due = 0.0
    known: Result | None = None

    def tell(step: Step) -> None:
        nonlocal due, known
        now = time.perf_counter()
        fresh = step.due and face.partial
        if not fresh and now < due:
            return
        if fresh:
            known = step.profile()
        began = time.perf_counter()
        face.draw(Underway(known, step.rows, step.total, step.seconds))
        after = time.perf_counter()
        due = after + max(_PAUSE, _SPARING * (after - began))

    return tell

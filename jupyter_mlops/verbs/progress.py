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
    from jupyter_mlops.experiments.progress import SearchStep
    from jupyter_mlops.views.blocks import View

__all__ = ["Lines", "SearchTeller", "Shown", "Step", "Underway", "drawer", "shown_by", "teller",
           "teller_of_search"]  # fmt: skip

#: Seconds between two looks, and how many times as long as drawing must pass between them.
_PAUSE: Final = 0.3
_SPARING: Final = 8.0
#: Seconds between two lines of a log, and the share of the time gone by that they are apart.
_LINE_PAUSE: Final = 10.0
_LINE_SHARE: Final = 0.02


class Shown(Protocol):
    """What a face draws: a result that says how far a verb is, and so in one line too."""

    @property
    def done(self) -> int: ...

    @property
    def total(self) -> int | None: ...

    @property
    def seconds(self) -> float: ...

    @property
    def line(self) -> str: ...


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

    @property
    def line(self) -> str:
        """How far it is, in one line."""
        from jupyter_mlops.views.cells import progress_text

        return progress_text(self.done, self.total, "rows", self.seconds)

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
    draw: Callable[[Shown], None]
    partial: bool


_face: ContextVar[_Face | None] = ContextVar("_face", default=None)


@contextmanager
def shown_by(draw: Callable[[Shown], None], *, partial: bool = True) -> Iterator[None]:
    """Let verbs run inside tell their progress to `draw`.

    Parameters
    ----------
    draw : callable
        Shows an `Underway` or, of a search, a `jupyter_mlops.views.studies.Searching`. It is
        called at once for the first rows or trials, and seldom enough afterwards that drawing
        doesn't slow the work down.
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


class SearchTeller:
    """Takes a search's steps, and has some of them drawn.

    Parameters
    ----------
    draw : callable
        Shows a `Searching`.

    Examples
    --------
    >>> tell = SearchTeller(lambda searching: print(searching.line))
    >>> tell.due
    True
    """

    def __init__(self, draw: Callable[[Shown], None]) -> None:
        self._draw = draw
        self._due = 0.0

    @property
    def due(self) -> bool:
        """Whether a step told now would be drawn: what a step takes to make can be saved."""
        return time.perf_counter() >= self._due

    def __call__(self, step: SearchStep) -> None:
        """Have the step drawn if it is time."""
        if not self.due:
            return
        from jupyter_mlops.views.studies import Searching

        began = time.perf_counter()
        self._draw(Searching(step))
        after = time.perf_counter()
        self._due = after + max(_PAUSE, _SPARING * (after - began))


def teller_of_search() -> SearchTeller | None:
    """What a verb hands on to a search's driver; None when nobody looks.

    The driver calls it with a `jupyter_mlops.experiments.progress.SearchStep` whenever something
    changed, from any one thread at a time; most calls return at once.
    """
    face = _face.get()
    return SearchTeller(face.draw) if face is not None else None


def drawer() -> Callable[[Shown], None] | None:
    """What draws steps that a room tells seldom and that say themselves how they look.

    None when nobody looks.
    """
    face = _face.get()
    return face.draw if face is not None else None


class Lines:
    """A face that can't draw over what it drew: a line now and then, the first not at once.

    Parameters
    ----------
    write : callable
        Takes a line without its end.
    pause : float
        Seconds between two lines; as hours go by they come less often.
    """

    def __init__(self, write: Callable[[str], None], pause: float = _LINE_PAUSE) -> None:
        self._write = write
        self._pause = pause
        self._began = time.monotonic()
        self._due = self._began + pause

    def __call__(self, shown: Shown) -> None:
        """Write how far it is if the last line is long enough ago."""
        now = time.monotonic()
        if now < self._due:
            return
        self._write(shown.line)
        self._due = now + max(self._pause, _LINE_SHARE * (now - self._began))

"""The loop: read, ask, write, commit, in this order whatever happens."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Final, TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, wait_random_exponential

from jupyter_mlops.serving.streaming.asking import Asking
from jupyter_mlops.serving.streaming.messages import Batch, Marks, Record, Sink, Source
from jupyter_mlops.workspace import Unavailable

__all__ = ["Limits", "Pump", "Tally"]

_T = TypeVar("_T")
#: Seconds to wait for the first record when nothing else is to be done.
_QUIET: Final = 0.2
#: Seconds between two looks for records while answers are waited for.
_GLANCE: Final = 0.01
#: Seconds that a stream which is to end waits for a part that is away.
_HURRY: Final = 10.0
_GATHERED: Final = 50_000
_TELL: Final = 0.5


@dataclass(frozen=True)
class Limits:
    """How a stream is read.

    Attributes
    ----------
    batch : int
        Records in one request at the most.
    linger : float
        Seconds to wait for a batch to fill once its first record is there.
    flight : int
        Batches read and not written at the most.
    patience : float
        Seconds that the endpoint or a broker may be away.
    until_idle : float, optional
        Seconds without a record after which the stream ends.
    """

    batch: int = 500
    linger: float = 0.0
    flight: int = 4
    patience: float = 600.0
    until_idle: float | None = None


@dataclass
class Tally:
    """What was done since the pump began.

    Attributes
    ----------
    read, answered, refused : int
        Records; refused ones are dead letters.
    marks : dict
        Up to where everything is written.
    lag : int or None
    trouble : str
        Which part is away, while it is.
    """

    read: int = 0
    answered: int = 0
    refused: int = 0
    marks: Marks = field(default_factory=dict)
    lag: int | None = None
    trouble: str = ""
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Since the pump began."""
        return time.monotonic() - self.began


class Pump:
    """Moves records from a source through an endpoint into a sink.

    A batch is read, answered beside others, and written when all before it are. Dead letters are
    written before answers and answers before the source is told, so what a kill interrupts is
    done again, and what the sink knows already is left out.

    Parameters
    ----------
    source : Source
    sink : Sink
        For answers.
    dead : Sink
        For dead letters.
    asking : Asking
    limits : Limits
    tell : callable
        ``tell(tally)`` a few times a second; returns whether to go on.
    stop : threading.Event
        Set to have it end after what is in flight.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        dead: Sink,
        asking: Asking,
        limits: Limits,
        tell: Callable[[Tally], bool],
        stop: threading.Event,
    ) -> None:
        self.source, self.sink, self.dead = source, sink, dead
        self.asking, self.limits = asking, limits
        self.stop = stop
        self.tally = Tally()
        self._tell = tell
        self._told = 0.0
        self._counted = 0.0
        self._heard = time.monotonic()
        self._done: Marks = {}
        self._flight: deque[Future[Batch]] = deque()
        self._gathered: list[Batch] = []
        self._since = 0.0

    def run(self) -> str:
        """Go on until there is nothing left or it is told to end; return why it ended.

        Returns
        -------
        str
            ``ended``, ``idle`` or ``stopped``.

        Raises
        ------
        MLOpsError
            A part failed, or was away for longer than the patience.
        """
        try:
            # The sink first: it ends what a killed process left open, which moves the source.
            self._persist(lambda: self.dead.open(self.source.identity), _HURRY)
            marks = self._persist(lambda: self.sink.open(self.source.identity), _HURRY)
            self._persist(lambda: self.source.open(marks or None), _HURRY)
            self._done = marks or {}
            self._heard = time.monotonic()
            with ThreadPoolExecutor(self.limits.flight, thread_name_prefix="ask") as pool:
                return self._pump(pool)
        finally:
            for part in (self.source, self.sink, self.dead):
                part.close()

    def _pump(self, pool: ThreadPoolExecutor) -> str:
        try:
            while True:
                self._report()
                self._fill(pool)
                self._settle()
                if not self._flight:
                    why = self._over()
                    if why:
                        self._write()
                        self._report(at_once=True)
                        return why
        except BaseException:
            self.stop.set()  # what is asked now is not asked for long
            for one in self._flight:
                one.cancel()
            raise

    def _over(self) -> str:
        if self.stop.is_set():
            return "stopped"
        if self.source.ended:
            return "ended"
        idle = self.limits.until_idle
        quiet = not self._gathered and time.monotonic() - self._heard
        return "idle" if idle is not None and quiet and quiet >= idle else ""

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        while len(self._flight) < self.limits.flight and not self.source.ended:
            if self.stop.is_set():
                return
            records = self._read(0.0 if self._flight else _QUIET)
            if not records:
                return
            self._heard = time.monotonic()
            self.tally.read += len(records)
            self._flight.append(pool.submit(self.asking.answer, records, self._done))

    def _read(self, patience: float) -> list[Record]:
        limits = self.limits
        records = self._persist(lambda: self.source.read(limits.batch, patience))
        until = time.monotonic() + limits.linger
        while records and limits.linger and len(records) < limits.batch:
            left = until - time.monotonic()
            if left <= 0 or self.source.ended or self.stop.is_set():
                break
            room = limits.batch - len(records)
            try:
                records += self.source.read(room, min(left, _QUIET))
            except Unavailable:
                break  # what was read goes on; the next read says what is wrong
        return records

    def _settle(self) -> None:
        """Write what is answered, in the order in which it was read."""
        if self._flight:
            full = len(self._flight) >= self.limits.flight or self.source.ended
            wait([self._flight[0]], timeout=_QUIET if full else _GLANCE)
        while self._flight and self._flight[0].done():
            if not self._gathered:
                self._since = time.monotonic()
            # It stays in flight until it is known what became of it.
            self._gathered.append(self._flight[0].result())
            self._flight.popleft()
        count = sum(len(one.answers) for one in self._gathered)
        ripe = time.monotonic() - self._since >= self.sink.gather or count >= _GATHERED
        if self._gathered and ripe:
            self._write()

    def _write(self) -> None:
        if not self._gathered:
            return
        answers = [one for batch in self._gathered for one in batch.answers]
        letters = [one for batch in self._gathered for one in batch.letters]
        marks: Marks = {}
        for batch in self._gathered:
            marks |= batch.marks
        if letters:
            self._persist(lambda: self.dead.write(letters, marks))
        self._persist(lambda: self.sink.write(answers, marks))
        if not self.sink.commits:
            self._persist(lambda: self.source.commit(self.tally.marks | marks))
        self._gathered.clear()
        self.tally.answered += len(answers)
        self.tally.refused += len(letters)
        self.tally.marks = self.tally.marks | marks
        # Until idle means idle: what took long to be answered came just now.
        self._heard = time.monotonic()

    def _report(self, at_once: bool = False) -> None:
        now = time.monotonic()
        if not at_once and now - self._told < _TELL:
            return
        self._told = now
        if at_once or now - self._counted > 4 * _TELL:
            self._counted = now
            try:
                self.tally.lag = self.source.lag()
            except Unavailable:
                self.tally.lag = None  # the next read says what is wrong
        self.tally.trouble = self.asking.trouble
        if not self._tell(self.tally):
            self.stop.set()

    def _persist(self, call: Callable[[], _T], most: float | None = None) -> _T:
        """Try again while a part is away, for as long as the patience lasts."""

        def enough(state: RetryCallState) -> bool:
            patience = self.limits.patience if most is None else min(most, self.limits.patience)
            if self.stop.is_set():
                patience = min(_HURRY, patience)
            return (state.seconds_since_start or 0.0) > patience

        def note(state: RetryCallState) -> None:
            problem = state.outcome.exception() if state.outcome else None
            self.tally.trouble = str(problem or "")
            self._tell(self.tally)

        trying = Retrying(
            retry=retry_if_exception(_away),
            wait=wait_random_exponential(multiplier=0.1, max=5.0),
            stop=enough,
            before_sleep=note,
            reraise=True,
        )
        return trying(call)


def _away(error: BaseException) -> bool:
    """Whether it may be there later; a client that isn't installed won't."""
    return isinstance(error, Unavailable) and error.code != "E-STREAM-004"

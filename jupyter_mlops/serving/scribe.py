"""Who writes an endpoint's log: one sync to the disk for all that came back during the last.

Answers are told when they are on the disk. As long as a write is brief, the event loop does it
itself: handing it to a thread and back costs more than it takes, and what arrives meanwhile is
read in one go and becomes one batch. After one that was not brief, and for many rows, a thread
that does nothing else writes, so that a slow disk holds up nobody but those who wait for it.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Final

from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.recording import Outcome, Recorder
from jupyter_mlops.serving.refusals import Refusal

__all__ = ["Scribe", "Waiting"]

#: Seconds that a write may have taken for the event loop to do the next.
_BRIEF: Final = 0.005
#: Rows that the event loop writes at once.
_FEW: Final = 2048


@dataclass(frozen=True)
class Waiting:
    """A request whose caller waits.

    Attributes
    ----------
    request_id : str
    rows : Rows
    tell : callable
        Called once, in the event loop, with what became of it.
    """

    request_id: str
    rows: Rows
    tell: Callable[[Outcome | Refusal], None]


_Work = list[tuple[Sequence[Waiting], Sequence[Answer | Refusal]]]


class Scribe:
    """Writes down answers, then tells them.

    Parameters
    ----------
    recorder : Recorder
    """

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder
        self._todo: _Work = []
        self._writing = False
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._took = 0.0
        self._turning = 0

    @property
    def idle(self) -> bool:
        """Whether all was told."""
        return not (self._writing or self._todo)

    def write(self, batch: Sequence[Waiting], answers: Sequence[Answer | Refusal]) -> None:
        """Have the answers to a batch written down and told; called in the event loop."""
        self._todo.append((batch, answers))
        self._go_on()

    def _go_on(self) -> None:
        if self._writing or not self._todo:
            return
        work, self._todo = self._todo, []
        self._writing = True
        rows = sum(one.rows.count for batch, _ in work for one in batch)
        if self._took < _BRIEF and rows <= _FEW and not self._turning:
            self._settle(work, self._written(work))
            return
        loop = asyncio.get_running_loop()

        def write() -> None:
            written = self._written(work)
            if not loop.is_closed():  # else nobody is left to be told
                loop.call_soon_threadsafe(self._settle, work, written)

        self._do(write)

    def _do(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log", daemon=True)
            self._thread.start()
        self._queue.put(work)

    def _run(self) -> None:
        while (work := self._queue.get()) is not None:
            work()

    def _written(self, work: _Work) -> list[Outcome | Refusal]:
        began = time.perf_counter()
        try:
            return self.recorder.write(work)
        except Exception:  # ours, not the model's
            traceback.print_exc()
            refusal = Refusal(500, "E-SERVE-190", "the endpoint failed; its log says why")
            return [refusal] * sum(len(batch) for batch, _ in work)
        finally:
            self._took = time.perf_counter() - began

    def _settle(self, work: _Work, written: list[Outcome | Refusal]) -> None:
        self._writing = False
        if self._took >= _BRIEF:
            self._go_on()  # the thread writes while these are told
        waiting = [one for batch, _ in work for one in batch]
        for one, result in zip(waiting, written, strict=True):
            try:
                one.tell(result)
            except Exception:  # what breaks one caller's answer is no matter of the others'
                traceback.print_exc()
        self._go_on()

    async def follow(self, policy: LogPolicy, pseudonyms: Pseudonyms | None) -> None:
        """Log by another policy; when this returns, nothing is written by the one before."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def turn() -> None:
            try:
                self.recorder.log.follow(policy, pseudonyms)
            except BaseException as error:
                loop.call_soon_threadsafe(done.set_exception, error)
            else:
                loop.call_soon_threadsafe(done.set_result, None)

        # Whatever is written from now on goes through the same queue, behind it.
        self._turning += 1
        try:
            self._do(turn)
            await done
        finally:
            self._turning -= 1

    def close(self) -> None:
        """Wait until all is written that was handed over; nothing may be after that."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

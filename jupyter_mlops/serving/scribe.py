"""Who writes an endpoint's log: one sync to the disk for all that came back during the last.

Answers are told when they are on the disk, in the event loop, by a thread that does nothing else.
A plain queue leads to it, since a pool's futures and their copies in the loop cost more than
writing a request down does.
"""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.recording import Outcome, Recorder
from jupyter_mlops.serving.refusals import Refusal

__all__ = ["Scribe", "Waiting"]


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
        try:
            return self.recorder.write(work)
        except Exception:  # ours, not the model's
            traceback.print_exc()
            refusal = Refusal(500, "E-SERVE-190", "the endpoint failed; its log says why")
            return [refusal] * sum(len(batch) for batch, _ in work)

    def _settle(self, work: _Work, written: list[Outcome | Refusal]) -> None:
        self._writing = False
        self._go_on()
        waiting = [one for batch, _ in work for one in batch]
        for one, result in zip(waiting, written, strict=True):
            try:
                one.tell(result)
            except Exception:  # what breaks one caller's answer is no matter of the others'
                traceback.print_exc()

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

        self._do(turn)
        await done

    def close(self) -> None:
        """Wait until all is written that was handed over; nothing may be after that."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
            self._thread = None

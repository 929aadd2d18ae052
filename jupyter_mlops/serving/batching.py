"""Natural batching: whatever arrived while the last prediction ran is the next batch.

There is no timer: a lone request is answered at once, and under load batches grow by themselves.
While a batch is predicted in the model's process, the one before is written to the log; one sync
to the disk serves all batches that came back meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import numpy as np

from jupyter_mlops.models.outliers import THRESHOLD
from jupyter_mlops.serving.ids import new_request_id
from jupyter_mlops.serving.intake import Rows, merge, merge_blocks
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.recording import Outcome, Recorder
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.serving.replies import read_reply
from jupyter_mlops.serving.scribe import Scribe, Waiting
from jupyter_mlops.serving.workers import Worker, WorkerLost, start
from jupyter_mlops.workspace.errors import MLOpsError

__all__ = ["Batcher", "Outcome", "new_request_id"]

#: Times that a model's process may end in a row before nobody starts it again.
CRASHES: Final = 5
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
#: Requests that are passed over in the search for others with the same parameters.
_AHEAD: Final = 500


@dataclass
class _Lane:
    """One process of the model, and what it does now."""

    worker: Worker | None
    busy: bool = False
    crashes: int = 0
    #: Set when the process has to be looked after.
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def free(self) -> bool:
        """Whether a batch may go to its process now."""
        return not self.busy and self.worker is not None and self.worker.attached


Batch = list[Waiting]


class Batcher:
    """Queues checked rows and answers them in batches.

    Parameters
    ----------
    task : Task
        What a process of the model is started with.
    workers : list of Worker
        Those that run already.
    recorder : Recorder
        Writes the log.
    max_rows : int
        Rows predicted at once; a larger request goes alone.
    max_waiting : int
        Rows that may wait; more are refused with 429.
    seconds : float
        Time that a model has for one batch, before its process is ended.
    observe : callable
        ``observe(rows)`` after each batch, for metrics.
    """

    def __init__(
        self,
        task: Task,
        workers: list[Worker],
        recorder: Recorder,
        *,
        max_rows: int = 8192,
        max_waiting: int = 400_000,
        seconds: float = 60.0,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.task = task
        self.portrait = workers[0].portrait
        self.recorder = recorder
        self.log = recorder.log
        self.max_rows = max_rows
        self.max_waiting = max_waiting
        self.seconds = seconds
        self.observe = observe
        self.failed: MLOpsError | None = None
        #: Whether nothing is answered here any more: another version has taken over.
        self.closed = False
        self.restarts = 0
        #: Rows of which the model's process told how strange they are, and those that were.
        self.scored = self.outliers = 0
        self._lanes = [_Lane(worker) for worker in workers]
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting: deque[Waiting] = deque()
        #: Those whose neighbours shared a batch that ended the process: each goes alone.
        self._alone: deque[Waiting] = deque()
        self._waiting_rows = 0
        self._called = False
        self._scribe = Scribe(recorder)

    @property
    def pids(self) -> list[int]:
        """The processes of the model."""
        return [lane.worker.pid for lane in self._lanes if lane.worker and not lane.worker.lost]

    @property
    def waiting(self) -> int:
        """Rows that wait for a process."""
        return self._waiting_rows

    @property
    def busy(self) -> int:
        """Processes that predict at this moment."""
        return sum(lane.busy for lane in self._lanes)

    @property
    def ready(self) -> bool:
        """Whether any process of the model would answer."""
        return bool(self.pids)

    @property
    def idle(self) -> bool:
        """Whether nothing waits, runs or is being written down."""
        busy = any(lane.busy for lane in self._lanes)
        return not (busy or self._waiting or self._alone) and self._scribe.idle

    def begin(self) -> None:
        """Take up work; called in the event loop, again without effect."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._work(lane)) for lane in self._lanes]

    async def answer(self, request_id: str, rows: Rows) -> Outcome:
        """Predict, log and return.

        Raises
        ------
        Refusal
            Too many rows wait (429), the model failed on these rows (422), its process ended
            (503) or took too long (504), or the answer could not be logged (503).
        """
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.put(request_id, rows, partial(_tell, future))
        return await future

    def put(self, request_id: str, rows: Rows, tell: Callable[[Outcome | Refusal], None]) -> None:
        """Predict and log, then call `tell` with the outcome or what `answer` would raise.

        Raises
        ------
        Refusal
            Too many rows wait (429), or no process of the model runs any more (503).
        """
        if self.failed is not None:
            raise Refusal(503, "E-SERVE-123", "the model's process ends again and again")
        if self._waiting_rows and self._waiting_rows + rows.count > self.max_waiting:
            raise Refusal(429, "E-SERVE-121", "too many rows are waiting: send them again later")
        self._waiting.append(Waiting(request_id, rows, tell))
        self._waiting_rows += rows.count
        if not self._called:
            # What else has arrived by now is read first, and goes along.
            self._called = True
            self.begin()
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        """Give what waits to processes that are free."""
        self._called = False
        for lane in self._lanes:
            if lane.free and not self._go(lane):
                return

    async def _work(self, lane: _Lane) -> None:
        """See that there is a process of the model, and replace it when it ends."""
        while self.failed is None:
            if lane.worker is None or lane.worker.lost:
                await self._restart(lane)
                continue
            lane.wake.clear()
            lane.worker.on_lost = lane.wake.set
            await lane.worker.attach()
            if lane.free:
                self._go(lane)
            await lane.wake.wait()
        lane.busy = False

    def _next(self) -> Batch:
        if self._alone:
            return [self._alone.popleft()]
        if not self._waiting:
            return []
        batch = [self._waiting.popleft()]
        count, apart = batch[0].rows.count, batch[0].rows.apart
        passed: Batch = []
        while self._waiting and count + self._waiting[0].rows.count <= self.max_rows:
            one = self._waiting.popleft()
            if one.rows.apart != apart:
                # With other parameters, say: it keeps its place for the next batch.
                passed.append(one)
                if len(passed) == _AHEAD:
                    break
                continue
            count += one.rows.count
            batch.append(one)
        self._waiting.extendleft(reversed(passed))
        self._waiting_rows -= count
        return batch

    def _go(self, lane: _Lane) -> bool:
        """Send the next batch; False when nothing waits."""
        worker = lane.worker
        if worker is None or not (batch := self._next()):
            return False
        lane.busy = True
        parts = [waiting.rows for waiting in batch]
        try:
            block = None if self.portrait.task == "any" else merge_blocks(parts)
            message: dict[str, Any] = {
                "counts": [rows.count for rows in parts],
                "requests": [waiting.request_id for waiting in batch],
                "discreet": self.log.policy.hides,
                **({"columns": merge(parts)} if block is None else {"block": block}),
            }
            if parts[0].apart:
                message["params"], message["absent"] = parts[0].params, parts[0].absent
            worker.put(message, self.seconds, partial(self._came, lane, worker, batch, parts))
        except (WorkerLost, ValueError, TypeError, OverflowError) as error:
            self._lose(lane, worker, batch, error)
        return True

    def _came(
        self,
        lane: _Lane,
        worker: Worker,
        batch: Batch,
        parts: list[Rows],
        told: dict[str, Any] | Exception,
    ) -> None:
        """Take what the model said of a batch, or why it says nothing."""
        try:
            if isinstance(told, Exception):
                raise told
            results = read_reply(parts, told)
            p = told["unusual"]["p"] if told.get("unusual") else None
        except Exception as error:  # whatever a process says that isn't to be trusted
            self._lose(lane, worker, batch, error)
            return
        lane.busy = False
        lane.crashes = 0
        if lane.free:
            # The next is predicted while this one is written down.
            self._go(lane)
        self.observe(sum(rows.count for rows in parts))
        if p is not None:
            self.scored += int(np.count_nonzero(p <= 1))
            self.outliers += int(np.count_nonzero(p <= THRESHOLD))
        self._scribe.write(batch, results)

    def _lose(self, lane: _Lane, worker: Worker, batch: Batch, error: Exception) -> None:
        """Give up a process that did not answer as it should."""
        worker.kill()
        lane.busy = False
        lane.wake.set()
        self._blame(batch, error)

    def _blame(self, batch: Batch, error: Exception) -> None:
        """Ask again for each alone; what ended the process alone is refused."""
        if len(batch) > 1:
            self._alone.extend(batch)
            self._call()
            return
        if isinstance(error, TimeoutError):
            told = f"the model did not answer within {self.seconds:g} s"
            refusal = Refusal(504, "E-SERVE-124", told)
        else:
            refusal = Refusal(
                503, "E-SERVE-123", "the model's process ended on these rows; the log says more"
            )
        print(f"request {batch[0].request_id}: {refusal}", file=sys.stderr, flush=True)
        batch[0].tell(refusal)

    async def _restart(self, lane: _Lane) -> None:
        if lane.worker is not None:
            lane.worker.on_lost = lambda: None
            lane.worker.close()
            lane.worker = None
            self.restarts += 1
        lane.busy = True
        if lane.crashes:
            pause = _FIRST_PAUSE * 2 ** (lane.crashes - 1)
            await asyncio.sleep(min(_LONGEST_PAUSE, pause))
        lane.crashes += 1
        try:
            lane.worker = await asyncio.to_thread(start, self.task)
            lane.busy = False
        except MLOpsError as error:
            print(error, file=sys.stderr, flush=True)
            if lane.crashes >= CRASHES:
                self._fail(error)
        # Whatever it is, nobody else would ever start a process for who waits.
        except Exception as error:
            print(f"no process can be started: {error!r}", file=sys.stderr, flush=True)

    def _fail(self, error: MLOpsError) -> None:
        self.failed = error
        for waiting in (*self._alone, *self._waiting):
            waiting.tell(Refusal(503, "E-SERVE-123", "the model's process ends again and again"))
        self._alone.clear()
        self._waiting.clear()
        self._waiting_rows = 0

    async def follow(self, policy: LogPolicy, pseudonyms: Pseudonyms | None) -> None:
        """Log by another policy; when this returns, nothing is written by the one before."""
        if not self.closed:
            await self._scribe.follow(policy, pseudonyms)

    async def drain(self, seconds: float) -> None:
        """Finish what is under way, for so long."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while not self.idle and loop.time() < until:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Let go of the log and end the model's processes."""
        self.closed = True
        for task in self._tasks:
            if not task.get_loop().is_closed():
                task.cancel()
        self._scribe.close()
        for lane in self._lanes:
            if lane.worker is not None:
                lane.worker.close()
        self.log.close()


def _tell(future: asyncio.Future[Outcome], result: Outcome | Refusal) -> None:
    if future.done():
        return  # the caller hung up; its rows are in the log all the same
    if isinstance(result, Refusal):
        future.set_exception(result)
    else:
        future.set_result(result)

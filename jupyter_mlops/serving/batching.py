"""Natural batching: whatever arrived while the last prediction ran is the next batch.

There is no timer: a lone request is answered at once, and under load batches grow by themselves.
The same thread predicts and writes the log, so one sync to the disk serves the whole batch.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jupyter_mlops.serving.fields import has_missing
from jupyter_mlops.serving.intake import Rows, merge
from jupyter_mlops.serving.journal import JournalError
from jupyter_mlops.serving.predictor import Answer, Predictor
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.trafficlog import Logged, TrafficLog

_NONCE = os.urandom(4).hex()
_COUNTER = itertools.count()


def new_request_id() -> str:
    """Return an id that sorts by time and repeats in no other process: 11 + 8 + 6 hex digits."""
    return f"{time.time_ns() // 1_000_000:011x}{_NONCE}{next(_COUNTER):06x}"


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    ids: list[str]
    answer: Answer


@dataclass(frozen=True)
class _Waiting:
    request_id: str
    rows: Rows
    future: asyncio.Future[Outcome]


def _model_failed(waiting: _Waiting, error: Exception) -> Refusal:
    """Log where and why the model failed; tell the caller what can be told without the data."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    why = f"{type(error).__name__}: {str(error).partition(chr(10))[0][:300]}"
    said = f"request {waiting.request_id}: {why} ({where.filename}:{where.lineno})"
    print(said, file=sys.stderr, flush=True)
    holes = [name for name, column in waiting.rows.inputs.items() if has_missing(column)]
    hint = f" (missing values in {', '.join(map(quoted, holes[:5]))})" if holes else ""
    return Refusal(
        422, "E-SERVE-120", f"the model failed on these rows{hint}; the endpoint's log says why"
    )


class Batcher:
    """Queues checked rows and answers them in batches.

    Parameters
    ----------
    predictor : Predictor
    log : TrafficLog
    max_rows : int
        Rows predicted at once; a larger request goes alone.
    max_waiting : int
        Rows that may wait; more are refused with 429.
    observe : callable
        ``observe(rows)`` after each batch, for metrics.
    """

    def __init__(
        self,
        predictor: Predictor,
        log: TrafficLog,
        *,
        max_rows: int = 8192,
        max_waiting: int = 400_000,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.predictor = predictor
        self.log = log
        self.max_rows = max_rows
        self.max_waiting = max_waiting
        self.observe = observe
        self._waiting: deque[_Waiting] = deque()
        self._waiting_rows = 0
        self._busy = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="predict")

    async def answer(self, request_id: str, rows: Rows) -> Outcome:
        """Predict, log and return.

        Raises
        ------
        Refusal
            Too many rows wait (429), the model failed on these rows (422), or the answer could
            not be logged (503).
        """
        if self._waiting_rows and self._waiting_rows + rows.count > self.max_waiting:
            raise Refusal(429, "E-SERVE-121", "too many rows are waiting: send them again later")
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(request_id, rows, future))
        self._waiting_rows += rows.count
        if not self._busy:
            self._next()
        return await future

    def _next(self) -> None:
        if not self._waiting:
            self._busy = False
            return
        self._busy = True
        batch = [self._waiting.popleft()]
        count = batch[0].rows.count
        while self._waiting and count + self._waiting[0].rows.count <= self.max_rows:
            count += self._waiting[0].rows.count
            batch.append(self._waiting.popleft())
        self._waiting_rows -= count
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._work, batch)
        work.add_done_callback(lambda done: self._settle(batch, done))

    def _settle(self, batch: list[_Waiting], done: asyncio.Future[list[Outcome | Refusal]]) -> None:
        error = done.exception()
        if error is not None:  # ours, not the model's: that one is caught in _predict
            traceback.print_exception(error)
            results: list[Outcome | Refusal] = [
                Refusal(500, "E-SERVE-190", "the endpoint failed; its log says why")
            ] * len(batch)
        else:
            results = done.result()
        for waiting, result in zip(batch, results, strict=True):
            if waiting.future.done():
                continue  # the caller hung up; its rows are in the log all the same
            if isinstance(result, Refusal):
                waiting.future.set_exception(result)
            else:
                waiting.future.set_result(result)
        self._next()

    def _work(self, batch: list[_Waiting]) -> list[Outcome | Refusal]:
        """Predict and log a batch; runs in the predicting thread."""
        answers = self._predict(batch)
        results: list[Outcome | Refusal] = []
        logged = []
        for waiting, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Refusal):
                results.append(answer)
                continue
            # Callers may repeat their own request ids; predictions never share one.
            prefix = new_request_id()
            ids = [f"{prefix}-{row}" for row in range(waiting.rows.count)]
            logged.append(Logged(waiting.request_id, ids, waiting.rows, answer))
            results.append(Outcome(ids, answer))
        if logged:
            try:
                self.log.append([logged])
            except JournalError as error:
                print(error, file=sys.stderr, flush=True)
                refusal = Refusal(
                    503, "E-SERVE-122", f"{error}: nothing is answered that is not logged"
                )
                return [r if isinstance(r, Refusal) else refusal for r in results]
        self.observe(sum(waiting.rows.count for waiting in batch))
        return results

    def _predict(self, batch: list[_Waiting]) -> list[Answer | Refusal]:
        try:
            whole = self.predictor(merge([waiting.rows for waiting in batch]))
        except Exception as error:
            if len(batch) > 1:
                # One bad row must not fail its neighbours.
                return [answer for waiting in batch for answer in self._predict([waiting])]
            return [_model_failed(batch[0], error)]
        parts: list[Answer | Refusal] = []
        start = 0
        for waiting in batch:
            parts.append(whole.part(start, start + waiting.rows.count))
            start += waiting.rows.count
        return parts

    def close(self) -> None:
        """Finish the batch in work and let go of the log."""
        self._thread.shutdown(wait=True)
        self.log.close()

"""Write down what was answered, as the log's policy says, and say what became of each request."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from jupyter_mlops.serving.answers import Answer
from jupyter_mlops.serving.fields import Array
from jupyter_mlops.serving.ids import Ids, new_request_id
from jupyter_mlops.serving.intake import Rows
from jupyter_mlops.serving.journal import JournalError
from jupyter_mlops.serving.logpolicy import UNLOGGED, LogPolicy
from jupyter_mlops.serving.metrics import LogTally
from jupyter_mlops.serving.refusals import Refusal
from jupyter_mlops.serving.trafficlog import Logged, TrafficLog

__all__ = ["Outcome", "Recorder"]

#: Seconds between two lines about a log that can't be written.
_SAY_SECONDS: Final = 30.0


@dataclass(frozen=True)
class Outcome:
    """What became of a request."""

    ids: Sequence[str]
    answer: Answer


class Asked(Protocol):
    """A request that was answered."""

    @property
    def request_id(self) -> str: ...
    @property
    def rows(self) -> Rows: ...


class Recorder:
    """Writes answers to a log; one thread alone may.

    Parameters
    ----------
    log : TrafficLog
    tally : LogTally
        Counts what becomes of the rows.
    """

    def __init__(self, log: TrafficLog, tally: LogTally) -> None:
        self.log = log
        self.tally = tally
        self._said_at = -_SAY_SECONDS

    def write(
        self, work: Sequence[tuple[Sequence[Asked], Sequence[Answer | Refusal]]]
    ) -> list[Outcome | Refusal]:
        """Log batches of answers, with one sync to the disk, and return what is to be told."""
        policy = self.log.policy
        whole = policy.whole
        results: list[Outcome | Refusal] = []
        logged: list[list[Logged]] = []
        places: list[int] = []  # of those that go into the log
        left_out = written = 0
        for batch, answers in work:
            rows: list[Logged] = []
            for asked, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Refusal):
                    results.append(answer)
                    continue
                # Callers may repeat their own request ids; predictions never share one.
                prefix = new_request_id()
                if whole:
                    ids: Sequence[str] = Ids(prefix, asked.rows.count)
                    entry: Logged | None = Logged(asked.request_id, ids, asked.rows, answer)
                else:
                    ids, entry = _part(policy, prefix, asked, answer)
                    left_out += asked.rows.count - (len(entry.ids) if entry else 0)
                if entry is not None:
                    rows.append(entry)
                    places.append(len(results))
                    written += entry.rows.count
                results.append(Outcome(ids, answer))
            if rows:
                logged.append(rows)
        if logged:
            try:
                self.tally.add(written, self.log.append(logged))
            except JournalError as error:
                self._say(error)
                self._without(policy, error, places, results)
                self.tally.fail(written if policy.mode == "best-effort" else 0, str(error))
        if left_out:
            self.tally.leave_out(left_out, by_sample=policy.mode != "off")
        return results

    def _without(
        self,
        policy: LogPolicy,
        error: JournalError,
        places: list[int],
        results: list[Outcome | Refusal],
    ) -> None:
        """Refuse what should be in the log and isn't, or mark it."""
        refusal = Refusal(503, "E-SERVE-122", f"{error}: nothing is answered that is not logged")
        for place in places:
            outcome = results[place]
            if policy.mode == "required":
                results[place] = refusal
            elif isinstance(outcome, Outcome):
                ids = [id_.removesuffix(UNLOGGED) + UNLOGGED for id_ in outcome.ids]
                results[place] = Outcome(ids, outcome.answer)

    def _say(self, error: JournalError) -> None:
        # A full disk is no place for a line about each request.
        if time.monotonic() - self._said_at >= _SAY_SECONDS:
            self._said_at = time.monotonic()
            print(error, file=sys.stderr, flush=True)


def _part(
    policy: LogPolicy, prefix: str, asked: Asked, answer: Answer
) -> tuple[list[str], Logged | None]:
    """The ids of all rows, and the log's part of them where it has one."""
    count = asked.rows.count
    kept = _chosen(policy, asked)
    ids = [f"{prefix}-{row}{'' if kept[row] else UNLOGGED}" for row in range(count)]
    if kept.all():
        return ids, Logged(asked.request_id, ids, asked.rows, answer)
    if not kept.any():
        return ids, None
    some = [id_ for id_, is_kept in zip(ids, kept, strict=True) if is_kept]
    return ids, Logged(asked.request_id, some, asked.rows.only(kept), answer.only(kept))


def _chosen(policy: LogPolicy, asked: Asked) -> Array:
    """Which rows of a request are logged: those of chosen keys, else all of it or none."""
    rows = asked.rows
    if policy.mode == "off":
        return np.zeros(rows.count, dtype=bool)
    whole = policy.samples(asked.request_id)
    if rows.keys is None:
        return np.full(rows.count, whole)
    return np.array([whole if key is None else policy.samples(key) for key in rows.keys])

"""What an endpoint writes down about each prediction before it is answered."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.fields import Field
from jupyter_mlops.serving.journal import SUFFIX, JournalError, Segment
from jupyter_mlops.serving.logbatches import Logged, Plan, prediction_type
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.pseudonyms import Pseudonyms

__all__ = ["LARGEST", "LONGEST", "STAMP", "Logged", "TrafficLog"]

#: Bytes and seconds after which a segment is closed, so that it can be compacted.
LARGEST: Final = 64 << 20
LONGEST: Final = 600.0
STAMP: Final = "%Y%m%dT%H%M%S%f"


class TrafficLog:
    """Appends answered requests to segments in `folder`.

    One thread appends; others may ask whether it is ready.

    Parameters
    ----------
    folder : Path
        The endpoint's traffic folder; segments go to its subfolder ``hot``.
    fields : sequence of Field
        The model's columns; logged as ``in.<name>``.
    labels : list, optional
        Class labels, which tell the type of predictions; None for a regression.
    many : bool
        Probabilities are lists, one for each class.
    answers : {"typed", "number", "boolean", "text", "json"}
        What predictions are, where labels don't tell.
    unusual : bool
        The model tells how strange rows are: that is logged, too.
    about : dict of str to str
        Endpoint, model, version and digest: the same for all rows, kept once in the schema.
    policy : LogPolicy
        Which columns are written, and how.
    pseudonyms : Pseudonyms, optional
        Hash what the policy has hashed.
    key, time : str, optional
        The endpoint's key and time columns.
    max_bytes, max_seconds : float
        A segment is closed when it is larger or older, so that it can be compacted.
    observe : callable
        ``observe(bytes)`` after each append, for metrics.
    """

    def __init__(
        self,
        folder: Path,
        fields: Sequence[Field],
        *,
        labels: list[Any] | None,
        many: bool,
        about: dict[str, str],
        answers: str = "typed",
        unusual: bool = False,
        policy: LogPolicy | None = None,
        pseudonyms: Pseudonyms | None = None,
        key: str | None = None,
        time: str | None = None,
        max_bytes: int = LARGEST,
        max_seconds: float = LONGEST,
    ) -> None:
        self.folder = folder / FRESH
        self._fields = tuple(fields)
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self._key, self._time = key, time
        self._about = {**about, "classes": repr(labels)}
        self._json = answers == "json"
        self._answers = [
            ("prediction", prediction_type(labels, answers)),
            ("probability", pa.list_(pa.float64()) if many else pa.float64()),
        ]
        self._unusual = unusual
        self._segment: Segment | None = None
        self._opened = 0.0
        self._lock = threading.Lock()
        #: Why nothing could be written when that was tried last; empty when it could.
        self.trouble = ""
        self._follow(policy or LogPolicy(), pseudonyms)

    @property
    def policy(self) -> LogPolicy:
        """What is logged now."""
        return self._plan.policy

    def follow(self, policy: LogPolicy, pseudonyms: Pseudonyms | None) -> None:
        """Log by another policy from the next row on, in a segment of its own."""
        if policy == self.policy:
            return
        with self._lock:
            self._close()
            self._follow(policy, pseudonyms)
            self.trouble = ""

    def _follow(self, policy: LogPolicy, pseudonyms: Pseudonyms | None) -> None:
        self._plan = Plan(
            self._fields, self._answers, self._about, policy, pseudonyms,
            key=self._key, time=self._time, json_answers=self._json, unusual=self._unusual,
        )  # fmt: skip

    def ready(self) -> bool:
        """Whether nothing in the log keeps the next prediction back; tries to mend what does."""
        if self.policy.mode != "required":
            return True
        if not self._lock.acquire(blocking=False):
            return not self.trouble  # whoever writes at this moment finds out
        try:
            self._current()
        except JournalError as error:
            self.trouble = str(error)
            return False
        finally:
            self._lock.release()
        self.trouble = ""
        return True

    def rest(self) -> None:
        """Let go of a segment that is old enough, so that it can be compacted."""
        if self._segment is not None and self._lock.acquire(blocking=False):
            try:
                if self._worn():
                    self._close()
            finally:
                self._lock.release()

    def _worn(self) -> bool:
        segment = self._segment
        return segment is not None and (
            segment.size > self.max_bytes or time.monotonic() - self._opened > self.max_seconds
        )

    def _current(self) -> Segment:
        if self._worn():
            self._close()
        segment = self._segment
        if segment is None:
            stamp = datetime.now(UTC).strftime(STAMP)
            path = self.folder / f"{stamp}-{os.getpid()}{SUFFIX}"
            segment = self._segment = Segment(path, self._plan.schema)
            self._opened = time.monotonic()
        return segment

    def append(self, batches: Sequence[Sequence[Logged]]) -> int:
        """Make answered requests durable: all of them when this returns, none when it raises.

        Parameters
        ----------
        batches : sequence of sequences of Logged
            Each becomes one Arrow batch; all are synced to the disk at once.

        Returns
        -------
        int
            Bytes written.

        Raises
        ------
        JournalError
            The disk is full, read-only or broken.
        """
        payloads = [self._plan.batch(batch).serialize() for batch in batches]
        with self._lock:
            try:
                self._current().append(payloads)
            except JournalError as error:
                # After a failed sync nobody knows what is on the disk: go on in a new segment.
                self._close()
                self.trouble = str(error)
                raise
            self.trouble = ""
        return sum(payload.size for payload in payloads)

    def close(self) -> None:
        """Let go of the open segment."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        if self._segment is not None:
            self._segment.close()
            self._segment = None

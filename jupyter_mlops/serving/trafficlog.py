"""What an endpoint writes down about each prediction before it is answered."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from jupyter_mlops.serving.config import FRESH
from jupyter_mlops.serving.fields import Array, Field
from jupyter_mlops.serving.intake import Rows, merge_blocks
from jupyter_mlops.serving.journal import SUFFIX, TOGETHER, JournalError, Segment

if TYPE_CHECKING:
    from jupyter_mlops.serving.answers import Answer

_ARROW = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "datetime": pa.timestamp("us", tz="UTC"),
}
_MOMENT = pa.timestamp("us", tz="UTC")


@dataclass(frozen=True)
class Logged:
    """One answered request on its way into the log."""

    request_id: str
    ids: list[str]
    rows: Rows
    answer: Answer


class TrafficLog:
    """Appends answered requests to segments in `folder`.

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
    about : dict of str to str
        Endpoint, model, version and digest: the same for all rows, kept once in the schema.
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
        max_bytes: int = 64 << 20,
        max_seconds: float = 600.0,
        observe: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.folder = folder / FRESH
        self.fields = tuple(fields)
        self.names = [field.name for field in fields]
        #: Doubles alone are kept as one list a row, which readers part again: a batch of twenty
        #: columns is made in a tenth of the time.
        self.doubles = all(field.type.name == "double" for field in fields)
        self.max_bytes = max_bytes
        self.max_seconds = max_seconds
        self.schema = pa.schema(
            [
                ("prediction_id", pa.string()),
                ("request_id", pa.string()),
                ("at", _MOMENT),
                ("event_time", _MOMENT),
                ("key", pa.string()),
                ("prediction", pa.float64() if labels is None else pa.array(labels).type),
                ("probability", pa.list_(pa.float64()) if many else pa.float64()),
                *self._columns(),
            ],
            metadata={**about, "classes": repr(labels), "columns": json.dumps(self.names)},
        )
        self._types = [field.type for field in self.schema]
        self._segment: Segment | None = None
        self._opened = 0.0
        self.observe = observe

    def _columns(self) -> list[tuple[str, pa.DataType]]:
        if self.doubles:
            return [(TOGETHER, pa.list_(pa.float64(), len(self.fields)))]
        return [(f"in.{field.name}", _ARROW[field.type.name]) for field in self.fields]

    def ready(self) -> bool:
        """Whether the next prediction can be written down; tries to mend what was broken."""
        try:
            self._current()
        except JournalError as error:
            print(f"{error}", file=sys.stderr)
            return False
        return True

    def _current(self) -> Segment:
        segment = self._segment
        if segment is not None and (
            segment.size > self.max_bytes or time.monotonic() - self._opened > self.max_seconds
        ):
            self.close()
            segment = None
        if segment is None:
            stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
            path = self.folder / f"{stamp}-{os.getpid()}{SUFFIX}"
            segment = self._segment = Segment(path, self.schema)
            self._opened = time.monotonic()
        return segment

    def append(self, batches: Sequence[Sequence[Logged]]) -> None:
        """Make answered requests durable: all of them when this returns, none when it raises.

        Parameters
        ----------
        batches : sequence of sequences of Logged
            Each becomes one Arrow batch; all are synced to the disk at once.

        Raises
        ------
        JournalError
            The disk is full, read-only or broken.
        """
        payloads = [self._batch(batch).serialize() for batch in batches]
        try:
            segment = self._current()
            segment.append(payloads)
        except JournalError:
            # After a failed sync nobody knows what is on the disk: go on in a new segment.
            self.close()
            raise
        self.observe(sum(payload.size for payload in payloads))

    def _batch(self, batch: Sequence[Logged]) -> pa.RecordBatch:
        total = sum(logged.rows.count for logged in batch)
        at = _moments(np.full(total, time.time_ns() // 1000))
        times = at
        if any(logged.rows.times is not None for logged in batch):
            times = _event_times(batch, at)
        keys: Any = pa.nulls(total, pa.string())
        if any(logged.rows.keys is not None for logged in batch):
            keys = _joined([_or_none(one.rows.keys, one.rows.count) for one in batch])
        columns: list[Any] = [
            [id_ for logged in batch for id_ in logged.ids],
            [logged.request_id for logged in batch for _ in range(logged.rows.count)],
            at,
            times,
            keys,
            _joined([logged.answer.prediction for logged in batch]),
            _probabilities([logged.answer.probability for logged in batch], total),
        ]
        if self.doubles:
            columns.append(self._together(batch, total))
        else:
            columns += [
                _joined([logged.rows.inputs[name] for logged in batch]) for name in self.names
            ]
        arrays = [_arrow(c, kind) for c, kind in zip(columns, self._types, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _together(self, batch: Sequence[Logged], total: int) -> pa.Array:
        block = merge_blocks([logged.rows for logged in batch])
        if block is None:
            block = np.stack(
                [_joined([one.rows.inputs[name] for one in batch]) for name in self.names]
            )
        content = pa.py_buffer(np.ascontiguousarray(block.T, dtype=np.float64))
        values = pa.Array.from_buffers(pa.float64(), block.size, [None, content], 0)
        return pa.Array.from_buffers(self._types[-1], total, [None], 0, children=[values])

    def close(self) -> None:
        """Let go of the open segment."""
        if self._segment is not None:
            self._segment.close()
            self._segment = None


def _moments(microseconds: Array) -> pa.Array:
    """Microseconds since 1970, none missing."""
    content = pa.py_buffer(np.ascontiguousarray(microseconds, dtype=np.int64))
    return pa.Array.from_buffers(_MOMENT, len(microseconds), [None, content], 0)


def _event_times(batch: Sequence[Logged], at: pa.Array) -> pa.Array:
    """When things happened, or where nobody says so, when they were asked."""
    asked = np.asarray(at.cast(pa.int64())).view("datetime64[us]")
    missing = np.datetime64("NaT", "us")
    given = _joined(
        [
            np.full(one.rows.count, missing) if one.rows.times is None else one.rows.times
            for one in batch
        ]
    )
    return _moments(np.where(np.isnat(given), asked, given).astype("datetime64[us]").view(np.int64))


def _joined(parts: Sequence[Array]) -> Array:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _or_none(keys: Array | None, count: int) -> Array:
    return np.full(count, None, dtype=object) if keys is None else keys


def _probabilities(parts: Sequence[Array | None], total: int) -> Any:
    given = [part for part in parts if part is not None]
    if not given:
        return pa.nulls(total)
    joined = _joined(given)
    return joined if joined.ndim == 1 else list(joined)


def _arrow(column: Any, kind: pa.DataType) -> pa.Array:
    if isinstance(column, pa.Array):
        return column if column.type == kind else column.cast(kind)
    if isinstance(column, np.ndarray) and column.dtype.kind == "M":
        return pa.array(column.astype("datetime64[us]")).cast(kind)
    if isinstance(column, np.ndarray) and column.dtype.kind == "f" and pa.types.is_integer(kind):
        return pa.array(column, from_pandas=True).cast(kind)  # an optional column with holes
    return pa.array(column, type=kind, from_pandas=True)

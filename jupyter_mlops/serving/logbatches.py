"""Answered requests as Arrow batches: which columns, in which form."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from jupyter_mlops.serving.fields import Array, Field
from jupyter_mlops.serving.ids import Ids
from jupyter_mlops.serving.intake import Rows, merge_blocks
from jupyter_mlops.serving.journal import TOGETHER
from jupyter_mlops.serving.logpolicy import LogPolicy
from jupyter_mlops.serving.pseudonyms import Pseudonyms
from jupyter_mlops.serving.shapes import as_texts, is_composed

if TYPE_CHECKING:
    from jupyter_mlops.serving.answers import Answer

__all__ = ["CALLER", "UNUSUAL", "Logged", "Plan", "prediction_type"]

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
#: Rows in a request from which columns are made without an object a row.
_MANY = 32
#: Who asked; redacted like a column.
CALLER: Final = "caller"
_MOMENT = pa.timestamp("us", tz="UTC")
#: The share of training rows as strange as the row, and the columns that make it so.
UNUSUAL: Final = (("outlier", pa.float64()), ("outlier_columns", pa.list_(pa.string())))


@dataclass(frozen=True)
class Logged:
    """One answered request on its way into the log."""

    request_id: str
    ids: Sequence[str]
    rows: Rows
    answer: Answer


class Plan:
    """How rows become batches under one policy.

    Parameters
    ----------
    fields : sequence of Field
        The model's columns; logged as ``in.<name>``.
    answers : sequence of (str, pyarrow.DataType)
        The columns of what the model says.
    about : mapping of str to str
        The same for all rows, kept once in the schema.
    policy : LogPolicy
        Which columns are written, and how.
    pseudonyms : Pseudonyms, optional
        Hash what the policy has hashed.
    key, time : str, optional
        The endpoint's key and time columns.
    json_answers : bool
        Predictions are kept as JSON texts.
    unusual : bool
        How strange each row was is kept.

    Attributes
    ----------
    schema : pyarrow.Schema
        Of all batches.
    """

    def __init__(
        self,
        fields: Sequence[Field],
        answers: Sequence[tuple[str, pa.DataType]],
        about: Mapping[str, str],
        policy: LogPolicy,
        pseudonyms: Pseudonyms | None,
        *,
        key: str | None,
        time: str | None,
        json_answers: bool = False,
        unusual: bool = False,
    ) -> None:
        self.policy = policy
        self._json = json_answers
        self._unusual = unusual
        self.columns = [field for field in fields if field.name not in policy.dropped]
        self.hashes: dict[str, Pseudonyms] = {}
        self.of_key: Pseudonyms | None = None
        if policy.hashed:
            if pseudonyms is None:
                raise ValueError("columns are to be hashed and there is no key")
            self.hashes = dict.fromkeys(policy.hashed, pseudonyms)
            self.of_key = pseudonyms if key in policy.hashed else None
        # A version on its way out may have had another key, which is dropped by now.
        self.keys = key not in policy.dropped
        self.times = time not in policy.dropped
        #: Doubles alone are kept as one list a row, which readers part again: a batch of twenty
        #: columns is made in a tenth of the time.
        self.together = not policy.hides and all(one.type.name == "double" for one in fields)
        self.schema = pa.schema(
            [
                ("prediction_id", pa.string()),
                ("request_id", pa.string()),
                ("at", _MOMENT),
                ("event_time", _MOMENT),
                ("key", pa.string()),
                (CALLER, pa.string()),
                *answers,
                *(UNUSUAL if unusual else ()),
                *self._kinds(),
            ],
            metadata={
                **about,
                "columns": json.dumps([one.name for one in self.columns]),
                "hidden": json.dumps([*policy.dropped, *policy.hashed]),
                "share": str(policy.sample),
            },
        )
        self._types = [field.type for field in self.schema]

    def _kinds(self) -> list[tuple[str, pa.DataType]]:
        if self.together:
            return [(TOGETHER, pa.list_(pa.float64(), len(self.columns)))]
        return [
            (f"in.{one.name}", pa.string() if one.name in self.hashes else _column_type(one))
            for one in self.columns
        ]

    def batch(self, batch: Sequence[Logged]) -> pa.RecordBatch:
        """Return the rows of some requests as one Arrow batch."""
        total = sum(logged.rows.count for logged in batch)
        at = _moments(np.full(total, time.time_ns() // 1000))
        times = at
        if self.times and any(logged.rows.times is not None for logged in batch):
            times = _event_times(batch, at)
        keys: Any = pa.nulls(total, pa.string())
        if self.keys and any(logged.rows.keys is not None for logged in batch):
            keys = _joined([_or_none(one.rows.keys, one.rows.count) for one in batch])
            if self.of_key is not None:
                keys = self.of_key.column(keys)
        columns: list[Any] = [
            *_names(batch, total),
            at,
            times,
            keys,
            self._callers(batch, total),
            self._predictions(batch),
            _probabilities([logged.answer.probability for logged in batch], total),
            *(self._strangeness(batch, total) if self._unusual else ()),
        ]
        if self.together:
            columns.append(self._together(batch, total))
        for field in () if self.together else self.columns:
            column = _joined([logged.rows.inputs[field.name] for logged in batch])
            if is_composed(field):
                column = as_texts(column)
            pseudonyms = self.hashes.get(field.name)
            columns.append(column if pseudonyms is None else pseudonyms.column(column))
        arrays = [_arrow(c, kind) for c, kind in zip(columns, self._types, strict=True)]
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def _callers(self, batch: Sequence[Logged], total: int) -> Any:
        if CALLER in self.policy.dropped:
            return pa.nulls(total, pa.string())
        names = {logged.rows.caller for logged in batch}
        told: dict[str, Any] = {name: name or None for name in names}
        if CALLER in self.hashes:
            told |= {name: self.hashes[CALLER].of(name) for name in names if name}
        if len(names) == 1:
            return pa.repeat(pa.scalar(told[names.pop()], pa.string()), total)
        return [told[logged.rows.caller] for logged in batch for _ in range(logged.rows.count)]

    def _predictions(self, batch: Sequence[Logged]) -> Array:
        if self._json:
            return np.concatenate([as_texts(logged.answer.prediction) for logged in batch])
        return _joined([logged.answer.prediction for logged in batch])

    def _strangeness(self, batch: Sequence[Logged], total: int) -> tuple[Array, Any]:
        """How strange rows were, and which columns make some so; hidden ones aren't named."""
        p = np.full(total, np.nan)
        reasons: dict[int, list[str]] = {}
        start = 0
        for logged in batch:
            found = logged.answer.unusual
            if found is not None:
                p[start : start + len(found.p)] = found.p
                reasons |= {start + row: told for row, told in found.reasons.items()}
            start += logged.rows.count
        if not reasons:
            return p, pa.nulls(total, UNUSUAL[1][1])
        hidden = {*self.policy.dropped, *self.policy.hashed}
        told = [reasons.get(row) for row in range(total)]
        return p, [one and [name for name in one if name not in hidden] for one in told]

    def _together(self, batch: Sequence[Logged], total: int) -> pa.Array:
        block = merge_blocks([logged.rows for logged in batch])
        if block is None:
            block = np.stack(
                [_joined([one.rows.inputs[f.name] for one in batch]) for f in self.columns]
            )
        content = pa.py_buffer(np.ascontiguousarray(block.T, dtype=np.float64))
        values = pa.Array.from_buffers(pa.float64(), block.size, [None, content], 0)
        return pa.Array.from_buffers(self._types[-1], total, [None], 0, children=[values])


def prediction_type(labels: list[Any] | None, answers: str) -> pa.DataType:
    """How predictions are kept: as the classes are, as numbers, or as texts."""
    if answers in ("typed", "number"):
        return pa.float64() if labels is None else pa.array(labels).type
    return pa.bool_() if answers == "boolean" else pa.string()


def _column_type(field: Field) -> pa.DataType:
    if is_composed(field):
        return pa.string()
    if field.type.name != "tensor":
        return _ARROW[field.type.name]
    dtype = field.type.take([], field.name).dtype
    return pa.string() if dtype.kind == "O" else pa.from_numpy_dtype(dtype)


def _names(batch: Sequence[Logged], total: int) -> tuple[Any, Any]:
    """The ids of predictions and of requests, a row each."""
    whole = [logged.ids for logged in batch if isinstance(logged.ids, Ids)]
    if total < _MANY * len(batch) or len(whole) < len(batch):
        return (
            [id_ for logged in batch for id_ in logged.ids],
            [logged.request_id for logged in batch for _ in range(logged.rows.count)],
        )
    requests = [pa.repeat(logged.request_id, logged.rows.count) for logged in batch]
    return pa.concat_arrays([ids.column for ids in whole]), pa.concat_arrays(requests)


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

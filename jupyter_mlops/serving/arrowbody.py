"""Arrow IPC streams as bodies: columns by name in, columns of answers out, no object a row.

A stream comes from strangers. Its messages are measured before Arrow reads them, buffers are
taken uncompressed alone (a small one could unpack to more than memory), and what Arrow has read is
validated in full before anybody looks at it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jupyter_mlops.serving.asking import Reply, too_large
from jupyter_mlops.serving.fields import Array, Field, dtype_of, in_nanoseconds, missing_value
from jupyter_mlops.serving.ids import Ids
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.shapes import as_texts

__all__ = ["ARROW", "STREAM_END", "ArrowSplitter", "answer_batch", "read_arrow", "write_arrow"]

ARROW: Final = "application/vnd.apache.arrow.stream"
_WIRE: Final = {
    pa.bool_(): "BOOL",
    pa.int8(): "INT8",
    pa.int16(): "INT16",
    pa.int32(): "INT32",
    pa.int64(): "INT64",
    pa.uint8(): "UINT8",
    pa.uint16(): "UINT16",
    pa.uint32(): "UINT32",
    pa.uint64(): "UINT64",
    pa.float16(): "FP16",
    pa.float32(): "FP32",
    pa.float64(): "FP64",
}
_DOUBLE: Final = pa.float64()
_MOMENT: Final = pa.timestamp("us")
_NOT_A_TIME: Final = np.iinfo(np.int64).min
_CONTINUES: Final = b"\xff\xff\xff\xff"
STREAM_END: Final = _CONTINUES + bytes(4)
_END, _SCHEMA, _DICTIONARY, _BATCH = 0, 1, 2, 3


@dataclass(frozen=True)
class _Message:
    """One encapsulated message of a stream.

    Attributes
    ----------
    kind : int
        What it holds; 0 for the stream's end.
    rows : int
    stop : int
        Where it, with its body, ends.
    """

    kind: int
    rows: int
    stop: int


class ArrowSplitter:
    """Cuts a stream into streams of one record batch each, as its bytes come.

    Parameters
    ----------
    limit : int
        Bytes of one message, and of the schema and all dictionaries together.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._order = _Order()
        self._pending = bytearray()
        self._head: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Take a piece; give the streams that are whole now.

        Raises
        ------
        Refusal
            It is no Arrow stream, is compressed, or a message is too large.
        """
        self._pending += piece
        while (message := _message(self._pending, 0, self.limit)) is not None:
            self._order.add(message)
            content = bytes(self._pending[: message.stop])
            del self._pending[: message.stop]
            if message.kind in (_SCHEMA, _DICTIONARY):
                self._head.append(content)
                if sum(map(len, self._head)) > self.limit:
                    raise too_large(self.limit, "what comes before the rows")
            elif message.rows:
                yield b"".join([*self._head, content])

    def end(self) -> None:
        """Notice a stream that was cut off."""
        self._order.end(len(self._pending))


class _Order:
    """Watches that messages come in the order in which a stream has them."""

    def __init__(self) -> None:
        self.rows = 0
        self._begun = self._ended = False

    def add(self, message: _Message) -> None:
        if self._ended:
            raise _broken("messages after its end")
        if message.kind == _SCHEMA and self._begun:
            raise _broken("a second schema")
        if message.kind != _SCHEMA and not self._begun:
            raise _broken("data before its schema")
        self._begun = True
        self._ended = message.kind == _END
        self.rows += message.rows if message.kind == _BATCH else 0

    def end(self, left: int) -> None:
        if left:
            raise _broken("a message that is cut off")
        if not self._begun:
            raise _broken("no schema")


def _rows(body: bytes, limit: int) -> int:
    """Return how many rows a whole stream says that it holds, having looked at each message."""
    order = _Order()
    at = 0
    while (message := _message(body, at, limit)) is not None:
        order.add(message)
        at = message.stop
    order.end(len(body) - at)
    return order.rows


def _message(held: bytes | bytearray, at: int, limit: int) -> _Message | None:
    """Look at the message that begins there; None when not all of it has come."""
    if len(held) < at + 8:
        return None
    if held[at : at + 4] != _CONTINUES:
        raise _broken("a message that does not begin as one")
    (size,) = struct.unpack_from("<i", held, at + 4)
    if size == 0:
        return _Message(_END, 0, at + 8)
    if size < 0:
        raise _broken("a length below zero")
    if size > limit:
        raise too_large(limit, "a message")
    start, stop = at + 8, at + 8 + size
    if len(held) < stop:
        return None
    kind, rows, length = _read_head(bytes(held[start:stop]))
    if length > limit:
        raise too_large(limit, "a record batch")
    return _Message(kind, rows, stop + length) if len(held) >= stop + length else None


def _read_head(head: bytes) -> tuple[int, int, int]:
    """Read kind, rows and length of body from a message's flatbuffer (Arrow's ``Message.fbs``)."""
    try:
        table = _offset(head, 0)
        kind = head[_slot(head, table, 1)]
        body_at = _slot(head, table, 3)
        body = struct.unpack_from("<q", head, body_at)[0] if body_at else 0
        rows = 0
        if kind in (_DICTIONARY, _BATCH):
            batch = _offset(head, _slot(head, table, 2))
            if kind == _DICTIONARY:
                batch = _offset(head, _slot(head, batch, 1))
            if _slot(head, batch, 3):
                told = "the Arrow stream is compressed: write it without compression"
                raise Refusal(400, "E-SERVE-127", told)
            rows_at = _slot(head, batch, 0)
            rows = struct.unpack_from("<q", head, rows_at)[0] if rows_at else 0
    except (struct.error, IndexError):
        raise _broken("a message that cannot be read") from None
    if kind not in (_SCHEMA, _DICTIONARY, _BATCH) or body < 0 or rows < 0:
        raise _broken("a message of another kind")
    return kind, rows, body


def _offset(head: bytes, at: int) -> int:
    return at + int(struct.unpack_from("<I", head, at)[0])


def _slot(head: bytes, table: int, number: int) -> int:
    """Return where a table keeps a field; 0 when it has none."""
    vtable = table - struct.unpack_from("<i", head, table)[0]
    if vtable < 0:
        raise IndexError
    size, place = struct.unpack_from("<H", head, vtable)[0], 4 + 2 * number
    if place + 2 > size:
        return 0
    within = struct.unpack_from("<H", head, vtable + place)[0]
    return table + within if within else 0


def _broken(found: str) -> Refusal:
    return Refusal(400, "E-SERVE-126", f"the body is no Arrow IPC stream: it holds {found}")


def read_arrow(body: bytes, intake: Intake, limit: int) -> Rows:
    """Check a whole stream; its columns are found by name.

    Parameters
    ----------
    body : bytes
    intake : Intake
    limit : int
        Bytes that its texts may hold.

    Raises
    ------
    Refusal
        It is no such stream, or a column doesn't fit the signature.
    """
    count = _rows(body, limit)
    intake.limit(count)
    try:
        with pa.ipc.open_stream(body) as stream:
            batches = list(stream)
            for batch in batches:
                batch.validate(full=True)
    except (pa.ArrowException, OSError, ValueError):
        raise _broken("data that does not fit its schema") from None
    names = batches[0].schema.names
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise Refusal(400, "E-SERVE-108", f"column {quoted(twice)} is named twice")
    if intake.tensor and len(names) == len(intake.names) and set(names) != set(intake.names):
        names = list(intake.names)  # an array's columns have no names that anybody chose
    kinds = batches[0].schema.types
    alike = intake.plain and len(batches) == 1 and set(names) == intake.known
    if alike and all(kind == _DOUBLE for kind in kinds):
        batch = batches[0].select([names.index(name) for name in intake.names])
        matrix = batch.to_tensor(null_to_nan=True, row_major=False).to_numpy()
        return intake.block(np.ascontiguousarray(matrix.T))
    fields = {field.name: field for field in intake.fields}
    ready: dict[str, Array] = {}
    table: dict[str, Any] = {}
    for place, name in enumerate(names):
        pieces = [batch.column(place) for batch in batches]
        column = pieces[0] if len(pieces) == 1 else pa.chunked_array(pieces).combine_chunks()
        if name == intake.time:
            table[name] = _times(column, name, limit)
        if name == intake.key:
            table[name] = _plain(column, limit).to_pylist()
        field = fields.get(name)
        if field is not None:
            ready[name] = _typed(column, field, limit)
        elif name not in table:
            table[name] = ()  # nobody asked for it
    return intake.typed(ready, table, count)


def _typed(column: pa.Array, field: Field, limit: int) -> Array:
    kind = field.type
    if kind.name == "double" and column.type == _DOUBLE:
        doubles: Array = column.to_numpy(zero_copy_only=False)
        return doubles
    if pa.types.is_null(column.type):
        return field.take([None] * len(column))
    if kind.name == "datetime":
        times = _times(column, field.name, limit)
        if isinstance(times, np.ndarray):
            return in_nanoseconds(times, field.name)
        return field.take(times)
    column = _plain(column, limit)
    if kind.name in ("string", "binary"):
        wanted = pa.string() if kind.name == "string" else pa.binary()
        if column.type != wanted:
            raise _unfit(column, field)
        values: Array = column.to_numpy(zero_copy_only=False)
        if kind.name == "binary" and column.null_count:
            raise missing_value(_first_null(column), field.name, kind.name)
        return values
    if _WIRE.get(column.type) not in kind.accepts:
        raise _unfit(column, field)
    if column.null_count and kind.name in ("boolean", "integer", "long"):
        if field.required:
            raise missing_value(_first_null(column), field.name, kind.name)
        return np.asarray(column.to_numpy(zero_copy_only=False))  # NaN for numbers, else None
    found: Any = np.asarray(column.to_numpy(zero_copy_only=False))
    return field.take(found) if kind.name == "tensor" else found.astype(dtype_of(kind), copy=False)


def _plain(column: pa.Array, limit: int) -> pa.Array:
    """Return dictionaries and views of texts as plain arrays, where those are not too large."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        values = kind.value_type
        if _texts(values):
            lengths = pa.array(_lengths(column.dictionary))
            _small(pc.sum(pc.take(lengths, column.indices)).as_py(), limit)
        column = column.dictionary_decode()
        kind = column.type
    if _texts(kind) and kind not in (pa.string(), pa.binary()):
        _small(int(_lengths(column).sum()), limit)
        text = kind in (pa.large_string(), pa.string_view())
        return column.cast(pa.string() if text else pa.binary())
    return column


def _texts(kind: pa.DataType) -> bool:
    return kind in (
        pa.string(), pa.large_string(), pa.string_view(),
        pa.binary(), pa.large_binary(), pa.binary_view(),
    )  # fmt: skip


def _lengths(column: pa.Array) -> Array:
    """Return how many bytes each text has; several may be the same bytes."""
    if column.type in (pa.string_view(), pa.binary_view()):
        # Each view is 16 bytes that begin with its length (Arrow's columnar format).
        views = np.frombuffer(column.buffers()[1], "<i4").reshape(-1, 4)
        lengths = views[column.offset : column.offset + len(column), 0]
        return np.where(np.asarray(column.is_valid()), lengths, 0).astype(np.int64)
    return np.asarray(pc.fill_null(pc.binary_length(column), 0)).astype(np.int64)


def _small(size: int | None, limit: int) -> None:
    if (size or 0) > limit:
        raise too_large(limit, "a column of texts")


def _times(column: pa.Array, name: str, limit: int) -> Array | list[Any]:
    """Return times as datetime64[us], or as texts that are still to be read."""
    column = _plain(column, limit)
    kind = column.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        if kind == pa.string() or pa.types.is_null(kind):
            return list(column.to_pylist())
        raise Refusal(
            400,
            "E-SERVE-110",
            f"column {quoted(name)}: expected timestamp or ISO 8601 text, found {kind}",
        )
    zoned = pa.types.is_timestamp(kind) and kind.tz is not None
    try:
        moments = column.cast(pa.timestamp("us", tz="UTC") if zoned else _MOMENT, safe=False)
    except pa.ArrowInvalid:
        raise Refusal(
            400, "E-SERVE-111", f"column {quoted(name)}: a time does not fit microseconds"
        ) from None
    numbers = pc.fill_null(moments.cast(pa.int64()), _NOT_A_TIME)
    return np.asarray(numbers.to_numpy(zero_copy_only=False)).view("datetime64[us]")


def _unfit(column: pa.Array, field: Field) -> Refusal:
    found = str(column.type)
    if len(found) > 40:
        found = found[:39] + "…"
    return Refusal(
        400,
        "E-SERVE-110",
        f"column {quoted(field.name)}: expected {field.type.name}, found Arrow's {found}",
    )


def _first_null(column: pa.Array) -> int:
    return int(np.argmax(np.asarray(column.is_null())))


def answer_batch(reply: Reply, request_id: str) -> pa.RecordBatch:
    """Return the answers of a request as columns; the schema's metadata says who answered."""
    answer, one = reply.outcome.answer, reply.version
    prediction = answer.prediction
    if prediction.dtype.kind == "O" and not all(type(one) is str for one in prediction):
        prediction = as_texts(prediction)
    columns = {"prediction": pa.array(prediction)}
    about = {**one.about, "request_id": request_id}
    if answer.probability is not None:
        flat = pa.array(answer.probability.ravel())
        if answer.probability.ndim == 2:
            flat = pa.FixedSizeListArray.from_arrays(flat, answer.probability.shape[1])
        columns["probability"] = flat
        about["classes"] = json.dumps(one.portrait.classes)
    ids = reply.outcome.ids
    columns["prediction_id"] = ids.column if isinstance(ids, Ids) else pa.array(ids, pa.string())
    columns["model_version"] = pa.repeat(one.config.version, reply.rows.count)
    if reply.rows.ignored:
        about["ignored"] = json.dumps(reply.rows.ignored[:5])
    fields = [pa.field(name, column.type) for name, column in columns.items()]
    return pa.RecordBatch.from_arrays(list(columns.values()), schema=pa.schema(fields, about))


def write_arrow(reply: Reply, request_id: str) -> bytes:
    """Return the answers as a whole stream."""
    batch = answer_batch(reply, request_id)
    return b"".join([batch.schema.serialize(), batch.serialize(), STREAM_END])

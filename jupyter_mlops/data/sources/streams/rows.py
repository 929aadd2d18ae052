"""From messages to rows: payloads parsed with their final types and written as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.sources.files.delimited import MISSING, fit_types
from jupyter_mlops.data.sources.scratch import ROW_GROUP
from jupyter_mlops.data.sources.streams.payloads import Payloads
from jupyter_mlops.workspace.errors import Conflict

if TYPE_CHECKING:
    import pyarrow as pa

    from jupyter_mlops.data.sources.streams.source import StreamSource

__all__ = ["write_rows"]

_SHOWN_OFFSETS: Final = 10
_SHOWN_FIELDS: Final = 50
_MOST_VALUES: Final = 500_000


class _Rows:
    """Turns blocks of messages into blocks of rows."""

    def __init__(self, source: StreamSource, payloads: Payloads, kind: str, keys: str) -> None:
        self.source = source
        self.shape = payloads.shape
        self.parse = payloads.parse
        self.kind = kind
        self.keys = keys
        self.bad = 0
        self.first: list[str] = []

    def schema(self) -> pa.Schema:
        import pyarrow as pa

        source = self.source
        offset = pa.string() if source.text_offsets else pa.int64()
        columns = [("_offset", offset)]
        if source.partition:
            columns.append((source.partition, pa.int64()))
        columns.append(("_time", pa.timestamp("us", "UTC")))
        if source.key and self.keys:
            columns.append((source.key, pa.large_string() if self.keys == "text" else _binary()))
        if self.kind == "json":
            taken = [name for name, _ in columns if name in self.shape.fields]
            if taken:
                raise Conflict(
                    f"the messages of {source.uri} have a field called {taken[0]!r}",
                    "the column of that name says where a message was in the stream",
                    "rename the field where it is written, or add payload=text to the URI's "
                    "options to take each message as one text",
                    code="E-STREAM-012",
                )
            columns += [(name, shape.arrow()) for name, shape in self.shape.fields.items()]
        else:
            columns.append(("value", pa.large_string() if self.kind == "text" else _binary()))
        return pa.schema(columns)

    def block(self, batch: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch | None:
        """The rows of some messages; those that can't be read are counted and left out."""
        import pyarrow as pa

        payloads = batch.column("payload").to_pylist()
        parsed, kept = [], []
        for place, payload in enumerate(payloads):
            row = self._row(payload)
            if row is None:
                self._leave_out(batch, place)
            else:
                parsed.append(row)
                kept.append(place)
        if not kept:
            return None
        if len(kept) < batch.num_rows:
            batch = batch.take(pa.array(kept))
        columns = [batch.column("offset")]
        if self.source.partition:
            columns.append(batch.column("partition").cast(pa.int64()))
        columns.append(batch.column("time"))
        if self.source.key and self.keys:
            key = batch.column("key")
            columns.append(key.cast(pa.large_string()) if self.keys == "text" else key)
        for field in list(schema)[len(columns) :]:
            values = [row.get(field.name) for row in parsed]
            shape = self.shape.fields.get(field.name)
            if self.kind == "json" and shape is not None and not shape.plain:
                values = [shape.fit(value) for value in values]
            columns.append(pa.array(values, type=field.type))
        return pa.record_batch(columns, schema=schema)

    def _row(self, payload: bytes | None) -> dict[str, Any] | None:
        if payload is None:
            return {}
        if self.kind == "json":
            return self.parse(payload)
        if self.kind == "bytes":
            return {"value": payload}
        try:
            return {"value": payload.decode("utf-8")}
        except UnicodeDecodeError:
            return None

    def _leave_out(self, batch: pa.RecordBatch, place: int) -> None:
        self.bad += 1
        if len(self.first) < _SHOWN_OFFSETS:
            partition, offset = (batch.column(n)[place].as_py() for n in ("partition", "offset"))
            self.first.append(f"{partition}:{offset}")


def write_rows(
    source: StreamSource, payloads: Payloads, spool: Path, target: Path
) -> dict[str, Any]:
    """Write messages from a file of raw ones as rows, and say what became of them.

    Returns
    -------
    dict
        `payload`: json, text, bytes or fields; `mixed`: fields that became text; `unreadable`:
        how many messages were left out, and where the first are.

    Raises
    ------
    Conflict
        A field has the name of a column that every stream has.
    Invalid
        The payloads are in a format that isn't read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    kind = payloads.kind()
    with pa.OSFile(str(spool)) as raw, pa.ipc.open_file(raw) as messages:
        blocks = range(messages.num_record_batches)
        rows = _Rows(source, payloads, kind, _keys(messages))
        schema = rows.schema()
        draft = target.with_suffix(".texts") if source.fields else target
        # Of wide rows fewer fit into memory at once.
        step = max(1, _MOST_VALUES // len(schema))
        with pq.ParquetWriter(draft, schema, compression="lz4") as file:
            for place in blocks:
                block = messages.get_batch(place)
                for first in range(0, block.num_rows, step):
                    made = rows.block(block.slice(first, step), schema)
                    if made is not None:
                        file.write_batch(made, row_group_size=ROW_GROUP)
    if source.fields:
        _narrow(draft, list(payloads.shape.fields), target)
        draft.unlink()
    told: dict[str, Any] = {"payload": "fields" if source.fields else kind}
    mixed = payloads.shape.told() if kind == "json" else {}
    if mixed:
        told["mixed"] = dict(list(mixed.items())[:_SHOWN_FIELDS])
    if rows.bad:
        expected = {"json": "JSON objects", "text": "UTF-8 text"}[kind]
        told["unreadable"] = {"count": rows.bad, "expected": expected, "first": rows.first}
    return told


def _narrow(texts: Path, names: list[str], target: Path) -> None:
    """Give fields that are all text the types they would have in a CSV file."""
    frame = pl.scan_parquet(texts, glob=False).with_columns(
        pl.when(~pl.col(name).is_in(MISSING)).then(pl.col(name)).alias(name) for name in names
    )
    fit_types(frame, names).sink_parquet(target, row_group_size=ROW_GROUP, compression="lz4")


def _keys(messages: pa.ipc.RecordBatchFileReader) -> str:
    """Whether messages have keys, and whether those are text: ``text``, ``bytes`` or nothing."""
    import pyarrow as pa

    found = ""
    for place in range(messages.num_record_batches):
        key = messages.get_batch(place).column("key")
        if key.null_count == len(key):
            continue
        try:
            key.cast(pa.large_string()).validate(full=True)
        except pa.ArrowInvalid:
            return "bytes"
        found = "text"
    return found


def _binary() -> pa.DataType:
    import pyarrow as pa

    return pa.large_binary()

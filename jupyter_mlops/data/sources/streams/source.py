"""Streams: a window of messages becomes a table, once, with the offsets that give it again."""

from __future__ import annotations

import threading
import warnings
from abc import abstractmethod
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import polars as pl

from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.data.sources.scratch import new_folder, no_room
from jupyter_mlops.data.sources.streams.addresses import Address
from jupyter_mlops.data.sources.streams.messages import Message, Reading
from jupyter_mlops.data.sources.streams.payloads import Payloads
from jupyter_mlops.data.sources.streams.rows import write_rows
from jupyter_mlops.data.sources.streams.windows import Window, in_words
from jupyter_mlops.workspace.errors import Conflict, NotFound

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["StreamSource"]

_BLOCK_ROWS: Final = 16_384
_BLOCK_BYTES: Final = 16 << 20


class StreamSource(LazySource):
    """A window of a stream.

    The messages are read once, with bounded memory, into a temporary Parquet file that every
    scan reads, so a stream that goes on doesn't change the table under its reader.

    Parameters
    ----------
    address : Address
    window : Window

    Attributes
    ----------
    scheme : str
        How URIs of this system begin.
    text_offsets : bool
        Whether offsets are text instead of numbers.
    key, partition : str or None
        The columns of a message's key and partition; None where the system has none.
    """

    scheme: ClassVar[str]
    text_offsets: ClassVar[bool] = False
    key: ClassVar[str | None] = "_key"
    partition: ClassVar[str | None] = None
    fields: ClassVar[bool] = False

    def __init__(self, address: Address, window: Window) -> None:
        self.uri = address.uri
        self.address = address
        self.window = window
        self._lock = threading.Lock()
        self._path: Path | None = None
        self._told: dict[str, Any] = {}

    @abstractmethod
    def read(self, reading: Reading) -> Generator[list[Message]]:
        """The window's messages in the order of partitions and offsets, resumed after faults.

        Fills `reading.ranges`, by partition, before it ends.
        """

    @property
    def stream(self) -> str:
        """What is read, without the brokers it is read from."""
        return f"{self.scheme}:{'/'.join(self.address.path)}"

    def scan(self) -> pl.LazyFrame:
        """The rows, read from the stream when they are first needed."""
        with self._lock:
            if self._path is None or not self._path.exists():
                self._path = self._fetch()
        return pl.scan_parquet(self._path, glob=False)

    def provenance(self) -> dict[str, Any]:
        """The offsets, how many messages, their time span, and when they were read."""
        self.scan()
        return dict(self._told)

    def _fetch(self) -> Path:
        folder = new_folder()
        spool, target = folder / "messages.arrow", folder / "rows.parquet"
        reading = Reading()
        payloads = Payloads(self.uri, "json" if self.fields else self.address.payload)
        try:
            self._spool(spool, reading, payloads)
            self._check(reading)
            written = write_rows(self, payloads, spool, target)
        except OSError as error:
            raise no_room(self.uri, folder, error.strerror or str(error)) from None
        finally:
            spool.unlink(missing_ok=True)
        self._told = {
            "stream": self.stream,
            "window": self.window.text,
            "offsets": ",".join(map(str, reading.spans())),
            "messages": sum(reading.counts.values()),
            "from": _instant(reading.first),
            "to": _instant(reading.last),
            "read_at": reading.at.isoformat(timespec="milliseconds"),
            **written,
        }
        self._warn(written)
        return target

    def _spool(self, path: Path, reading: Reading, payloads: Payloads) -> None:
        """Put the messages as they are into a file, looking at each on the way."""
        import pyarrow as pa

        with pa.ipc.new_file(path, self._raw()) as file, closing(self.read(reading)) as batches:
            block: list[Message] = []
            size = 0
            for batch in batches:
                reading.see(batch)
                payloads.see(message.payload for message in batch)
                block += batch
                size += sum(len(message.payload or b"") for message in batch)
                if len(block) >= _BLOCK_ROWS or size >= _BLOCK_BYTES:
                    file.write(self._batch(block))
                    block, size = [], 0
            if block:
                file.write(self._batch(block))

    def _raw(self) -> pa.Schema:
        import pyarrow as pa

        offset = pa.string() if self.text_offsets else pa.int64()
        return pa.schema(
            [
                ("partition", pa.int32()),
                ("offset", offset),
                ("time", pa.timestamp("us", "UTC")),
                ("key", pa.large_binary()),
                ("payload", pa.large_binary()),
            ]
        )

    def _batch(self, block: list[Message]) -> pa.RecordBatch:
        import pyarrow as pa

        schema = self._raw()
        columns = zip(*block, strict=True)
        return pa.record_batch(
            [pa.array(c, type=t) for c, t in zip(columns, schema.types, strict=True)], schema=schema
        )

    def _check(self, reading: Reading) -> None:
        """Refuse an empty window, and one that isn't any more what it was."""
        for span in self.window.spans:
            found = reading.counts.get(span.partition, 0)
            if span.count is not None and found != span.count:
                raise Conflict(
                    f"{self.uri} doesn't hold the same messages any more",
                    f"{found:,} of the {span.count:,} between {span.first} and {span.last} "
                    f"of partition {span.partition} are left",
                    "use the dataset's recorded version, or another window",
                    code="E-STREAM-010",
                )
        if not sum(reading.counts.values()):
            raise NotFound(
                f"{self.uri} holds no messages {in_words(self.window)}",
                fix="take a longer window, or wait until some have come",
                code="E-STREAM-011",
            )

    def _warn(self, written: dict[str, Any]) -> None:
        bad = written.get("unreadable")
        if bad:
            warnings.warn(
                f"{self.uri}: {bad['count']:,} of {self._told['messages']:,} messages are no "
                f"{bad['expected']} and were left out, the first at {bad['first'][0]}",
                stacklevel=4,
            )


def _instant(micros: int | None) -> str | None:
    if micros is None:
        return None
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="milliseconds")

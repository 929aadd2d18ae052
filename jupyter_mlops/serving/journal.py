"""The hot end of the traffic log: an append-only file of checksummed Arrow batches.

A segment is a sequence of frames. Each is 16 bytes, ``magic · CRC-32 · length`` (little endian),
and a payload: first the Arrow schema message, then record batch messages (Arrow IPC). A frame
counts when its checksum fits; a process killed while it wrote leaves a torn last frame, which
readers step over. The writer holds a lock on its segment for as long as it lives, so that anyone
can tell a finished segment from one in use.
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

_FRAME = struct.Struct("<4sIQ")
_MAGIC = b"JMF1"
SUFFIX = ".frames"
TOGETHER = "in"  # the column that holds all of a model's columns, where they are doubles


class JournalError(Exception):
    """Nothing could be written: the disk is full, read-only or broken."""


class Segment:
    """A segment being written.

    Parameters
    ----------
    path : Path
        A file that does not exist yet.
    schema : pyarrow.Schema
        Of all batches.

    Raises
    ------
    JournalError
        The file cannot be made.
    """

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path = path
        self.schema = schema
        self.size = 0
        # Locked under another name first: whoever sees a segment can rely on its lock.
        unborn = path.with_name(f".{path.name}.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(unborn, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalError(f"the traffic log cannot be made: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            self.append([schema.serialize()])
            unborn.rename(path)
            folder = os.open(path.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            self._abort(unborn)
            raise JournalError(f"the traffic log cannot be made: {error.strerror}") from error
        except JournalError:
            self._abort(unborn)
            raise

    def _abort(self, unborn: Path) -> None:
        os.close(self._file)
        unborn.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def append(self, payloads: Sequence[pa.Buffer]) -> None:
        """Write frames and return when they are on the disk, all of them or none.

        Raises
        ------
        JournalError
            They are not; the segment is as it was before and must be closed.
        """
        parts = [
            piece
            for payload in payloads
            for piece in (_FRAME.pack(_MAGIC, zlib.crc32(payload), payload.size), payload)
        ]
        try:
            written = os.writev(self._file, parts)
            total = sum(len(memoryview(part)) for part in parts)
            if written < total:
                # A short write is how a full disk shows first; the rest says why.
                rest = b"".join(bytes(part) for part in parts)[written:]
                while rest:
                    rest = rest[os.write(self._file, rest) :]
            os.fdatasync(self._file)
        except OSError as error:
            self._undo()
            raise JournalError(f"the traffic log cannot be written: {error.strerror}") from error
        self.size += total

    def _undo(self) -> None:
        """Cut off what may be half there; a torn end is harmless if even that fails."""
        try:
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
        except OSError:
            pass

    def close(self) -> None:
        """Let go of the segment: it may be compacted now."""
        os.close(self._file)


@dataclass(frozen=True)
class Reading:
    """What a segment holds.

    Attributes
    ----------
    table : pyarrow.Table, optional
        All whole batches; None when not even the schema is whole.
    ignored : int
        Bytes at the end that are no whole frame.
    damaged : bool
        What follows is no torn end: the disk, or somebody, changed what had been written.
    """

    table: pa.Table | None
    ignored: int
    damaged: bool


def read_segment(path: Path) -> Reading:
    """Read every whole frame of a segment, being written or not.

    Raises
    ------
    FileNotFoundError
        It was compacted meanwhile.
    """
    with path.open("rb") as stream:
        data = pa.py_buffer(stream.read())
    view = memoryview(data)
    at = 0
    schema: pa.Schema | None = None
    batches = []
    damaged = False
    while at + _FRAME.size <= len(view):
        magic, checksum, length = _FRAME.unpack_from(view, at)
        start, stop = at + _FRAME.size, at + _FRAME.size + length
        if magic != _MAGIC or stop > len(view) or zlib.crc32(view[start:stop]) != checksum:
            damaged = stop < len(view)
            break
        payload = data.slice(start, length)
        if schema is None:
            schema = pa.ipc.read_schema(payload)
        else:
            batches.append(pa.ipc.read_record_batch(payload, schema))
        at = stop
    table = None if schema is None else pa.Table.from_batches(batches, schema=schema)
    if table is not None and schema is not None and TOGETHER in schema.names:
        table = _parted(table, json.loads(schema.metadata[b"columns"]))
    return Reading(table, len(view) - at, damaged)


def _parted(table: pa.Table, names: list[str]) -> pa.Table:
    """Give each column of doubles that were kept together a column of its own."""
    place = table.schema.get_field_index(TOGETHER)
    # A list column may be in several pieces, and flat they are one.
    flat = table.column(place).combine_chunks().flatten()
    block = flat.to_numpy(zero_copy_only=False).reshape(-1, len(names))
    table = table.remove_column(place)
    for name, column in zip(names, block.T, strict=True):
        table = table.append_column(f"in.{name}", pa.array(column, from_pandas=True))
    return table


def abandoned(path: Path) -> bool:
    """Whether nobody writes to the segment any more (its writer closed it, or died)."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True

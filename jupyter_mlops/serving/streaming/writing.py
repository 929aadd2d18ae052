"""Files as a sink: NDJSON and CSV that grow, and folders of Parquet parts."""

from __future__ import annotations

import csv
import io
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Final

import orjson

from jupyter_mlops.serving.streaming.messages import Document, Marks, beyond, later
from jupyter_mlops.serving.streaming.redis import other_source
from jupyter_mlops.workspace import Conflict, Unavailable

__all__ = ["CsvSink", "FileSink", "NdjsonSink", "ParquetSink", "replace"]

#: Seconds of answers in one Parquet part.
_PART: Final = 5.0


class FileSink(ABC):
    """A file or folder, and beside it a hidden file that says what of it counts.

    Exactly once, whatever the source: what is new is on the disk before the hidden file, which is
    replaced in one step, says so together with the source's positions. What a killed process wrote
    beyond that is cut off.

    Parameters
    ----------
    path : Path
    """

    guarantee = "exactly once"
    gather: float = 0.0
    commits = False

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = path.with_name(f".{path.name}.positions.json")
        self._source = ""
        self._counts = 0
        self._marks: Marks = {}

    def open(self, source: str) -> Marks | None:
        """Look what was written before, and cut off what doesn't count."""
        self._source = source
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            try:
                told = orjson.loads(self.kept.read_bytes())
            except FileNotFoundError:
                told = {"source": source, "counts": 0, "positions": {}}
                if self._found():
                    raise Conflict(
                        f"{self.path} is there already",
                        "no stream wrote it",
                        "write to another file",
                        code="E-STREAM-115",
                    ) from None
            if told["source"] != source:
                raise other_source(str(self.path), told["source"])
            self._counts, self._marks = told["counts"], told["positions"]
            self._mend()
        except OSError as error:
            raise self._unwritable(error) from None
        return dict(self._marks)

    def write(self, documents: list[Document], marks: Marks) -> None:
        """Write what is new, then the positions."""
        fresh = [one for one in documents if beyond(self._marks, one)]
        # A source that begins again further back doesn't undo what was written.
        reached = later(self._marks, marks)
        if not fresh and reached == self._marks:
            return
        try:
            # What an earlier try may have left half written goes first.
            self._mend()
            counts = self._append(fresh) if fresh else self._counts
            told = {"source": self._source, "counts": counts, "positions": reached}
            replace(self.kept, orjson.dumps(told))
        except OSError as error:
            raise self._unwritable(error) from None
        self._counts, self._marks = counts, reached

    def close(self) -> None:  # noqa: B027  nothing stays open
        """Nothing stays open."""

    @abstractmethod
    def _found(self) -> bool:
        """Whether something is there."""

    @abstractmethod
    def _mend(self) -> None:
        """Cut off what doesn't count."""

    @abstractmethod
    def _append(self, documents: list[Document]) -> int:
        """Write documents durably; return what counts now."""

    def _unwritable(self, error: OSError) -> Unavailable:
        return Unavailable(
            f"{error.filename or self.path} can't be written",
            error.strerror or str(error),
            "make room, or check your rights to it",
            code="E-STREAM-116",
        )


class NdjsonSink(FileSink):
    """A file of JSON objects, one a line; what counts is its length in bytes."""

    def _found(self) -> bool:
        return self.path.exists() and self.path.stat().st_size > 0

    def _mend(self) -> None:
        size = self.path.stat().st_size if self.path.exists() else 0
        if size < self._counts:
            raise Conflict(
                f"{self.path} is shorter than it was",
                f"{self._counts:,} bytes were written, and it holds {size:,}",
                "bring it back, or give the stream another --name to write all answers anew",
                code="E-STREAM-117",
            )
        if size > self._counts:
            os.truncate(self.path, self._counts)

    def _append(self, documents: list[Document]) -> int:
        text = self._text(documents)
        with self.path.open("ab") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        return self._counts + len(text)

    def _text(self, documents: list[Document]) -> bytes:
        options = orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY
        return b"".join(orjson.dumps(one.body, option=options) for one in documents)


class CsvSink(NdjsonSink):
    """A CSV file with a column for each field of the first answers; lists are JSON.

    A field that comes later is left out: the columns are written once.
    """

    _columns: list[str] | None = None

    def _mend(self) -> None:
        super()._mend()
        if self._counts and self._columns is None:
            with self.path.open(newline="", encoding="utf-8") as file:
                self._columns = next(csv.reader(file))

    def _text(self, documents: list[Document]) -> bytes:
        text = io.StringIO(newline="")
        if self._columns is None or not self._counts:
            self._columns = list(dict.fromkeys(name for one in documents for name in one.body))
            csv.writer(text, lineterminator="\n").writerow(self._columns)
        rows = csv.DictWriter(text, self._columns, extrasaction="ignore", lineterminator="\n")
        for one in documents:
            rows.writerow({name: _cell(value) for name, value in one.body.items()})
        return text.getvalue().encode()


class ParquetSink(FileSink):
    """A folder of Parquet files, one for the answers of some seconds; what counts is how many."""

    gather = _PART

    def _part(self, number: int) -> Path:
        return self.path / f"part-{number:08d}.parquet"

    def _found(self) -> bool:
        return self.path.is_dir() and any(self.path.iterdir())

    def _mend(self) -> None:
        self.path.mkdir(exist_ok=True)
        if self._counts and not self._part(self._counts - 1).exists():
            raise Conflict(
                f"{self._part(self._counts - 1)} is gone",
                f"{self._counts:,} parts were written",
                "bring it back, or give the stream another --name to write all answers anew",
                code="E-STREAM-117",
            )
        self._part(self._counts).unlink(missing_ok=True)

    def _append(self, documents: list[Document]) -> int:
        import polars as pl

        frame = pl.DataFrame([one.body for one in documents], infer_schema_length=None)
        with self._part(self._counts).open("wb") as file:
            frame.write_parquet(file)
            file.flush()
            os.fsync(file.fileno())
        _sync_folder(self.path)
        return self._counts + 1


def replace(path: Path, content: bytes) -> None:
    """Replace a file in one step that outlasts a power cut."""
    draft = path.with_name(f"{path.name}.draft")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _cell(value: Any) -> Any:
    if isinstance(value, list | dict):
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY).decode()
    return value

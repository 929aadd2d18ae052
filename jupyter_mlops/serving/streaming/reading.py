"""Files as a source: NDJSON line by line, CSV and Parquet row by row."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from jupyter_mlops.data.sources.files.formats import format_of, hidden
from jupyter_mlops.data.sources.opening import open_source
from jupyter_mlops.serving.streaming.messages import Marks, Record, later, order
from jupyter_mlops.serving.streaming.writing import replace
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Unavailable

__all__ = ["FileSource", "local_path"]

_READ: Final = ("json lines", "csv", "tsv", "parquet")
#: Seconds between two looks at files that may grow.
_LOOK: Final = 0.1
_ROWS: Final = 5_000


def local_path(uri: str) -> Path:
    """The path that a URI or a plain path means."""
    from urllib.parse import urlsplit
    from urllib.request import url2pathname

    if uri.startswith("file:"):
        return Path(url2pathname(urlsplit(uri).path))
    return Path(uri).expanduser()


class FileSource:
    """A file, or a folder of files in the order of their names.

    A position is a line's number and the byte after it, or a row's number. It is kept beside the
    answers where the sink keeps positions, else in a file of the workspace.

    Parameters
    ----------
    uri : str
        NDJSON, CSV, TSV or Parquet, told by the ending.
    kept : Path
        Where the position is kept.
    follow : bool
        Whether to wait for lines that are appended to NDJSON files, and for new files in the
        folder, instead of ending at the end.

    Raises
    ------
    NotFound
        Nothing is there.
    Invalid
        A file is in no format that is read here, or is to be followed and can't be.
    """

    def __init__(self, uri: str, kept: Path, follow: bool = False) -> None:
        self.path = local_path(uri)
        self.kept = kept
        self.follow = follow
        self.identity = f"file:{self.path.resolve()}"
        self.ended = False
        self._marks: Marks = {}
        self._records: Iterator[Record | None] = iter(())
        self._files()

    def _files(self) -> list[Path]:
        folder = self.path.is_dir()
        try:
            found = sorted(p for p in self.path.iterdir() if p.is_file()) if folder else [self.path]
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if folder:
            found = [p for p in found if format_of(p.name) and not hidden(p.name)]
        if not folder and not self.path.exists():
            raise NotFound(
                f"there is no file {self.path}", fix="check the path", code="E-STREAM-110"
            )
        for path in found:
            kind = format_of(path.name)
            # Packed text can't be entered at a byte, nor be appended to.
            packed = path.suffix.lower() in (".gz", ".bz2", ".zst", ".zip", ".xz")
            if kind not in _READ or (kind == "json lines" and packed):
                raise Invalid(
                    f"{path.name} can't be streamed",
                    "what is read here is NDJSON (.ndjson, .jsonl), CSV, TSV and Parquet",
                    "convert or unpack it",
                    code="E-STREAM-111",
                )
            if self.follow and kind != "json lines":
                raise Invalid(
                    f"{path.name} can't be followed",
                    "only lines appended to NDJSON files are seen as they come",
                    "leave --follow out",
                    code="E-STREAM-112",
                )
        return found

    def open(self, marks: Marks | None) -> None:
        """Go to after `marks`, or to after what was committed last."""
        self._marks = later(self._kept(), marks or {})
        self._records = self._all()

    def _kept(self) -> Marks:
        try:
            told = orjson.loads(self.kept.read_bytes())
        except FileNotFoundError:
            return {}
        # Of another source under the same name nothing was read here.
        kept: Marks = told["positions"] if told["source"] == self.identity else {}
        return kept

    def read(self, count: int, wait: float) -> list[Record]:
        """What is there, `count` at most; waits so many seconds for the first."""
        found: list[Record] = []
        deadline = time.monotonic() + wait
        while len(found) < count and not self.ended:
            try:
                record = next(self._records, None)
            except OSError as error:
                self._records = self._all()
                raise _unreadable(self.path, error) from None
            if record is not None:
                found.append(record)
                self._marks[record.partition] = record.mark
            elif self.follow:
                self._records = self._all()  # it ended at the end: look again
                if found or time.monotonic() >= deadline:
                    break
                time.sleep(min(_LOOK, max(0.0, deadline - time.monotonic())))
            else:
                self.ended = True
        return found

    def _all(self) -> Generator[Record]:
        for path in self._files():
            if format_of(path.name) == "json lines":
                yield from self._lines(path)
            else:
                yield from self._rows(path)

    def _lines(self, path: Path) -> Generator[Record]:
        line, at = _line_and_byte(self._marks.get(path.name, ""))
        if path.stat().st_size < at:
            raise Conflict(
                f"{path.name} is shorter than it was",
                f"{at:,} bytes of it were read, and it holds {path.stat().st_size:,} now",
                "write to a new file instead of over an old one",
                code="E-STREAM-113",
            )
        with path.open("rb") as file:
            file.seek(at)
            for text in _whole_lines(file, self.follow):
                line, at = line + 1, at + len(text)
                body = text.strip()
                if body:
                    yield Record(path.name, f"{line}@{at}", f"{path.name}:{line}", None, body)

    def _rows(self, path: Path) -> Generator[Record]:
        done = order(self._marks.get(path.name, "0"))[0]
        row = 0
        batches = open_source(str(path)).scan().collect_batches(chunk_size=_ROWS)
        for frame in batches:
            if row + frame.height <= done:
                row += frame.height
                continue
            for values in frame.iter_rows(named=True):
                row += 1
                if row > done:
                    yield Record(path.name, str(row), f"{path.name}:{row}", None, values)

    def commit(self, marks: Marks) -> None:
        """Keep the positions in the workspace."""
        told = {"source": self.identity, "positions": marks}
        self.kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace(self.kept, orjson.dumps(told))

    def lag(self) -> int | None:
        """Nobody counts the lines that weren't read."""
        return None

    def close(self) -> None:
        """Nothing stays open."""
        self._records = iter(())


def _line_and_byte(mark: str) -> tuple[int, int]:
    found = order(mark)
    return (found[0], found[1]) if len(found) == 2 else (0, 0)


def _whole_lines(file: BinaryIO, follow: bool) -> Generator[bytes]:
    """Lines; of a file that may grow only those that are ended."""
    for text in file:
        if follow and not text.endswith(b"\n"):
            return
        yield text


def _unreadable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"{error.filename or path} can't be read",
        error.strerror or os.strerror(error.errno or 0),
        "check the disk and your rights to it",
        code="E-STREAM-114",
    )

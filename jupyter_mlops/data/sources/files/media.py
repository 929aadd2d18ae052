"""Folders of pictures, sound and film: what each file is, as a table.

Only headers are read, never a whole picture or film, so a hundred thousand files take a minute
and not a day.  A file that can't be opened keeps its row, and says why in the column `fault`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import polars as pl

from jupyter_mlops.data.sources.files.formats import AUDIO, IMAGES
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.data.sources.scratch import parsed, write
from jupyter_mlops.workspace.errors import Unavailable

__all__ = ["Entry", "MediaFiles", "entries_of"]

_COMMON: Final = {
    "path": pl.String(),
    "label": pl.String(),
    "kind": pl.String(),
    "format": pl.String(),
    "size": pl.Int64(),
    "modified": pl.Datetime("us", "UTC"),
}
_PICTURE: Final = {"width": pl.Int64(), "height": pl.Int64()}
_COLOUR: Final = {"mode": pl.String()}
_SOUND: Final = {
    "duration": pl.Float64(),
    "codec": pl.String(),
    "sample_rate": pl.Int64(),
}
_FILM: Final = {"frame_rate": pl.Float64()}
_CHANNELS: Final = {"channels": pl.Int64()}
_THREADS: Final = 8


@dataclass(frozen=True)
class Entry:
    """A media file somewhere.

    Attributes
    ----------
    path : str
        Relative to the folder.
    size : int
        In bytes.
    modified : datetime or None
        In UTC.
    open : callable
        Gives a file object that can seek.
    """

    path: str
    size: int
    modified: datetime | None
    open: Callable[[], IO[bytes]]

    @property
    def kind(self) -> str:
        """``image``, ``audio`` or ``video``, by the ending of the name."""
        ending = PurePosixPath(self.path).suffix.lower()
        return "image" if ending in IMAGES else "audio" if ending in AUDIO else "video"


def entries_of(paths: list[Path], root: Path) -> list[Entry]:
    """The media files at local paths."""
    entries = []
    for path in paths:
        facts = path.stat()
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        when = datetime.fromtimestamp(facts.st_mtime, UTC)
        opened: Callable[[], IO[bytes]] = partial(path.open, "rb")  # type: ignore[assignment]
        entries.append(Entry(name, facts.st_size, when, opened))
    return entries


class MediaFiles(LazySource):
    """A table with one row a file.

    The columns are the path, the label (the name of the folder a file is in, when there are
    folders), kind, format, size and time; width, height and mode of pictures; duration, codec
    and sample rate of sound; frame rate of film; and `fault` for what can't be opened.  A folder
    of one kind has that kind's columns only.

    Parameters
    ----------
    uri : str
    entries : list of Entry
    paths : list of Path, optional
        Where they are, when they are on this machine.

    Raises
    ------
    Unavailable
        Sound or film can't be looked into, because PyAV isn't installed.
    """

    def __init__(self, uri: str, entries: Sequence[Entry], paths: Sequence[Path] = ()) -> None:
        self.uri = uri
        if paths:
            self.paths = list(paths)
        self.entries = sorted(entries, key=lambda entry: entry.path)
        kinds = {entry.kind for entry in self.entries}
        if kinds - {"image"}:
            _require_av()
        seen = _COMMON | (_PICTURE if kinds - {"audio"} else {})
        seen |= (_COLOUR if "image" in kinds else {}) | (_SOUND if kinds - {"image"} else {})
        seen |= (_FILM if "video" in kinds else {}) | _CHANNELS | {"fault": pl.String()}
        if not any("/" in entry.path for entry in self.entries):
            del seen["label"]
        self._schema = pl.Schema(seen)

    def scan(self) -> pl.LazyFrame:
        """One row a file, in the order of their paths."""
        mark = (self.uri, *((e.path, e.size, e.modified) for e in self.entries))
        return parsed(mark, self._parse)

    def schema(self) -> pl.Schema:
        """The columns; no file is opened for them."""
        return self._schema

    def _parse(self, target: Path) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            rows = list(pool.map(_facts, self.entries))
        frame = pl.DataFrame(
            [{name: row.get(name) for name in self._schema} for row in rows], schema=self._schema
        )
        write(frame.lazy, target, self.uri, lambda error: error)


def _facts(entry: Entry) -> dict[str, Any]:
    folder = PurePosixPath(entry.path).parent.name
    row: dict[str, Any] = {
        "path": entry.path,
        "label": folder or None,
        "kind": entry.kind,
        "size": entry.size,
        "modified": entry.modified,
    }
    try:
        if not entry.size:
            raise ValueError("the file is empty")
        with entry.open() as file:
            return row | (_picture(file) if entry.kind == "image" else _stream(file, entry.kind))
    # Decoders of foreign files raise whatever they like; the row itself tells what it was.
    except Exception as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        return row | {"fault": said.split(" <")[0].removesuffix(":")[:200]}


def _picture(file: IO[bytes]) -> dict[str, Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(file) as image:
            return {
                "format": (image.format or "").lower() or None,
                "width": image.width,
                "height": image.height,
                "mode": image.mode,
                "channels": len(image.getbands()),
            }
    except UnidentifiedImageError:
        raise ValueError("it is no picture, or a damaged one") from None


def _stream(file: IO[bytes], kind: str) -> dict[str, Any]:
    import av

    with av.open(file, mode="r", metadata_errors="ignore") as container:
        streams = container.streams.video if kind == "video" else container.streams.audio
        if not streams:
            raise ValueError(f"it holds no {kind}")
        stream = streams[0]
        context = stream.codec_context
        sound = container.streams.audio[0].codec_context if container.streams.audio else None
        row: dict[str, Any] = {
            "format": container.format.name,
            "codec": context.name,
            "duration": _seconds(container, stream),
            "sample_rate": sound.sample_rate if sound else None,
            "channels": sound.channels if sound else None,
        }
        if kind == "video":
            rate = stream.average_rate or stream.guessed_rate
            row |= {
                "width": context.width,
                "height": context.height,
                "frame_rate": float(rate) if rate else None,
            }
        return row


def _seconds(container: Any, stream: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration is not None else None


def _require_av() -> None:
    try:
        import av  # noqa: F401
    except ImportError:
        raise Unavailable(
            "sound and film can't be looked into",
            "PyAV isn't installed",
            'pip install "jupyter_mlops[media]"',
            code="E-FILE-007",
        ) from None

"""A row's cells as an item: texts, bytes and files, alone, side by side, or as a whole row."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from jupyter_mlops.labeling.pixels import png
from jupyter_mlops.labeling.signatures import HEAD, media_type
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, NotFound

__all__ = ["PAIR", "READERS", "Item", "Place", "broken"]

# An item larger than this is no text a person reads in one look, and no picture either.
TEXT_LIMIT = 1 << 20
IMAGE_LIMIT = 64 << 20
# A sound or film in a cell is kept whole; a file is read where it is, whatever its size.
CELL_LIMIT = 256 << 20
PAIR = "pair"  # the media type of an item that holds two pictures

_FORMATS = {
    "image": "PNG, JPEG, GIF, WebP or BMP",
    "audio": "WAV, FLAC, Ogg, MP3, M4A or WebM",
    "video": "MP4, WebM or Ogg",
}


@dataclass(frozen=True)
class Item:
    """One thing to label, before it is stored.

    `text` for texts, and for rows as JSON; `data` for media that the frame carries; `path`
    for a file, relative to the workspace's root; `broken` says why there is nothing to show.
    """

    digest: str
    text: str | None = None
    data: bytes | None = None
    path: str | None = None
    media: str = ""
    size: int = 0
    key: str | None = None
    broken: str = ""


@dataclass(frozen=True)
class Place:
    """Where a cell stands: for errors, and for files."""

    row: int
    columns: tuple[str, ...]
    root: Path

    @property
    def column(self) -> str:
        return self.columns[0]


def broken(error: MLOpsError, values: tuple[Any, ...]) -> Item:
    """An item whose content can't be shown: a person sees why, and skips it."""
    says = f"{error.what}: {error.why}" if error.why else error.what
    named = values[0] if isinstance(values[0], str) else ""
    return Item(hashlib.sha256(f"broken {named}".encode()).hexdigest(), broken=says)


def _text(values: tuple[Any, ...], place: Place) -> Item:
    value = values[0]
    if not isinstance(value, str):
        raise Invalid(
            f"row {place.row} of {place.column!r} can't be labelled",
            "it is empty" if value is None else f"it is {type(value).__name__}, not text",
            "filter such rows out first",
            code="E-LABEL-004",
        )
    return _written(value, place)


def _written(text: str, place: Place) -> Item:
    raw = text.encode("utf-8", "replace")
    if len(raw) > TEXT_LIMIT:
        raise Invalid(
            f"the text in row {place.row} of {place.column!r} is too long to label",
            f"{len(raw):,} bytes of {TEXT_LIMIT:,}",
            "cut it into parts",
            code="E-LABEL-005",
        )
    return Item(hashlib.sha256(raw).hexdigest(), text=text, size=len(raw))


def _row(values: tuple[Any, ...], place: Place) -> Item:
    cells = dict(zip(place.columns, map(_plain, values), strict=True))
    return _written(json.dumps(cells, ensure_ascii=False), place)


def _plain(value: Any) -> Any:
    """A cell as JSON: what JSON has no word for is written as it reads."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    return str(value)


def _media(kind: str) -> Callable[[tuple[Any, ...], Place], Item]:
    return lambda values, place: _medium(values[0], place, kind)


def _medium(value: Any, place: Place, kind: str) -> Item:
    if isinstance(value, str):
        path = _confined(value, place)
        with path.open("rb") as file:
            head = file.read(HEAD)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        type, size = media_type(head, kind), path.stat().st_size
        where = path.relative_to(place.root.resolve()).as_posix()
        item = Item(digest, None, None, where, type, size)
        limit = IMAGE_LIMIT if kind == "image" else math.inf
    else:
        data = _content(value, place, kind)
        type = media_type(data[:HEAD], kind)
        item = Item(hashlib.sha256(data).hexdigest(), None, data, None, type, len(data))
        limit = IMAGE_LIMIT if kind == "image" else CELL_LIMIT
    if not item.media or item.size > limit:
        why = f"it has {item.size:,} bytes" if item.media else f"it is no {_FORMATS[kind]}"
        raise Invalid(
            f"row {place.row} of {place.column!r} is no {kind} that can be shown",
            why if item.size else "it is empty",
            "convert it, or filter such rows out first",
            code="E-LABEL-006",
        )
    return item


def _content(value: Any, place: Place, kind: str) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    if kind == "image":
        try:
            return png(np.asarray(value.to_list() if isinstance(value, pl.Series) else value))
        except (ValueError, TypeError):
            pass
    grid = " or a grid of pixels" if kind == "image" else ""
    raise Invalid(
        f"row {place.row} of {place.column!r} is no {kind}",
        f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} is bytes, a file's path{grid}",
        "make bytes with jupyter_mlops.labeling.png(array)" if grid else "",
        code="E-LABEL-007",
    )


def _confined(value: str, place: Place) -> Path:
    """The file of a path, which must exist below the workspace's root once links are followed."""
    path = (place.root / value).resolve()
    if not path.is_relative_to(place.root.resolve()):
        raise Invalid(
            f"the file in row {place.row} of {place.column!r} is outside the workspace",
            str(path),
            f"copy it below {place.root}, or hand its bytes over",
            code="E-LABEL-008",
        )
    if not path.is_file():
        raise NotFound(
            f"there is no file {value!r}",
            f"row {place.row} of {place.column!r} names it",
            f"paths count from {place.root}",
            code="E-LABEL-009",
        )
    return path


def _pair(values: tuple[Any, ...], place: Place) -> Item:
    """Two texts as JSON, or two pictures as the bytes of one after the other's."""
    if all(isinstance(one, str) and not _is_picture(one) for one in values):
        return _written(
            json.dumps(dict(zip(("left", "right"), values, strict=True)), ensure_ascii=False), place
        )
    sides, content, parts = ("left", "right"), b"", {}
    for side, value, column in zip(sides, values, place.columns, strict=True):
        item = _medium(value, Place(place.row, (column,), place.root), "image")
        data = item.data if item.data is not None else (place.root / str(item.path)).read_bytes()
        parts[side] = {"media": item.media, "start": len(content), "size": len(data)}
        content += data
    table = json.dumps(parts)
    digest = hashlib.sha256(table.encode() + b"\n" + content).hexdigest()
    return Item(digest, None, content, table, PAIR, len(content))


def _is_picture(value: str) -> bool:
    return value.lower().endswith((".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp")) and (
        "\n" not in value and len(value) < 1024
    )


READERS: dict[str, Callable[[tuple[Any, ...], Place], Item]] = {
    "text": _text,
    "image": _media("image"),
    "audio": _media("audio"),
    "video": _media("video"),
    "row": _row,
    "pair": _pair,
}

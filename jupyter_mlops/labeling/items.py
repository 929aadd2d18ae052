"""What there is to label: each row of a table as an item with a digest."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import polars as pl

from jupyter_mlops.labeling.pixels import png
from jupyter_mlops.workspace.errors import Invalid, NotFound, closest

__all__ = ["Item", "Kind", "Source", "media_type", "pick_column", "read_items"]

Kind = Literal["image", "text"]

# An item larger than this is no text a person reads in one look, and no picture either.
TEXT_LIMIT = 1 << 20
IMAGE_LIMIT = 64 << 20

_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
)


class Source(Protocol):
    """A table to label: what the data room hands over."""

    @property
    def ref(self) -> str | None: ...

    @property
    def digest(self) -> str: ...

    def scan(self) -> pl.LazyFrame: ...


@dataclass(frozen=True)
class Item:
    """One thing to label, before it is stored.

    `text` for texts; `data` for media that the frame carries; `path` for a file, relative
    to the workspace's root.
    """

    digest: str
    text: str | None = None
    data: bytes | None = None
    path: str | None = None
    media: str = ""
    size: int = 0
    key: str | None = None


def media_type(head: bytes) -> str:
    """The media type of an image by its first bytes; empty when it is none we know.

    SVG is left out: it can carry scripts.

    Examples
    --------
    >>> media_type(bytes.fromhex("ffd8ffe0"))
    'image/jpeg'
    """
    for signature, found in _SIGNATURES:
        if head.startswith(signature):
            return found
    return "image/webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else ""


def read_items(
    source: Source, kind: Kind, column: str | None, key: str | None, root: Path
) -> tuple[str, list[Item]]:
    """Read the items of a table.

    Parameters
    ----------
    source : Source
        The table.
    kind : {"image", "text"}
        What the column holds. Images are bytes, paths of files below `root`, or grids of
        pixels (lists of rows, grey or RGB).
    column, key : str, optional
        The column to show, which may be left out when only one fits, and the column that
        names a row.
    root : pathlib.Path
        The workspace's folder; files outside it are refused.

    Returns
    -------
    tuple of (str, list of Item)
        The column that was read, and an item a row, in the table's order.

    Raises
    ------
    NotFound, Invalid
        The column isn't there, or a row can't be labelled; the error names the row.
    """
    scan = source.scan()
    schema = scan.collect_schema()
    chosen = pick_column(schema, kind, column)
    if key is not None and key not in schema:
        raise _no_column(key, schema)
    names = [chosen] if key is None or key == chosen else [chosen, key]
    frame = scan.select(names).collect()
    if not frame.height:
        raise Invalid("there is nothing to label", "the data has no rows", code="E-LABEL-002")
    keys: Iterable[Any] = frame[key] if key is not None else [None] * frame.height
    found = [
        _read(value, row, chosen, None if name is None else str(name), root, kind)
        for row, (value, name) in enumerate(zip(frame[chosen], keys, strict=True))
    ]
    return chosen, found


def pick_column(schema: pl.Schema, kind: Kind, column: str | None) -> str:
    """The column to label: the one named, else the only one that fits the kind."""
    if column is not None:
        if column not in schema:
            raise _no_column(column, schema)
        return column
    if kind == "text":
        fitting = [name for name, dtype in schema.items() if dtype == pl.String]
    else:
        fitting = [
            name
            for name, dtype in schema.items()
            if dtype == pl.Binary or isinstance(dtype, pl.List | pl.Array)
        ] or [name for name, dtype in schema.items() if dtype == pl.String]
    if len(fitting) != 1:
        raise Invalid(
            f"which column holds the {kind} isn't clear",
            f"{', '.join(fitting)} could" if fitting else f"none holds {kind}s",
            "name it with --column",
            code="E-LABEL-003",
        )
    return fitting[0]


def _read(value: Any, row: int, column: str, key: str | None, root: Path, kind: Kind) -> Item:
    if kind == "text":
        return _read_text(value, row, column, key)
    return _read_image(value, row, column, key, root)


def _read_text(value: Any, row: int, column: str, key: str | None) -> Item:
    if not isinstance(value, str):
        raise Invalid(
            f"row {row} of {column!r} can't be labelled",
            "it is empty" if value is None else f"it is {type(value).__name__}, not text",
            "filter such rows out first",
            code="E-LABEL-004",
        )
    raw = value.encode("utf-8", "replace")
    if len(raw) > TEXT_LIMIT:
        raise Invalid(
            f"the text in row {row} of {column!r} is too long to label",
            f"{len(raw):,} bytes of {TEXT_LIMIT:,}",
            "cut it into parts",
            code="E-LABEL-005",
        )
    return Item(hashlib.sha256(raw).hexdigest(), text=value, size=len(raw), key=key)


def _read_image(value: Any, row: int, column: str, key: str | None, root: Path) -> Item:
    if isinstance(value, str):
        path = _confined(value, row, column, root)
        with path.open("rb") as file:
            head = file.read(16)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        kind, size = media_type(head), path.stat().st_size
        item = Item(digest, None, None, path.relative_to(root).as_posix(), kind, size, key)
    else:
        data = _pixels(value, row, column)
        item = Item(
            hashlib.sha256(data).hexdigest(), None, data, None, media_type(data), len(data), key
        )
    if not item.media or item.size > IMAGE_LIMIT:
        raise Invalid(
            f"row {row} of {column!r} is no image that can be shown",
            f"it has {item.size:,} bytes" if item.media else "it is no PNG, JPEG, GIF, WebP or BMP",
            "convert it, or filter such rows out first",
            code="E-LABEL-006",
        )
    return item


def _pixels(value: Any, row: int, column: str) -> bytes:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    try:
        grid = np.asarray(value.to_list() if isinstance(value, pl.Series) else value)
        return png(grid)
    except (ValueError, TypeError):
        raise Invalid(
            f"row {row} of {column!r} is no image",
            "an image is bytes, a file's path or a grid of pixels",
            "make bytes with jupyter_mlops.labeling.png(array)",
            code="E-LABEL-007",
        ) from None


def _confined(value: str, row: int, column: str, root: Path) -> Path:
    """The file of a path, which must exist below the workspace's root once links are followed."""
    path = (root / value).resolve()
    if not path.is_relative_to(root.resolve()):
        raise Invalid(
            f"the file in row {row} of {column!r} is outside the workspace",
            str(path),
            f"copy it below {root}, or hand its bytes over",
            code="E-LABEL-008",
        )
    if not path.is_file():
        raise NotFound(
            f"there is no file {value!r}",
            f"row {row} of {column!r} names it",
            f"paths count from {root}",
            code="E-LABEL-009",
        )
    return path


def _no_column(name: str, schema: Iterable[str]) -> NotFound:
    known = list(schema)
    return NotFound(
        f"the data has no column {name!r}",
        f"it has {', '.join(known[:12])}{'…' if len(known) > 12 else ''}",
        closest(name, known),
        code="E-LABEL-010",
    )

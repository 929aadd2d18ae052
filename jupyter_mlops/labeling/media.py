"""What an item shows, in bytes: from the task's pack, or a file that hasn't changed since."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_mlops.labeling.records import ItemRecord
from jupyter_mlops.labeling.tasks import get, pack_key
from jupyter_mlops.workspace.errors import Conflict, NotFound

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Media", "open_media"]


@dataclass(frozen=True)
class Media:
    """An item's bytes, read in parts.

    `type` is a media type that a browser may show; `digest` names the content: the SHA-256
    of the whole, with the side's name behind it for one side of a pair.
    """

    type: str
    digest: str
    size: int
    _workspace: Workspace
    _path: Path | None
    _pack: str
    _start: int

    def read(self, start: int = 0, length: int | None = None) -> bytes:
        """The bytes from `start`, `length` of them or all the rest."""
        stop = self.size if length is None else min(self.size, start + length)
        wanted = max(0, stop - start)
        if self._path is not None:
            with self._path.open("rb") as file:
                file.seek(start)
                return file.read(wanted)
        with self._workspace.artifacts.open(self._pack) as file:
            file.seek(self._start + start)
            content: bytes = file.read(wanted)
        return content


def open_media(ws: Workspace, task: str, item: int, side: str = "") -> Media:
    """Find an item's media.

    Parameters
    ----------
    ws : Workspace
    task : str
        The task's name or id.
    item : int
        The item's number.
    side : {"", "left", "right"}
        Which picture of a pair.

    Raises
    ------
    NotFound
        There is no such item, it is a text, or its file is gone or never was there.
    Conflict
        The file has changed since the task was made.
    """
    found = get(ws, task)
    with ws.read() as session:
        row = session.get(ItemRecord, (found.id, item))
        if row is None or row.place == "text":
            raise NotFound(
                f"the task {found.name!r} has no {found.kind} {item}",
                fix=f"its items are 0 to {found.counts.total - 1}, as {found.kind}s",
                code="E-LABEL-019",
            )
        if row.place == "broken":
            raise NotFound(row.content, fix="skip the item", code="E-LABEL-203")
        path = _checked(ws, row, found.name) if row.place == "file" else None
        if row.media == "pair":
            return _side(ws, row, found.id, side)
        return Media(row.media, row.digest, row.size, ws, path, pack_key(found.id), row.start)


def _side(ws: Workspace, row: ItemRecord, task: str, side: str) -> Media:
    part = json.loads(row.content).get(side)
    if part is None:
        raise NotFound(
            f"item {row.item} has two pictures",
            fix="ask for its side left or right",
            code="E-LABEL-204",
        )
    digest, start = f"{row.digest}-{side}", row.start + part["start"]
    return Media(part["media"], digest, part["size"], ws, None, pack_key(task), start)


def _checked(ws: Workspace, row: ItemRecord, task: str) -> Path:
    root = ws.root.resolve()
    path = (root / row.content).resolve()
    # Checked again: a link may lead elsewhere by now.
    if not path.is_relative_to(root) or not path.is_file():
        raise NotFound(
            f"the file {row.content!r} of item {row.item} is gone",
            fix="put it back, or skip the item",
            code="E-LABEL-020",
        )
    state = path.stat()
    if _digest(path, (state.st_mtime_ns, state.st_size)) != row.digest:
        raise Conflict(
            f"the file {row.content!r} of item {row.item} has changed",
            f"it isn't what {task!r} was made from",
            "put it back, or skip the item",
            code="E-LABEL-021",
        )
    return path


@lru_cache(maxsize=1024)
def _digest(path: Path, _state: tuple[int, int]) -> str:
    """SHA-256 of a file, once for each of its states (time of change, size)."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""How large images and films are, as a browser shows them."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING

from jupyter_mlops.labeling.formats import Entry
from jupyter_mlops.labeling.media import open_media
from jupyter_mlops.workspace.errors import MLOpsError

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["measured"]

# EXIF's tag of how a camera was held; from 5 on width and height change places.
ORIENTATION, TURNED = 0x0112, 5


def measured(ws: Workspace, task: str, kind: str, entry: Entry) -> Entry:
    """An item with its width and height, and of a film its frames.

    What can't be read, a film where PyAV isn't installed for one, stays as it is; a format
    that has to know says so then.
    """
    if kind not in {"image", "video"}:
        return entry
    try:
        content = open_media(ws, task, entry.item).read()
    except MLOpsError:
        return entry
    return _image(content, entry) if kind == "image" else _film(content, entry)


def _image(content: bytes, entry: Entry) -> Entry:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content)) as found:
            width, height = found.size
            if found.getexif().get(ORIENTATION, 1) >= TURNED:
                width, height = height, width
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return entry
    return replace(entry, width=width, height=height)


def _film(content: bytes, entry: Entry) -> Entry:
    try:
        import av
    except ImportError:
        return entry
    try:
        with av.open(io.BytesIO(content)) as found:
            stream = found.streams.video[0]
            rate = float(stream.average_rate or 0)
            frames = int(stream.frames)
            if not frames and stream.duration and stream.time_base:
                frames = round(float(stream.duration * stream.time_base) * rate)
            width, height = int(stream.width), int(stream.height)
            return replace(entry, width=width, height=height, rate=rate, frames=frames)
    except (av.FFmpegError, IndexError, ValueError):
        return entry

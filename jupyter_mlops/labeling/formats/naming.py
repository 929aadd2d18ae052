"""A file's name for every item, none of them twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

__all__ = ["unique_names"]

_ENDINGS = {
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "image/bmp": ".bmp",
    "image/webp": ".webp",
    "audio/wav": ".wav",
    "audio/x-wav": ".wav",
    "audio/flac": ".flac",
    "audio/ogg": ".ogg",
    "audio/mpeg": ".mp3",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
    "video/ogg": ".ogv",
}


def unique_names(items: Iterable[tuple[int, str, str]]) -> dict[int, str]:
    """Name items so that names differ even without their endings.

    Parameters
    ----------
    items : iterable of (int, str, str)
        Each item's number, path (empty when it isn't a file) and media type.

    Returns
    -------
    dict of int to str
        Names by numbers: the path where it is the only one of its stem, else with the number.

    Examples
    --------
    >>> unique_names([(0, "a/x.png", ""), (1, "a/x.jpg", ""), (2, "", "image/png")])
    {0: 'a/x-0.png', 1: 'a/x-1.jpg', 2: 'item-000002.png'}
    """
    wanted = {
        number: path or f"item-{number:06d}{_ENDINGS.get(media, '')}"
        for number, path, media in items
    }
    # Some file systems don't tell A from a.
    stems = Counter(_stem(path).lower() for path in wanted.values())
    names: dict[int, str] = {}
    for number, path in wanted.items():
        stem = _stem(path)
        if stems[stem.lower()] > 1:
            path = f"{stem}-{number}{PurePosixPath(path).suffix}"
            while stems[_stem(path).lower()]:
                path = f"{_stem(path)}-{number}{PurePosixPath(path).suffix}"
            stems[_stem(path).lower()] += 1
        names[number] = path
    return names


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))

"""Which format a file has, told from the endings of its name."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Final

__all__ = ["AUDIO", "ENDINGS", "IMAGES", "VIDEO", "format_of", "hidden", "packing_of"]

IMAGES: Final = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp")
AUDIO: Final = (".wav", ".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff")
VIDEO: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v", ".mpg", ".mpeg")
_TEXT: Final = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv"}
_JSON: Final = dict.fromkeys((".jsonl", ".ndjson", ".json"), "json lines")
#: Formats by the last ending of a file's name.
ENDINGS: Final = {
    **_TEXT,
    **_JSON,
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
    **dict.fromkeys((".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"), "excel"),
    **dict.fromkeys((*IMAGES, *AUDIO, *VIDEO), "media"),
}
_PACKED: Final = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".zip": "zip"}


def format_of(name: str) -> str:
    """The format of a file: csv, tsv, json lines, parquet, arrow, excel, media, or nothing.

    Only text is read packed; the others are packed inside.

    Examples
    --------
    >>> format_of("flights.csv.gz"), format_of("Book.XLSX"), format_of("notes.docx")
    ('csv', 'excel', '')
    """
    endings = [s.lower() for s in PurePosixPath(name).suffixes]
    if not endings:
        return ""
    if endings[-1] not in _PACKED:
        return ENDINGS.get(endings[-1], "")
    inner = endings[-2] if len(endings) > 1 else ""
    if inner in _TEXT or inner in _JSON:
        return ENDINGS[inner]
    return "csv" if endings[-1] == ".zip" else ""


def packing_of(name: str) -> str:
    """How a file is packed: gzip, bz2, zstd, zip, or not at all.

    Examples
    --------
    >>> packing_of("flights.csv.zst"), packing_of("flights.csv")
    ('zstd', '')
    """
    return _PACKED.get(PurePosixPath(name).suffix.lower(), "")


def hidden(relative: str) -> bool:
    """Whether a file in a folder is no data: checkpoints, markers of writers, sums.

    Examples
    --------
    >>> hidden("month=1/part.parquet"), hidden(".ipynb_checkpoints/x.csv"), hidden("_SUCCESS")
    (False, True, True)
    """
    parts = PurePosixPath(relative).parts
    return any(p.startswith(".") for p in parts) or (
        parts[-1].startswith("_") and format_of(relative) != "media"
    )

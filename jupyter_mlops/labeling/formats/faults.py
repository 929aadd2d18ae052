"""What is wrong with a file of labels, with the file and the line where it is."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from jupyter_mlops.workspace.errors import Invalid

__all__ = [
    "at_line",
    "date",
    "decode",
    "fields",
    "items",
    "load",
    "misfit",
    "number",
    "plain",
    "whole",
]


def misfit(place: str, why: str, fix: str = "") -> Invalid:
    """The error for a place in a file that makes no sense."""
    return Invalid(f"{place} can't be read", why, fix, code="E-LABEL-301")


def at_line(file: str, line: int) -> str:
    """A place in a file, as a person looks it up.

    Examples
    --------
    >>> at_line("gt.txt", 3)
    'gt.txt, line 3,'
    """
    return f"{file}, line {line},"


def decode(file: str, content: bytes) -> str:
    """The text of a file: UTF-8, with or without a byte order mark, lines ended by LF."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise misfit(at_line(file, line), "it isn't UTF-8", "save the file as UTF-8") from None
    return text.replace("\r\n", "\n")


def load(place: str, text: str | bytes) -> Any:
    """Read JSON; a line's number inside it is named."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        where = place if line == 1 else at_line(place, line)
        raise misfit(where, f"it isn't JSON: {getattr(error, 'msg', error)}") from None


def fields(place: str, found: Any, *names: str) -> dict[str, Any]:
    """`found` as an object that has these names."""
    if not isinstance(found, Mapping):
        raise misfit(place, "an object is expected here")
    for name in names:
        if name not in found:
            raise misfit(place, f"it has no {name!r}")
    return dict(found)


def items(place: str, found: Any) -> list[Any]:
    """`found` as a list."""
    if not isinstance(found, Sequence) or isinstance(found, str | bytes):
        raise misfit(place, "a list is expected here")
    return list(found)


def number(place: str, found: Any) -> float:
    """A finite number, written or as JSON."""
    try:
        value = math.nan if isinstance(found, bool) else float(found)
    except (TypeError, ValueError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise misfit(place, f"{found!r} is no number")
    return value


def whole(place: str, found: Any) -> int:
    """A whole number, written or as JSON."""
    value = number(place, found)
    if value != int(value):
        raise misfit(place, f"{found!r} is no whole number")
    return int(value)


def date(found: Any) -> datetime | None:
    """An ISO 8601 time; UTC when it names no zone, None when it is none."""
    try:
        time = datetime.fromisoformat(found)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def plain(value: float) -> str:
    """A number in as few digits as say it, without an exponent.

    Examples
    --------
    >>> plain(12.0), plain(0.1), plain(1e-7)
    ('12', '0.1', '0.0000001')
    """
    text = repr(float(value))
    if "e" in text:
        text = f"{float(value):.20f}".rstrip("0")
    return text.removesuffix(".0").rstrip(".") or "0"

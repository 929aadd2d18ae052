"""Regular expressions that the texts of a column may match."""

from __future__ import annotations

from typing import Final

import polars as pl

__all__ = ["PATTERNS", "SHARE", "of_texts"]

#: The share of the sampled texts that must match.
SHARE: Final = 0.99
_LOOKED: Final = 2000
_CODE: Final = 16

# The common part of what polars, Python, pandera and JSON Schema understand; narrow before wide.
PATTERNS: Final = {
    "e-mail": r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$",
    "URL": r"^(https?|ftp|s3)://\S+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
    "IPv4 address": r"^([0-9]{1,3}\.){3}[0-9]{1,3}$",
    "date": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
    "date and time": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[ T][0-9]{2}:[0-9]{2}(:[0-9]{2})?.*$",
    "US zip": r"^[0-9]{5}(-[0-9]{4})?$",
    "percentage": r"^[-+]?[0-9]+([.,][0-9]+)? ?%$",
    "phone number": r"^\+?[0-9][0-9 ()/.-]{6,18}[0-9]$",
    "digits": r"^[0-9]+$",
    "number": r"^[-+]?[0-9]+([.,][0-9]+)*$",
}


def of_texts(sample: pl.Series) -> tuple[str, str] | None:
    """The name and expression that nearly all texts match, or None.

    Codes of one shape, such as ``N14228`` and ``N24211``, get an expression of their own.

    Examples
    --------
    >>> of_texts(pl.Series(["ada@example.org", "bob@example.org"]))[0]
    'e-mail'
    """
    texts = sample.drop_nulls().unique().sort().head(_LOOKED)
    if len(texts) < 2:
        return None
    for name, regex in PATTERNS.items():
        if _matching(texts, regex) >= SHARE:
            return name, regex
    return _code(texts)


def _code(texts: pl.Series) -> tuple[str, str] | None:
    """Texts of one length whose every place is always a digit, a capital or a small letter."""
    length = texts.str.len_chars()
    size = length.mode().min()
    if not isinstance(size, int) or not 2 <= size <= _CODE or len(texts) < 50:
        return None
    if float((length == size).sum()) < SHARE * len(texts):
        return None
    parts = []
    for at in range(size):
        place = texts.filter(length == size).str.slice(at, 1)
        if place.n_unique() == 1 and _matching(place, r"^[A-Za-z0-9_-]$") == 1:
            parts.append(str(place[0]))
            continue
        kinds = ("[0-9]", "[A-Z]", "[a-z]", "[A-Z0-9]", "[a-z0-9]")
        kind = next((one for one in kinds if _matching(place, f"^{one}$") == 1), None)
        if kind is None:
            return None
        parts.append(kind)
    if all(part == "[a-z]" for part in parts):
        return None  # words of one length are no code
    return "code", f"^{_counted(parts)}$"


def _counted(parts: list[str]) -> str:
    text, at = "", 0
    while at < len(parts):
        end = at
        while end < len(parts) and parts[end] == parts[at]:
            end += 1
        text += parts[at] + (f"{{{end - at}}}" if end - at > 1 else "")
        at = end
    return text


def _matching(texts: pl.Series, regex: str) -> float:
    return float(texts.str.contains(regex).sum()) / max(1, len(texts))

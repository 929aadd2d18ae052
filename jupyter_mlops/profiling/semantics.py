"""What a column's values seem to be, from its profile and a sample of its values."""

from __future__ import annotations

import re
from typing import Final

import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile

__all__ = ["AGREEMENT", "date_format", "infer"]

#: The share of sampled values that must fit a pattern.
AGREEMENT: Final = 0.99
_DIFFERENT: Final = 5000
CATEGORIES: Final = 50

_NUMBER = r"^\s*[-+(]?\s*[$€£¥]?\s*\d[\d,.' ]*\s*([$€£¥%]|[kKmM])?\s*\)?\s*$"
_PATTERNS: Final = {
    "e-mail": r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$",
    "URL": r"^(https?|ftp|s3)://\S+$",
    "uuid": r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$",
}
_DATES: Final = {
    "%Y-%m-%d": r"^\d{4}-\d{1,2}-\d{1,2}$",
    "%Y/%m/%d": r"^\d{4}/\d{1,2}/\d{1,2}$",
    "%d.%m.%Y": r"^\d{1,2}\.\d{1,2}\.\d{4}$",
    "%m/%d/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$",
    "%d/%m/%Y": r"^\d{1,2}/\d{1,2}/\d{4}$",
    "%Y-%m-%d %H:%M:%S": r"^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}$",
    "%Y-%m-%dT%H:%M:%S": r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}$",
    "%d %b %Y": r"^\d{1,2} [A-Z][a-z]{2} \d{4}$",
    "%b %d, %Y": r"^[A-Z][a-z]{2} \d{1,2}, \d{4}$",
}
_BOOLEANS: Final = ({"yes", "no"}, {"y", "n"}, {"true", "false"}, {"t", "f"}, {"on", "off"})


def infer(profile: ColumnProfile, sample: pl.Series) -> str:
    """Name what a column's values seem to be.

    Parameters
    ----------
    profile : ColumnProfile
        Of the whole column.
    sample : polars.Series
        Some of its values.

    Returns
    -------
    str
        empty, constant, boolean, id, category, number, datetime, text, e-mail, URL,
        date in text, number in text, boolean in text, nested.
    """
    if not profile.present:
        return "empty"
    distinct = profile.values.distinct()
    if distinct == 1 and not profile.infinite:
        return "constant"
    if profile.type == "boolean":
        return "boolean"
    if profile.type.startswith(("list", "record")):
        return "nested"
    if profile.temporal:
        return "datetime"
    if profile.numeric:
        return _number(profile, distinct, sample)
    if profile.type == "text":
        return _text(profile, distinct, sample)
    return profile.type


def date_format(sample: pl.Series) -> str | None:
    """The format of dates written as text, or None when they are none."""
    values = sample.drop_nulls().unique().head(_DIFFERENT)
    if not len(values):
        return None
    for form, pattern in _DATES.items():
        if _share(values, pattern) >= AGREEMENT:
            read = values.str.strptime(pl.Datetime, form, strict=False)
            if read.count() >= AGREEMENT * len(values):
                return form
    return None


def _number(profile: ColumnProfile, distinct: int, sample: pl.Series) -> str:
    if profile.type != "integer":
        return "number"
    if _unique(profile, distinct, sample):
        # Counting up row by row is what keys do; measurements repeat or jump about.
        values = sample.drop_nulls()
        span = (profile.high or 0) - (profile.low or 0)
        if values.is_sorted() or values.is_sorted(descending=True) or span < 2 * profile.rows:
            return "id"
    return "boolean" if distinct == 2 and {profile.low, profile.high} == {0, 1} else "number"


def _text(profile: ColumnProfile, distinct: int, sample: pl.Series) -> str:
    values = sample.drop_nulls().unique().head(_DIFFERENT)
    lowered = {str(value).strip().lower() for value in profile.values.counts}
    if distinct == 2 and lowered in _BOOLEANS:
        return "boolean in text"
    if date_format(values):
        return "date in text"
    for kind, pattern in _PATTERNS.items():
        if _share(values, pattern) >= AGREEMENT:
            return "id" if kind == "uuid" else kind
    if _share(values, _NUMBER) >= AGREEMENT and _share(values, r"^\s*0\d") == 0:
        return "number in text"
    words = values.str.count_matches(r"\S+").mean()
    if isinstance(words, float) and words > 4 and distinct > CATEGORIES:
        return "text"
    return "id" if _unique(profile, distinct, sample) else "category"


def _unique(profile: ColumnProfile, distinct: int, sample: pl.Series) -> bool:
    """Whether no value repeats, as far as the sketch (within 2 %) and the sample can tell."""
    if profile.rows < 100 or distinct < (1 if profile.values.exact else 0.98) * profile.present:
        return False
    return not sample.drop_nulls().is_duplicated().any()


def _share(values: pl.Series, pattern: str) -> float:
    if not len(values):
        return 0.0
    re.compile(pattern)
    return float(values.str.contains(pattern).sum()) / len(values)

"""Columns that are written in folder names: ``month=1/part.parquet``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

import polars as pl

__all__ = ["Partitions"]

_NULL: Final = "__HIVE_DEFAULT_PARTITION__"
_INTEGER: Final = re.compile(r"[+-]?\d{1,18}")
_FLOAT: Final = re.compile(r"[+-]?\d+\.\d*([eE][+-]?\d+)?")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


class Partitions:
    """The columns that the folders below a root name, with one type for each.

    Parameters
    ----------
    relative : iterable of str
        Paths of files, relative to the root.

    Examples
    --------
    >>> found = Partitions(["month=1/x.parquet", "month=12/x.parquet"])
    >>> found.schema, found.values("month=12/x.parquet")
    (Schema({'month': Int64}), {'month': 12})
    """

    def __init__(self, relative: Iterable[str]) -> None:
        self._texts = {path: _texts(path) for path in relative}
        names = dict.fromkeys(name for texts in self._texts.values() for name in texts)
        self.schema = pl.Schema(
            {n: _type([t[n] for t in self._texts.values() if t.get(n) is not None]) for n in names}
        )

    def __bool__(self) -> bool:
        return bool(len(self.schema))

    def odd(self) -> str | None:
        """A file that lacks a folder which others have, if there is one."""
        names = set(self.schema)
        return next((path for path, texts in self._texts.items() if set(texts) != names), None)

    def values(self, relative: str) -> dict[str, Any]:
        """The values of a file's rows in the partition columns."""
        texts = self._texts[relative]
        return {n: _value(texts.get(n), dtype) for n, dtype in self.schema.items()}


def _texts(path: str) -> dict[str, str | None]:
    found = {}
    for folder in PurePosixPath(path).parts[:-1]:
        name, equals, value = folder.partition("=")
        if equals and name:
            found[unquote(name)] = None if value == _NULL else unquote(value)
    return found


def _type(texts: list[str | None]) -> pl.DataType:
    known = [text for text in texts if text is not None]
    if known and all(_INTEGER.fullmatch(text) for text in known):
        return pl.Int64()
    if known and all(_INTEGER.fullmatch(t) or _FLOAT.fullmatch(t) for t in known):
        return pl.Float64()
    if known and all(_DATE.fullmatch(text) and _day(text) for text in known):
        return pl.Date()
    if known and all(text.lower() in {"true", "false"} for text in known):
        return pl.Boolean()
    return pl.String()


def _value(text: str | None, dtype: pl.DataType) -> Any:
    if text is None:
        return None
    if dtype == pl.Int64:
        return int(text)
    if dtype == pl.Float64:
        return float(text)
    if dtype == pl.Date:
        return _day(text)
    return text.lower() == "true" if dtype == pl.Boolean else text


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None

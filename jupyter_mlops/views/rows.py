"""Rows of data as short text, so that no data can make a result large."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl

from jupyter_mlops.views import blocks
from jupyter_mlops.views.blocks import Column, Table

__all__ = ["rows_block", "rows_table", "short", "size_text", "text_of"]

WIDE = 40
CELL = 60


def rows_block(frame: pl.DataFrame, total: int | None) -> blocks.Preview:
    """Rows of data as text, cut so that no data can make a result large."""
    shown = frame.head(50)
    names = shown.columns[:WIDE]
    more = [f"… {shown.width - WIDE:,} more columns"] if shown.width > WIDE else []
    rows = [
        [text_of(value) for value in row] + [""] * len(more) for row in shown.select(names).rows()
    ]
    return blocks.Preview(columns=[short(name) for name in names] + more, rows=rows, total=total)


def text_of(value: Any) -> str:
    """One value of a table as short text."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, datetime):
        zone = " UTC" if value.tzinfo else ""
        return value.replace(tzinfo=None).isoformat(" ").removesuffix(" 00:00:00") + zone
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"{len(value):,} bytes"
    return short(str(value))


def short(text: str) -> str:
    """Text on one line, cut to what a cell shows."""
    flat = " ".join(text[: CELL * 4].split())
    return flat if len(flat) <= CELL else flat[: CELL - 1] + "…"


def size_text(size: int) -> str:
    """Bytes for people.

    Examples
    --------
    >>> size_text(5_300_000)
    '5.3 MB'
    """
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:,.1f} TB"


def rows_table(title: str, frame: pl.DataFrame, total: int) -> Table:
    """Rows of data under a title."""
    block = rows_block(frame, total)
    keys = [f"column{at}" for at in range(len(block.columns))]
    return Table(
        title=title,
        columns=[Column(key=k, label=name) for k, name in zip(keys, block.columns, strict=True)],
        rows=[dict(zip(keys, row, strict=True)) for row in block.rows],
        total=total,
    )

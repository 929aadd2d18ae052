"""How datasets look."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import polars as pl

from jupyter_mlops.data.datasets import Dataset, Datasets
from jupyter_mlops.data.resolving import Preview
from jupyter_mlops.views import blocks
from jupyter_mlops.views.blocks import Action, Actions, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.registry import look
from jupyter_mlops.workspace.errors import MLOpsError

__all__ = ["dataset_view", "datasets_view", "preview_view"]

ROWS = 200
WIDE = 40
CELL = 60


@look(Dataset)
def dataset_view(result: Dataset) -> View:
    """A dataset's facts, first rows, columns and versions."""
    facts = [
        Fact(label="Rows", value=f"{result.rows:,}"),
        Fact(label="Columns", value=f"{len(result.schema):,}"),
        Fact(label="Size", value=size_text(result.size), hint="as stored in Parquet"),
        Fact(label="Key", value=result.key or "–"),
        Fact(label="Time", value=result.time or "–"),
        Fact(label="Digest", value=result.digest[:12], hint=result.digest),
        Fact(label="Source", value=result.origin),
    ]
    names = list(result.schema)
    columns = Table(
        title="Columns",
        columns=[
            Column(key="name", label="Column"),
            Column(key="kind", label="Type", kind="badge"),
        ],
        rows=[
            {"name": name, "kind": {"text": result.schema[name], "level": "info"}}
            for name in names[:ROWS]
        ],
        total=len(names),
    )
    versions = result.versions
    history = Table(
        title="Versions",
        columns=[
            Column(key="ref", label="Version", kind="ref"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="added", label="Added", kind="time"),
            Column(key="author", label="By"),
            Column(key="digest", label="Digest"),
        ],
        rows=[
            {
                "ref": one.ref,
                "rows": one.rows,
                "added": one.created_at.isoformat(),
                "author": one.author,
                "digest": one.digest[:12],
            }
            for one in versions[:ROWS]
        ],
        total=len(versions),
    )
    actions = Actions(
        items=[
            Action(
                label="Profile", verb="profile", args={"source": f"{result.name}@{result.version}"}
            )
        ]
    )
    return View(
        kind="dataset",
        title=f"{result.name}@{result.version}",
        subtitle=f"{result.rows:,} rows · {len(names):,} columns",
        ref=result.ref,
        line=f"%mlops data show {result.name}@{result.version}",
        blocks=[Facts(items=facts), _head(result), columns, history, actions],
    )


@look(Datasets)
def datasets_view(result: Datasets) -> View:
    """The datasets of a workspace."""
    rows: list[dict[str, Any]] = [
        {
            "ref": one.ref,
            "rows": one.rows,
            "columns": len(one.schema),
            "versions": result.counts.get(one.name, 1),
            "added": one.created_at.isoformat(),
            "source": one.origin,
        }
        for one in result.items[:ROWS]
    ]
    table = Table(
        columns=[
            Column(key="ref", label="Dataset", kind="ref"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="columns", label="Columns", kind="number"),
            Column(key="versions", label="Versions", kind="number"),
            Column(key="added", label="Added", kind="time"),
            Column(key="source", label="Source"),
        ],
        rows=rows,
        total=len(result.items),
        empty="No datasets yet. Add one: %mlops data add NAME URI",
    )
    count = len(result.items)
    return View(
        kind="datasets",
        title="Datasets",
        subtitle=f"{count:,} dataset{'' if count == 1 else 's'}",
        line="%mlops data ls",
        blocks=[table],
    )


@look(Preview)
def preview_view(result: Preview) -> View:
    """A few rows of a table."""
    return View(
        kind="preview",
        title=result.label,
        subtitle=f"{result.rows.height:,} of {result.total:,} rows",
        ref=result.ref,
        line=f"%mlops data sample {result.ref}" if result.ref else "",
        blocks=[rows_block(result.rows, result.total)],
    )


def rows_block(frame: pl.DataFrame, total: int) -> blocks.Preview:
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


def _head(result: Dataset) -> blocks.Preview | Notice:
    try:
        return rows_block(result.head(), result.rows)
    except MLOpsError as error:
        # The record is still worth showing when its rows are gone.
        return Notice(
            level="bad", text=error.what, fix="; ".join(filter(None, (error.why, error.fix)))
        )

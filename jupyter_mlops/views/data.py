"""How datasets look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.data.datasets import Dataset, Datasets
from jupyter_mlops.data.resolving import Preview
from jupyter_mlops.views import blocks
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Code,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.data_changes import difference_view, split_view
from jupyter_mlops.views.provenance import SQL, provenance_blocks, provenance_facts
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.rows import rows_block, short, size_text, text_of
from jupyter_mlops.workspace.errors import MLOpsError

__all__ = [
    "dataset_view",
    "datasets_view",
    "difference_view",
    "preview_view",
    "rows_block",
    "short",
    "size_text",
    "split_view",
    "text_of",
]

ROWS = 200


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
        *provenance_facts(result.provenance),
    ]
    # The query and its tables come after the rows, what to beware of before them.
    told = provenance_blocks(result.provenance)
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
        blocks=[Facts(items=facts), _head(result), columns, *told, history, actions],
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
    shown = result.rows.height
    if result.total is None:
        subtitle = f"the first {shown:,} rows"
    elif result.total == shown:
        subtitle = f"{shown:,} row{'' if shown == 1 else 's'}"
    else:
        subtitle = f"{shown:,} of {result.total:,} rows"
    line = f"%mlops data sample {result.ref}" if result.ref else ""
    code = [Code(language="sql", title="Query", text=result.sql[:SQL])] if result.sql else []
    notices = [Notice(text=note) for note in result.notes]
    return View(
        kind="preview",
        title=result.label,
        subtitle=subtitle,
        ref=result.ref,
        line=line,
        blocks=[*notices, rows_block(result.rows, result.total), *code],
    )


def _head(result: Dataset) -> blocks.Preview | Notice:
    try:
        return rows_block(result.head(), result.rows)
    except MLOpsError as error:
        # The record is still worth showing when its rows are gone.
        return Notice(
            level="bad", text=error.what, fix="; ".join(filter(None, (error.why, error.fix)))
        )

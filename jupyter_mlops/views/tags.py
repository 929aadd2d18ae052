"""How the tags of a version look."""

from __future__ import annotations

from jupyter_mlops.models.tags import Tags
from jupyter_mlops.views.blocks import Column, Table, View
from jupyter_mlops.views.registry import look

__all__ = ["tags_view"]


@look(Tags)
def tags_view(result: Tags) -> View:
    """Each tag and its value."""
    label = result.version.label
    columns = [Column(key="tag", label="Tag"), Column(key="value", label="Value")]
    rows = [{"tag": key, "value": value} for key, value in result.tags.items()]
    empty = f"No tags yet: %mlops models tag {label} team=ops sets one."
    return View(
        kind="model",
        title=f"Tags of {label}",
        line=f"%mlops models tag {label}",
        blocks=[Table(columns=columns, rows=rows, total=len(rows), empty=empty)],
    )

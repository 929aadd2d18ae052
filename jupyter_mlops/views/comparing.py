"""How two versions look side by side."""

from __future__ import annotations

import re
from typing import Any

from jupyter_mlops.models.comparing import Change, MetricPair, VersionComparison
from jupyter_mlops.views.blocks import Block, Column, Notice, Table, View
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.registry import look

__all__ = ["versions_view"]

LONGEST = 60
_DIGEST = re.compile(r"[0-9a-f]{32,}")


@look(VersionComparison)
def versions_view(result: VersionComparison) -> View:
    """Metrics with what is really different, then inputs, then origins."""
    a, b = result.a.label, result.b.label
    real = [one.metric for one in result.metrics if one.differs]
    blocks: list[Block] = [Notice(level="warn", text=note) for note in result.notes]
    if any(one.differs is not None for one in result.metrics):
        text = f"Really different: {', '.join(real)}." if real else "No metric really differs."
        blocks.insert(0, Notice(text=text))
    columns = [
        Column(key="metric", label="Metric"),
        Column(key="a", label=a, kind="number"),
        Column(key="b", label=b, kind="number"),
        Column(key="difference", label="Difference", kind="number"),
        Column(key="interval", label="95% interval"),
    ]
    rows = [_row(one) for one in result.metrics]
    blocks.append(Table(columns=columns, rows=rows, total=len(rows), empty="No metrics."))
    for title, what, changes in (
        ("Inputs", "Column", result.inputs),
        ("Made of", "Part", result.changes),
    ):
        if changes:
            blocks.append(_changes(title, what, changes, a, b))
    return View(
        kind="comparison",
        title=f"{a} and {b}",
        subtitle="versions side by side",
        line=f"%mlops models compare {a} {b}",
        blocks=blocks,
    )


def _row(one: MetricPair) -> dict[str, Any]:
    interval = ""
    if one.low is not None and one.high is not None:
        interval = f"{number_text(one.low)} to {number_text(one.high)}"
    return {
        "metric": one.metric,
        "a": one.a,
        "b": one.b,
        "difference": one.difference,
        "interval": interval,
    }


def _changes(title: str, what: str, changes: tuple[Change, ...], a: str, b: str) -> Table:
    columns = [
        Column(key="what", label=what),
        Column(key="a", label=a),
        Column(key="b", label=b),
    ]
    rows = [
        {"what": one.what.replace("_", " "), "a": _short(one.a), "b": _short(one.b)}
        for one in changes
    ]
    return Table(title=title, columns=columns, rows=rows, total=len(rows))


def _short(text: str) -> str:
    """A digest is told apart by its first digits."""
    return text[:12] if _DIGEST.fullmatch(text) else text[:LONGEST]

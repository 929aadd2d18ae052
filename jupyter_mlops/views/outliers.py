"""How the strangest rows of an endpoint look."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.monitoring.outliers import Outliers
from jupyter_mlops.monitoring.sides import INPUT
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.rows import short, text_of

__all__ = ["outliers_view"]

ROWS: Final = 100


@look(Outliers)
def outliers_view(result: Outliers) -> View:
    """How many are strange, why, and which are the strangest."""
    facts = [
        Fact(label="Rows looked at", value=f"{result.scored:,}", hint=f"window: {result.window}"),
        Fact(label="Outliers", value=f"{result.outliers:,}"),
        Fact(label="Share", value=f"{result.outliers / result.scored:.3%}"),
        Fact(label="Expected", value=f"{result.threshold:.3%}", hint="of rows as in training"),
        Fact(label="Model", value=result.model, ref=f"model:{result.model}"),
    ]
    level: Any = "warn" if result.too_many else "good"
    blocks: list[Block] = [Notice(level=level, text=result.sentence), Facts(items=facts)]
    if result.rows > result.scored:
        left = result.rows - result.scored
        text = f"Of {left:,} rows more it isn't known how strange they are."
        blocks.append(Notice(text=text))
    blocks.append(_strangest(result))
    if result.columns:
        blocks.append(_reasons(result))
    return View(
        kind="outliers",
        title=f"Outliers of {result.endpoint}",
        subtitle=f"the strangest {len(result):,} of {result.scored:,} rows",
        ref=f"endpoint:{result.endpoint}",
        line=f"%mlops outliers {result.endpoint}",
        blocks=blocks,
    )


def _strangest(result: Outliers) -> Table:
    rows = []
    for row in result.rows_found.head(ROWS).iter_rows(named=True):
        names = row["outlier_columns"] or []
        values = [f"{name}: {text_of(row.get(INPUT + name))}" for name in names]
        rows.append(
            {
                "prediction": row["prediction_id"],
                "rarity": f"{row['outlier']:.2g}",
                "why": short("; ".join(values)) if values else "–",
                "key": row["key"],
                "answer": text_of(row["prediction"]),
                "time": row["event_time"].isoformat(),
            }
        )
    return Table(
        title="The strangest rows",
        columns=[
            Column(key="prediction", label="Prediction"),
            Column(key="rarity", label="As strange in training"),
            Column(key="why", label="Because of"),
            Column(key="key", label="Key"),
            Column(key="answer", label="Answer"),
            Column(key="time", label="Time", kind="time"),
        ],
        rows=rows,
        total=len(result),
    )


def _reasons(result: Outliers) -> Table:
    ordered = sorted(result.columns.items(), key=lambda pair: (-pair[1], pair[0]))
    return Table(
        title="What makes outliers strange",
        columns=[
            Column(key="name", label="Column"),
            Column(key="share", label="Of the outliers", kind="bar"),
        ],
        rows=[
            {"name": name, "share": min(count / max(result.outliers, 1), 1.0)}
            for name, count in ordered[:ROWS]
        ],
        total=len(ordered),
    )

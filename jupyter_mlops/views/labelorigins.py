"""How it looks how labels came to be."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.provenance import Stats, Under
from jupyter_mlops.views.blocks import Column, Fact, Facts, Table, View
from jupyter_mlops.views.labelers import ROWS, WIDE
from jupyter_mlops.views.labeltasks import counted, interval_of, task_view
from jupyter_mlops.views.registry import look

__all__ = ["stats_view"]

_AGAIN = {"me": "the same person, later", "others": "somebody else", "never": "nobody"}


@look(Stats)
def stats_view(result: Stats) -> View:
    """How labels came to be: guidelines, strategies, suggestions and skips."""
    blocks: list[Any] = [
        Facts(
            items=[
                Fact(label="Labels", value=f"{result.labels:,}", hint="each person's last word"),
                Fact(label="Skips", value=f"{result.skips:,}"),
            ]
        ),
        Table(
            title="Guidelines",
            columns=[
                Column(key="version", label="Version"),
                Column(key="text", label="Begins"),
                Column(key="person", label="Written by"),
                Column(key="at", label="When", kind="time"),
                Column(key="labels", label="Labels", kind="number"),
                Column(key="skips", label="Skips", kind="number"),
                Column(key="people", label="People", kind="number"),
            ],
            rows=[_under(one) for one in result.guidelines[:ROWS]],
            total=len(result.guidelines),
            empty="There is no guideline, and no label yet.",
        ),
        Table(
            title="Chosen by",
            columns=[
                Column(key="strategy", label="Strategy"),
                Column(key="labels", label="Labels", kind="number"),
                Column(key="audits", label="Drawn at random", kind="number"),
            ],
            rows=[
                {"strategy": one.strategy, "labels": one.labels, "audits": one.audits}
                for one in result.chosen[:ROWS]
            ],
            total=len(result.chosen),
            empty="Nothing is labelled yet.",
        ),
    ]
    if result.suggested:
        columns = [Column(key="by", label="Suggested by"), Column(key="kept", label="Kept")]
        rows = [
            {"by": one.by or "–", "kept": interval_of(one.kept)} for one in result.suggested[:ROWS]
        ]
        blocks.append(
            Table(title="Suggestions", columns=columns, rows=rows, total=len(result.suggested))
        )
    if result.skipped:
        blocks.append(
            Table(
                title="Skips",
                columns=[
                    Column(key="reason", label="Reason"),
                    Column(key="requeue", label="Seen again by"),
                    Column(key="skips", label="Skips", kind="number"),
                ],
                rows=[
                    {
                        "reason": one.reason or "–",
                        "requeue": _AGAIN.get(one.requeue, one.requeue),
                        "skips": one.skips,
                    }
                    for one in result.skipped[:ROWS]
                ],
                total=len(result.skipped),
            )
        )
    return task_view(result.task, "stats", counted(result.labels, "label"), blocks)


def _under(one: Under) -> dict[str, Any]:
    known = one.guideline
    name = f"{known.number}: {one.version}" if known else one.version or "none"
    text = " ".join(known.text.split()) if known else ""
    return {
        "version": f"{name} (holds)" if one.holds else name,
        "text": text if len(text) <= WIDE else text[: WIDE - 1] + "…",
        "person": known.person if known else "",
        "at": known.at.isoformat() if known else None,
        "labels": one.labels,
        "skips": one.skips,
        "people": one.people,
    }

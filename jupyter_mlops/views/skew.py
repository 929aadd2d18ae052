"""How a check of training-serving skew looks."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.monitoring.skew import Skew
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Level, Notice, Table, View
from jupyter_mlops.views.registry import look

__all__ = ["skew_view"]

ROWS: Final = 200
_OVERALL: Final[dict[str, Level]] = {"skewed": "bad", "same": "good", "not enough data": "info"}
_BADGES: Final[dict[str, Level]] = {
    "skewed": "bad",
    "drifted": "bad",
    "watch": "warn",
    "same": "good",
    "stable": "good",
    "not enough data": "info",
}


@look(Skew)
def skew_view(result: Skew) -> View:
    """What is served otherwise than it was trained on."""
    how = f"row by row, by {result.key!r}" if result.key else "by distribution"
    facts = [
        Fact(label="Verdict", value=result.verdict),
        Fact(label="Compared", value=how),
        Fact(label="Rows", value=f"{result.rows:,}", hint=f"window: {result.window}"),
        Fact(label="Model", value=result.model or "–"),
        Fact(label="Training data", value=f"{result.reference} ({result.reference_rows:,} rows)"),
    ]
    blocks: list[Block] = [
        Notice(level=_OVERALL[result.verdict], text=_begun(result.sentence)),
        Facts(items=facts),
        *(Notice(level="warn", text=_begun(text)) for text in result.notices),
        _by_row(result) if result.key else _by_distribution(result),
    ]
    if result.replay is not None and result.replay.differing:
        blocks.append(_replay(result))
    return View(
        kind="skew",
        title=f"Training-serving skew of {result.endpoint}",
        subtitle=f"{result.verdict} · checked {result.at:%Y-%m-%d %H:%M} UTC",
        ref=result.ref,
        line=f"%mlops skew show {result.ref}",
        blocks=blocks,
    )


def _begun(text: str) -> str:
    """As a sentence: with a capital, and an end."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith(".") else ".")


def _by_row(result: Skew) -> Table:
    return Table(
        title="Trained on and served, row by row",
        columns=[
            Column(key="name", label="Feature"),
            Column(key="verdict", label="Verdict", kind="badge"),
            Column(key="share", label="Differ", kind="percent"),
            Column(key="differing", label="Rows", kind="number"),
            Column(key="rule", label="Rule"),
            Column(key="pairs", label="For example (key: trained → served)"),
        ],
        rows=[
            {
                "name": one.name,
                "verdict": {"text": one.verdict, "level": _BADGES[one.verdict]},
                "share": round(one.share, 5),
                "differing": one.differing,
                "rule": one.rule or None,
                "pairs": "; ".join(f"{k}: {a} → {b}" for k, a, b in one.pairs[:3]) or None,
            }
            for one in result.features[:ROWS]
        ],
        total=len(result.features),
        empty="No features to compare.",
    )


def _by_distribution(result: Skew) -> Table:
    return Table(
        title="Trained on and served, as distributions",
        columns=[
            Column(key="name", label="Feature"),
            Column(key="verdict", label="Verdict", kind="badge"),
            Column(key="why", label="Why"),
            Column(key="trained", label="Trained on", kind="spark"),
            Column(key="served", label="Served", kind="spark"),
        ],
        rows=[
            {
                "name": one.name,
                "verdict": {
                    "text": "skewed" if one.verdict == "drifted" else one.verdict,
                    "level": _BADGES[one.verdict],
                },
                "why": one.reason,
                "trained": one.histogram.reference,
                "served": one.histogram.current,
            }
            for one in result.distributions[:ROWS]
        ],
        total=len(result.distributions),
        empty="No features to compare.",
    )


def _replay(result: Skew) -> Table:
    assert result.replay is not None
    rows: list[dict[str, Any]] = [
        {"row": at, "own": own, "served": served} for at, own, served in result.replay.pairs
    ]
    return Table(
        title="Training rows sent through the endpoint",
        columns=[
            Column(key="row", label="Row", kind="number"),
            Column(key="own", label="The model itself"),
            Column(key="served", label="The endpoint"),
        ],
        rows=rows,
        total=result.replay.differing,
    )

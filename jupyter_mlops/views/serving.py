"""How an endpoint's answers and the truth look."""

from __future__ import annotations

import polars as pl

from jupyter_mlops.serving.calling import Predictions
from jupyter_mlops.serving.feedback import Feedback
from jupyter_mlops.views.blocks import Block, Fact, Facts, Notice, View
from jupyter_mlops.views.data import rows_block
from jupyter_mlops.views.registry import look

__all__ = ["feedback_view", "predictions_view"]


@look(Predictions)
def predictions_view(result: Predictions) -> View:
    """Answers to a table."""
    count = len(result)
    rate = count / result.seconds if result.seconds else 0.0
    facts = [
        Fact(label="Rows", value=f"{count:,}"),
        Fact(label="Seconds", value=f"{result.seconds:,.1f}", hint=f"{rate:,.0f} rows a second"),
        Fact(label="Answered by", value=", ".join(f"version {v}" for v in sorted(result.versions))),
    ]
    if result.classes is not None and len(result.classes) == 2:
        label = f"Mean probability of {result.classes[1]}"
        mean = result.rows.select(pl.col("probability").mean()).item()
        facts.append(Fact(label=label, value=f"{mean:.4f}"))
    blocks: list[Block] = [Facts(items=facts)]
    blocks += [Notice(level="warn", text=warning) for warning in result.warnings]
    blocks.append(rows_block(result.rows.head(10), count))
    return View(
        kind="predictions",
        title=f"{result.endpoint}: {count:,} answers",
        subtitle=f"{rate:,.0f} rows a second",
        ref=f"endpoint:{result.endpoint}",
        line=f"%mlops endpoints --name {result.endpoint}",
        blocks=blocks,
    )


@look(Feedback)
def feedback_view(result: Feedback) -> View:
    """What became of a batch of truth."""
    share = result.total / result.predictions if result.predictions else 0.0
    facts = [
        Fact(label="Rows with a truth", value=f"{result.rows:,}"),
        Fact(label="Joined by", value=result.by),
        Fact(label="Matched", value=f"{result.matched:,}", hint="belong to a prediction"),
        Fact(
            label="Logged predictions with a truth",
            value=f"{result.total:,} of {result.predictions:,}",
            hint=f"{share:.0%}",
        ),
    ]
    blocks: list[Block] = [Facts(items=facts)]
    waiting = result.rows - result.matched - result.unlogged
    if result.known:
        blocks.append(Notice(text="These very rows had come before; nothing was added."))
    if result.unlogged:
        text = (
            f"{result.unlogged:,} rows belong to predictions that were answered and not logged, "
            f"so they can't be joined. The log holds: {result.log}."
        )
        blocks.append(Notice(level="warn", text=text))
    if waiting:
        text = f"{waiting:,} rows belong to no prediction yet; they wait for theirs."
        blocks.append(Notice(level="warn" if waiting == result.rows else "info", text=text))
    if result.conflicting:
        which = "prediction has" if result.conflicting == 1 else "predictions have"
        text = f"{result.conflicting:,} {which} several truths in these rows; the last one counts."
        blocks.append(Notice(level="warn", text=text))
    if result.empty:
        blocks.append(Notice(text=f"{result.empty:,} rows hold no truth and were left out."))
    return View(
        kind="feedback",
        title=f"{result.endpoint}: {result.rows:,} truths",
        subtitle=f"{result.total:,} of {result.predictions:,} logged predictions have one",
        ref=f"endpoint:{result.endpoint}",
        line=f"%mlops endpoints --name {result.endpoint}",
        blocks=blocks,
    )

"""How it looks when a trial was run again."""

from __future__ import annotations

from jupyter_mlops.experiments.driver import Verification
from jupyter_mlops.views.blocks import Block, Column, Notice, Table, View
from jupyter_mlops.views.registry import look

__all__ = ["verification_view"]


@look(Verification)
def verification_view(result: Verification) -> View:
    """Whether its numbers came out the same, and each of them."""
    run = result.run
    if result.same:
        head = Notice(level="good", text="Its numbers come out the same.")
    else:
        head = Notice(
            level="bad",
            text="Its numbers come out different.",
            fix="Something outside of the cell has changed, or it draws numbers without its seed.",
        )
    blocks: list[Block] = [head, *(Notice(level="warn", text=note) for note in result.notes)]
    blocks.append(
        Table(
            columns=[
                Column(key="metric", label="Metric"),
                Column(key="before", label="Recorded", kind="number"),
                Column(key="now", label="Now", kind="number"),
            ],
            rows=[
                {"metric": name, "before": before, "now": now}
                for name, (before, now) in result.metrics.items()
            ],
        )
    )
    return View(
        kind="run",
        title=f"{run.name} · {run.short}",
        subtitle="run again",
        ref=run.ref,
        line=f"%mlops verify run:{run.short}",
        blocks=blocks,
    )

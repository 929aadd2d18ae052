"""How an experiment's winner looks: a cell to go on with."""

from __future__ import annotations

from jupyter_mlops.experiments.winner import Winner
from jupyter_mlops.views.blocks import Block, Code, Notice, View
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.registry import look

__all__ = ["winner_view"]


@look(Winner)
def winner_view(result: Winner) -> View:
    """The cell, ready to be put into a notebook."""
    one, trial = result.detail.experiment, result.detail.trial
    value = trial.metrics.get(one.goal.metric)
    shown = "" if value is None else f" · {one.goal.metric} {number_text(value)}"
    blocks: list[Block] = [Code(text=result.cell, insert=True)]
    if not trial.has_model:
        text = "No model of it was kept: fit one with these parameters, then register its run."
        blocks.append(Notice(text=text))
    return View(
        kind="winner",
        title=f"Winner of {one.name} · {one.short}",
        subtitle=f"trial {trial.number}{shown}",
        ref=one.ref,
        line=f"%mlops experiment winner {one.short}",
        blocks=blocks,
    )

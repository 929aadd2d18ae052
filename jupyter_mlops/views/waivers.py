"""How a waiver looks."""

from __future__ import annotations

from jupyter_mlops.models.waivers import Waiver
from jupyter_mlops.views.blocks import Block, Fact, Facts, Notice, View
from jupyter_mlops.views.registry import look

__all__ = ["waiver_view"]


@look(Waiver)
def waiver_view(result: Waiver) -> View:
    """What may be done now, and on whose word."""
    if result.withdrawn:
        text = f"Pickles of {result.model} are refused again; endpoints that run go on."
        notice = Notice(level="good", text=text)
    else:
        text = (
            f"{result.model} may be kept as a pickle. It runs any code it holds when it is "
            "loaded, which an endpoint's own process alone does."
        )
        notice = Notice(level="warn", text=text)
    facts = [
        Fact(label="Reason", value=result.reason),
        Fact(label="By", value=result.actor),
        Fact(label="When", value=f"{result.waived_at:%Y-%m-%d %H:%M} UTC"),
    ]
    blocks: list[Block] = [notice, Facts(items=facts)]
    state = "withdrawn" if result.withdrawn else "recorded"
    return View(kind="waiver", title=f"Waiver for {result.model}", subtitle=state, blocks=blocks)

"""How the agent's state looks."""

from __future__ import annotations

from jupyter_mlops.agent import AgentState
from jupyter_mlops.views.blocks import Block, Fact, Facts, Notice, View
from jupyter_mlops.views.cells import time_text
from jupyter_mlops.views.registry import look

__all__ = ["agent_view"]


@look(AgentState)
def agent_view(result: AgentState) -> View:
    """Whether the agent runs, where, and since when."""
    blocks: list[Block] = [
        Notice(level="good", text="The agent runs.")
        if result.running
        else Notice(
            text="No agent runs.",
            fix="It starts when something needs it; `jupyter mlops agent run` is one by hand.",
        )
    ]
    if result.pid is not None:
        since = "–" if result.started_at is None else time_text(result.started_at.isoformat())
        seen = "–" if result.heartbeat is None else time_text(result.heartbeat.isoformat())
        facts = {
            "Process": f"{result.pid} on {result.host}",
            "Started": f"{since} by {result.actor}",
            "Last heartbeat": seen,
            "Log": str(result.log),
        }
        blocks.append(
            Facts(items=[Fact(label=label, value=value) for label, value in facts.items()])
        )
    return View(
        kind="agent",
        title="Agent",
        subtitle="running" if result.running else "not running",
        line="%mlops agent",
        blocks=blocks,
    )

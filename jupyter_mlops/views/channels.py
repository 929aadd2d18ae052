"""How the channels of alerts look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.monitoring.channels import Channel, Channels
from jupyter_mlops.views.alerts import count, short
from jupyter_mlops.views.blocks import Action, Block, Column, Level, Notice, Table, View
from jupyter_mlops.views.registry import look

__all__ = ["channels_view"]

ROWS = 200


@look(Channels)
def channels_view(result: Channels) -> View:
    """Channels, and what became of their messages."""
    blocks: list[Block] = []
    if result.notice:
        blocks.append(Notice(level="good", text=result.notice))
    for one in result.items:
        if one.dead:
            given_up = f"{count(one.dead, 'message')} to {one.name} never arrived: {one.error}"
            fix = f"%mlops channel test {one.name}"
            blocks.append(Notice(level="bad", text=given_up, fix=fix))
    dead = any(one.dead for one in result.items)
    failing = any(one.error for one in result.items)
    blocks.append(
        Table(
            columns=[
                Column(key="name", label="Channel"),
                Column(key="state", label="State", kind="badge"),
                Column(key="to", label="To"),
                Column(key="endpoint", label="Alerts of"),
                Column(key="delivered", label="Arrived", kind="number"),
                Column(key="waiting", label="Waiting", kind="number"),
                *([Column(key="dead", label="Given up", kind="number")] if dead else []),
                *([Column(key="error", label="Last error")] if failing else []),
                Column(key="do", label="", kind="actions"),
            ],
            rows=[_channel_row(one) for one in result.items[:ROWS]],
            total=len(result),
            empty="Nobody is told yet: %mlops channel add NAME --to mailto:ada@example.org",
        )
    )
    return View(
        kind="channels",
        title="Channels of alerts",
        subtitle=count(len(result), "channel"),
        line="%mlops channel ls",
        blocks=blocks,
    )


def _channel_row(one: Channel) -> dict[str, Any]:
    level: Level = "warn" if one.error else "good"
    text = "failing" if one.error else "on"
    test = Action(label="Test", verb="channel test", args={"name": one.name})
    return {
        "name": one.name,
        "state": {"text": text, "level": level},
        "to": one.to,
        "endpoint": one.endpoint or "all endpoints",
        "delivered": one.delivered,
        "waiting": one.waiting,
        "dead": one.dead,
        "error": short(one.error),
        "do": [test.model_dump(exclude_defaults=True)],
    }

"""How the end of an endpoint's log looks."""

from __future__ import annotations

from jupyter_mlops.serving.logs import EndpointLog
from jupyter_mlops.views.blocks import Block, Code, Fact, Facts, Notice, View
from jupyter_mlops.views.data import size_text
from jupyter_mlops.views.registry import look

__all__ = ["log_view"]


@look(EndpointLog)
def log_view(result: EndpointLog) -> View:
    """The last lines, and where the rest is."""
    blocks: list[Block] = []
    if not result.lines:
        blocks.append(
            Notice(text="Nothing was written yet: its processes write when something is wrong.")
        )
    else:
        facts = [Fact(label="File", value=result.path, hint=size_text(result.size))]
        if result.written_at is not None:
            facts.append(
                Fact(label="Last line", value=f"{result.written_at:%Y-%m-%d %H:%M:%S} UTC")
            )
        blocks += [Facts(items=facts), Code(language="text", text="\n".join(result.lines))]
    many = f"{len(result.lines):,} {'line' if len(result.lines) == 1 else 'lines'}"
    return View(
        kind="endpoint-log",
        title=f"Log of {result.endpoint}",
        subtitle=f"the last {many}" if result.earlier else many,
        line=f"%mlops endpoint logs {result.endpoint}",
        blocks=blocks,
    )

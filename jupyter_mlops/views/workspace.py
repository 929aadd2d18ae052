"""How the ground floor's records look."""

from __future__ import annotations

from jupyter_mlops.views.blocks import Fact, Facts, Notice, View
from jupyter_mlops.views.registry import look
from jupyter_mlops.workspace.events import Audit

__all__ = ["audit_view"]


@look(Audit)
def audit_view(result: Audit) -> View:
    """Whether the log of events is whole."""
    facts = Facts(
        items=[
            Fact(label="Events", value=f"{result.events:,}"),
            Fact(label="Last hash", value=result.head[:12]),
        ]
    )
    notice = (
        Notice(level="good", text="Every event follows from the one before.")
        if result.intact
        else Notice(
            level="bad",
            text=f"Event {result.broken:,} can't be trusted: {result.reason}.",
            fix="Restore the store from a backup taken before it was changed.",
        )
    )
    return View(kind="audit", title="Audit", line="%mlops audit verify", blocks=[notice, facts])

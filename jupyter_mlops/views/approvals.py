"""How an approval looks."""

from __future__ import annotations

from jupyter_mlops.models.approvals import Approval
from jupyter_mlops.views.blocks import Action, Actions, Fact, Facts, View
from jupyter_mlops.views.registry import look

__all__ = ["approval_view"]


@look(Approval)
def approval_view(result: Approval) -> View:
    """Who approved which files, and what they said."""
    label = f"{result.model}@{result.version}"
    facts = [
        Fact(label="Approved by", value=result.actor),
        Fact(label="When", value=f"{result.approved_at:%Y-%m-%d %H:%M} UTC"),
        Fact(label="Note", value=result.note or "–"),
        Fact(label="Digest", value=result.digest[:12], hint=result.digest),
    ]
    ask = Action(label="Answer its gates", verb="gate check", args={"model": label})
    return View(
        kind="approval",
        title=f"{label} is approved",
        ref=result.ref,
        line=f"%mlops models {label}",
        blocks=[Facts(items=facts), Actions(items=[ask])],
    )

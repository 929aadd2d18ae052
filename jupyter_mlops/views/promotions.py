"""How a promotion and a rollback look."""

from __future__ import annotations

from jupyter_mlops.models.promotions import Promotion
from jupyter_mlops.views.blocks import Action, Actions, Block, Fact, Facts, Notice, View
from jupyter_mlops.views.gates import lines_table
from jupyter_mlops.views.registry import look

__all__ = ["promotion_view"]


@look(Promotion)
def promotion_view(result: Promotion) -> View:
    """Where the alias points now, and what spoke for it."""
    name, label = result.version.name, result.version.label
    was = f", which was version {result.earlier}" if result.earlier else ""
    verb = "went back to" if result.how == "rollback" else "is now"
    blocks: list[Block] = [Notice(level="good", text=f"{name}@{result.alias} {verb} {label}{was}.")]
    if result.forced:
        text = f"Gates didn't pass; it was promoted all the same: {result.forced}"
        blocks.append(Notice(level="warn", text=text))
    if result.check is not None and result.check.lines:
        blocks.append(lines_table(result.check))
    facts = [
        Fact(label="By", value=result.actor),
        Fact(label="Event", value=str(result.event)),
        Fact(label="Digest", value=result.version.digest[:12], hint=result.version.digest),
    ]
    blocks.append(Facts(items=facts))
    if result.how == "promote" and result.earlier:
        back = Action(
            label="Roll back",
            verb="rollback",
            args={"model": name, "alias": result.alias},
            confirm=f"Let {name}@{result.alias} point to version {result.earlier} again?",
            danger=True,
        )
        blocks.append(Actions(items=[back]))
    return View(
        kind="promotion",
        title=f"{name}@{result.alias}",
        subtitle=f"{'rolled back' if result.how == 'rollback' else 'promoted'}, "
        f"{result.at:%Y-%m-%d %H:%M} UTC",
        ref=result.version.ref,
        line=f"%mlops models {name}",
        blocks=blocks,
    )

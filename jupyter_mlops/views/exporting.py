"""How bundles that were written look."""

from __future__ import annotations

from jupyter_mlops.serving.exporting.exports import Export
from jupyter_mlops.views.blocks import Block, Code, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.rows import size_text

__all__ = ["export_view"]


@look(Export)
def export_view(result: Export) -> View:
    """What is in the folder, and the first thing to do with it."""
    facts = [
        Fact(label="Folder", value=str(result.to)),
        Fact(label="Model", value=result.model, hint=result.digest),
        Fact(label="Digest", value=result.digest[:12], hint=result.digest),
    ]
    if result.kind != "mlflow":
        facts.append(Fact(label="Name in V2 paths", value=result.endpoint))
    blocks: list[Block] = [Facts(items=facts)]
    blocks += [Notice(level="warn", text=note) for note in result.notes]
    blocks.append(Code(title="Next, in that folder", language="bash", text=result.next))
    blocks.append(
        Table(
            title="Written",
            columns=[Column(key="name", label="File"), Column(key="size", label="Size")],
            rows=[{"name": name, "size": size_text(size)} for name, size in result.files],
        )
    )
    return View(
        kind="export",
        title=f"{result.model} as {result.kind}",
        subtitle=str(result.to),
        ref=result.ref,
        line=f"%mlops models {result.model}",
        blocks=blocks,
    )

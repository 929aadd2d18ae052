"""How a model card looks."""

from __future__ import annotations

import re
from typing import Any

from jupyter_mlops.models.cards import Figure, ModelCard
from jupyter_mlops.views.blocks import Block, Code, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.gates import lines_table
from jupyter_mlops.views.registry import look

__all__ = ["card_view"]

DIGITS = 12
LONGEST = 40
_DIGEST = re.compile(r"[0-9a-f]{32,}")


@look(ModelCard)
def card_view(result: ModelCard) -> View:
    """What it is for, how good it is, what it learnt from, who approved it, how to load it."""
    version = result.version
    blocks: list[Block] = []
    if result.use is not None:
        blocks.append(Notice(text=result.use.text))
    else:
        fix = f'%mlops card {version.label} --say "…"'
        blocks.append(Notice(level="warn", text="Nobody has said what it is for.", fix=fix))
    whole = [one for one in result.figures if not one.slice]
    blocks.append(_figures("Metrics", whole, "It was scored on no rows."))
    sliced = [one for one in result.figures if one.slice]
    if sliced:
        blocks.append(_figures("Slices, the worst first", sliced, ""))
    blocks.append(Facts(title="Where it comes from", items=_facts(result)))
    if result.check is not None and result.check.lines:
        blocks.append(lines_table(result.check).model_copy(update={"title": "Gates"}))
    blocks += _approvals(result)
    blocks += [Notice(text=note) for note in result.notes]
    blocks.append(Code(title="Loading it", text=result.loading, insert=True))
    needed = "\n".join(result.requirements)
    blocks.append(Code(language="text", title="Packages it needs", text=needed))
    return View(
        kind="card",
        title=f"Card of {version.label}",
        subtitle=", ".join(version.aliases),
        ref=version.ref,
        line=f"%mlops card {version.label}",
        blocks=blocks,
    )


def _figures(title: str, figures: list[Figure], empty: str) -> Table:
    columns = [
        Column(key="metric", label="Metric"),
        Column(key="value", label="Value", kind="number"),
        Column(key="interval", label="95% interval"),
        Column(key="rows", label="Rows", kind="number"),
    ]
    rows = [_row(one) for one in figures]
    return Table(title=title, columns=columns, rows=rows, total=len(rows), empty=empty)


def _row(one: Figure) -> dict[str, Any]:
    interval = ""
    if one.low is not None and one.high is not None:
        interval = f"{number_text(one.low)} to {number_text(one.high)}"
    name = f"{one.metric}, {one.slice}" if one.slice else one.metric
    return {"metric": name, "value": one.value, "interval": interval, "rows": one.rows}


def _facts(result: ModelCard) -> list[Fact]:
    version, data = result.version, result.data
    told = {"rows": "{} rows", "origin": "{}"}
    hint = " · ".join(words.format(data[key]) for key, words in told.items() if data.get(key))
    facts = [
        Fact(label="Predicts", value=f"{version.target or 'its target'} ({version.task})"),
        Fact(label="Data", value=data.get("ref", "–"), hint=hint, ref=data.get("ref", "")),
    ]
    if "digest" in data:
        facts.append(Fact(label="Data digest", value=data["digest"][:DIGITS], hint=data["digest"]))
    facts += [
        Fact(label=f"Labels {one.task}", value=one.digest[:DIGITS], hint=one.digest)
        for one in result.labels
    ]
    for name, value in result.origin.items():
        if name not in {"data", "class"}:
            label = name.replace("_", " ").capitalize()
            short = value[:DIGITS] if _DIGEST.fullmatch(value) else value[:LONGEST]
            facts.append(Fact(label=label, value=short, hint=value if short != value else ""))
    facts.append(Fact(label="Files", value=version.digest[:DIGITS], hint=version.digest))
    return facts


def _approvals(result: ModelCard) -> list[Block]:
    if not result.approvals:
        return []
    columns = [
        Column(key="who", label="Approved by"),
        Column(key="at", label="When", kind="time"),
        Column(key="note", label="Note"),
    ]
    rows = [
        {"who": one.actor, "at": one.approved_at.isoformat(), "note": one.note}
        for one in result.approvals
    ]
    return [Table(title="Approvals", columns=columns, rows=rows, total=len(rows))]

"""The page of a version: what it is, whether its gates let it through, who said what about it."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.models.details import VersionDetail
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Field,
    Form,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.gates import lines_table
from jupyter_mlops.views.models import inputs_table, version_facts
from jupyter_mlops.views.registry import look
from jupyter_mlops.workspace import Event

__all__ = ["detail_view"]

#: What happened lately; other versions to compare with.
EVENTS: Final = 20
OTHERS: Final = 50


@look(VersionDetail)
def detail_view(result: VersionDetail) -> View:
    """One version, and what became of it."""
    blocks: list[Block] = [*_verdict(result), Facts(items=version_facts(result))]
    if result.use is not None:
        blocks.append(Notice(text=result.use.text))
    blocks += _gates(result)
    if result.approvals:
        blocks.append(_approvals(result))
    blocks += _forms(result)
    if result.others:
        blocks.append(_others(result))
    blocks += [_history(result), inputs_table(result), Actions(items=_actions(result))]
    return View(
        kind="model",
        title=result.label,
        subtitle=f"registered by {result.actor}, {result.created_at:%Y-%m-%d %H:%M} UTC",
        ref=result.ref,
        line=f"%mlops models {result.label}",
        blocks=blocks,
    )


def _verdict(result: VersionDetail) -> list[Block]:
    """Whether it may be promoted, as far as that is known."""
    many = len(result.gates.items)
    if not many:
        text = f"{result.name} has no gates, so anything may be promoted."
        return [Notice(text=text, fix=f"`%mlops gate {result.name} auc > 0.8` sets one")]
    if result.check is None or not result.current:
        said = (
            "were not asked yet" if result.check is None else "have changed since they were asked"
        )
        fix = f"`%mlops gate check {result.label}` asks them"
        return [Notice(level="warn", text=f"The gates of {result.name} {said}.", fix=fix)]
    when = f"{result.check.at:%Y-%m-%d %H:%M} UTC"
    if result.check.passed:
        passes = "The gate passes" if many == 1 else f"All {many} gates pass"
        return [Notice(level="good", text=f"{passes}, asked {when}.")]
    failing = ", ".join(one.name for one in result.check.failing)
    text = f"{len(result.check.failing)} of {many} gates didn't pass, asked {when}: {failing}."
    return [Notice(level="bad", text=text)]


def _gates(result: VersionDetail) -> list[Block]:
    if result.check is not None and result.check.lines:
        table = lines_table(result.check)
        title = "Gates" if result.current else "Gates as they were asked last"
        reasons = [
            Fact(label=one.name, value=one.reason) for one in result.check.failing if one.reason
        ]
        why: list[Block] = [Facts(title="Why not", items=reasons)] if reasons else []
        return [table.model_copy(update={"title": title}), *why]
    if not result.gates.items:
        return []
    columns = [
        Column(key="expression", label="Gate"),
        Column(key="actor", label="Set by"),
        Column(key="at", label="Set", kind="time"),
    ]
    rows = [
        {"expression": one.expression, "actor": one.actor, "at": one.set_at.isoformat()}
        for one in result.gates.items
    ]
    return [Table(title="Gates", columns=columns, rows=rows)]


def _approvals(result: VersionDetail) -> Table:
    return Table(
        title="Approvals",
        columns=[
            Column(key="who", label="Approved by"),
            Column(key="at", label="When", kind="time"),
            Column(key="note", label="Note"),
        ],
        rows=[
            {"who": one.actor, "at": one.approved_at.isoformat(), "note": one.note}
            for one in result.approvals
        ],
    )


def _forms(result: VersionDetail) -> list[Block]:
    label, name = result.label, result.name
    promote = Form(
        title="Promote",
        submit="Promote",
        verb="promote",
        args={"model": label},
        fields=[Field(name="alias", label="Alias", value="champion", required=True)],
        confirm=f"Let the alias point to {label}? Its gates are asked first, and must pass.",
    )
    approve = Form(
        title="Approve",
        submit="Approve",
        verb="approve",
        args={"model": label},
        fields=[Field(name="note", label="What you looked at", hint="kept with your name")],
        confirm=f"Approve {label}, as its files are now?",
    )
    said = result.use.text if result.use is not None else ""
    say = Form(
        title="What it is for",
        submit="Write down",
        verb="card",
        args={"model": label},
        fields=[
            Field(
                name="say", label="Purpose", kind="lines", value=said, hint="and what it isn't for"
            )
        ],
        changes=True,
    )
    forms: list[Block] = [approve, promote, say]
    if result.others:
        # Most often one wants to know what is different from the one that serves.
        ordered = sorted(result.others[:OTHERS], key=lambda one: "champion" not in one[1])
        choices = [f"{name}@{number}" for number, _ in ordered]
        other = Field(name="b", label="With", kind="choice", value=choices[0], choices=choices,
                      required=True)  # fmt: skip
        forms.append(
            Form(title="Compare", submit="Compare", verb="models compare", args={"a": label},
                 fields=[other])
        )  # fmt: skip
    return forms


def _others(result: VersionDetail) -> Table:
    rows = [
        {"version": f"model:{result.name}@{number}", "aliases": ", ".join(aliases) or None}
        for number, aliases in result.others[:OTHERS]
    ]
    columns = [
        Column(key="version", label="Version", kind="ref"),
        Column(key="aliases", label="Aliases"),
    ]
    return Table(title="Other versions", columns=columns, rows=rows, total=len(result.others))


def _history(result: VersionDetail) -> Table:
    rows = [
        {"at": one.at.isoformat(), "what": _told(one, result.version), "who": one.actor}
        for one in result.history[:EVENTS]
    ]
    columns = [
        Column(key="what", label="What happened"),
        Column(key="who", label="By"),
        Column(key="at", label="When", kind="time"),
    ]
    return Table(title="History", columns=columns, rows=rows, total=len(result.history))


def _told(event: Event, version: int) -> str:
    payload: dict[str, Any] = event.payload
    if event.kind == "model.alias_moved":
        alias, here = payload["alias"], payload["version"] == version
        back = payload.get("how") == "rollback"
        if here and back:
            return f"{alias} went back to it from version {payload['before']}"
        if here and payload.get("how") == "register":
            return f"registered as {alias}"
        if here:
            before, forced = payload.get("before"), payload.get("forced")
            instead = f" in place of version {before}" if before else ""
            although = f", although gates didn't pass: {forced}" if forced else ""
            return f"promoted to {alias}{instead}{although}"
        return f"{alias} {'went back' if back else 'moved on'} to version {payload['version']}"
    if event.kind == "gate.checked":
        lines = payload.get("lines", [])
        passed = sum(one["verdict"] == "pass" for one in lines)
        return f"its gates were asked: {passed} of {len(lines)} passed"
    if event.kind == "model.approved":
        note = payload.get("note")
        return f"approved: {note}" if note else "approved"
    words = {
        "model.registered": "registered",
        "model.card_written": "its card was written",
        "model.tagged": "tagged",
    }
    return words.get(event.kind, event.kind.replace(".", " ").replace("_", " "))


def _actions(result: VersionDetail) -> list[Action]:
    label, name = result.label, result.name
    items = [
        Action(label="Serve", verb="serve", args={"model": label}),
        Action(label="Ask its gates", verb="gate check", args={"model": label}),
        Action(label="Card", verb="card", args={"model": label}),
    ]
    if result.earlier is not None:
        question = f"Let {name}@champion point to version {result.earlier} again?"
        items.append(
            Action(label="Roll back", verb="rollback", args={"model": name, "alias": "champion"},
                   confirm=question, danger=True)
        )  # fmt: skip
    return items

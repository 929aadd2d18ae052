"""How gates, their answers, approvals and promotions look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_mlops.models.gates.keeping import Gates
from jupyter_mlops.models.gates.verdicts import GateCheck, Line
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Level,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.registry import look

__all__ = ["check_view", "gates_view", "lines_table", "table_of"]

_LEVELS: dict[str, Level] = {"pass": "good", "fail": "bad", "unknown": "warn"}


@look(Gates)
def gates_view(result: Gates) -> View:
    """The gates as they were written."""
    columns = [
        Column(key="name", label="Gate"),
        Column(key="expression", label="Must hold"),
        Column(key="actor", label="Set by"),
        Column(key="at", label="Set", kind="time"),
    ]
    rows = [
        {
            "name": one.name,
            "expression": one.expression,
            "actor": one.actor,
            "at": one.set_at.isoformat(),
        }
        for one in result.items
    ]
    empty = f"No gates yet: %mlops gate {result.model} auc > 0.8 sets one."
    blocks: list[Block] = [Table(columns=columns, rows=rows, total=len(rows), empty=empty)]
    if rows:
        ask = Action(label="Answer them", verb="gate check", args={"model": result.model})
        blocks.append(Actions(items=[ask]))
    many = "gate" if len(rows) == 1 else "gates"
    return View(
        kind="gate",
        title=f"Gates of {result.model}",
        subtitle=f"{len(rows)} {many}",
        line=f"%mlops gate show {result.model}",
        blocks=blocks,
    )


@look(GateCheck)
def check_view(result: GateCheck) -> View:
    """Whether all passed, then each with its numbers."""
    label = result.version.label
    failing = len(result.failing)
    blocks: list[Block] = []
    if not result.lines:
        text = f"{result.version.name} has no gates, so anything may be promoted."
        fix = f"%mlops gate {result.version.name} auc > 0.8"
        blocks.append(Notice(level="warn", text=text, fix=fix))
    elif result.passed:
        many = "The gate passes" if len(result.lines) == 1 else f"All {len(result.lines)} pass"
        blocks.append(Notice(level="good", text=f"{many}: {label} may be promoted."))
    else:
        text = f"{failing} of {len(result.lines)} didn't pass: {label} isn't promoted."
        blocks.append(Notice(level="bad", text=text))
    if result.lines:
        blocks += [lines_table(result), _reasons(result)]
    if result.passed:
        args = {"model": label, "alias": "champion"}
        text = f"Let {result.version.name}@champion point to {label}?"
        promote = Action(label="Promote to champion", verb="promote", args=args, confirm=text)
        blocks.append(Actions(items=[promote]))
    against = f", champion {result.champion}" if result.champion else ", no champion yet"
    return View(
        kind="gate",
        title=f"Gates of {label}",
        subtitle=f"answered for {result.actor}, {result.at:%Y-%m-%d %H:%M} UTC{against}",
        ref=result.version.ref,
        line=f"%mlops gate check {label}",
        blocks=blocks,
    )


def lines_table(result: GateCheck) -> Table:
    """Each gate of a check with what was measured."""
    return table_of(result.lines)


def table_of(lines: Sequence[Line]) -> Table:
    """Each line with what was measured."""
    columns = [
        Column(key="verdict", label="Verdict", kind="badge"),
        Column(key="name", label="Gate"),
        Column(key="value", label="Value", kind="text"),
        Column(key="bound", label="Bound", kind="text"),
        Column(key="interval", label="Interval"),
        Column(key="n", label="Rests on"),
    ]
    rows = [_row(line) for line in lines]
    return Table(columns=columns, rows=rows, total=len(rows))


def _row(line: Line) -> dict[str, Any]:
    clock = "latency." in line.expression
    low, high = _number(line.low, clock), _number(line.high, clock)
    interval = f"{low or '?'} to {high or '?'}" if line.low is not None else ""
    if line.of == "difference" and interval:
        interval += " (difference)"
    rows = ""
    if line.rows is not None:
        noun = "calls" if clock else "rows"
        grouped = line.groups is not None and line.groups != line.rows
        rows = f"{line.rows:,} {noun}" + (f", {line.groups:,} groups" if grouped else "")
    return {
        "verdict": {"text": line.verdict, "level": _LEVELS[line.verdict]},
        "name": _name(line),
        "value": _number(line.value, clock),
        "bound": _number(line.bound, clock),
        "interval": interval,
        "n": rows,
    }


def _name(line: Line) -> str:
    """What must hold; before it its name, where a person gave it one."""
    named = line.name and line.name not in line.expression
    return f"{line.name}: {line.expression}" if named else line.expression


def _number(value: float | None, clock: bool) -> str:
    if value is None:
        return ""
    return f"{number_text(1e3 * value)} ms" if clock else number_text(value)


def _reasons(result: GateCheck) -> Facts:
    items = [Fact(label=line.expression, value=line.reason) for line in result.lines]
    return Facts(title="Why", items=items)

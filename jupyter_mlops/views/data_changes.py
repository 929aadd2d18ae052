"""How splits and differences of datasets look."""

from __future__ import annotations

from typing import Any, Final

import polars as pl

from jupyter_mlops.data.differences import Difference
from jupyter_mlops.data.splits import Split
from jupyter_mlops.data.tables import Table as DataTable
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Code,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.provenance import split_sentence
from jupyter_mlops.views.registry import look, view
from jupyter_mlops.views.rows import rows_table, short
from jupyter_mlops.workspace.results import Result

__all__ = ["difference_view", "split_view"]

ROWS: Final = 200
FAR: Final = 0.05


@look(Split)
def split_view(result: Split) -> View:
    """The parts with their rows, and that they share nothing."""
    told, total = result.told, result.of.rows
    shares = told["shares"] or {}
    table = Table(
        title="Parts",
        columns=[
            Column(key="ref", label="Part", kind="ref"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="share", label="Share", kind="percent"),
            Column(key="wanted", label="Wanted", kind="percent"),
        ],
        rows=[
            {
                "ref": one.ref,
                "rows": one.rows,
                "share": one.rows / total,
                "wanted": shares.get(part),
            }
            for part, one in result.parts.items()
        ],
    )
    what = "row" if told["unit"] == "rows" else told["unit"]
    notices = [Notice(level="good", text=f"No {short(what)} is in two parts.")]
    if result.left_out:
        notices.append(Notice(text=f"{result.left_out:,} rows fall into a gap and are in no part."))
    kept = max(1, total - result.left_out)
    far = [p for p, one in result.parts.items() if abs(one.rows / kept - shares.get(p, 0)) > FAR]
    if shares and far:
        notices.append(
            Notice(
                level="warn",
                text=f"{', '.join(far)} missed the wanted share by more than 5 points: "
                "there are few groups, or some are large.",
            )
        )
    first = next(iter(result.parts.values()))
    blocks: list[Block] = [
        Facts(items=[Fact(label="Rows", value=f"{total:,}"), _how(told)]),
        *notices,
        table,
    ]
    if result.classes:
        blocks.append(_classes(result))
    blocks.append(
        Actions(
            items=[
                Action(
                    label="Profile",
                    verb="profile",
                    args={"source": first.ref.removeprefix("data:")},
                )
            ]
        )
    )
    return View(
        kind="dataset",
        title=f"{result.of.ref.removeprefix('data:')} in {len(result.parts)} parts",
        subtitle=told["method"],
        ref=result.of.ref,
        line=f"%mlops data show {first.ref.removeprefix('data:')}",
        blocks=blocks,
    )


def _how(told: dict[str, Any]) -> Fact:
    return Fact(label="Split", value=split_sentence(told))


def _classes(result: Split) -> Table:
    names = list(result.parts)
    rows = sorted(result.classes.items(), key=lambda one: -sum(one[1]))
    return Table(
        title=f"Classes of {short(str(result.told['column']))}",
        columns=[
            Column(key="class", label="Class"),
            *(Column(key=f"part{at}", label=name, kind="number") for at, name in enumerate(names)),
        ],
        rows=[
            {"class": short(name), **{f"part{at}": n for at, n in enumerate(counts)}}
            for name, counts in rows[:ROWS]
        ],
        total=len(rows),
    )


@look(Difference)
def difference_view(result: Difference) -> View:
    """What differs in a few sentences, then columns, examples and distributions."""
    a, b = _name(result.a), _name(result.b)
    facts = Facts(
        items=[
            Fact(label="Rows", value=f"{result.a.rows:,} → {result.b.rows:,}"),
            Fact(label="Added", value=f"{result.added:,}"),
            Fact(label="Removed", value=f"{result.removed:,}"),
            *([Fact(label="Changed", value=f"{result.changed:,}")] if result.key else []),
            Fact(label="The same", value=f"{result.same:,}"),
            Fact(label="Matched by", value=short(", ".join(result.key)) or "content"),
        ]
    )
    blocks: list[Block] = [facts, *_column_notices(result), *_shifts(result)]
    if result.changes:
        blocks.append(_changes(result))
    for kind, title in (("changed", "Changed"), ("added", "Added"), ("removed", "Removed")):
        rows = result.examples.get(kind, pl.DataFrame())
        if rows.height:
            blocks.append(rows_table(title, rows, getattr(result, kind)))
    if result.sides is not None:
        blocks += _distributions(result.sides)
    return View(
        kind="preview",
        title=f"{b} against {a}",
        subtitle=_summary(result),
        ref=result.b.ref,
        line=f"%mlops data diff {a} {b}" if result.a.ref and result.b.ref else "",
        blocks=blocks,
    )


def _summary(result: Difference) -> str:
    if result.equal:
        return "the same rows in the same columns"
    told = [
        f"{count:,} {word}"
        for count, word in (
            (result.added, "added"),
            (result.removed, "removed"),
            (result.changed, "changed"),
        )
        if count
    ]
    columns = len(result.added_columns) + len(result.removed_columns) + len(result.retyped)
    rows = f"rows: {', '.join(told)}" if told else "the same rows"
    return rows + (f" · {columns:,} columns differ" if columns else "")


def _column_notices(result: Difference) -> list[Notice]:
    notices = []
    for verb, found in (("added", result.added_columns), ("removed", result.removed_columns)):
        if found:
            named = _listed([f"{short(name)} ({kind})" for name, kind in found.items()])
            notices.append(Notice(level="warn", text=f"Columns {verb}: {named}."))
    if result.retyped:
        named = _listed([f"{short(n)} ({x} → {y})" for n, (x, y) in result.retyped.items()])
        notices.append(Notice(level="warn", text=f"Another type: {named}."))
    if result.reordered:
        notices.append(Notice(text="The columns come in another order."))
    if result.equal:
        notices.append(Notice(level="good", text="Nothing differs."))
    return notices


def _shifts(result: Difference) -> list[Notice]:
    """The columns whose values are spread differently, as far as that is known."""
    distances: dict[str, float] = getattr(result.sides, "distances", {})
    far = sorted((d, name) for name, d in distances.items() if d >= FAR)[::-1]
    named = _listed([f"{short(name)} {100 * d:.0f} %" for d, name in far])
    return [Notice(level="warn", text=f"Spread differently: {named}.")] if far else []


def _distributions(sides: Result) -> list[Block]:
    """The columns of both tables side by side, without what was said already."""
    said = (Facts, Notice, Actions, Code)
    return [block for block in view(sides).blocks if not isinstance(block, said)]


def _changes(result: Difference) -> Table:
    both = max(1, result.changed + result.same)
    return Table(
        title="Columns that changed",
        columns=[
            Column(key="name", label="Column"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="share", label="Of rows in both", kind="percent"),
        ],
        rows=[
            {"name": short(name), "rows": count, "share": count / both}
            for name, count in list(result.changes.items())[:ROWS]
        ],
        total=len(result.changes),
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - 8:,} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _name(table: DataTable) -> str:
    return short(table.label.removeprefix("data:"))

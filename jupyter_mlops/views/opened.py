"""A column of a profile opened: figures, distribution, frequent values and findings."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.profiling.advice import Advice
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.views.associations import partners_table
from jupyter_mlops.views.blocks import (
    Block,
    Column,
    Fact,
    Facts,
    Finding,
    Findings,
    Level,
    Notice,
    Table,
)
from jupyter_mlops.views.cells import number_text, percent_text
from jupyter_mlops.views.data import short
from jupyter_mlops.views.forms import evidence, forms_blocks
from jupyter_mlops.views.spreads import BINS, ROW_BINS, distribution, shown

__all__ = ["LEVELS", "column_blocks", "finding"]

LEVELS: Final[dict[str, Level]] = {"likely": "bad", "check": "warn", "note": "info"}
TOP: Final = 10
RANKS: Final = ((0.01, "1 %"), (0.05, "5 %"), (0.25, "25 %"), (0.5, "Median"), (0.75, "75 %"),
                (0.95, "95 %"), (0.99, "99 %"))  # fmt: skip
#: A line of code cut short would not run: longer ones aren't offered.
LONGEST_CODE: Final = 600


def column_blocks(
    result: Profile, name: str, *, against: Profile | None = None, brief: bool = False
) -> list[Block]:
    """A column opened: figures, distribution, quantiles, frequent values and findings.

    Parameters
    ----------
    brief : bool
        Whether it must be small, because many of them are kept in one notebook.
    """
    it = result.columns[name]
    there = against.columns[name] if against is not None else None
    blocks: list[Block] = [Facts(items=_facts(result, it))]
    if it.fault:
        return [Notice(level="warn", text=f"Only its rows are known: {it.fault[:300]}."), *blocks]
    drawn = distribution(it, there, result, against, bins=ROW_BINS if brief else BINS)
    if drawn is not None:
        blocks.append(drawn)
    if it.values.numeric and it.moments.count:
        quantiles = [
            Fact(label=label, value=shown(it, it.quantile(rank)))
            for rank, label in RANKS
            if not brief or rank in (0.05, 0.25, 0.75, 0.95)
        ]
        blocks.append(Facts(items=quantiles))
    top = _top(it, there, 5 if brief else TOP)
    if top is not None:
        blocks.append(top)
    blocks += forms_blocks(it, 3 if brief else 8)
    if result.associations is not None:
        partners = partners_table(result.associations, name, 3 if brief else 8)
        blocks += [partners] if partners is not None else []
    found = [
        finding(one, brief=brief)
        for one in result.advice
        if one.column == name or name in one.columns
    ]
    if found:
        blocks.append(Findings(title="Advice", items=found[:8], total=len(found)))
    return blocks


def finding(one: Advice, *, brief: bool = False) -> Finding:
    """A piece of advice, its code only where it is whole."""
    longest = 240 if brief else LONGEST_CODE
    return Finding(
        level=LEVELS.get(one.severity, "info"),
        subject=short(one.column),
        finding=one.finding,
        evidence=one.evidence[:300],
        action=one.action[:300],
        code=one.code if len(one.code) <= longest else "",
    )


def _facts(result: Profile, it: ColumnProfile) -> list[Fact]:
    known = "" if it.values.exact else "about"
    facts = [
        Fact(label="Type", value=it.semantic or it.type, hint=evidence(it)),
        Fact(label="Missing", value=percent_text(it.missing_share), hint=f"{it.missing:,} rows"),
        Fact(label="Distinct", value=f"{it.distinct:,}", hint=known),
    ]
    if it.values.numeric and it.moments.count:
        facts += [
            Fact(label="Min", value=shown(it, it.low)),
            Fact(label="Max", value=shown(it, it.high)),
        ]
    if it.numeric and it.moments.count:
        facts += [
            Fact(label="Mean", value=shown(it, it.moments.mean)),
            Fact(label="Standard deviation", value=shown(it, it.moments.deviation or 0.0)),
        ]
        for label, count in (
            ("Zero", it.zeros), ("Negative", it.negatives), ("Infinite", it.infinite),
        ):  # fmt: skip
            if count:
                facts.append(Fact(label=label, value=percent_text(count / max(1, it.present))))
    elif not it.values.numeric and it.type != "boolean" and it.moments.count:
        facts.append(
            Fact(
                label="Length",
                value=f"{number_text(it.low or 0)} to {number_text(it.high or 0)}",
                hint=f"{it.moments.mean:.3g} characters on average",
            )
        )
    analysis = result.analysis
    if analysis is not None and it.name in analysis.strength:
        facts.append(
            Fact(
                label=f"{analysis.metric} alone",
                value=number_text(round(analysis.strength[it.name], 4)),
                hint=f"on {short(analysis.column)}",
            )
        )
    return facts


def _top(it: ColumnProfile, there: ColumnProfile | None, count: int) -> Table | None:
    top = it.values.top(count)
    if not top or (it.values.distinct() > 50 and top[0][1] < 2):
        return None  # every value is there once: none is frequent
    columns = [
        Column(key="value", label="Value"),
        Column(key="rows", label="Rows", kind="number"),
        Column(key="share", label="Share", kind="bar"),
    ]
    if there is not None:
        columns.append(Column(key="there", label="Share there", kind="bar"))
    rows: list[dict[str, Any]] = []
    for value, number in top:
        row: dict[str, Any] = {
            "value": short(it.shown(value)) or "(empty)",
            "rows": number,
            "share": round(number / it.present, 5) if it.present else 0.0,
        }
        if there is not None:
            row["there"] = round(there.values.counts.get(value, 0) / max(1, there.present), 5)
        rows.append(row)
    return Table(title="Most frequent values", columns=columns, rows=rows,
                 total=it.distinct)  # fmt: skip

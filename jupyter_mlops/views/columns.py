"""How the columns of a profile look: as a row of a table, and opened."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from jupyter_mlops.profiling.advice import Advice
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.paging import ColumnDetail, ColumnPage
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.views.associations import partners_table
from jupyter_mlops.views.blocks import (
    Block,
    Column,
    Distribution,
    Explorer,
    Fact,
    Facts,
    Finding,
    Findings,
    Level,
    Notice,
    Query,
    Series,
    Table,
    View,
)
from jupyter_mlops.views.cells import number_text, percent_text
from jupyter_mlops.views.data import short
from jupyter_mlops.views.forms import evidence, forms_blocks
from jupyter_mlops.views.registry import look

__all__ = ["LEVELS", "column_blocks", "column_view", "explorer", "finding", "heads", "page_view"]

LEVELS: Final[dict[str, Level]] = {"likely": "bad", "check": "warn", "note": "info"}
ROW_BINS: Final = 12
BINS: Final = 24
TOP: Final = 10
RANKS: Final = ((0.01, "1 %"), (0.05, "5 %"), (0.25, "25 %"), (0.5, "Median"), (0.75, "75 %"),
                (0.95, "95 %"), (0.99, "99 %"))  # fmt: skip
#: A line of code cut short would not run: longer ones aren't offered.
LONGEST_CODE: Final = 600
#: What rows, opened columns and names may take in a saved notebook, in bytes.
ROWS_ROOM: Final = 52_000
DETAILS_ROOM: Final = 36_000
NAMES_ROOM: Final = 12_000
ROWS: Final = 100
_DEPTH: Final = 11


def heads(result: Profile, against: Profile | None = None) -> list[Column]:
    """The columns of the table of columns."""
    if against is not None:
        return [
            Column(key="name", label="Column"),
            Column(key="distance", label="Difference", kind="bar"),
            Column(key="spread", label="Distribution", kind="spark"),
            Column(key="missing", label="Missing", kind="percent"),
            Column(key="missing_there", label="Missing there", kind="percent"),
            Column(key="middle", label="Typical"),
            Column(key="middle_there", label="Typical there"),
        ]
    analysis = result.analysis
    alone = (
        [Column(key="strength", label=f"{analysis.metric} alone", kind="number")]
        if analysis is not None and analysis.strength
        else []
    )
    return [
        Column(key="name", label="Column"),
        Column(key="type", label="Type", kind="badge"),
        Column(key="missing", label="Missing", kind="percent"),
        Column(key="distinct", label="Distinct", kind="number"),
        Column(key="spread", label="Distribution", kind="spark"),
        Column(key="middle", label="Median"),
        Column(key="top", label="Most frequent"),
        *alone,
    ]


def explorer(
    result: Profile,
    names: Sequence[str],
    *,
    against: Profile | None = None,
    distances: dict[str, float] | None = None,
    total: int | None = None,
    title: str = "Columns",
    whole: bool = False,
) -> Explorer:
    """The table of a profile's columns, each of which opens.

    What would make a notebook large is left out, the last columns first, and asked for by
    whoever has a server; `whole` leaves out nothing, for an answer of that server.
    """
    places = {name: place for place, name in enumerate(result.columns)}
    rows: list[dict[str, Any]] = []
    details: dict[str, list[Block]] = {}
    room, details_room = (math.inf, 0.0) if whole else (ROWS_ROOM, DETAILS_ROOM)
    for name in names if whole else names[:ROWS]:
        row = {"key": str(places[name])} | (
            _pair_row(result, against, name, (distances or {}).get(name, 1.0))
            if against is not None
            else _row(result, result.columns[name])
        )
        room -= _size(row)
        if room < 0:
            break
        rows.append(row)
        if details_room > 0:
            blocks = column_blocks(result, name, against=against, brief=True)
            details_room -= sum(_size(one.model_dump(mode="json")) for one in blocks)
            if details_room > 0:
                details[row["key"]] = blocks
    kept = {"ref": f"profile:{result.id}"} if result.id else None
    if kept and against is not None:
        kept = kept | {"against": f"profile:{against.id}"} if against.id else None
    order: dict[str, Any] = (
        {"sort": "interest"} if against is None else {"sort": "distance", "descending": True}
    )
    complete = len(rows) == (len(names) if total is None else total)
    return Explorer(
        title=title,
        columns=heads(result, against),
        rows=rows,
        details=details,
        total=len(names) if total is None else total,
        names="" if complete or whole else _names(result.columns),
        pages=Query(verb="profile-columns", args=kept | order) if kept else None,
        detail=Query(verb="profile-column", args=kept) if kept else None,
        empty="The two have no column in common." if against is not None else "No columns.",
    )


@look(ColumnPage)
def page_view(result: ColumnPage) -> View:
    """Some columns of a profile."""
    shown = explorer(
        result.profile,
        result.names,
        against=result.against,
        distances=result.distances,
        total=result.total,
        whole=True,
    )
    label = result.profile.label.removeprefix("data:") or "the profile"
    return View(
        kind="profile-columns",
        title=f"Columns of {short(label)}",
        subtitle=f"{len(result.names):,} of {result.total:,}",
        blocks=[shown],
    )


@look(ColumnDetail)
def column_view(result: ColumnDetail) -> View:
    """One column whole."""
    of = short(result.profile.label.removeprefix("data:"))
    it = result.profile.columns[result.name]
    ref = f"profile:{result.profile.id}"
    return View(
        kind="profile-column",
        title=short(result.name),
        subtitle=f"{it.semantic or it.type}" + (f" · {of}" if of else ""),
        line=f"%mlops profile column {ref} --position {list(result.profile.columns).index(it.name)}"
        if result.profile.id
        else "",
        blocks=column_blocks(result.profile, result.name, against=result.against),
    )


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
            Fact(label=label, value=_shown(it, it.quantile(rank)))
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


def distribution(
    it: ColumnProfile,
    there: ColumnProfile | None,
    result: Profile,
    against: Profile | None,
    bins: int = BINS,
) -> Distribution | None:
    """How a column's values are spread, over the other table's when there is one."""
    if there is None and it.values.distinct() < 2:
        return None
    both = there is not None and against is not None
    names = _sides(result, against) if both else ("", "")
    if there is not None and it.values.numeric == there.values.numeric and it.values.numeric:
        return _common_bins(it, there, names, bins)
    drawn = it.histogram(bins)
    if not drawn.counts:
        return None
    here = _shares(drawn.counts, it.present)
    series = [Series(label=names[0], shares=here)]
    if not it.values.numeric and not it.values.exact and sum(drawn.counts) < 0.5 * it.present:
        return None  # the most frequent of very many say nothing about the rest
    labels = [short(one)[:40] for one in drawn.labels]
    if there is not None and not there.values.numeric:
        counts = [float(there.values.counts.get(value, 0)) for value, _ in it.values.top(bins)]
        series.append(Series(label=names[1], shares=_shares(counts, there.present)))
    ends = _ends(it) if drawn.edges else []
    if labels and it.values.numeric:
        # Few different numbers: a bar each, in their order, with the ends named.
        ends, labels = [labels[0], labels[-1]], []
    return Distribution(labels=labels, ends=ends, series=series)


def _common_bins(
    it: ColumnProfile, there: ColumnProfile, names: tuple[str, str], bins: int
) -> Distribution | None:
    """Both tables' numbers in the same bins, which span the middle 99.8 % of either."""
    import numpy as np

    if not it.moments.count or not there.moments.count:
        return None
    lows, highs = zip(*(one.values.quantiles([0.001, 0.999]) for one in (it, there)), strict=True)
    first, last = min(lows), max(highs)
    edges = np.linspace(first, last, bins + 1) if last > first else np.array([first, first + 1])
    inner = [float(one) for one in edges]
    edges[0] = min(first, *(one.low for one in (it, there) if one.low is not None)) - 1
    edges[-1] = max(last, *(one.high for one in (it, there) if one.high is not None))
    return Distribution(
        ends=[_shown(it, inner[0]), _shown(it, inner[-1])],
        series=[
            Series(label=name, shares=[round(float(one), 5) for one in side.values.shares(edges)])
            for name, side in zip(names, (it, there), strict=True)
        ],
    )


def _sides(result: Profile, against: Profile | None) -> tuple[str, str]:
    here = short(result.label.removeprefix("data:")) or "here"
    there = short(against.label.removeprefix("data:")) if against is not None else ""
    return (here, there or "there") if here != there else ("here", "there")


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


def _row(result: Profile, it: ColumnProfile) -> dict[str, Any]:
    worst = next((one for one in result.advice if one.column == it.name), None)
    level = LEVELS.get(worst.severity, "info") if worst is not None else "info"
    top = it.values.top(1)
    share = f" ({percent_text(top[0][1] / it.present)})" if top and it.present else ""
    row: dict[str, Any] = {
        "name": short(it.name),
        "type": {"text": it.semantic or it.type, "level": level},
        "missing": round(it.missing_share, 5),
        "distinct": it.distinct,
        "spread": _spark(it),
        "middle": _shown(it, it.quantile(0.5)) if it.values.numeric and it.moments.count else None,
        # Where every value is there once, none is frequent.
        "top": short(it.shown(top[0][0]))[:40] + share
        if top and (top[0][1] > 1 or it.present == 1)
        else None,
    }
    if result.analysis is not None and result.analysis.strength:
        row["strength"] = result.analysis.strength.get(it.name)
    return row


def _pair_row(result: Profile, against: Profile, name: str, distance: float) -> dict[str, Any]:
    here, there = result.columns[name], against.columns[name]
    drawn = distribution(here, there, result, against, bins=ROW_BINS)
    spread: dict[str, Any] | None = None
    if drawn is not None and len(drawn.series) == 2:
        values, others = ([round(100 * s, 1) for s in one.shares] for one in drawn.series)
        spread = {"values": values, "against": others}
        if drawn.ends:
            spread["ends"] = drawn.ends
    return {
        "name": short(name),
        "distance": round(distance, 4),
        "spread": spread,
        "missing": round(here.missing_share, 5),
        "missing_there": round(there.missing_share, 5),
        "middle": _typical(here),
        "middle_there": _typical(there),
    }


def _shown(it: ColumnProfile, value: float | None) -> str:
    """A figure of a column, to four digits where it is measured."""
    return it.shown(value, 4)


def _typical(it: ColumnProfile) -> str | None:
    if it.values.numeric:
        return _shown(it, it.quantile(0.5)) if it.moments.count else None
    top = it.values.top(1)
    return short(it.shown(top[0][0]))[:40] if top else None


def _spark(it: ColumnProfile) -> dict[str, Any] | None:
    drawn = it.histogram(ROW_BINS)
    most = max(drawn.counts, default=0)
    if not most or it.values.distinct() < 2:
        return None  # one value is no distribution
    spark: dict[str, Any] = {"values": [round(100 * count / most) for count in drawn.counts]}
    if it.values.numeric:
        ends = _ends(it) if drawn.edges else [drawn.labels[0], drawn.labels[-1]]
        spark["ends"] = ends
    return spark


def _ends(it: ColumnProfile) -> list[str]:
    """Where a histogram's bars begin and end; its first and last bar take in what lies beyond."""
    first, last = it.quantile(0.001), it.quantile(0.999)
    if first is None or last is None:
        return []
    below = "≤ " if it.low is not None and it.low < first else ""
    above = "≥ " if it.high is not None and it.high > last else ""
    return [below + _shown(it, first), above + _shown(it, last)]


def _shares(counts: Sequence[float], present: int) -> list[float]:
    return [round(count / present, 5) if present else 0.0 for count in counts]


def _facts(result: Profile, it: ColumnProfile) -> list[Fact]:
    known = "" if it.values.exact else "about"
    facts = [
        Fact(label="Type", value=it.semantic or it.type, hint=evidence(it)),
        Fact(label="Missing", value=percent_text(it.missing_share), hint=f"{it.missing:,} rows"),
        Fact(label="Distinct", value=f"{it.distinct:,}", hint=known),
    ]
    if it.values.numeric and it.moments.count:
        facts += [
            Fact(label="Min", value=_shown(it, it.low)),
            Fact(label="Max", value=_shown(it, it.high)),
        ]
    if it.numeric and it.moments.count:
        facts += [
            Fact(label="Mean", value=_shown(it, it.moments.mean)),
            Fact(label="Standard deviation", value=_shown(it, it.moments.deviation or 0.0)),
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


def _names(columns: Sequence[str] | dict[str, Any]) -> str:
    names: list[str] = []
    room = NAMES_ROOM
    for name in columns:
        shown = short(name)
        room -= len(json.dumps(shown, ensure_ascii=False).encode())
        if room < 0:
            break
        names.append(shown)
    return "\n".join(names)


def _size(value: Any) -> int:
    """What a value takes in a saved notebook, which gives each of its parts a line."""
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return len(text.encode()) + _DEPTH * (text.count("\n") + 1)

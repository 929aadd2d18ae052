"""How the columns of a profile look: as the table of them, each of which opens."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.paging import ColumnDetail, ColumnPage
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.views.blocks import Block, Column, Explorer, Query, View
from jupyter_mlops.views.cells import percent_text
from jupyter_mlops.views.data import short
from jupyter_mlops.views.opened import LEVELS, column_blocks
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.spreads import pair_spark, shown, spark

__all__ = ["ROWS", "column_view", "explorer", "heads", "page_view"]

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
        "spread": spark(it),
        "middle": shown(it, it.quantile(0.5)) if it.values.numeric and it.moments.count else None,
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
    return {
        "name": short(name),
        "distance": round(distance, 4),
        "spread": pair_spark(result, against, here, there),
        "missing": round(here.missing_share, 5),
        "missing_there": round(there.missing_share, 5),
        "middle": _typical(here),
        "middle_there": _typical(there),
    }


def _typical(it: ColumnProfile) -> str | None:
    if it.values.numeric:
        return shown(it, it.quantile(0.5)) if it.moments.count else None
    top = it.values.top(1)
    return short(it.shown(top[0][0]))[:40] if top else None


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

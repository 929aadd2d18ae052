"""How profiles look."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.profiling.advice import Advice
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.comparing import SideBySide
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.views.blocks import (
    Code,
    Column,
    Fact,
    Facts,
    Level,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.data import short
from jupyter_mlops.views.registry import look

__all__ = ["profile_view", "side_by_side_view"]

ROWS: Final = 200
ADVICE: Final = 100
_LEVELS: Final[dict[str, Level]] = {"likely": "bad", "check": "warn", "note": "info"}
_BINS: Final = 12
_NAMED: Final = 6
_NOTICES: Final = 8
_FIRST: Final = (
    "leakage",
    "missing labels",
    "imbalance",
    "high cardinality",
    "missing",
    "duplicate column",
    "outliers",
    "infinite values",
)
_TIDYING: Final = {"constant", "identifier", "empty"}
_TIDY: Final = 10
# What each finding says of its columns, in one clause.
_SAYS: Final = {
    "leakage": "may know the answer",
    "missing labels": "has rows without a label",
    "missing": "with missing values",
    "high cardinality": "with very many categories",
    "identifier": "a different value in every row",
    "constant": "the same value everywhere",
    "empty": "no value at all",
    "duplicate column": "repeated from another column",
    "date in text": "dates kept as text",
    "number in text": "numbers kept as text",
    "boolean in text": "yes and no kept as text",
    "skew": "strongly skewed",
    "outliers": "values far from all others",
    "infinite values": "infinite values",
    "imbalance": "a rare class",
    "free text": "free text",
    "nested": "lists or records",
}


@look(Profile)
def profile_view(result: Profile) -> View:
    """A profile's findings first, then its columns and all advice."""
    columns = Table(
        title="Columns",
        columns=[
            Column(key="name", label="Column"),
            Column(key="type", label="Type", kind="badge"),
            Column(key="missing", label="Missing", kind="percent"),
            Column(key="distinct", label="Distinct", kind="number"),
            Column(key="spread", label="Spread", kind="spark"),
            Column(key="low", label="Min"),
            Column(key="middle", label="Median"),
            Column(key="high", label="Max"),
            Column(key="top", label="Most frequent"),
            *_strength_column(result),
        ],
        rows=[_row(column, result) for column in list(result.columns.values())[:ROWS]],
        total=len(result.columns),
    )
    title = result.label.removeprefix("data:") or "Profile"
    target = f" · target {short(result.target)}" if result.target else ""
    return View(
        kind="profile",
        title=short(title),
        subtitle=f"{result.rows:,} rows · {len(result.columns):,} columns{target}",
        ref=f"profile:{result.id}" if result.id else None,
        line=_line(result),
        blocks=[
            _facts(result),
            *_notices(result),
            columns,
            _advice(result.advice),
            *_code(result.advice),
        ],
    )


@look(SideBySide)
def side_by_side_view(result: SideBySide) -> View:
    """Two profiles beside each other, the columns that differ most first."""
    here, there = result.here, result.there
    names = sorted(
        (name for name in here.columns if name in there.columns),
        key=lambda name: -result.distances.get(name, 1.0),
    )
    table = Table(
        title="Columns",
        columns=[
            Column(key="name", label="Column"),
            Column(key="distance", label="Difference", kind="bar"),
            Column(key="missing", label="Missing", kind="percent"),
            Column(key="missing_there", label="there", kind="percent"),
            Column(key="middle", label="Median or top"),
            Column(key="middle_there", label="there"),
            Column(key="spread", label="Spread", kind="spark"),
            Column(key="spread_there", label="there", kind="spark"),
        ],
        rows=[
            {
                "name": short(name),
                "distance": round(result.distances.get(name, 1.0), 4),
                "missing": round(here.columns[name].missing_share, 5),
                "missing_there": round(there.columns[name].missing_share, 5),
                "middle": _middle(here.columns[name]),
                "middle_there": _middle(there.columns[name]),
                "spread": _spark(here.columns[name]),
                "spread_there": _spark(there.columns[name]),
            }
            for name in names[:ROWS]
        ],
        total=len(names),
        empty="The two have no column in common.",
    )
    notices = [
        Notice(level="warn", text=f"Only in {side.label}: {_listed(lone)}.")
        for side, lone in ((here, result.only_here), (there, result.only_there))
        if lone
    ]
    facts = Facts(
        items=[
            Fact(label="Rows", value=f"{here.rows:,}", hint=here.label),
            Fact(label="Rows there", value=f"{there.rows:,}", hint=there.label),
            Fact(label="Columns in both", value=f"{len(names):,}"),
        ]
    )
    return View(
        kind="profile",
        title=short(here.label.removeprefix("data:")),
        subtitle=short(f"against {there.label.removeprefix('data:')}"),
        ref=f"profile:{here.id}" if here.id else None,
        line=f"{_line(here)} --against {there.data_ref}" if there.data_ref else "",
        blocks=[facts, *notices, table],
    )


def _facts(result: Profile) -> Facts:
    cells = result.rows * len(result.columns)
    missing = sum(column.missing for column in result.columns.values())
    items = [
        Fact(label="Rows", value=f"{result.rows:,}"),
        Fact(label="Columns", value=f"{len(result.columns):,}"),
        Fact(label="Missing", value=f"{100 * missing / cells:.1f} %" if cells else "–"),
    ]
    analysis = result.analysis
    if analysis is not None:
        items.append(Fact(label="Target", value=short(analysis.column), hint=analysis.task))
        known = max(1, analysis.rows - analysis.missing)
        if analysis.classes:
            shares = [f"{short(name)} {100 * n / known:.1f} %" for name, n in analysis.classes[:3]]
            items.append(Fact(label="Classes", value=", ".join(shares)))
    items.append(Fact(label="Took", value=f"{result.seconds:.1f} s"))
    return Facts(items=items)


def _notices(result: Profile) -> list[Notice]:
    """The findings by kind, the columns of one kind in one sentence."""
    groups: dict[tuple[str, str], list[Advice]] = {}
    for one in result.advice:
        groups.setdefault((one.severity, one.finding), []).append(one)
    notices = []
    ordered = sorted(groups.items(), key=lambda one: _weight(*one[0]))
    for (severity, finding), found in ordered[:_NOTICES]:
        names = _listed([one.column for one in found])
        if len(found) == 1:
            text = f"{finding}: {names} – {found[0].evidence}"
        else:
            text = f"{finding}: {names} – {_SAYS.get(finding, '')}"
        if finding == "leakage":
            mark = "likely leakage" if severity == "likely" else "leakage to check"
            example = f"{short(found[0].column)}: {found[0].evidence}"
            more = f" ({example})" if len(found) > 1 else ""
            text = text.replace("leakage", mark, 1) + more
        notices.append(
            Notice(
                level=_LEVELS[severity],
                text=_capital(text[:400]),
                fix=found[0].action if finding == "leakage" else "",
            )
        )
    if not result.advice:
        notices.append(Notice(level="good", text="Nothing found that needs preparation."))
    return notices


def _weight(severity: str, finding: str) -> tuple[bool, int, str]:
    """What misleads a model goes before what merely wastes a column; notes come last."""
    place = _FIRST.index(finding) if finding in _FIRST else len(_FIRST)
    return severity == "note", place + _TIDY * (finding in _TIDYING), severity


def _row(column: ColumnProfile, result: Profile) -> dict[str, Any]:
    top = column.values.top(1)
    share = f" ({100 * top[0][1] / column.present:.0f} %)" if top and column.present else ""
    text = not (column.values.numeric or column.type == "boolean")
    worst = next((one for one in result.advice if one.column == column.name), None)
    level = _LEVELS[worst.severity] if worst is not None else "info"
    row: dict[str, Any] = {
        "name": short(column.name),
        "type": {"text": column.semantic or column.type, "level": level},
        "missing": round(column.missing_share, 5),
        "distinct": column.values.distinct(),
        "spread": _spark(column),
        "low": None if text else column.shown(column.quantile(0)),
        "middle": None if text else column.shown(column.quantile(0.5)),
        "high": None if text else column.shown(column.quantile(1)),
        "top": short(column.shown(top[0][0]))[:40] + share if top else None,
    }
    if result.analysis is not None:
        row["strength"] = result.analysis.strength.get(column.name)
    return row


def _strength_column(result: Profile) -> list[Column]:
    if result.analysis is None or not result.analysis.strength:
        return []
    return [Column(key="strength", label=f"{result.analysis.metric} alone", kind="number")]


def _advice(found: list[Advice]) -> Table:
    return Table(
        title="Advice",
        columns=[
            Column(key="column", label="Column"),
            Column(key="severity", label="Severity", kind="badge"),
            Column(key="finding", label="Finding"),
            Column(key="evidence", label="Evidence"),
            Column(key="action", label="What to do"),
        ],
        rows=[
            {
                "severity": {"text": one.severity, "level": _LEVELS[one.severity]},
                "column": short(one.column),
                "finding": one.finding,
                "evidence": one.evidence[:300],
                "action": one.action,
            }
            for one in found[:ADVICE]
        ],
        total=len(found),
        empty="No advice: nothing found that needs preparation.",
    )


def _code(found: list[Advice]) -> list[Code]:
    """The lines of everything that is likely, ready to paste."""
    lines: list[str] = []
    for one in found:
        if one.severity == "likely":
            lines += [line for line in one.code.splitlines() if line not in lines]
    text = "\n".join(line[:300] for line in lines[:40])
    return [Code(title="The likely fixes as code", text=text)] if text else []


def _line(result: Profile) -> str:
    if not result.data_ref:
        return ""
    target = f" --target {result.target}" if result.target else ""
    return f"%mlops profile {result.data_ref.removeprefix('data:')}{target}"


def _spark(column: ColumnProfile) -> list[int]:
    counts = column.histogram(_BINS).counts
    most = max(counts, default=0)
    return [round(100 * count / most) for count in counts] if most else []


def _middle(column: ColumnProfile) -> str | None:
    if column.values.numeric:
        return column.shown(column.quantile(0.5))
    top = column.values.top(1)
    return short(column.shown(top[0][0]))[:40] if top else None


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(short(name)[:40] for name in names[:_NAMED]) + more


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

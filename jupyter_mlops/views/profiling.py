"""How profiles look."""

from __future__ import annotations

from shlex import quote
from typing import Final

from jupyter_mlops.profiling.advice import Advice
from jupyter_mlops.profiling.comparing import SideBySide
from jupyter_mlops.profiling.paging import by_interest
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.profiling.scope import scope
from jupyter_mlops.views.associations import associations_blocks
from jupyter_mlops.views.blocks import (
    Block,
    Code,
    Fact,
    Facts,
    Field,
    Finding,
    Findings,
    Form,
    Notice,
    View,
)
from jupyter_mlops.views.cells import percent_text
from jupyter_mlops.views.columns import ROWS, explorer
from jupyter_mlops.views.data import short
from jupyter_mlops.views.opened import LEVELS, finding
from jupyter_mlops.views.registry import look

__all__ = ["profile_view", "side_by_side_view"]

ADVICE: Final = 60
#: What advice and a form's choices may take in a saved notebook, in characters.
_FINDINGS: Final = 14_000
_PER_FINDING: Final = 90
_CHOICES: Final = 6_000
_PER_CHOICE: Final = 18
_NAMED: Final = 6
_NOTICES: Final = 5
_FIRST: Final = (
    "leakage",
    "time leakage",
    "missing labels",
    "duplicate rows",
    "wrong units",
    "imbalance",
    "placeholder",
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
    "time leakage": "may lie in the future of its row",
    "near-constant": "one value nearly everywhere",
    "placeholder": "values that stand for none",
    "wrong units": "a part in another unit",
    "impossible values": "values that can't be",
    "inconsistent categories": "one category written in several ways",
    "mixed types": "numbers among words",
    "stray characters": "characters that can't be seen",
    "damaged text": "read with the wrong encoding",
    "rare categories": "with many rare categories",
    "personal data": "data about people",
    "time coverage": "with gaps in time",
    "future dates": "dates after today",
    "redundant": "following another column closely",
    "missing together": "missing in the same rows as others",
}


@look(Profile)
def profile_view(result: Profile) -> View:
    """A profile's findings first, then its columns and all advice."""
    title = result.label.removeprefix("data:") or "Profile"
    target = f" · target {short(result.target)}" if result.target else ""
    return View(
        kind="profile",
        title=short(title),
        subtitle=f"{_count(result.rows, 'row')} · {_count(len(result.columns), 'column')}{target}",
        ref=f"profile:{result.id}" if result.id else None,
        line=_line(result),
        blocks=[
            _facts(result),
            *_again(result),
            *_notices(result),
            explorer(result, _interesting(result)),
            _advice(result.advice),
            *_together(result),
            *_code(result.advice),
            *_contract(result),
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
    columns = explorer(
        here, names, against=there, distances=result.distances, title="Columns in both"
    )
    notices = [
        Notice(level="warn", text=f"Only in {side.label}: {_listed(lone)}.")
        for side, lone in ((here, result.only_here), (there, result.only_there))
        if lone
    ]
    facts = Facts(
        items=[
            Fact(label="Rows", value=f"{here.rows:,}", hint=_name(here)),
            Fact(label="Rows there", value=f"{there.rows:,}", hint=_name(there)),
            Fact(label="Columns in both", value=f"{len(names):,}"),
        ]
    )
    return View(
        kind="profile",
        title=short(here.label.removeprefix("data:")),
        subtitle=short(f"against {there.label.removeprefix('data:')}"),
        line=f"{_line(here)} --against {there.data_ref}" if there.data_ref else "",
        blocks=[facts, *_again(here, there), *notices, *_shared(result), columns],
    )


def _shared(result: SideBySide) -> list[Notice]:
    """What the two tables have in common that should be apart."""
    return [
        Notice(
            level=LEVELS[one.severity],
            text=_capital(f"{one.finding}: {short(one.column)} – {one.evidence}"),
            fix=one.action,
        )
        for one in result.advice[:_NOTICES]
    ]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _name(result: Profile) -> str:
    return short(result.label.removeprefix("data:"))


def _together(result: Profile) -> list[Block]:
    found = result.associations
    return [] if found is None else associations_blocks(found, list(result.columns))


def _interesting(result: Profile) -> list[str]:
    """The columns in the table's order; of very many, those first that say most."""
    names = list(result.columns)
    if len(names) <= ROWS:
        return names
    return by_interest(result, names)


def _again(result: Profile, against: Profile | None = None) -> list[Form]:
    """Another target, or another table to put beside it."""
    if not result.data_ref:
        return []
    choices: list[str] = []
    room = _CHOICES
    for name in result.columns:
        room -= len(name) + _PER_CHOICE
        choices.append(name)
    if room < 0:
        choices = []  # what can't all be listed is written
    return [
        Form(
            submit="Profile",
            verb="profile",
            args={"source": result.data_ref},
            fields=[
                Field(
                    name="target",
                    label="Target",
                    value=result.target or "",
                    choices=choices,
                    hint="the column to predict",
                ),
                Field(
                    name="against",
                    label="Against",
                    kind="dataset",
                    value=(against.data_ref or "") if against is not None else "",
                    hint="another dataset, side by side",
                ),
            ],
        )
    ]


def _contract(result: Profile) -> list[Form]:
    """What data like this must be like, learnt and kept."""
    if not (result.data_ref or "").startswith("data:"):
        return []
    args = {"source": result.data_ref}
    name = str(result.data_ref).removeprefix("data:").partition("@")[0]
    return [
        Form(
            title="Turn it into a contract",
            submit="Save contract",
            verb="contract",
            args=args | ({"target": result.target} if result.target else {}),
            fields=[Field(name="save", label="Name", value=name)],
        )
    ]


def _facts(result: Profile) -> Facts:
    cells = result.rows * len(result.columns)
    missing = sum(column.missing for column in result.columns.values())
    items = [
        Fact(label="Rows", value=f"{result.rows:,}"),
        Fact(label="Columns", value=f"{len(result.columns):,}"),
        Fact(label="Missing", value=percent_text(missing / cells) if cells else "–"),
    ]
    analysis = result.analysis
    if analysis is not None:
        items.append(Fact(label="Target", value=short(analysis.column), hint=analysis.task))
        known = max(1, analysis.rows - analysis.missing)
        if analysis.classes:
            shares = [f"{short(name)} {100 * n / known:.1f} %" for name, n in analysis.classes[:3]]
            items.append(Fact(label="Classes", value=", ".join(shares)))
    if result.distinct_rows is not None and result.distinct_rows < 0.98 * result.rows:
        share = 1 - result.distinct_rows / result.rows
        items.append(Fact(label="Repeated rows", value=f"{100 * share:.0f} %", hint="about"))
    items.append(Fact(label="Took", value=f"{result.seconds:.1f} s"))
    return Facts(items=items)


def _notices(result: Profile) -> list[Notice]:
    """The findings by kind, the columns of one kind in one sentence."""
    stopped = (
        []
        if result.complete
        else [
            Notice(
                level="warn",
                text=f"Stopped after {result.rows:,} rows: what is below is of these.",
                fix="Profile again for the whole table.",
            )
        ]
    )
    groups: dict[tuple[str, str], list[Advice]] = {}
    for one in result.advice:
        groups.setdefault((one.severity, one.finding), []).append(one)
    notices = stopped + [Notice(level="info", text=text) for text in scope(result)]
    notices += _faults(result)
    ordered = sorted(groups.items(), key=lambda one: _weight(*one[0]))
    pressing = [one for one in ordered if one[0][0] != "note"]
    for (severity, kind), found in (pressing or ordered)[:_NOTICES]:
        names = _listed([one.column for one in found])
        if len(found) == 1:
            text = f"{kind}: {names} – {found[0].evidence}"
        else:
            says = _SAYS.get(kind) or f"for one, {found[0].evidence}"
            text = f"{kind}: {names} – {says}"
        if kind == "leakage":
            mark = "likely leakage" if severity == "likely" else "leakage to check"
            example = f"{short(found[0].column)}: {found[0].evidence}"
            more = f" ({example})" if len(found) > 1 else ""
            text = text.replace("leakage", mark, 1) + more
        notices.append(
            Notice(
                level=LEVELS[severity],
                text=_capital(text[:400]),
                fix=found[0].action if kind == "leakage" else "",
            )
        )
    if not result.advice and not any(one.fault for one in result.columns.values()):
        notices.append(Notice(level="good", text="Nothing found that needs preparation."))
    return notices


def _faults(result: Profile) -> list[Notice]:
    """The columns of which nothing is known, and why."""
    names: dict[str, list[str]] = {}
    for column in result.columns.values():
        if column.fault:
            names.setdefault(column.fault, []).append(column.name)
    return [
        Notice(level="bad", text=f"Not profiled: {_listed(some)} – {short(fault)}.")
        for fault, some in list(names.items())[:_NOTICES]
    ]


def _weight(severity: str, finding: str) -> tuple[bool, int, str]:
    """What misleads a model goes before what merely wastes a column; notes come last."""
    place = _FIRST.index(finding) if finding in _FIRST else len(_FIRST)
    return severity == "note", place + _TIDY * (finding in _TIDYING), severity


def _advice(found: list[Advice]) -> Findings:
    items: list[Finding] = []
    room = _FINDINGS
    for one in found[:ADVICE]:
        item = finding(one, brief=True)
        room -= len(item.model_dump_json()) + _PER_FINDING
        if room < 0:
            break
        items.append(item)
    return Findings(
        title="Advice",
        items=items,
        total=len(found),
        empty="No advice: nothing found that needs preparation.",
    )


def _code(found: list[Advice]) -> list[Code]:
    """The lines of everything that is likely, ready to paste."""
    lines: list[str] = []
    for one in found:
        if one.severity == "likely":
            lines += [line for line in one.code.splitlines() if line not in lines]
    # Half a line would not run.
    text = "\n".join([line for line in lines if len(line) <= 300][:40])
    return [Code(title="The likely fixes as code", text=text)] if text else []


def _line(result: Profile) -> str:
    if not result.data_ref:
        return ""
    line = f"%mlops profile {result.data_ref.removeprefix('data:')}"
    if not result.target:
        return line
    if len(result.target.splitlines()) > 1:
        return ""  # a line can't hold such a name
    between = "=" if result.target.startswith("-") else " "
    return f"{line} --target{between}{quote(result.target)}"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(short(name)[:40] for name in names[:_NAMED]) + more


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


# A contract is a record of the same room.
from jupyter_mlops.views import contracts, periods, pipelines  # noqa: E402, F401

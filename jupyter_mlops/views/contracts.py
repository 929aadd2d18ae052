"""How contracts and checks against them look."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.profiling.contracts.diffing import ContractDiff
from jupyter_mlops.profiling.contracts.exporting import Exported
from jupyter_mlops.profiling.contracts.keeping import Contracts
from jupyter_mlops.profiling.contracts.model import Contract, Terms
from jupyter_mlops.profiling.contracts.violations import CheckResult, Violation
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
from jupyter_mlops.views.contract_forms import contract_forms, with_forms
from jupyter_mlops.views.data import short
from jupyter_mlops.views.registry import look

__all__ = ["check_view", "contract_view", "contracts_view", "diff_view", "exported_view"]

ROWS: Final = 200
# The whole text of wide tables is exported, not shown.
_TEXT: Final = 40_000
_NOTICES: Final = 6


@look(Contract)
def contract_view(result: Contract) -> View:
    """What a contract says of each column, and its text."""
    names = list(result.columns)
    table = Table(
        title="Columns",
        columns=[
            Column(key="name", label="Column"),
            Column(key="type", label="Type", kind="badge"),
            Column(key="missing", label="Missing at most", kind="percent"),
            Column(key="values", label="Values"),
            Column(key="outside", label="Outside at most", kind="percent"),
            Column(key="source", label="From"),
        ],
        rows=[_row(name, result.columns[name], result) for name in names[:ROWS]],
        total=len(names),
    )
    blocks: list[Block] = [_facts(result), *[Notice(text=note) for note in result.notes]]
    blocks += [*contract_forms(result), with_forms(table, result)]
    text = result.text()
    if len(text) <= _TEXT:
        blocks.append(Code(title="As text", language="json", text=text))
    if result.name:
        blocks.append(
            Actions(
                items=[
                    Action(
                        label="Export",
                        verb="contract export",
                        args={
                            "name": result.name,
                            "file": f"{result.name}.schema.json",
                            "to": "json-schema",
                        },
                    )
                ]
            )
        )
    version = f" · version {result.version}" if result.version else " · not saved"
    return View(
        kind="contract",
        title=short(result.name or "Contract"),
        subtitle=f"{len(names):,} columns{version}",
        ref=result.ref,
        line=f"%mlops contract show {result.name}@{result.version}" if result.ref else "",
        blocks=blocks,
    )


@look(CheckResult)
def check_view(result: CheckResult) -> View:
    """The verdict, the violations in sentences, and all of them as a table."""
    errors = [one for one in result.violations if one.severity == "error"]
    warnings = len(result.violations) - len(errors)
    blocks: list[Block] = [
        Facts(
            items=[
                Fact(label="Verdict", value="keeps it" if result.ok else "breaks it"),
                Fact(label="Rows", value=f"{result.count:,}"),
                Fact(label="Rules", value=f"{result.checked:,}"),
                Fact(
                    label="Broken",
                    value=f"{len(errors):,}",
                    hint=f"{warnings:,} warnings" if warnings else "",
                ),
                Fact(label="Environment", value=result.environment),
                Fact(label="Took", value=f"{result.seconds:.2f} s"),
            ]
        )
    ]
    if not result.violations:
        blocks.append(Notice(level="good", text="Every rule is kept."))
    for one in result.violations[:_NOTICES]:
        level = "bad" if one.severity == "error" else "warn"
        blocks.append(Notice(level=level, text=_capital(one.sentence)[:300], fix=one.edit))
    blocks += [Notice(text=note) for note in result.notes]
    if result.violations:
        blocks.append(_violations(result.violations))
    name = (result.contract.ref or "").removeprefix("contract:")
    checked = (result.data_ref or "").removeprefix("data:")
    return View(
        kind="contract-check",
        title=short(f"{result.label.removeprefix('data:')} against {result.contract.label}"),
        subtitle="kept" if result.ok else "broken",
        ref=result.contract.ref,
        line=f"%mlops contract {name} --check {checked}" if name and checked else "",
        blocks=blocks,
    )


@look(Contracts)
def contracts_view(result: Contracts) -> View:
    """All contracts, each in its newest version."""
    table = Table(
        columns=[
            Column(key="ref", label="Contract", kind="ref"),
            Column(key="columns", label="Columns", kind="number"),
            Column(key="data", label="Learnt from"),
            Column(key="author", label="By"),
            Column(key="saved", label="Saved", kind="time"),
        ],
        rows=[
            {
                "ref": one.ref,
                "columns": len(one.columns),
                "data": short(one.origin.data.removeprefix("data:")),
                "author": one.author,
                "saved": one.created_at.isoformat() if one.created_at else None,
            }
            for one in result.items[:ROWS]
        ],
        total=len(result.items),
        empty="No contract yet: `%mlops contract DATA --save NAME` learns one.",
    )
    return View(kind="contracts", title="Contracts", line="%mlops contract ls", blocks=[table])


@look(ContractDiff)
def diff_view(result: ContractDiff) -> View:
    """The rules in which two contracts differ."""
    table = Table(
        columns=[
            Column(key="column", label="Column"),
            Column(key="rule", label="Rule"),
            Column(key="before", label="Before"),
            Column(key="after", label="After"),
            Column(key="way", label="Now", kind="badge"),
        ],
        rows=[
            {
                "column": short(one.column) or "the table",
                "rule": one.rule,
                "before": one.before[:120],
                "after": one.after[:120],
                "way": _way(one.looser),
            }
            for one in result.changes[:ROWS]
        ],
        total=len(result.changes),
        empty="They say the same.",
    )
    a, b = (one.label.removeprefix("contract:") for one in (result.a, result.b))
    return View(
        kind="contract",
        title=f"{a} → {b}",
        subtitle=f"{len(result.changes):,} rules differ",
        line=f"%mlops contract diff {a} {b}",
        blocks=[table],
    )


@look(Exported)
def exported_view(result: Exported) -> View:
    """Where a contract was written, and what the format can't enforce."""
    notices = [Notice(text=one) for one in result.lost]
    facts = Facts(
        items=[
            Fact(label="File", value=result.file),
            Fact(label="Format", value=result.to),
            Fact(label="Columns", value=f"{len(result.contract.columns):,}"),
        ]
    )
    return View(
        kind="contract",
        title=short(result.contract.label.removeprefix("contract:")),
        subtitle=f"written as {result.to}",
        ref=result.contract.ref,
        blocks=[facts, *notices],
    )


def _facts(result: Contract) -> Facts:
    origin = result.origin
    absent = list(result.environments["serving"].absent) if "serving" in result.environments else []
    keys = [" + ".join(key.columns) for key in result.keys]
    items = [
        Fact(label="Learnt from", value=short(origin.data.removeprefix("data:")) or "–"),
        Fact(label="Rows seen", value=f"{origin.rows:,}"),
        Fact(label="Absent at serving", value=short(_listed(absent)) or "–"),
        Fact(label="Keys", value=short(_listed(keys)) or "–"),
    ]
    if result.freshness is not None:
        items.append(
            Fact(
                label="Newest row",
                value=f"at most {result.freshness.max_age / 3600:,.1f} h old",
                hint=result.freshness.column,
            )
        )
    items.append(Fact(label="Digest", value=result.digest[:12], hint=result.digest))
    return Facts(items=items)


def _row(name: str, terms: Terms, contract: Contract) -> dict[str, Any]:
    rules = [terms.bounds, terms.domain, terms.length, terms.pattern]
    outside = [one.max_outside for one in rules if one is not None]
    edited = [one.source for one in (terms.null, *rules) if one and one.source.startswith("edited")]
    first = next((one.source for one in rules if one is not None), terms.source)
    absent = any(name in one.absent for one in contract.environments.values())
    kind = terms.semantic if terms.semantic not in ("", terms.type) else ""
    role = terms.role if terms.role != "feature" else "optional" if not terms.required else ""
    return {
        "name": short(name),
        "type": {
            "text": " · ".join(part for part in (terms.type, kind, role) if part),
            "level": "warn" if absent else "info",
        },
        "missing": terms.null.max_fraction if terms.null else None,
        "values": _values(terms),
        "outside": max(outside, default=None),
        "source": (edited[0] if edited else first)[:80],
    }


def _values(terms: Terms) -> str:
    parts = []
    if terms.domain is not None:
        parts.append(_listed([str(one)[:20] for one in terms.domain.values]))
    bounds = terms.bounds
    if bounds is not None:
        ends = [bounds.lo, bounds.hi] if bounds.lo != bounds.hi else [bounds.lo]
        word = "from " if bounds.hi is None else "up to " if bounds.lo is None else ""
        parts.append(word + " – ".join(str(end) for end in ends if end is not None))
    if terms.pattern is not None:
        parts.append(terms.pattern.name or terms.pattern.regex[:40])
    if terms.length is not None:
        parts.append(f"{terms.length.lo}–{terms.length.hi} characters")
    return short(", ".join(parts))[:160]


def _violations(found: list[Violation]) -> Table:
    return Table(
        title="Violations",
        columns=[
            Column(key="column", label="Column"),
            Column(key="rule", label="Rule", kind="badge"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="share", label="Share", kind="percent"),
            Column(key="allowed", label="Allowed", kind="percent"),
            Column(key="expected", label="Expected"),
            Column(key="examples", label="Row: value"),
        ],
        rows=[
            {
                "column": short(one.column) or "the table",
                "rule": {"text": one.rule, "level": "bad" if one.severity == "error" else "warn"},
                "rows": "the whole column" if one.whole else one.rows or None,
                # A table that is too small or too old has no share of rows that are.
                "share": one.share if one.rows else None,
                "allowed": one.allowed if one.rows else None,
                "expected": short(one.expected)[:120],
                "examples": "; ".join(f"{row:,}: {short(value)}" for row, value in one.examples),
            }
            for one in found[:ROWS]
        ],
        total=len(found),
    )


def _way(looser: bool | None) -> dict[str, str]:
    if looser is None:
        return {"text": "other", "level": "info"}
    return {"text": "looser", "level": "warn"} if looser else {"text": "stricter", "level": "good"}


def _listed(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8:,} more" if len(names) > 8 else "")


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

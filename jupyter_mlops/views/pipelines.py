"""How the preparation of a table looks."""

from __future__ import annotations

from typing import Final

from jupyter_mlops.profiling.pipelines import Preparation
from jupyter_mlops.views.blocks import Code, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.data import short
from jupyter_mlops.views.registry import look

__all__ = ["preparation_view"]

_ROWS: Final = 100
_NAMED: Final = 12
_CODE: Final = 40_000


@look(Preparation)
def preparation_view(result: Preparation) -> View:
    """What happens to which columns, what is left out, and the code."""
    used = sum(len(group.columns) for group in result.groups)
    groups = Table(
        title="Steps",
        columns=[
            Column(key="group", label="Group"),
            Column(key="columns", label="Columns"),
            Column(key="why", label="Why"),
        ],
        rows=[
            {
                "group": short(group.name),
                "columns": _listed(group.columns),
                "why": group.why,
            }
            for group in result.groups[:_ROWS]
        ],
        total=len(result.groups),
    )
    out = Table(
        title="Left out",
        columns=[Column(key="column", label="Column"), Column(key="why", label="Why")],
        rows=[
            {"column": short(name), "why": why[:200]}
            for name, why in list(result.left_out.items())[:_ROWS]
        ],
        total=len(result.left_out),
        empty="Every column is used.",
    )
    facts = [
        Fact(label="Features", value=f"{used:,}"),
        Fact(label="Left out", value=f"{len(result.left_out):,}"),
    ]
    if result.target:
        facts.append(Fact(label="Target", value=short(result.target), hint=result.task))
    notices = [Notice(level="warn", text=f"To check: {text[:300]}") for text in result.checks[:5]]
    if result.features is not None:
        notices.append(
            Notice(
                level="info",
                text="Some columns need pandas first: features() in the code is no part of the "
                "model, so call it before fit and before predict.",
            )
        )
    target = f" --target {result.target}" if result.target else ""
    name = (result.data_ref or "").removeprefix("data:")
    return View(
        kind="profile",
        title=f"Preparation of {short(result.label.removeprefix('data:')) or 'a table'}",
        subtitle=f"one ColumnTransformer of {len(result.groups):,} groups",
        line=f"%mlops profile {name}{target} --as pipeline" if name else "",
        blocks=[
            Facts(items=facts),
            *notices,
            groups,
            *([out] if result.left_out else []),
            Code(title="The preparation as code", text=_shortened(result.code)),
        ],
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(short(name)[:40] for name in names[:_NAMED]) + more


def _shortened(code: str) -> str:
    """The code, or its beginning where thousands of columns make it too long to show."""
    if len(code) <= _CODE:
        return code
    return code[:_CODE] + "\n# … the whole text is in `.code` of the result\n"

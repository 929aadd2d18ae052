"""What a person does with a contract in its panel: change a column's rules, check, compare."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.profiling.contracts.model import Contract, Terms
from jupyter_mlops.views.blocks import Block, Explorer, Field, Form, Table

__all__ = ["contract_forms", "with_forms"]

#: Columns whose forms are kept in a notebook; the panel of a wide table shows these too.
_OPENED: Final = 60


def contract_forms(result: Contract) -> list[Form]:
    """Check a dataset, compare with another version; nothing for what isn't saved."""
    if not result.name or result.version is None:
        return []
    named = f"{result.name}@{result.version}"
    check = Form(
        title="Check a dataset",
        submit="Check",
        verb="contract",
        args={"source": f"contract:{named}"},
        fields=[
            Field(name="check", label="Dataset", kind="dataset"),
            Field(
                name="environment",
                label="Environment",
                value="training",
                choices=list(dict.fromkeys(["training", "serving", *result.environments])),
            ),
        ],
    )
    others = [
        f"{result.name}@{number}" for number in range(max(1, result.version - 30), result.version)
    ]
    if not others:
        return [check]
    compare = Form(
        title="Compare with an earlier version",
        submit="Compare",
        verb="contract diff",
        args={"b": named},
        fields=[Field(name="a", label="Version", value=others[-1], choices=others)],
    )
    return [check, compare]


def with_forms(table: Table, result: Contract) -> Table | Explorer:
    """The table of columns, each of which opens to a form that saves a new version."""
    if not result.name:
        return table
    rows = [{"key": str(place)} | row for place, row in enumerate(table.rows)]
    details: dict[str, list[Block]] = {
        str(place): [_form(result.name, name, result.columns[name])]
        for place, name in enumerate(list(result.columns)[: min(_OPENED, len(rows))])
    }
    return Explorer(
        title=table.title,
        columns=table.columns,
        rows=rows,
        details=details,
        total=len(result.columns),
        empty=table.empty,
    )


def _form(contract: str, name: str, terms: Terms) -> Form:
    """The rules of a column; only what a person changes is sent."""
    fields: list[Field] = []
    bounds = terms.bounds
    if bounds is not None:
        timed = isinstance(bounds.lo if bounds.lo is not None else bounds.hi, str)
        low, high = ("since", "until") if timed else ("min", "max")
        kind: Any = "text" if timed else "number"
        fields += [
            Field(name=low, label="From", kind=kind, value=_text(bounds.lo)),
            Field(name=high, label="To", kind=kind, value=_text(bounds.hi)),
        ]
    if terms.domain is not None:
        fields += [
            Field(name="allow", label="Allow as well", kind="list", hint="values, with commas"),
            Field(name="forbid", label="No longer allow", kind="list", hint="values, with commas"),
        ]
    if terms.length is not None:
        fields += [
            Field(name="min_length", label="Characters from", kind="number",
                  value=_text(terms.length.lo)),
            Field(name="max_length", label="to", kind="number", value=_text(terms.length.hi)),
        ]  # fmt: skip
    if terms.pattern is not None:
        fields.append(Field(name="pattern", label="Pattern", value=terms.pattern.regex))
    outside = [
        (rule, found.max_outside)
        for rule, found in (
            ("bounds", terms.bounds), ("domain", terms.domain),
            ("length", terms.length), ("pattern", terms.pattern),
        )
        if found is not None
    ]  # fmt: skip
    args: dict[str, Any] = {"name": contract, "column": name}
    if len(outside) == 1:
        # With several rules a share alone wouldn't say which of them is meant.
        ((_, share),) = outside
        fields.append(
            Field(name="max_outside", label="May lie outside", kind="number",
                  value=_text(share), hint="share of rows, 0 to 1")
        )  # fmt: skip
    missing = terms.null.max_fraction if terms.null is not None else None
    fields.append(
        Field(name="max_missing", label="May be missing", kind="number", value=_text(missing),
              hint="share of rows, 0 to 1")
    )  # fmt: skip
    switch = ("optional", "Column may be absent") if terms.required else (
        "required", "Column must be there"
    )  # fmt: skip
    fields.append(Field(name=switch[0], label=switch[1], kind="switch", value="false"))
    return Form(
        submit="Save as new version",
        verb="contract edit",
        args=args,
        fields=fields,
        changes=True,
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return repr(value) if isinstance(value, float) else str(value)

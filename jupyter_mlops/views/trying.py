"""A form made of an endpoint's signature, and how the answer to one row looks."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.serving.endpoints import Endpoint
from jupyter_mlops.serving.trying import Tried
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Field, Form, Notice, Table, View
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.registry import look

__all__ = ["tried_view", "try_form"]

#: Columns that a form asks for, values that a list offers, classes that an answer shows.
FIELDS: Final = 60
CHOICES: Final = 200
CLASSES: Final = 20
_NUMBERS = frozenset({"integer", "long", "float", "double"})
_WORDS = {
    "integer": "whole number",
    "long": "whole number",
    "float": "number",
    "double": "number",
    "boolean": "true or false",
    "string": "text",
    "datetime": "time, such as 2026-01-31T12:00:00Z",
    "binary": "base64 text",
}


def try_form(endpoint: Endpoint) -> list[Block]:
    """Fields for the signature's columns, filled from the model's input example."""
    if not endpoint.inputs:
        return []
    if len(endpoint.inputs) > FIELDS:
        text = f"{len(endpoint.inputs):,} columns are too many to fill in by hand."
        return [Notice(text=text, fix=f"%mlops endpoint try {endpoint.name} asks its example")]
    known = {name for name, _, _ in endpoint.inputs}
    extra = [
        (name, kind, True)
        for name, kind in ((endpoint.key, "string"), (endpoint.time, "datetime"))
        if name and name not in known
    ]
    roles = {endpoint.key: "the row's key, for the log", endpoint.time: "when it happens"}
    fields = [
        _field(endpoint, name, kind, required, roles.get(name, ""))
        for name, kind, required in (*endpoint.inputs, *extra)
    ]
    return [
        Form(
            title="Try it",
            submit="Predict",
            verb="endpoint try",
            args={"endpoint": endpoint.name},
            fields=fields,
            into="row",
            inline=True,
        )
    ]


def _field(endpoint: Endpoint, name: str, kind: str, required: bool, role: str) -> Field:
    choices = list(endpoint.choices.get(name, ()))
    if kind == "boolean":
        choices = ["true", "false"]
    listed = 0 < len(choices) <= CHOICES
    words = _WORDS.get(kind, kind)
    hint = role or ("" if listed else words)
    return Field(
        name=name,
        label=name,
        kind="choice" if listed else "number" if kind in _NUMBERS else "text",
        value=_text(endpoint.example.get(name)),
        choices=choices if listed else [],
        hint=hint if required else ", ".join(filter(None, (hint, "may be left out"))),
        required=required,
    )


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


@look(Tried)
def tried_view(result: Tried) -> View:
    """What it predicts, how sure it is, and by which ids the log knows it."""
    value = result.prediction
    shown = number_text(value) if isinstance(value, float) else str(value)
    facts = [
        Fact(label="Prediction", value=shown),
        Fact(label="Version", value=f"{result.model}@{result.version}"),
        Fact(label="Took", value=f"{result.milliseconds:,.1f} ms"),
        Fact(label="Request", value=result.request_id),
        Fact(label="Prediction id", value=result.prediction_id, hint="joins it with the truth"),
    ]
    blocks: list[Block] = [Facts(items=facts)]
    blocks += [Notice(level="warn", text=one) for one in result.warnings]
    if result.probabilities:
        rows = [{"class": name, "share": one} for name, one in result.probabilities.items()]
        columns = [
            Column(key="class", label="Class"),
            Column(key="share", label="Probability", kind="bar"),
        ]
        blocks.append(Table(columns=columns, rows=rows[:CLASSES], total=len(rows)))
    return View(
        kind="tried",
        title=f"{result.endpoint} predicts {shown}",
        subtitle=f"{result.model}@{result.version}",
        ref=result.ref,
        line=f"%mlops endpoint try {result.endpoint}",
        blocks=blocks,
    )

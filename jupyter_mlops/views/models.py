"""How registered models look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.models import Models, ModelVersion
from jupyter_mlops.views.blocks import Action, Actions, Column, Fact, Facts, Table, View
from jupyter_mlops.views.cells import decimals, number_text
from jupyter_mlops.views.registry import look

__all__ = ["inputs_table", "model_view", "models_view", "version_facts"]

ROWS = 200
METRIC_COLUMNS = 3


@look(ModelVersion)
def model_view(result: ModelVersion) -> View:
    """One version: what it predicts from what, and where it comes from."""
    serve = Action(label="Serve", verb="serve", args={"model": result.label})
    return View(
        kind="model",
        title=result.label,
        subtitle=f"registered by {result.actor}, {result.created_at:%Y-%m-%d %H:%M} UTC",
        ref=result.ref,
        line=f"%mlops models {result.label}",
        blocks=[
            Facts(items=version_facts(result)),
            inputs_table(result),
            Actions(items=[serve]),
        ],
    )


def version_facts(result: ModelVersion) -> list[Fact]:
    """What a version is called, what it predicts, and where it comes from."""
    return [
        Fact(label="Aliases", value=", ".join(result.aliases) or "–"),
        Fact(label="Predicts", value=f"{result.target or 'its target'} ({result.task})"),
        *(Fact(label=name, value=number_text(value)) for name, value in result.metrics.items()),
        Fact(label="Digest", value=result.digest[:12], hint=result.digest),
        Fact(label="Run", value=result.run_id[:8], ref=f"run:{result.run_id}")
        if result.run_id
        else Fact(label="Run", value="trained elsewhere"),
        *_refs({"Data": result.data_ref, "Contract": result.contract_ref}),
    ]


def _refs(told: dict[str, str | None]) -> list[Fact]:
    return [
        Fact(label=label, value=ref.partition(":")[2], ref=ref)
        for label, ref in told.items()
        if ref
    ]


def inputs_table(result: ModelVersion) -> Table:
    """The columns it takes."""
    rows = [
        {"name": one["name"], "type": one["type"], "required": "yes" if one["required"] else "no"}
        for one in result.signature["inputs"]
    ]
    columns = [
        Column(key="name", label="Input"),
        Column(key="type", label="Type"),
        Column(key="required", label="Required"),
    ]
    return Table(title="Inputs", columns=columns, rows=rows[:ROWS], total=len(rows))


@look(Models)
def models_view(result: Models) -> View:
    """Versions in a table, by name, the newest first."""
    names: dict[str, None] = {}
    for version in result:
        names.update(dict.fromkeys(version.metrics))
    shown = list(names)[:METRIC_COLUMNS]
    columns = [
        Column(key="model", label="Model", kind="ref"),
        Column(key="aliases", label="Aliases"),
        Column(key="gates", label="Gates", kind="badge"),
        *(
            Column(
                key=f"metric_{name}",
                label=name,
                kind="number",
                digits=decimals(version.metrics.get(name) for version in result[:ROWS]),
            )
            for name in shown
        ),
        Column(key="digest", label="Digest"),
        Column(key="registered", label="Registered", kind="time"),
        Column(key="run", label="Run", kind="ref"),
    ]
    total = len(result)
    many = "version" if total == 1 else "versions"
    return View(
        kind="models",
        title=f"Versions of {result.name}" if result.name else "Models",
        subtitle=f"{total:,} {many}",
        line=f"%mlops models {result.name or ''}".strip(),
        blocks=[
            Table(
                columns=columns,
                rows=[
                    _row(version, shown, result.verdicts.get(version.ref))
                    for version in result[:ROWS]
                ],
                total=total,
                empty="No models yet: %mlops register RUN NAME makes the first.",
            )
        ],
    )


def _row(version: ModelVersion, metrics: list[str], passed: bool | None) -> dict[str, Any]:
    verdicts = {True: {"text": "passed", "level": "good"},
                False: {"text": "didn't pass", "level": "bad"}}  # fmt: skip
    return {
        "model": version.ref,
        "aliases": ", ".join(version.aliases),
        "gates": None if passed is None else verdicts[passed],
        **{f"metric_{name}": version.metrics.get(name) for name in metrics},
        "run": f"run:{version.run_id[:8]}" if version.run_id else "",
        "digest": version.digest[:12],
        "registered": version.created_at.isoformat(),
    }

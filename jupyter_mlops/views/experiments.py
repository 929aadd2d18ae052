"""How runs and comparisons look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments import Comparison, Run, Runs
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Code,
    Column,
    Fact,
    Facts,
    Level,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.cells import decimals, number_text
from jupyter_mlops.views.registry import look

__all__ = ["comparison_view", "run_view", "runs_view"]

ROWS = 200
METRIC_COLUMNS = 4
SOURCE_LIMIT = 20_000
_LEVELS: dict[str, Level] = {
    "finished": "good",
    "running": "info",
    "interrupted": "warn",
    "failed": "bad",
}
_VALIDITY = {
    "strong": "the saved notebook's cells ran in order",
    "weak": "cells ran out of order or more than once",
    "unknown": "what ran isn't what the notebook holds, or there is no notebook",
}


@look(Run)
def run_view(result: Run) -> View:
    """One run: how it went, what it depends on, what can be done with it."""
    blocks: list[Block] = []
    if result.error:
        blocks.append(Notice(level=_LEVELS[result.status], text=_sentence(result.error)))
    blocks += [Notice(level="warn", text=note) for note in result.notes]
    facts = [Fact(label=name, value=number_text(value)) for name, value in result.metrics.items()]
    if result.validation:
        where = result.validation.get("ref") or "a frame of the notebook"
        facts.append(
            Fact(label="Scored on", value=f"{result.validation['rows']:,} rows of {where}")
        )
    facts.append(Fact(label="Took", value=duration(result.seconds)))
    blocks.append(Facts(items=facts))
    blocks.append(Facts(items=_seal(result)))
    if result.params:
        rows = [{"name": k, "value": _value(v)} for k, v in result.params.items()]
        columns = [Column(key="name", label="Parameter"), Column(key="value", label="Value")]
        blocks.append(Table(title="Parameters", columns=columns, rows=rows[:ROWS], total=len(rows)))
    blocks.append(Code(title="Cell", text=result.source[:SOURCE_LIMIT]))
    if result.has_model and result.signature:
        register = Action(
            label="Register", verb="register", args={"run": result.short, "name": result.name}
        )
        blocks.append(Actions(items=[register]))
    if result.send_error:
        text = f"MLflow hasn't got this run yet: {_sentence(result.send_error)}"
        blocks.append(Notice(level="warn", text=text))
    return View(
        kind="run",
        title=f"{result.name} · {result.short}",
        subtitle=f"{result.status} · {result.model.get('class', '').rpartition('.')[2]}".rstrip(
            " ·"
        ),
        ref=result.ref,
        line=f"%mlops runs run:{result.short}",
        blocks=blocks,
    )


@look(Runs)
def runs_view(result: Runs) -> View:
    """Runs in a table, the newest first."""
    names: dict[str, None] = {}
    for run in result:
        names.update(dict.fromkeys(run.metrics))
    shown = list(names)[:METRIC_COLUMNS]
    columns = [
        Column(key="run", label="Run", kind="ref"),
        Column(key="name", label="Name"),
        Column(key="status", label="Status", kind="badge"),
        *(
            Column(
                key=f"metric_{name}",
                label=name,
                kind="number",
                digits=decimals(run.metrics.get(name) for run in result[:ROWS]),
            )
            for name in shown
        ),
        Column(key="took", label="Took"),
        Column(key="started", label="Started", kind="time"),
        Column(key="data", label="Data", kind="ref"),
    ]
    rows = [_row(run, shown) for run in result[:ROWS]]
    title = f"Runs of {result.name}" if result.name else "Runs"
    many = "run" if result.total == 1 else "runs"
    empty = "No runs yet: write %%mlops train NAME above a cell that fits a model."
    return View(
        kind="runs",
        title=title,
        subtitle=f"{result.total:,} {many}",
        line=f"%mlops runs {result.name or ''}".strip(),
        blocks=[Table(columns=columns, rows=rows, total=result.total, empty=empty)],
    )


@look(Comparison)
def comparison_view(result: Comparison) -> View:
    """The verdict first, then the numbers it rests on."""
    blocks: list[Block] = [
        Notice(level="info" if result.better is None else "good", text=result.verdict)
    ]
    blocks += [Notice(level="warn", text=note) for note in result.notes]
    names = sorted({*result.a.metrics, *result.b.metrics})
    rows = [
        {"metric": f"mean {result.metric} on these rows", "a": result.loss_a, "b": result.loss_b},
        *({"metric": n, "a": result.a.metrics.get(n), "b": result.b.metrics.get(n)} for n in names),
    ]
    columns = [
        Column(key="metric", label="Metric"),
        Column(key="a", label=f"{result.a.name} {result.a.short}", kind="number"),
        Column(key="b", label=f"{result.b.name} {result.b.short}", kind="number"),
    ]
    blocks.append(Table(columns=columns, rows=rows[:ROWS]))
    kinds = [run.model.get("class", "").rpartition(".")[2] for run in (result.a, result.b)]
    # Settings of different kinds of model have nothing to do with each other.
    changed = (
        _changes(result.a.params, result.b.params)
        if kinds[0] == kinds[1]
        else [{"name": "model", "a": kinds[0], "b": kinds[1]}]
    )
    if changed:
        blocks.append(
            Table(
                title="Parameters that differ",
                columns=[Column(key="name", label="Parameter"), *columns[1:]],
                rows=changed[:ROWS],
                total=len(changed),
            )
        )
    by = f", grouped by {' and '.join(result.by)}" if result.by else ""
    return View(
        kind="comparison",
        title=f"{result.a.name} {result.a.short} and {result.b.name} {result.b.short}",
        subtitle=f"{result.metric} on {result.rows:,} paired rows{by}",
        line=f"%mlops compare {result.a.short} {result.b.short}",
        blocks=blocks,
    )


def duration(seconds: float | None) -> str:
    """A length of time in the unit a person would say.

    Examples
    --------
    >>> duration(0.25), duration(75), duration(7260), duration(None)
    ('0.25 s', '1 min 15 s', '2 h 1 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 0.01:
        return "<0.01 s"
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def _seal(run: Run) -> list[Fact]:
    inputs = _count(len(run.variables), "variable")
    if run.modules:
        inputs += f", {_count(len(run.modules), 'local module')}"
    facts = [
        Fact(label="Cell", value=run.cell[:12], hint=inputs),
        Fact(label="Data", value=run.data_ref or "–"),
        Fact(label="Seed", value=str(run.seed)),
        Fact(label="Environment", value=run.environment[:12]),
        Fact(label="Notebook", value=run.validity, hint=_VALIDITY[run.validity]),
    ]
    if run.git.get("commit"):
        changed = " with changes" if run.git.get("dirty") else ""
        facts.append(Fact(label="Git", value=f"{run.git['commit'][:10]}{changed}"))
    return facts


def _count(many: int, noun: str) -> str:
    return f"{many:,} {noun}{'' if many == 1 else 's'}"


def _row(run: Run, metrics: list[str]) -> dict[str, Any]:
    return {
        "run": f"run:{run.short}",
        "name": run.name,
        "status": {"text": run.status, "level": _LEVELS[run.status]},
        **{f"metric_{name}": run.metrics.get(name) for name in metrics},
        "took": duration(run.seconds),
        "started": run.started_at.isoformat(),
        "data": run.data_ref,
    }


def _changes(a: dict[str, Any], b: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "a": _value(a.get(name)), "b": _value(b.get(name))}
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]


def _value(value: Any) -> str:
    return "–" if value is None else str(value)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."

"""How runs look side by side."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments.contest import Contest
from jupyter_mlops.views.blocks import Block, Column, Notice, Table, View
from jupyter_mlops.views.experiments import duration
from jupyter_mlops.views.params import param_text
from jupyter_mlops.views.registry import look

__all__ = ["contest_view"]

ROWS = 200


@look(Contest)
def contest_view(result: Contest) -> View:
    """What is better first, then what differs."""
    levels = {None: "info", "a": "good", "b": "good"}
    blocks: list[Block] = [
        Notice.model_validate({"level": levels[pair.better], "text": pair.verdict})
        for pair in result.pairs
    ]
    blocks += [Notice(text=note if note.endswith(".") else f"{note}.") for note in result.notes]
    runs = [one.run for one in result.entrants]
    keys = [f"r{place}" for place in range(len(runs))]
    head = [
        Column(key=key, label=one.label) for key, one in zip(keys, result.entrants, strict=True)
    ]
    numbers = [one.model_copy(update={"kind": "number"}) for one in head]

    def row(name: str, values: list[Any]) -> dict[str, Any]:
        return {"name": name, **dict(zip(keys, values, strict=True))}

    names = dict.fromkeys(name for run in runs for name in run.metrics)
    metrics = [row(name, [run.metrics.get(name) for run in runs]) for name in names]
    blocks.append(
        Table(title="Metrics", columns=[Column(key="name", label="Metric"), *numbers],
              rows=metrics[:ROWS], total=len(metrics), empty="None of them has metrics.")
    )  # fmt: skip
    given = dict.fromkeys(name for run in runs for name in run.params)
    params = {name: [run.params.get(name) for run in runs] for name in given}
    differ = [
        row(name, [None if value is None else param_text(value) for value in values])
        for name, values in params.items()
        if any(value != values[0] for value in values)
    ]
    blocks.append(
        Table(title="Parameters that differ", columns=[Column(key="name", label="Parameter"),
              *head], rows=differ[:ROWS], total=len(differ), empty=_alike(len(params)))
    )  # fmt: skip
    facts = [
        row("Run", [f"run:{run.short}" for run in runs]),
        row("Model", [run.model.get("class", "").rpartition(".")[2] or None for run in runs]),
        row("Data", [run.data_ref for run in runs]),
        row("Took", [duration(run.seconds) for run in runs]),
        row("Started", [f"{run.started_at:%Y-%m-%d %H:%M}" for run in runs]),
    ]
    blocks.append(Table(title="Runs", columns=[Column(key="name", label=""), *head], rows=facts))
    labels = " ".join(one.name for one in result.entrants)
    return View(
        kind="comparison",
        title=" and ".join([", ".join(one.label for one in result.entrants[:-1]),
                            result.entrants[-1].label]),
        subtitle=f"{len(runs)} runs",
        line=f"%mlops experiment compare {labels}",
        blocks=blocks,
    )  # fmt: skip


def _alike(many: int) -> str:
    return "All parameters are the same." if many else "None of them has parameters."

"""How experiments look: one that runs, one with its trials, many, and a single trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Progress, Table, View
from jupyter_mlops.views.cells import number_text, progress_text
from jupyter_mlops.views.registry import look
from jupyter_mlops.workspace import Result

__all__ = ["Searching", "searching_view"]

#: Rows of workers below a running cell.
_WORKERS = 32


@dataclass(frozen=True)
class Searching(Result):
    """An experiment while it runs, as the cell that started it shows it.

    Attributes
    ----------
    step : SearchStep
        What its driver told last.
    """

    step: SearchStep

    @property
    def done(self) -> int:
        return self.step.done

    @property
    def total(self) -> int | None:
        return self.step.total

    @property
    def seconds(self) -> float:
        return self.step.seconds

    @property
    def line(self) -> str:
        """How far it is, in one line, the best value at its end."""
        step = self.step
        told = progress_text(step.done, step.total, "trials", step.seconds, step.remaining)
        words = [f"{step.experiment.name}: {told}"]
        if step.failures:
            words.append(f"{step.failures:,} failed")
        if step.best is not None:
            words.append(f"best {step.experiment.goal.metric} {number_text(step.best)}")
        return " · ".join(words)


@look(Searching)
def searching_view(result: Searching) -> View:
    """A bar, the best so far, what went wrong, and who works."""
    step = result.step
    experiment = step.experiment
    bar = Progress(
        done=step.done,
        total=step.total,
        unit="trials",
        seconds=round(step.seconds, 2),
        remaining=None if step.remaining is None else round(step.remaining, 1),
    )
    blocks: list[Block] = [bar, Facts(items=_so_far(step))]
    if step.best_params:
        blocks.append(Facts(items=params_facts(step.best_params)))
    if step.workers:
        blocks.append(workers_table(step.workers))
    return View(
        kind="experiment",
        title=f"{experiment.name} · {experiment.short}",
        subtitle="running",
        ref=experiment.ref,
        line=f"%mlops experiment show {experiment.short}",
        blocks=blocks,
    )


def _so_far(step: SearchStep) -> list[Fact]:
    goal = step.experiment.goal
    best = "none yet" if step.best is None else number_text(step.best)
    if step.best is not None and step.best_number is not None:
        best += f" in trial {step.best_number}"
    facts = [
        Fact(label=f"Best {goal.metric}", value=best),
        Fact(label="Running", value=f"{step.running:,}"),
    ]
    if step.pruned:
        facts.append(Fact(label="Pruned", value=f"{step.pruned:,}"))
    facts.append(Fact(label="Failed", value=f"{step.failures:,}"))
    return facts


def params_facts(params: dict[str, Any], limit: int = 12) -> list[Fact]:
    """Parameters as facts, the first of them where there are many."""
    facts = [Fact(label=name, value=param_text(value)) for name, value in params.items()]
    if len(facts) > limit:
        facts = [*facts[:limit], Fact(label="…", value=f"{len(facts) - limit} more")]
    return facts


def param_text(value: Any) -> str:
    """A parameter's value as a person reads it."""
    if value is None:
        return "None"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    return str(value)


def workers_table(workers: tuple[dict[str, Any], ...]) -> Table:
    """Who works on which trial, and how busy they are."""
    columns = [
        Column(key="name", label="Worker"),
        Column(key="trial", label="Trial", kind="number"),
        Column(key="cpu", label="CPU", kind="percent"),
        Column(key="memory", label="Memory"),
    ]
    if any(one.get("gpu") is not None for one in workers):
        columns.append(Column(key="gpu", label="GPU"))
    rows = [
        {
            "name": str(one.get("name", "")),
            "trial": one.get("trial"),
            "cpu": one.get("cpu"),
            "memory": bytes_text(one.get("memory")),
            "gpu": _gpu_text(one.get("gpu")),
        }
        for one in workers[:_WORKERS]
    ]
    return Table(title="Workers", columns=columns, rows=rows, total=len(workers))


def bytes_text(count: float | None) -> str | None:
    """An amount of memory in the unit a person would say.

    Examples
    --------
    >>> bytes_text(3_221_225_472), bytes_text(5e6), bytes_text(None)
    ('3 GiB', '4.8 MiB', None)
    """
    if count is None:
        return None
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            many = count / size
            return f"{many:.0f} {unit}" if many >= 10 else f"{many:.2g} {unit}"
    return f"{count:.0f} B"


def _gpu_text(value: Any) -> str | None:
    """A share of a device, or whatever the cluster calls it."""
    if value is None:
        return None
    return f"{100 * value:.0f} %" if isinstance(value, float) else str(value)

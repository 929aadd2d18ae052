"""How experiments look: one that runs, one that ended, and many of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_mlops.experiments.browsing import first_page
from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.experiments.studies import Experiment, Experiments
from jupyter_mlops.views.blocks import Block, Column, Fact, Facts, Progress, Table, View
from jupyter_mlops.views.browsing import page_view
from jupyter_mlops.views.cells import decimals, number_text, progress_text
from jupyter_mlops.views.clusters import dashboard_fact
from jupyter_mlops.views.experiments import duration
from jupyter_mlops.views.params import params_facts, workers_table
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.trialtable import LEVELS
from jupyter_mlops.workspace import Result

__all__ = ["Searching", "experiment_view", "experiments_view", "searching_view"]

ROWS = 200


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
        blocks.append(Facts(title="Best parameters", items=params_facts(step.best_params)))
    if step.workers:
        blocks.append(workers_table(step.workers))
    return View(
        kind="experiment",
        title=f"{experiment.name} · {experiment.short}",
        subtitle="running" if step.running or step.done else "waiting for workers",
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
    if step.cluster.get("dashboard"):
        facts.append(dashboard_fact(step.cluster["kind"], step.cluster["dashboard"]))
    return facts


@look(Experiment)
def experiment_view(result: Experiment) -> View:
    """What was found, how it went, and the first page of its trials."""
    return page_view(first_page(result))


@look(Experiments)
def experiments_view(result: Experiments) -> View:
    """Experiments in a table, the newest first."""
    rows = [_row(result, one) for one in result[:ROWS]]
    alike = len({row["metric"] for row in rows}) == 1
    digits = decimals(row["best"] for row in rows) if alike else None
    columns = [
        Column(key="experiment", label="Experiment", kind="ref"),
        Column(key="status", label="Status", kind="badge"),
        Column(key="metric", label="Metric"),
        Column(key="best", label="Best", kind="number", digits=digits),
        Column(key="done", label="Trials done", kind="bar"),
        Column(key="failed", label="Failed", kind="number"),
        Column(key="started", label="Started", kind="time"),
        Column(key="took", label="Took"),
        Column(key="actor", label="By"),
        Column(key="id", label="Id"),
    ]
    # What says the same in each row takes room from what doesn't.
    said = {"failed": any(row["failed"] for row in rows)}
    said["actor"] = len({row["actor"] for row in rows}) > 1
    columns = [one for one in columns if said.get(one.key, True)]
    many = "experiment" if result.total == 1 else "experiments"
    empty = (
        "No experiments yet: write `%%mlops experiment NAME --metric METRIC` above a cell that "
        "asks for parameters with `suggest`."
    )
    return View(
        kind="experiments",
        title="Experiments",
        subtitle=f"{result.total:,} {many}",
        line="%mlops experiment ls",
        blocks=[Table(columns=columns, rows=rows, total=result.total, empty=empty)],
    )


def _row(result: Experiments, one: Experiment) -> dict[str, Any]:
    counts = result.counts.get(one.id, {})
    done = sum(many for status, many in counts.items() if status != "running")
    total = one.plan.get("trials")
    share: dict[str, Any] = {"share": 1.0, "text": f"{done:,}"}
    if total:
        share = {"share": min(1.0, done / total), "text": f"{done:,} of {total:,}"}
    return {
        "experiment": {"text": one.name, "ref": one.ref},
        "id": one.short,
        "status": {"text": one.status, "level": LEVELS.get(one.status, "info")},
        "done": share,
        "failed": counts.get("failed", 0),
        "metric": one.goal.metric,
        "best": result.bests.get(one.id),
        "took": duration(one.seconds),
        "started": one.started_at.isoformat(),
        "actor": one.actor,
    }

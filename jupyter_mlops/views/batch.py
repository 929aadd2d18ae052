"""How batch predictions look, under way and done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jupyter_mlops.serving.batch.declared import BatchJob, BatchJobs
from jupyter_mlops.serving.batch.results import BatchPrediction, BatchStep
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Notice,
    Progress,
    Table,
    View,
)
from jupyter_mlops.views.cells import progress_text
from jupyter_mlops.views.registry import look
from jupyter_mlops.views.rows import rows_block
from jupyter_mlops.workspace.results import Result

__all__ = ["Predicting", "batch_view", "job_view", "jobs_view", "predicting_view"]

ROWS = 200
_LEVELS = {"running": "good", "finished": "good", "failed": "bad", "interrupted": "warn"}


@dataclass(frozen=True)
class Predicting(Result):
    """A batch prediction while it runs."""

    step: BatchStep

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
        """How far it is, in one line."""
        step = self.step
        words = f"{step.model}: {progress_text(step.done, step.total, 'rows', step.seconds)}"
        return words + (f" · {step.rejected:,} put aside" if step.rejected else "")


@look(Predicting)
def predicting_view(result: Predicting) -> View:
    """A bar, and what was put aside so far."""
    step = result.step
    blocks: list[Block] = [
        Progress(done=step.done, total=step.total, seconds=round(step.seconds, 2))
    ]
    if step.before:
        blocks.append(Notice(text=f"{step.before:,} rows had been answered before."))
    if step.rejected:
        blocks.append(Facts(items=[Fact(label="Put aside", value=f"{step.rejected:,}")]))
    return View(kind="batch", title=step.model, subtitle="predicting", blocks=blocks)


@look(BatchPrediction)
def batch_view(result: BatchPrediction) -> View:
    """How many rows were answered, where the answers are, and what was put aside."""
    rate = result.rows / result.seconds if result.seconds else 0.0
    fresh = result.parts - result.reused
    facts = [
        Fact(label="Rows", value=f"{result.rows:,}"),
        Fact(label="Put aside", value=f"{result.rejected:,}"),
        Fact(label="Parts", value=f"{result.parts:,}"),
        Fact(label="Model", value=result.model, hint=result.digest, ref=f"model:{result.model}"),
        Fact(label="Data", value=result.data, ref=result.data),
    ]
    if fresh:
        hint = "" if result.reused else f"{rate:,.0f} rows a second"
        facts.append(Fact(label="Seconds", value=f"{result.seconds:,.1f}", hint=hint))
    if result.to is not None:
        facts.append(Fact(label="Written to", value=result.to.partition("?")[0]))
    if result.dataset is not None:
        facts.append(Fact(label="Dataset", value=result.dataset, ref=result.dataset))
    blocks: list[Block] = [Facts(items=facts)]
    if result.reused:
        text = f"{result.reused:,} of {result.parts:,} parts were there already."
        blocks.append(Notice(text=text))
    blocks += _contract(result)
    if result.rows:
        # The same in all rows, and told above.
        blocks.append(rows_block(result.head.drop("model", "digest"), result.rows))
    if result.rejected:
        blocks.append(_put_aside(result))
    return View(
        kind="batch",
        title=f"{result.model}: {result.rows:,} answers",
        subtitle=f"{result.rejected:,} rows put aside" if result.rejected else "",
        ref=result.dataset,
        line=f"%mlops data show {result.dataset.removeprefix('data:')}" if result.dataset else "",
        blocks=blocks,
    )


@look(BatchJob)
def job_view(result: BatchJob) -> View:
    """One that was left to the agent: how far it is, where its answers go, and what went wrong."""
    blocks: list[Block] = []
    if result.error:
        level = "bad" if result.state == "failed" else "warn"
        blocks.append(Notice(level=level, text=result.error))
    if result.state == "waiting" and not result.error:
        blocks.append(Notice(text="The agent begins it in a moment; this process may end."))
    if result.total:
        blocks.append(
            Progress(done=result.done, total=result.total, seconds=round(result.seconds, 2))
        )
    facts = [
        Fact(label="State", value=result.state),
        Fact(label="Model", value=result.model, hint=result.digest),
        Fact(label="Data", value=result.data.partition("?")[0]),
        Fact(label="Written to", value=result.to.partition("?")[0]),
        Fact(label="Put aside", value=f"{result.rejected:,}"),
    ]
    if result.options.cluster:
        facts.append(Fact(label="Cluster", value=result.options.cluster))
    if result.dataset:
        facts.append(Fact(label="Dataset", value=result.dataset))
    if result.restarts:
        facts.append(Fact(label="Restarts", value=f"{result.restarts:,}"))
    blocks += [Facts(items=facts), Actions(items=_actions(result))]
    return View(
        kind="batch-job",
        title=f"{result.model}: {result.done:,} of {result.total:,} rows",
        subtitle=f"{result.state} · {result.short}",
        ref=result.ref,
        line=f"%mlops predictions --name {result.short}",
        blocks=blocks,
    )


@look(BatchJobs)
def jobs_view(result: BatchJobs) -> View:
    """Those that were left to the agent."""
    table = Table(
        columns=[
            Column(key="ref", label="Prediction", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="model", label="Model", kind="ref"),
            Column(key="done", label="Rows", kind="number"),
            Column(key="share", label="Done", kind="percent"),
            Column(key="rejected", label="Put aside", kind="number"),
            Column(key="to", label="Written to"),
            Column(key="since", label="Begun", kind="time"),
        ],
        rows=[_row(one) for one in result.items[:ROWS]],
        total=len(result.items),
        empty="None yet. Leave one to the agent: %mlops predict MODEL DATA --to URI --detach",
    )
    running = sum(one.state == "running" for one in result.items)
    return View(
        kind="batch-jobs",
        title="Batch predictions",
        subtitle=f"{running:,} of {len(result.items):,} running",
        line="%mlops predictions",
        blocks=[table],
    )


def _row(one: BatchJob) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "state": {"text": one.state, "level": _LEVELS.get(one.state, "info")},
        "model": f"model:{one.model}",
        "done": one.done,
        "share": one.done / one.total if one.total else None,
        "rejected": one.rejected,
        "to": one.to.partition("?")[0],
        "since": None if one.started_at is None else one.started_at.isoformat(),
    }


def _actions(one: BatchJob) -> list[Action]:
    if one.state in ("running", "waiting", "interrupted"):
        question = f"Stop predicting with {one.model}? The parts that are done stay."
        args = {"name": one.id}
        return [Action(label="Stop", verb="predict stop", args=args, confirm=question, danger=True)]
    if one.state in ("stopped", "failed"):
        return [Action(label="Go on", verb="predict resume", args={"name": one.id})]
    return []


def _contract(result: BatchPrediction) -> list[Block]:
    if not result.violations:
        return []
    worst = sorted(result.violations.items(), key=lambda item: -item[1])
    told = ", ".join(f"{rule} {rows:,}" for rule, rows in worst[:8])
    more = f" and {len(worst) - 8:,} more" if len(worst) > 8 else ""
    return [Notice(level="warn", text=f"Rows that break the model's contract: {told}{more}.")]


def _put_aside(result: BatchPrediction) -> Table:
    names = ("row", "column", "reason")
    return Table(
        title="Put aside",
        columns=[
            Column(key="row", label="Row", kind="number"),
            Column(key="column", label="Column"),
            Column(key="reason", label="Reason"),
        ],
        rows=result.reasons.select(names).to_dicts(),
        total=result.rejected,
    )

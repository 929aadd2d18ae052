"""How labeling tasks look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.exports import Export
from jupyter_mlops.labeling.intake import Import
from jupyter_mlops.labeling.progress import Queue, TaskState
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.labeling.tasks import Task
from jupyter_mlops.views import labelers, labelorigins  # noqa: F401  (register other looks)
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.labeltasks import HOURLY, asked, counted, hours_text, rate_of, undecided
from jupyter_mlops.views.registry import look

__all__ = ["export_view", "import_view", "queue_view", "task_view"]

ROWS = 200
WIDE = 80


@look(TaskState)
def task_view(result: TaskState) -> View:
    """A task's progress, per class and per person, and what was decided last."""
    task, counts = result.task, result.counts
    facts = Facts(
        items=[
            Fact(label="Labelled", value=f"{counts.labeled:,} of {counts.total:,}"),
            *([Fact(label="Skipped", value=f"{counts.skipped:,}")] if counts.skipped else []),
            *([Fact(label="In hand", value=f"{result.held:,}")] if result.held else []),
            Fact(
                label="Data",
                value=task.data_ref or "a data frame",
                hint=task.data_digest,
                ref=task.data_ref or "",
            ),
            *_due(task),
            *_by_many(result),
            *_fast(result),
        ]
    )
    classes = Table(
        title="Classes",
        columns=[
            Column(key="class", label="Class"),
            Column(key="labels", label="Items", kind="number"),
            Column(key="share", label="Share", kind="bar"),
        ],
        rows=[
            {"class": name, "labels": count, "share": count / max(1, counts.labeled)}
            for name, count in list(result.classes.items())[:ROWS]
        ],
        total=len(result.classes),
    )
    blocks: list[Any] = [facts, _notice(task)]
    if task.answer == "class":
        blocks.append(classes)
    if result.disputed:
        blocks.insert(
            1,
            Notice(
                level="warn",
                text=undecided(result.disputed),
                fix=f"`%mlops label disputes {task.name}` shows them side by side.",
            ),
        )
    if result.people:
        blocks.append(_people(result))
    if result.recent:
        blocks.append(_recent(result))
    return View(
        kind="label-task",
        title=f"label {task.name}",
        subtitle=_subtitle(task),
        ref=task.ref,
        line=f"%mlops label status {task.name}",
        blocks=[*blocks, Actions(items=_actions(result))],
    )


@look(Queue)
def queue_view(result: Queue) -> View:
    """What comes next in a task."""
    table = Table(
        columns=[
            Column(key="item", label="Item", kind="number"),
            Column(key="key", label="Key"),
            Column(key="shown", label="Content"),
        ],
        rows=[
            {"item": item, "key": key or None, "shown": shown[:WIDE]}
            for item, key, shown in result.items[:ROWS]
        ],
        total=len(result.items),
        empty="Nothing is left that nobody has in hand.",
    )
    return View(
        kind="label-queue",
        title=f"label {result.task.name}: next",
        subtitle=f"{result.task.counts.open:,} open",
        ref=result.task.ref,
        line=f"%mlops label next {result.task.name}",
        blocks=[table],
    )


@look(Export)
def export_view(result: Export) -> View:
    """What was taken out, and where it is."""
    task, frame = result.task, result.frame
    facts = [
        Fact(label="Labels", value=f"{len(frame):,}"),
        Fact(label="Open", value=f"{task.counts.open:,}"),
        Fact(
            label="Label set",
            value=result.version or "none: nothing is labelled",
            hint="`train --labels` trains on it",
        ),
        Fact(label="File", value=result.path or "none; the result's .frame holds them"),
    ]
    if result.format:
        facts.append(Fact(label="Format", value=result.format))
    table = Table(
        columns=[
            Column(key="item", label="Item", kind="number"),
            Column(key="key", label="Key"),
            Column(key="label", label="Label"),
            Column(key="person", label="By"),
            Column(key="at", label="When", kind="time"),
        ],
        rows=[
            {
                "item": int(row["item"]),
                "key": row["key"],
                "label": row["label"],
                "person": row["person"],
                "at": row["at"].isoformat(),
            }
            for row in frame.head(20).to_dict("records")
        ],
        total=len(frame),
        empty="Nothing is labelled yet.",
    )
    return View(
        kind="label-queue",
        title=f"label {task.name}: exported",
        subtitle=_subtitle(task),
        ref=task.ref,
        line=f"%mlops label export {task.name}",
        blocks=[
            Facts(items=facts),
            *[Notice(level="warn", text=note) for note in result.notes],
            table,
        ],
    )


@look(Import)
def import_view(result: Import) -> View:
    """What a file of labels brought."""
    task, counts = result.state.task, result.state.counts
    facts = [
        Fact(label="Decisions in the file", value=f"{result.found:,}"),
        Fact(label="New", value=f"{result.new:,}"),
        Fact(label="Labelled", value=f"{counts.labeled:,} of {counts.total:,}"),
        Fact(label="File", value=result.path),
        Fact(label="Format", value=result.format),
    ]
    return View(
        kind="label-queue",
        title=f"label {task.name}: imported",
        subtitle=_subtitle(task),
        ref=task.ref,
        line=f"%mlops label status {task.name}",
        blocks=[
            Facts(items=facts),
            *[Notice(level="warn", text=note) for note in result.notes],
            _recent(result.state),
        ],
    )


def _by_many(result: TaskState) -> list[Fact]:
    """How well people agree, and how good the model that chooses is."""
    facts = []
    if result.agreement is not None:
        hint = f"over {counted(result.shared, 'item')} with two opinions"
        facts.append(Fact(label="Agreement", value=f"{result.agreement:.2f}", hint=hint))
    found = result.accuracy
    if found is not None and found.value is not None:
        value = f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
        hint = f"by {found.n:,} items drawn at random"
        facts.append(Fact(label="Model's accuracy", value=value, hint=hint))
    return facts


def _actions(result: TaskState) -> list[Action]:
    """What can be done about a task, and what else there is to see of it."""
    counts, args = result.counts, {"task": result.task.name}
    several = len(result.people) > 1
    wanted = [
        ("Label", "label", counts.open),
        ("Decide", "label disputes", result.disputed),
        ("Next items", "label next", counts.open),
        ("People", "label people", result.people),
        ("Where from", "label stats", result.people),
        ("Agreement", "label agreement", several),
        ("Export labels", "label export", counts.labeled),
    ]
    return [Action(label=name, verb=verb, args=args) for name, verb, when in wanted if when]


def _due(task: Task) -> list[Fact]:
    last = Rules.of(task.settings).due
    return [Fact(label="Due", value=last)] if last else []


def _fast(result: TaskState) -> list[Fact]:
    """How fast people label, and how long what is left takes at that."""
    rate, pace = rate_of(result.pace), result.pace
    if rate is None or pace.per_hour is None:
        return []
    facts = [
        Fact(label="Labels an hour", value=f"{rate:,}", hint="of one person"),
        Fact(label="Seconds a label", value=f"{pace.seconds:.1f}", hint="the median"),
    ]
    overlap = Rules.of(result.task.settings).overlap
    if result.counts.open:
        left = hours_text(result.counts.open * overlap / pace.per_hour)
        facts.append(Fact(label="Time left", value=left, hint="for one person"))
    return facts


def _people(result: TaskState) -> Table:
    return Table(
        title="People",
        columns=[
            Column(key="name", label="Person"),
            Column(key="labels", label="Labels", kind="number"),
            Column(key="skips", label="Skips", kind="number"),
            Column(key="undos", label="Taken back", kind="number"),
            Column(key="rate", label=HOURLY, kind="number"),
            Column(key="seconds", label="Seconds a label", kind="number", digits=1),
            Column(key="last", label="Last", kind="time"),
        ],
        rows=[
            {
                "name": one.name,
                "labels": one.labels,
                "skips": one.skips,
                "undos": one.undos,
                "rate": rate_of(one.pace),
                "seconds": one.pace.seconds,
                "last": one.last.isoformat(),
            }
            for one in result.people[:ROWS]
        ],
        total=len(result.people),
    )


def _recent(result: TaskState) -> Table:
    return Table(
        title="Decided last",
        columns=[
            Column(key="item", label="Item", kind="number"),
            Column(key="shown", label="Content"),
            Column(key="label", label="Label"),
            Column(key="person", label="By"),
        ],
        rows=[
            {
                "item": one.item,
                "shown": one.shown[:WIDE],
                "label": one.label or "skipped",
                "person": one.person,
            }
            for one in result.recent
        ],
    )


def _notice(task: Task) -> Notice:
    if not task.counts.open:
        return Notice(level="good", text="Every item is labelled or skipped.")
    return Notice(
        level="info",
        text=f"{counted(task.counts.open, 'item')} to label.",
        fix=f"`%mlops label {task.name}` opens the labeler in a notebook.",
    )


def _subtitle(task: Task) -> str:
    classes = [counted(len(task.classes), "class", "classes")] if task.classes else []
    return " · ".join([counted(task.counts.total, "item"), asked(task), *classes])

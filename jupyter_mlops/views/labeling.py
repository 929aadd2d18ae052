"""How labeling tasks look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.exports import Export
from jupyter_mlops.labeling.intake import Import
from jupyter_mlops.labeling.kinds import ANSWERS, KINDS
from jupyter_mlops.labeling.progress import Queue, Tasks, TaskState
from jupyter_mlops.labeling.tasks import Counts, Task
from jupyter_mlops.views import labelers  # noqa: F401  (registers the looks of the rest)
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Column,
    Fact,
    Facts,
    Field,
    Form,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.registry import look

__all__ = ["export_view", "import_view", "queue_view", "task_view", "tasks_view"]

ROWS = 200
WIDE = 80


@look(TaskState)
def task_view(result: TaskState) -> View:
    """A task's progress, per class and per person, and what was decided last."""
    task, counts = result.task, result.counts
    facts = Facts(
        items=[
            Fact(label="Labelled", value=f"{counts.labeled:,} of {counts.total:,}"),
            Fact(label="Skipped", value=f"{counts.skipped:,}"),
            Fact(label="Open", value=f"{counts.open:,}"),
            Fact(label="In hand", value=f"{result.held:,}", hint="given to somebody right now"),
            Fact(label="Data", value=task.data_ref or "a frame", hint=task.data_digest),
            *_by_many(result),
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
    blocks: list[Any] = [facts, _notice(counts), classes]
    if result.disputed:
        blocks.insert(
            1,
            Notice(
                level="warn",
                text=f"{result.disputed:,} items wait for a reviewer.",
                fix=f"See them side by side: %mlops label disputes {task.name}",
            ),
        )
    if result.people:
        blocks.append(_people(result))
    if result.recent:
        blocks.append(_recent(result))
    actions = [Action(label="Next items", verb="label next", args={"task": task.name})]
    if counts.open:
        here = Action(label="Label", verb="label", args={"task": task.name})
        actions.insert(0, here)
    if counts.labeled:
        actions.append(Action(label="Export labels", verb="label export", args={"task": task.name}))
    return View(
        kind="label-task",
        title=f"label {task.name}",
        subtitle=_subtitle(task),
        ref=task.ref,
        line=f"%mlops label status {task.name}",
        blocks=[*blocks, Actions(items=actions)],
    )


@look(Tasks)
def tasks_view(result: Tasks) -> View:
    """All tasks with their progress."""
    table = Table(
        columns=[
            Column(key="task", label="Task", kind="ref"),
            Column(key="kind", label="Kind"),
            Column(key="total", label="Items", kind="number"),
            Column(key="labeled", label="Labelled", kind="number"),
            Column(key="open", label="Open", kind="number"),
            Column(key="done", label="Done", kind="bar"),
            Column(key="state", label="State", kind="badge"),
        ],
        rows=[
            {
                "task": task.ref,
                "kind": task.kind,
                "total": task.counts.total,
                "labeled": task.counts.labeled,
                "open": task.counts.open,
                "done": 1 - task.counts.open / task.counts.total,
                "state": _badge(task.counts),
            }
            for task in result.tasks[:ROWS]
        ],
        total=len(result.tasks),
        empty="Nothing is labelled yet: %mlops label TASK DATA --kind text --classes a,b",
    )
    waiting = sum(task.counts.open for task in result.tasks)
    return View(
        kind="label-queue",
        title="Labels",
        subtitle=f"{len(result.tasks):,} tasks · {waiting:,} items wait for a person",
        line="%mlops label status",
        blocks=[table, _begin()],
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


def _begin() -> Form:
    """A form that makes a task."""
    return Form(
        title="New task",
        submit="Make the task",
        verb="label",
        fields=[
            Field(name="task", label="Name", required=True),
            Field(name="data", label="Data", kind="dataset", required=True),
            Field(
                name="kind",
                label="What is shown",
                kind="choice",
                value="text",
                choices=list(KINDS),
                required=True,
            ),
            Field(
                name="answer",
                label="Answer",
                kind="choice",
                choices=list(ANSWERS),
                hint="a class, or the better of a pair, when left out",
            ),
            Field(name="classes", label="Classes", kind="list", hint="in the order of their keys"),
            Field(name="column", label="Column", hint="when more than one could be meant"),
            Field(name="key", label="Key column", hint="names a row, to join labels by"),
            Field(name="scale", label="Scale of a rating", hint="1-5 when left out"),
            Field(name="overlap", label="People an item", kind="number", hint="1 when left out"),
            Field(name="guideline", label="Guideline", hint="Markdown, shown beside each item"),
        ],
    )


def _by_many(result: TaskState) -> list[Fact]:
    """How well people agree, and how good the model that chooses is."""
    facts = []
    if result.agreement is not None:
        hint = f"mean over {result.shared:,} items with two opinions or more"
        facts.append(Fact(label="Agreement", value=f"{result.agreement:.2f}", hint=hint))
    found = result.accuracy
    if found is not None and found.value is not None:
        value = f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
        hint = f"by {found.n:,} items drawn at random"
        facts.append(Fact(label="Model's accuracy", value=value, hint=hint))
    return facts


def _people(result: TaskState) -> Table:
    return Table(
        title="People",
        columns=[
            Column(key="name", label="Person"),
            Column(key="labels", label="Labels", kind="number"),
            Column(key="skips", label="Skips", kind="number"),
            Column(key="undos", label="Taken back", kind="number"),
            Column(key="seconds", label="Seconds an item", kind="number"),
            Column(key="last", label="Last", kind="time"),
        ],
        rows=[
            {
                "name": one.name,
                "labels": one.labels,
                "skips": one.skips,
                "undos": one.undos,
                "seconds": one.seconds,
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


def _notice(counts: Counts) -> Notice:
    if not counts.open:
        return Notice(level="good", text="Every item is labelled or skipped.")
    return Notice(
        level="info",
        text=f"{counts.open:,} items wait for a person.",
        fix="Run this cell in JupyterLab to label them.",
    )


def _badge(counts: Counts) -> dict[str, str]:
    if not counts.open:
        return {"text": "done", "level": "good"}
    if counts.open == counts.total:
        return {"text": "not begun", "level": "info"}
    return {"text": "under way", "level": "info"}


def _subtitle(task: Task) -> str:
    return f"{task.counts.total:,} {task.kind}s · {len(task.classes)} classes"

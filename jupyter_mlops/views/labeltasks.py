"""How the labeling tasks of a workspace look: how far each is, how well and how fast it goes."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.coefficients import Estimate
from jupyter_mlops.labeling.kinds import ANSWERS, KINDS
from jupyter_mlops.labeling.pace import Pace
from jupyter_mlops.labeling.standing import Standing, Tasks
from jupyter_mlops.labeling.tasks import Task
from jupyter_mlops.views.blocks import Action, Column, Field, Form, Level, Table, View
from jupyter_mlops.views.registry import look

__all__ = [
    "HOURLY",
    "asked",
    "counted",
    "hours_text",
    "interval_of",
    "rate_of",
    "task_view",
    "tasks_view",
    "undecided",
]

ROWS = 200
# In a narrow column on two lines, not on three.
HOURLY = "Labels an\N{NO-BREAK SPACE}hour"


@look(Tasks)
def tasks_view(result: Tasks) -> View:
    """All tasks, those that want somebody's attention first, and a form for another one."""
    shown = result.standings[:ROWS]
    doing = any(_actions(one) for one in shown)
    table = Table(
        columns=[
            Column(key="task", label="Task", kind="ref"),
            Column(key="done", label="Labelled", kind="bar"),
            Column(key="state", label="State", kind="badge"),
            Column(key="people", label="People", kind="number"),
            Column(key="agreement", label="Agreement", kind="number", digits=2),
            Column(key="rate", label=HOURLY, kind="number"),
            Column(key="seconds", label="Seconds a label", kind="number", digits=1),
            *([Column(key="do", label="", kind="actions")] if doing else []),
        ],
        rows=[_row(one) for one in shown],
        total=len(result.standings),
        empty="No labeling tasks yet: `%mlops label TASK DATA --kind text --classes a,b` makes one",
    )
    waiting = sum(one.task.counts.open for one in result.standings)
    disputed = sum(one.disputed for one in result.standings)
    parts = [
        counted(len(result.standings), "task"),
        f"{counted(waiting, 'item')} to label",
        *([f"{counted(disputed, 'item')} to decide"] if disputed else []),
    ]
    return View(
        kind="label-queue",
        title="Labels",
        subtitle=" · ".join(parts) if result.standings else "",
        line="%mlops label status",
        blocks=[table, _begin()],
    )


def asked(task: Task) -> str:
    """What a task shows and what it wants to know: ``image: boxes``."""
    return f"{task.kind}: {task.answer}"


def counted(number: int, thing: str, things: str = "") -> str:
    """A number of things, as it is said.

    Examples
    --------
    >>> counted(1, "item"), counted(2400, "item"), counted(2, "person", "people")
    ('1 item', '2,400 items', '2 people')
    """
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"


def undecided(number: int) -> str:
    """How many items wait for a reviewer, as a sentence."""
    return f"{counted(number, 'item')} {'waits' if number == 1 else 'wait'} for a reviewer."


def rate_of(pace: Pace) -> int | None:
    """Labels an hour, as exact as a thousand decisions tell: two digits."""
    return None if pace.per_hour is None else int(float(f"{pace.per_hour:.2g}"))


def hours_text(hours: float) -> str:
    """About how long something takes.

    Examples
    --------
    >>> hours_text(0.004), hours_text(0.4), hours_text(3.21), hours_text(41.7)
    ('less than a minute', '24 min', '3.2 h', '42 h')
    """
    if hours * 60 < 1:
        return "less than a minute"
    if hours < 1:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 10 else f"{hours:,.0f} h"


def _row(one: Standing) -> dict[str, Any]:
    task, counts = one.task, one.task.counts
    done = counts.total - counts.open
    return {
        "task": task.ref,
        "done": {"share": done / counts.total, "text": f"{done:,} of {counts.total:,}"},
        "state": _badge(one),
        "people": one.people,
        "agreement": one.agreement,
        "rate": rate_of(one.pace),
        "seconds": one.pace.seconds,
        "do": [action.model_dump(exclude_defaults=True) for action in _actions(one)] or None,
    }


def _badge(one: Standing) -> dict[str, str]:
    counts = one.task.counts
    pressing = [
        *([f"{one.disputed:,} to decide"] if one.disputed else []),
        *([f"{counted(one.overdue, 'day')} late"] if one.overdue else []),
    ]
    level: Level = "info"
    if pressing:
        level = "bad" if one.overdue else "warn"
    elif not counts.open:
        level = "good"
    begun = "not begun" if counts.open == counts.total else "under way"
    waits = f"due {one.due}" if one.due else begun
    text = ", ".join(pressing) or (waits if counts.open else "done")
    return {"text": text, "level": level}


def _actions(one: Standing) -> list[Action]:
    args = {"task": one.task.name}
    return [
        *([Action(label="Label", verb="label", args=args)] if one.task.counts.open else []),
        *([Action(label="Decide", verb="label disputes", args=args)] if one.disputed else []),
    ]


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
                unset="a class, or one of a pair",
            ),
            Field(
                name="classes",
                label="Classes",
                kind="list",
                hint="such as cat,dog,bird",
            ),
            Field(name="column", label="Column", hint="when more than one could be meant"),
            Field(name="key", label="Key column", hint="names a row, to join labels by"),
            Field(name="scale", label="Scale of a rating", hint="1-5 when left out"),
            Field(name="overlap", label="People an item", kind="number", hint="1 when left out"),
            Field(name="due", label="Due", hint="a day, such as 2026-12-31"),
            Field(
                name="guideline",
                label="Guideline",
                kind="lines",
                hint="what the classes mean, in Markdown; shown beside each item",
            ),
        ],
    )


def task_view(task: Task, what: str, subtitle: str, blocks: list[Any], *, verb: str = "") -> View:
    """What about a task is shown by itself."""
    return View(
        kind="label-task",
        title=f"label {task.name}: {what}",
        subtitle=subtitle,
        ref=task.ref,
        line=f"%mlops label {verb or what} {task.name}",
        blocks=blocks,
    )


def interval_of(found: Estimate) -> str | None:
    """A share with its interval and how many cases it rests on."""
    if found.value is None:
        return None
    if found.low is None or found.high is None:
        return f"{found.value:.0%} of {found.n:,}"
    return f"{found.value:.0%} ({found.low:.0%} to {found.high:.0%}) of {found.n:,}"

"""How those who label look: how well they agree, who decides, and what comes next and why."""

from __future__ import annotations

import json
from typing import Any

from jupyter_mlops.labeling.adjudication import Dispute, Disputes
from jupyter_mlops.labeling.coefficients import Estimate
from jupyter_mlops.labeling.functions import Votes
from jupyter_mlops.labeling.membership import Roles
from jupyter_mlops.labeling.quality import People, Quality
from jupyter_mlops.labeling.ranking import Ranking
from jupyter_mlops.labeling.reliability import Agreement, Measure
from jupyter_mlops.labeling.suspicion import Suspects
from jupyter_mlops.labeling.tasks import Task
from jupyter_mlops.views.blocks import Action, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.labeltasks import (
    HOURLY,
    counted,
    interval_of,
    rate_of,
    task_view,
    undecided,
)
from jupyter_mlops.views.registry import look

__all__ = [
    "agreement_view",
    "disputes_view",
    "people_view",
    "ranking_view",
    "roles_view",
    "suspects_view",
    "votes_view",
]

ROWS = 200
WIDE = 80


@look(Agreement)
def agreement_view(result: Agreement) -> View:
    """How well people agree: the measures, each two people, each class."""
    blocks: list[Any] = [_measures("Measures", "Measure", result.measures)]
    if not result.items:
        blocks = [
            Notice(
                level="info",
                text="No item has two opinions yet, so nobody can agree or not.",
                fix=f"Let two people answer each: %mlops label set {result.task.name} --overlap 2",
            )
        ]
    if result.disputed:
        blocks.append(_waiting(result.task, result.disputed))
    if result.classes:
        blocks.append(_measures("Each class against the rest", "Class", result.classes))
    if result.pairs:
        blocks.append(
            Table(
                title="Each two people",
                columns=[
                    Column(key="first", label="Person"),
                    Column(key="second", label="And"),
                    *_estimate_columns("items"),
                ],
                rows=[
                    {"first": one.first, "second": one.second, **_figures(one.estimate)}
                    for one in result.pairs[:ROWS]
                ],
                total=len(result.pairs),
            )
        )
    return task_view(
        result.task,
        "agreement",
        f"{counted(result.items, 'item')} with two opinions or more"
        f" · {counted(result.people, 'person', 'people')}",
        blocks,
    )


@look(People)
def people_view(result: People) -> View:
    """What each person has done, and how well."""
    facts = [
        Fact(label="Who may label", value="anybody" if result.open else "those with a role"),
        Fact(label="Known answers", value=f"{result.gold:,}" if result.gold else "none"),
    ]
    rows = [_person(one) for one in result.people[:ROWS]]
    measured = [
        Column(key="gold", label="Right on known"),
        Column(key="adjudicated", label="Right on decided"),
        Column(key="others", label="Agrees with others"),
        Column(key="skill", label="Skill", kind="number", digits=2),
    ]
    table = Table(
        columns=[
            Column(key="name", label="Person"),
            Column(key="role", label="Role"),
            Column(key="labels", label="Labels", kind="number"),
            Column(key="rate", label=HOURLY, kind="number"),
            Column(key="seconds", label="Seconds a label", kind="number", digits=1),
            # What nothing is known of yet takes no room.
            *[one for one in measured if any(row[one.key] is not None for row in rows)],
        ],
        rows=rows,
        total=len(result.people),
    )
    return task_view(result.task, "people", counted(len(result.people), "person", "people"), [
        Facts(items=facts),
        table,
    ])  # fmt: skip


@look(Roles)
def roles_view(result: Roles) -> View:
    """Everybody's role."""
    text = "Anybody may label." if result.open else "Only people with a role may label."
    table = Table(
        columns=[
            Column(key="person", label="Person"),
            Column(key="role", label="Role"),
            Column(key="actor", label="Given by"),
            Column(key="at", label="When", kind="time"),
        ],
        rows=[
            {"person": one.person, "role": one.role, "actor": one.actor, "at": one.at.isoformat()}
            for one in result.held[:ROWS]
        ],
        total=len(result.held),
    )
    blocks = [Notice(level="info", text=text), table]
    return task_view(result.task, "roles", counted(len(result.held), "role"), blocks, verb="people")


@look(Disputes)
def disputes_view(result: Disputes) -> View:
    """What waits for a reviewer, everybody's answers side by side."""
    people = sorted({person for one in result.items for person, _, _ in one.opinions})[:12]
    table = Table(
        columns=[
            Column(key="item", label="Item", kind="number"),
            Column(key="shown", label="Content"),
            Column(key="agreement", label="Agreement", kind="number", digits=2),
            *[Column(key=f"by-{number}", label=one) for number, one in enumerate(people)],
            *([Column(key="do", label="Decide", kind="actions")] if _few(result) else []),
        ],
        rows=[
            _dispute(one, people) | ({"do": _decisions(result, one)} if _few(result) else {})
            for one in result.items[:ROWS]
        ],
        total=result.total,
        empty="Nothing waits for a reviewer.",
    )
    blocks: list[Any] = [table]
    if result.items:
        blocks.insert(
            0,
            Notice(
                level="warn",
                text=undecided(result.total),
                fix=f"`%mlops label adjudicate {result.task.name} "
                f"{result.items[0].item} ANSWER` decides one.",
            ),
        )
    return task_view(result.task, "disputes", counted(result.total, "item"), blocks)


@look(Ranking)
def ranking_view(result: Ranking) -> View:
    """How the queue was put in order, and how good the model is."""
    found = result.accuracy
    if found.value is None:
        accuracy = "not known yet"
    else:
        accuracy = f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
    facts = [
        Fact(
            label="Accuracy",
            value=accuracy,
            hint=f"of {found.n:,} items drawn at random that the model hasn't learnt from",
        ),
        Fact(label="Strategy", value=result.strategy),
        Fact(label="Model", value=result.model or "logistic regression on the labels so far"),
        Fact(label="Labels", value=f"{result.labeled:,}"),
        Fact(label="Looked at", value=f"{result.scored:,}", hint="open items"),
        Fact(label="Put in order", value=f"{result.ranked:,}"),
        Fact(label="Order", value=f"{result.epoch:,}", hint="how often it was put in order"),
        Fact(label="Seconds", value=f"{result.seconds:.2f}"),
    ]
    return task_view(
        result.task, "pick", f"ordered by {result.strategy}", [Facts(items=facts)], verb="next"
    )


@look(Suspects)
def suspects_view(result: Suspects) -> View:
    """Labels that most likely are wrong."""
    table = Table(
        columns=[
            Column(key="item", label="Item", kind="number"),
            Column(key="shown", label="Content"),
            Column(key="label", label="Label"),
            Column(key="likely", label="More likely"),
            Column(key="score", label="Suspicion", kind="bar"),
        ],
        rows=[
            {
                "item": one.item,
                "shown": one.shown[:WIDE],
                "label": one.label,
                "likely": one.likely,
                "score": one.score,
            }
            for one in result.items[:ROWS]
        ],
        total=result.total,
        empty="No label looks wrong.",
    )
    blocks: list[Any] = [table]
    if result.queued:
        blocks.insert(0, _waiting(result.task, result.queued))
    return task_view(
        result.task,
        "suspects",
        f"{result.total:,} of {result.looked:,} labels look wrong, by "
        f"{result.by.replace('-', ' ')}",
        blocks,
    )


@look(Votes)
def votes_view(result: Votes) -> View:
    """How labeling functions do, each and together."""
    task, total = result.task, max(1, result.task.counts.total)
    facts = [
        Fact(label="Covered", value=f"{result.covered:,} of {task.counts.total:,}"),
        Fact(label="Combined by", value=result.combine),
        Fact(
            label="Accuracy",
            value=interval_of(result.accuracy) or "not known",
            hint="against people's labels",
        ),
        Fact(label="Suggested", value=f"{result.suggested:,}"),
    ]
    table = Table(
        title="Labeling functions",
        columns=[
            Column(key="name", label="Function"),
            Column(key="classes", label="Says"),
            Column(key="coverage", label="Coverage", kind="bar"),
            Column(key="overlaps", label="Overlaps", kind="number"),
            Column(key="conflicts", label="Conflicts", kind="number"),
            Column(key="accuracy", label="Accuracy"),
            Column(key="skill", label="Skill", kind="number"),
            Column(key="failed", label="Failed", kind="number"),
        ],
        rows=[
            {
                "name": one.name,
                "classes": ", ".join(one.classes)[:WIDE],
                "coverage": one.coverage,
                "overlaps": one.overlaps,
                "conflicts": one.conflicts,
                "accuracy": interval_of(one.accuracy),
                "skill": one.skill,
                "failed": one.failed,
            }
            for one in result.rules[:ROWS]
        ],
        total=len(result.rules),
    )
    blocks: list[Any] = [Facts(items=facts), table]
    if result.problem:
        blocks.insert(1, Notice(level="warn", text=f"A function failed: {result.problem}"))
    return task_view(
        task, "functions", f"{result.covered / total:.0%} of the items covered", blocks, verb="next"
    )


def _waiting(task: Task, count: int) -> Notice:
    return Notice(
        level="warn",
        text=undecided(count),
        fix=f"`%mlops label disputes {task.name}` shows them side by side.",
    )


def _measures(title: str, label: str, measures: tuple[Measure, ...]) -> Table:
    return Table(
        title=title,
        columns=[Column(key="name", label=label), *_estimate_columns("items")],
        rows=[{"name": one.name, **_figures(one.estimate)} for one in measures[:ROWS]],
        total=len(measures),
    )


def _estimate_columns(cases: str) -> list[Column]:
    return [
        Column(key="value", label="Value", kind="number", digits=2),
        Column(key="low", label="From", kind="number", digits=2),
        Column(key="high", label="To (95 %)", kind="number", digits=2),
        Column(key="n", label=cases.capitalize(), kind="number"),
    ]


def _figures(found: Estimate) -> dict[str, float | int | None]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def _person(one: Quality) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "labels": one.done.labels if one.done else 0,
        "rate": rate_of(one.done.pace) if one.done else None,
        "seconds": one.done.pace.seconds if one.done else None,
        "gold": interval_of(one.gold),
        "adjudicated": interval_of(one.adjudicated),
        "others": interval_of(one.others),
        "skill": one.skill,
    }


def _dispute(one: Dispute, people: list[str]) -> dict[str, Any]:
    said = {
        person: f"skipped: {reason}" if value is None else _text(value)
        for person, value, reason in one.opinions
    }
    return {
        "item": one.item,
        "shown": one.shown[:WIDE],
        "agreement": one.agreement,
        **{f"by-{number}": said.get(person) for number, person in enumerate(people)},
    }


def _few(result: Disputes) -> bool:
    """Whether an answer is short enough for a button."""
    return result.task.answer in ("class", "pairwise", "rating")


def _decisions(result: Disputes, one: Dispute) -> list[dict[str, Any]]:
    """A button for each answer that somebody gave."""
    answers = sorted((person, str(value)) for person, value, _ in one.opinions if value is not None)
    said = dict.fromkeys(value for _, value in answers)
    args = {"task": result.task.name, "item": one.item}
    return [
        Action(
            label=_text(value), verb="label adjudicate", args={**args, "value": value}
        ).model_dump(exclude_defaults=True)
        for value in said
    ]


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDE else text[: WIDE - 1] + "…"

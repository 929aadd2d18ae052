"""How alerts look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.monitoring.alerts import Alert, Alerts
from jupyter_mlops.monitoring.performance import LABELS
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Level,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.cells import cell_text, number_text
from jupyter_mlops.views.registry import look

__all__ = ["alert_view", "alerts_table", "alerts_view", "count", "short"]

ROWS = 200
_LEVELS: dict[str, Level] = {"open": "bad", "acknowledged": "warn", "resolved": "good"}


@look(Alerts)
def alerts_view(result: Alerts) -> View:
    """Alerts, those that wait first."""
    of = f" of {result.endpoint}" if result.endpoint else ""
    words = ["%mlops alerts", *([result.endpoint] if result.endpoint else [])]
    return View(
        kind="alerts",
        title=f"Alerts{of}",
        subtitle=count(result.total, "alert"),
        line=" ".join([*words, *(["--all"] if result.every else [])]),
        blocks=[alerts_table(result)],
    )


def alerts_table(result: Alerts, title: str = "") -> Table:
    """The alerts with what can be done about each; no endpoint where they are of one."""
    return Table(
        title=title,
        columns=[
            Column(key="ref", label="Alert", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            *([] if result.endpoint else [Column(key="endpoint", label="Endpoint", kind="ref")]),
            Column(key="kind", label="About"),
            Column(key="reason", label="Reason"),
            Column(key="last", label="Last found", kind="time"),
            *([Column(key="do", label="", kind="actions")] if _waits(result) else []),
        ],
        rows=[_alert_row(one) for one in result.items[:ROWS]],
        total=result.total,
        empty="No alerts." if result.every else "No alerts wait; --all lists those resolved.",
    )


def _waits(result: Alerts) -> bool:
    return any(one.state != "resolved" for one in result.items)


@look(Alert)
def alert_view(result: Alert) -> View:
    """What is wrong, with its numbers, and who looks after it."""
    facts = [
        Fact(label="Endpoint", value=result.endpoint, ref=f"endpoint:{result.endpoint}"),
        Fact(label="About", value=f"{result.kind}: {result.subject}"),
        Fact(label="Found", value=count(result.count, "time")),
        Fact(label="First", value=f"{result.first_at:%Y-%m-%d %H:%M:%S} UTC"),
        Fact(label="Last", value=f"{result.last_at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    if result.state != "resolved":
        good = f"{result.good} of {result.needed} good checks in a row"
        facts.append(Fact(label="Until it is resolved", value=good))
    if result.reopened:
        facts.append(Fact(label="Came back", value=count(result.reopened, "time")))
    for label, who, when in (
        ("Acknowledged", result.acknowledged_by, result.acknowledged_at),
        ("Resolved", result.resolved_by, result.resolved_at),
    ):
        if who is not None and when is not None:
            facts.append(Fact(label=label, value=f"by {who}, {when:%Y-%m-%d %H:%M} UTC"))
    if result.note:
        facts.append(Fact(label="Note", value=result.note))
    blocks: list[Block] = [
        Notice(level=_LEVELS[result.state], text=result.reason),
        Facts(items=facts),
        Facts(title="Numbers", items=_numbers(result)),
    ]
    features = result.numbers.get("features")
    if features:
        blocks.append(
            Table(
                title="Features that drifted",
                columns=[
                    Column(key="name", label="Feature"),
                    Column(key="effect", label="Effect", kind="number"),
                    Column(key="reason", label="Found"),
                ],
                rows=features,
                total=len(result.parts),
            )
        )
    if result.state != "resolved":
        blocks.append(Actions(items=_alert_actions(result)))
    return View(
        kind="alert",
        title=f"{result.endpoint}: {result.kind}",
        subtitle=f"{result.subject} · {result.state}",
        ref=result.ref,
        line=f"%mlops alerts alert:{result.id[:8]}",
        blocks=blocks,
    )


def _alert_row(one: Alert) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "state": {"text": one.state, "level": _LEVELS[one.state]},
        "endpoint": f"endpoint:{one.endpoint}",
        "kind": f"{one.kind}: {one.subject}",
        "reason": short(one.reason),
        "last": one.last_at.isoformat(),
        "do": [it.model_dump(exclude_defaults=True) for it in _alert_actions(one)]
        if one.state != "resolved"
        else None,
    }


def _alert_actions(result: Alert) -> list[Action]:
    args = {"alert": result.ref}
    resolve = Action(
        label="Resolve",
        verb="alert resolve",
        args=args,
        confirm="Close this alert? It opens again when the next check finds the same.",
    )
    if result.state == "acknowledged":
        return [resolve]
    return [Action(label="Acknowledge", verb="alert ack", args=args), resolve]


_NAMES = {
    "alpha": "Significance",
    "check": "Check",
    "change": "Change since validation",
    "loss": "Loss",
    "metric": "Measured as",
    "rows": "Rows",
    "truths": "Rows with truth",
    "window": "Window",
}


def _numbers(result: Alert) -> list[Fact]:
    """What it rests on: each with its name, a change with its interval."""
    told = dict(result.numbers)
    low, high = told.pop("change_low", None), told.pop("change_high", None)
    facts = []
    for name, value in told.items():
        if isinstance(value, list | dict) or value is None:
            continue
        label = _NAMES.get(name) or f"{name[:1].upper()}{name[1:]}".replace("_", " ")
        ref = str(value) if name == "check" else ""
        text = cell_text(_REFERENCE, value) if ref else _number(value)
        if name == "metric":
            text = LABELS.get(text, text)
        hint = ""
        if name == "change" and low is not None and high is not None:
            hint = f"{_number(low)} to {_number(high)}"
        facts.append(Fact(label=label, value=text, hint=hint, ref=ref))
    return facts


_REFERENCE = Column(key="ref", label="", kind="ref")


def _number(value: object) -> str:
    return number_text(value) if isinstance(value, int | float) else str(value)


def count(number: int, noun: str) -> str:
    """Say how many there are.

    Examples
    --------
    >>> count(1, "alert"), count(1200, "alert")
    ('1 alert', '1,200 alerts')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(text: str) -> str:
    """A sentence as far as a table has room for it."""
    return text if len(text) <= 160 else text[:159] + "…"

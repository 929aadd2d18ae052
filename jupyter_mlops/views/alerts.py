"""How monitors, alerts and channels look."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.monitoring.alerts import Alert, Alerts
from jupyter_mlops.monitoring.channels import Channel, Channels
from jupyter_mlops.monitoring.monitors import Monitor, Monitors
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
from jupyter_mlops.views.registry import look

__all__ = ["alert_view", "alerts_view", "channels_view", "monitor_view", "monitors_view"]

ROWS = 200
_LEVELS: dict[str, Level] = {"open": "bad", "acknowledged": "warn", "resolved": "good"}


@look(Monitors)
def monitors_view(result: Monitors) -> View:
    """All monitors, and when each checks next."""
    table = Table(
        columns=[
            Column(key="ref", label="Monitor", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="every", label="Every"),
            Column(key="due", label="Next check", kind="time"),
            Column(key="alerts", label="Alerts", kind="number"),
            Column(key="outcome", label="Last check"),
        ],
        rows=[
            {
                "ref": one.ref,
                "state": _state(one),
                "every": one.terms.every,
                "due": one.due_at.isoformat(),
                "alerts": one.alerts,
                "outcome": _short(one.outcome),
            }
            for one in result.items[:ROWS]
        ],
        total=len(result),
        empty="No monitors yet: %mlops monitor ENDPOINT sets one.",
    )
    return View(
        kind="monitors",
        title="Monitors",
        subtitle=_count(len(result), "endpoint"),
        line="%mlops monitors",
        blocks=[table],
    )


@look(Monitor)
def monitor_view(result: Monitor) -> View:
    """What is checked, how strictly, and what the last check came to."""
    terms = result.terms
    blocks: list[Block] = []
    if result.paused:
        fix = f"%mlops monitor resume {result.endpoint}"
        blocks.append(Notice(level="warn", text="It is stopped: nothing is checked.", fix=fix))
    if result.alerts:
        fix = f"%mlops alerts {result.endpoint}"
        blocks.append(Notice(level="bad", text=_count(result.alerts, "alert"), fix=fix))
    if result.outcome:
        blocks.append(Notice(text=result.outcome))
    facts = [
        Fact(label="Endpoint", value=result.endpoint),
        Fact(label="Checks every", value=terms.every),
        Fact(label="Next check", value=f"{result.due_at:%Y-%m-%d %H:%M} UTC"),
        Fact(
            label="Takes",
            value=f"the newest {terms.window}"
            if terms.window
            else "what came since the last check",
        ),
        Fact(label="Against", value=terms.against or "the model's training data"),
        Fact(
            label="False alarms",
            value=str(terms.budget),
            hint="The bound adds up all checks of three months; errors, latency and the contract "
            "share a fifth of it.",
        ),
        Fact(label="Resolved by", value=f"{_count(terms.good_checks, 'good check')} in a row"),
        Fact(label="Requests that may fail", value=f"{terms.errors:.2%}"),
    ]
    if terms.latency:
        facts.append(Fact(label="Latency", value=f"99 % within {terms.latency}"))
    if result.check:
        facts.append(Fact(label="Last check", value=result.check))
    blocks.append(Facts(items=facts))
    blocks.append(Actions(items=_monitor_actions(result)))
    return View(
        kind="monitor",
        title=f"Monitor of {result.endpoint}",
        subtitle=f"set {result.set_at:%Y-%m-%d %H:%M} UTC by {result.actor}",
        ref=result.ref,
        line=f"%mlops monitors {result.endpoint}",
        blocks=blocks,
    )


@look(Alerts)
def alerts_view(result: Alerts) -> View:
    """Alerts, those that wait first."""
    of = f" of {result.endpoint}" if result.endpoint else ""
    table = Table(
        columns=[
            Column(key="ref", label="Alert", kind="ref"),
            Column(key="state", label="State", kind="badge"),
            Column(key="endpoint", label="Endpoint", kind="ref"),
            Column(key="kind", label="About"),
            Column(key="reason", label="Reason"),
            Column(key="count", label="Found", kind="number"),
            Column(key="first", label="First", kind="time"),
            Column(key="last", label="Last", kind="time"),
        ],
        rows=[_alert_row(one) for one in result.items[:ROWS]],
        total=result.total,
        empty="No alerts." if result.every else "No alerts wait; --all lists those resolved.",
    )
    words = ["%mlops alerts", *([result.endpoint] if result.endpoint else [])]
    return View(
        kind="alerts",
        title=f"Alerts{of}",
        subtitle=_count(result.total, "alert"),
        line=" ".join([*words, *(["--all"] if result.every else [])]),
        blocks=[table],
    )


@look(Alert)
def alert_view(result: Alert) -> View:
    """What is wrong, with its numbers, and who looks after it."""
    facts = [
        Fact(label="Endpoint", value=result.endpoint),
        Fact(label="About", value=f"{result.kind}: {result.subject}"),
        Fact(label="Found", value=_count(result.count, "time")),
        Fact(label="First", value=f"{result.first_at:%Y-%m-%d %H:%M:%S} UTC"),
        Fact(label="Last", value=f"{result.last_at:%Y-%m-%d %H:%M:%S} UTC"),
    ]
    if result.state != "resolved":
        good = f"{result.good} of {result.needed} good checks in a row"
        facts.append(Fact(label="Until it is resolved", value=good))
    if result.reopened:
        facts.append(Fact(label="Came back", value=_count(result.reopened, "time")))
    for label, who, when in (
        ("Acknowledged", result.acknowledged_by, result.acknowledged_at),
        ("Resolved", result.resolved_by, result.resolved_at),
    ):
        if who is not None and when is not None:
            facts.append(Fact(label=label, value=f"by {who}, {when:%Y-%m-%d %H:%M} UTC"))
    if result.note:
        facts.append(Fact(label="Note", value=result.note))
    numbers = [
        Fact(label=name.replace("_", " "), value=_number(value))
        for name, value in result.numbers.items()
        if not isinstance(value, list | dict)
    ]
    blocks: list[Block] = [
        Notice(level=_LEVELS[result.state], text=result.reason),
        Facts(items=facts),
        Facts(title="Numbers", items=numbers),
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
        title=f"{result.endpoint}: {result.kind} {result.state}",
        subtitle=result.subject,
        ref=result.ref,
        line=f"%mlops alerts alert:{result.id[:8]}",
        blocks=blocks,
    )


@look(Channels)
def channels_view(result: Channels) -> View:
    """Channels, and what became of their messages."""
    blocks: list[Block] = []
    if result.notice:
        blocks.append(Notice(level="good", text=result.notice))
    for one in result.items:
        if one.dead:
            given_up = f"{_count(one.dead, 'message')} to {one.name} never arrived: {one.error}"
            fix = f"%mlops alert channel test {one.name}"
            blocks.append(Notice(level="bad", text=given_up, fix=fix))
    blocks.append(
        Table(
            columns=[
                Column(key="name", label="Channel"),
                Column(key="state", label="State", kind="badge"),
                Column(key="to", label="To"),
                Column(key="endpoint", label="Alerts of"),
                Column(key="delivered", label="Arrived", kind="number"),
                Column(key="waiting", label="Waiting", kind="number"),
                Column(key="dead", label="Given up", kind="number"),
                Column(key="error", label="Last error"),
            ],
            rows=[_channel_row(one) for one in result.items[:ROWS]],
            total=len(result),
            empty="Nobody is told yet: %mlops alert channel add NAME --to mailto:ada@example.org",
        )
    )
    return View(
        kind="channels",
        title="Channels of alerts",
        subtitle=_count(len(result), "channel"),
        line="%mlops alert channel ls",
        blocks=blocks,
    )


def _alert_row(one: Alert) -> dict[str, Any]:
    return {
        "ref": one.ref,
        "state": {"text": one.state, "level": _LEVELS[one.state]},
        "endpoint": f"endpoint:{one.endpoint}",
        "kind": f"{one.kind}: {one.subject}",
        "reason": _short(one.reason),
        "count": one.count,
        "first": one.first_at.isoformat(),
        "last": one.last_at.isoformat(),
    }


def _channel_row(one: Channel) -> dict[str, Any]:
    level: Level = "warn" if one.error else "good"
    text = "last message failed" if one.error else "on"
    return {
        "name": one.name,
        "state": {"text": text, "level": level},
        "to": one.to,
        "endpoint": one.endpoint or "all endpoints",
        "delivered": one.delivered,
        "waiting": one.waiting,
        "dead": one.dead,
        "error": _short(one.error),
    }


def _state(one: Monitor) -> dict[str, str]:
    if one.paused:
        return {"text": "stopped", "level": "warn"}
    return {"text": "checking" if one.running else "on", "level": "good"}


def _monitor_actions(result: Monitor) -> list[Action]:
    args = {"endpoint": result.endpoint}
    if result.paused:
        return [Action(label="Go on", verb="monitor resume", args=args)]
    text = f"Stop checking {result.endpoint}?"
    return [Action(label="Stop", verb="monitor stop", args=args, danger=True, confirm=text)]


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


def _number(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:159] + "…"

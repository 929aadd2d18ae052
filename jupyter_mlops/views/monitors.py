"""How monitors look."""

from __future__ import annotations

from jupyter_mlops.monitoring.monitors import Monitor, Monitors
from jupyter_mlops.views.alerts import count, short
from jupyter_mlops.views.blocks import (
    Action,
    Actions,
    Block,
    Column,
    Fact,
    Facts,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.cells import cell_text
from jupyter_mlops.views.registry import look

__all__ = ["monitor_view", "monitors_view"]

ROWS = 200


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
                "outcome": short(one.outcome),
            }
            for one in result.items[:ROWS]
        ],
        total=len(result),
        empty="No monitors yet: %mlops monitor ENDPOINT sets one.",
    )
    return View(
        kind="monitors",
        title="Monitors",
        subtitle=count(len(result), "endpoint"),
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
        blocks.append(Notice(level="bad", text=count(result.alerts, "alert"), fix=fix))
    if result.outcome:
        blocks.append(Notice(text=result.outcome))
    facts = [
        Fact(label="Endpoint", value=result.endpoint, ref=f"endpoint:{result.endpoint}"),
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
        Fact(label="Resolved by", value=f"{count(terms.good_checks, 'good check')} in a row"),
        Fact(label="Requests that may fail", value=f"{100 * terms.errors:.3g} %"),
    ]
    facts += [
        Fact(label="Rows that may be outliers", value=f"{100 * terms.outliers:.3g} %"),
        Fact(label="Restarts", value=f"alert at {terms.restarts:,} within 15 min"),
        Fact(label="GPU memory", value=f"{100 * terms.gpu_memory:.3g} % at the most"),
    ]
    if terms.gpu_busy is not None:
        facts.append(
            Fact(label="GPU work", value=f"{100 * terms.gpu_busy:.3g} % of the time at the most")
        )
    if terms.latency:
        facts.append(Fact(label="Latency", value=f"99 % within {terms.latency}"))
    if result.check:
        facts.append(Fact(label="Last check", value=_short(result.check), ref=result.check))
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


def _short(ref: str) -> str:
    """A check by the first digits of its id, as tables have it."""
    return cell_text(Column(key="", label="", kind="ref"), ref)


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

"""The part of an endpoint's view that says how it is watched."""

from __future__ import annotations

from jupyter_mlops.monitoring.watch import Watch
from jupyter_mlops.views.alerts import alerts_table, count
from jupyter_mlops.views.blocks import Block, Fact, Facts

__all__ = ["watch_blocks"]


def watch_blocks(watch: Watch) -> list[Block]:
    """The monitor, the last check, and the alerts that wait."""
    facts = [_monitor(watch), _check(watch)]
    if not watch.alerts.total:
        facts.append(Fact(label="Alerts", value="none"))
    blocks: list[Block] = [Facts(title="How it is watched", items=facts)]
    if watch.alerts.total:
        many = count(watch.alerts.total, "alert")
        unseen = sum(one.state == "open" for one in watch.alerts.items)
        title = f"{many}, {unseen or 'none'} of them open"
        blocks.append(alerts_table(watch.alerts, title=title))
    return blocks


def _monitor(watch: Watch) -> Fact:
    found = watch.monitor
    if found is None:
        return Fact(label="Monitor", value="none", hint="nothing is checked by itself")
    if found.paused:
        return Fact(label="Monitor", value="stopped", ref=found.ref)
    hint = f"next {found.due_at:%Y-%m-%d %H:%M} UTC"
    return Fact(label="Monitor", value=f"every {found.terms.every}", hint=hint, ref=found.ref)


def _check(watch: Watch) -> Fact:
    found = watch.check
    if found is None:
        return Fact(label="Last drift check", value="never")
    hint = f"{found.at:%Y-%m-%d %H:%M} UTC, {found.rows:,} rows"
    return Fact(label="Last drift check", value=found.verdict, hint=hint, ref=found.ref)

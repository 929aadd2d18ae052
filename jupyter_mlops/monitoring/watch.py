"""How an endpoint is watched right now: its monitor, its last check, its alerts."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_mlops.monitoring.alerts import Alerts, list_alerts
from jupyter_mlops.monitoring.checks import Drift, latest
from jupyter_mlops.monitoring.monitors import Monitor, monitor
from jupyter_mlops.workspace import NotFound, Workspace

__all__ = ["Watch", "watch_of"]


@dataclass(frozen=True)
class Watch:
    """What is known of an endpoint's watching.

    Attributes
    ----------
    monitor : Monitor or None
    check : Drift or None
        The newest check of its traffic, whoever made it.
    alerts : Alerts
        Those that aren't resolved.
    """

    monitor: Monitor | None
    check: Drift | None
    alerts: Alerts


def watch_of(ws: Workspace, endpoint: str) -> Watch:
    """Return how an endpoint of that name is watched."""
    try:
        found = monitor(ws, endpoint)
    except NotFound:
        found = None
    return Watch(found, latest(ws, endpoint), list_alerts(ws, endpoint))

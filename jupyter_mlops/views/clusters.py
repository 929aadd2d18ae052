"""How Dask clusters look."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from jupyter_mlops.experiments.clusters import Clusters, Held
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

__all__ = ["cluster_view", "clusters_view", "dashboard_fact"]

_LEVELS: dict[str, Level] = {
    "running": "good",
    "starting": "info",
    "stopped": "info",
    "failed": "bad",
}


#: Kinds whose dashboard listens on this machine.
_HERE = {"local", "cuda", "gpu", "jobqueue"}
_UNDRAWN = Notice(
    text="There is no Dask dashboard: the workers' packages lack bokeh, which draws it.",
    fix="`pip install bokeh`, and start the cluster again",
)
#: Clusters that a list has buttons for.
_STOPS = 4


@look(Clusters)
def clusters_view(result: Clusters) -> View:
    """All of them, those that run first."""
    rows = [_row(one) for one in result]
    columns = [
        Column(key="name", label="Name"),
        Column(key="status", label="State", kind="badge"),
        Column(key="workers", label="Workers", kind="number"),
        Column(key="dashboard", label="Dashboard", kind="link"),
        Column(key="kind", label="Kind"),
        Column(key="environment", label="Environment"),
        Column(key="actor", label="Owner"),
        Column(key="used", label="Last used", kind="time"),
    ]
    # What says the same in each row takes room from what doesn't.
    said = {"dashboard": any(row["dashboard"] for row in rows)}
    said["actor"] = len({row["actor"] for row in rows}) > 1
    table = Table(
        columns=[one for one in columns if said.get(one.key, True)],
        rows=rows,
        empty="No cluster was started here yet. An experiment starts one when it needs it.",
    )
    running = [one for one in result if one.status == "running"]
    blocks: list[Block] = [table]
    if running:
        blocks.append(Actions(items=[_stop(one, one.name) for one in running[:_STOPS]]))
    if any(not one.dashboard and one.kind in _HERE for one in running):
        blocks.insert(0, _UNDRAWN)
    return View(
        kind="clusters",
        title="Clusters",
        subtitle=f"{len(running)} running" if result else "",
        line="%mlops cluster ls",
        blocks=blocks,
    )


def _stop(one: Held, name: str = "") -> Action:
    return Action(
        label=f"Stop {name}".strip(),
        verb="cluster stop",
        args={"name": one.name},
        danger=True,
        confirm=f"Stop {one.name}? What its workers compute is begun again on another.",
        line=f"%mlops cluster stop {one.name}",
    )


def _row(one: Held) -> dict[str, Any]:
    return {
        "name": one.name,
        "status": {"text": one.status, "level": _LEVELS[one.status]},
        "kind": one.kind,
        "workers": one.workers,
        "environment": one.environment or "this kernel's",
        "actor": one.actor,
        "used": one.used_at.isoformat(),
        "dashboard": {"text": one.dashboard, "path": _path(one.kind, one.dashboard)}
        if one.status == "running" and one.dashboard
        else None,
    }


def _path(kind: str, dashboard: str) -> str:
    """Where Jupyter's authenticated proxy shows a dashboard that listens on this machine."""
    port = urlsplit(dashboard).port if kind in _HERE and dashboard else None
    return f"proxy/{port}/status" if port else ""


def dashboard_fact(kind: str, dashboard: str) -> Fact:
    """Dask's own page of a cluster: its address, and the way there through Jupyter.

    Parameters
    ----------
    kind : str
        The cluster's: one that runs elsewhere isn't behind this server's proxy.
    dashboard : str
        Its address, which isn't empty.
    """
    path = _path(kind, dashboard)
    hint = f"through Jupyter: <server>/{path}" if path else ""
    return Fact(label="Dashboard", value=dashboard, hint=hint, path=path)


@look(Held)
def cluster_view(result: Held) -> View:
    """One cluster: where it is, and what can be done with it."""
    blocks: list[Block] = []
    if result.reason:
        level: Level = "bad" if result.status == "failed" else "info"
        blocks.append(Notice(level=level, text=f"It ended: {result.reason.rstrip('.')}."))
    facts = [
        Fact(label="State", value=result.status),
        Fact(label="Workers", value=f"{result.workers}"),
        Fact(label="Environment", value=result.environment or "this kernel's"),
        Fact(label="Owner", value=result.actor),
    ]
    if result.status == "running":
        facts.append(Fact(label="Scheduler", value=result.address))
        blocks.append(Facts(items=facts))
        blocks.append(_dashboard(result))
        blocks.append(Actions(items=[_stop(result)]))
    else:
        blocks.append(Facts(items=facts))
    return View(
        kind="cluster",
        title=result.name,
        subtitle=f"Dask cluster · {result.kind}",
        ref=result.ref,
        line="%mlops cluster ls",
        blocks=blocks,
    )


def _dashboard(result: Held) -> Block:
    if result.dashboard:
        return Facts(items=[dashboard_fact(result.kind, result.dashboard)])
    if result.kind in _HERE:
        return _UNDRAWN
    return Notice(text="It tells of no dashboard.")

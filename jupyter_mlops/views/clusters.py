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

__all__ = ["cluster_view", "clusters_view"]

_LEVELS: dict[str, Level] = {
    "running": "good",
    "starting": "info",
    "stopped": "info",
    "failed": "bad",
}


#: Kinds whose dashboard listens on this machine.
_HERE = {"local", "cuda", "jobqueue"}


@look(Clusters)
def clusters_view(result: Clusters) -> View:
    """All of them, those that run first."""
    table = Table(
        columns=[
            Column(key="name", label="Name"),
            Column(key="status", label="State", kind="badge"),
            Column(key="kind", label="Kind"),
            Column(key="workers", label="Workers", kind="number"),
            Column(key="environment", label="Environment"),
            Column(key="actor", label="Owner"),
            Column(key="started", label="Started", kind="time"),
            Column(key="used", label="Last used", kind="time"),
            Column(key="dashboard", label="Dashboard"),
        ],
        rows=[_row(one) for one in result],
        empty="No cluster was started here yet. An experiment starts one when it needs it.",
    )
    running = sum(one.status == "running" for one in result)
    return View(
        kind="clusters",
        title="Clusters",
        subtitle=f"{running} running" if result else "",
        line="%mlops cluster ls",
        blocks=[table],
    )


def _row(one: Held) -> dict[str, Any]:
    return {
        "name": one.name,
        "status": {"text": one.status, "level": _LEVELS[one.status]},
        "kind": one.kind,
        "workers": one.workers,
        "environment": one.environment or "this kernel's",
        "actor": one.actor,
        "started": one.started_at.isoformat(),
        "used": one.used_at.isoformat(),
        "dashboard": one.dashboard if one.status == "running" else "",
        "port": _port(one),
    }


def _port(one: Held) -> int | None:
    """The port of a dashboard on this machine, which Jupyter's proxy leads to."""
    ours = one.status == "running" and one.dashboard and one.kind in _HERE
    return urlsplit(one.dashboard).port if ours else None


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
        stop = Action(label="Stop", verb="cluster stop", args={"name": result.name})
        blocks.append(Actions(items=[stop]))
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
        port = _port(result)
        hint = f"through Jupyter: <server>/proxy/{port}/status" if port else ""
        return Facts(items=[Fact(label="Dashboard", value=result.dashboard, hint=hint)])
    if result.kind in _HERE:
        return Notice(
            text="Its workers' packages lack bokeh, which draws Dask's dashboard.",
            fix="pip install bokeh, and start it again",
        )
    return Notice(text="It tells of no dashboard.")

"""What the versions of an endpoint take of the machine: the same numbers that Prometheus reads."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.views.blocks import Block, Column, Table
from jupyter_mlops.views.rows import size_text

__all__ = ["gpus", "taken"]

_NONE: Final = "–"


def taken(live: dict[str, Any]) -> Table:
    """How busy the processes of each version are, what they take, and how strange its rows are."""
    versions = live.get("versions", [])
    rows = [
        {
            "version": f"model:{one['model']}@{one['version']}",
            "busy": f"{one.get('busy', 0)} of {len(one['processes'])}",
            "waiting": one.get("waiting_rows", 0),
            "cpu": round(one.get("cpu_seconds", 0.0), 1),
            "memory": size_text(one.get("memory_bytes", 0)),
            "gpu": size_text(one["gpu_bytes"]) if one.get("gpu_bytes") else _NONE,
            "load": one.get("load_seconds"),
            "restarts": one.get("restarts", 0),
            "outliers": one["outliers"] / one["scored"] if one.get("scored") else None,
        }
        for one in versions
    ]
    columns = [
        Column(key="version", label="Version", kind="ref"),
        Column(key="busy", label="Busy processes"),
        Column(key="waiting", label="Rows waiting", kind="number"),
        Column(key="cpu", label="CPU s", kind="number", digits=1),
        Column(key="memory", label="Memory"),
        Column(key="load", label="Loaded in s", kind="number"),
        Column(key="restarts", label="Restarts", kind="number"),
    ]
    if live.get("gpus"):
        columns.insert(5, Column(key="gpu", label="GPU memory"))
    if any(one.get("scored") for one in versions):
        columns.append(Column(key="outliers", label="Outliers", kind="percent"))
    return Table(title="What they take", columns=columns, rows=rows)


def gpus(live: dict[str, Any]) -> list[Block]:
    """The GPUs that any of them works with."""
    rows = [
        {
            "gpu": one["name"],
            "uuid": one["uuid"],
            "held": size_text(sum(one["versions"].values())),
            "used": {
                "share": one["used"] / one["total"] if one["total"] else 0.0,
                "text": f"{size_text(one['used'])} of {size_text(one['total'])}",
            },
            "busy": one["utilisation"],
        }
        for one in live.get("gpus", [])
    ]
    if not rows:
        return []
    return [
        Table(
            title="GPUs",
            columns=[
                Column(key="gpu", label="GPU"),
                Column(key="held", label="Held by the endpoint"),
                Column(key="used", label="In use by all", kind="bar"),
                Column(key="busy", label="Busy", kind="percent"),
                Column(key="uuid", label="UUID"),
            ],
            rows=rows,
        )
    ]

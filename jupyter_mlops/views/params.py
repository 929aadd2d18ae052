"""Parameters, memory and workers as facts and tables: what views of experiments share."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views.blocks import Column, Fact, Table
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.workspace.records import utcnow

__all__ = ["bytes_text", "occupancy_table", "param_text", "params_facts", "workers_table"]

#: Rows of workers.
_WORKERS = 32


def params_facts(params: dict[str, Any], limit: int = 12) -> list[Fact]:
    """Parameters as facts, the first of them where there are many."""
    facts = [Fact(label=name, value=param_text(value)) for name, value in params.items()]
    if len(facts) > limit:
        facts = [*facts[:limit], Fact(label="…", value=f"{len(facts) - limit} more")]
    return facts


def param_text(value: Any) -> str:
    """A parameter's value as a person reads it."""
    if value is None:
        return "None"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_text(value)
    return str(value)


def workers_table(workers: tuple[dict[str, Any], ...]) -> Table:
    """Who works on which trial, and how busy they are."""
    columns = [
        Column(key="name", label="Worker"),
        Column(key="trial", label="Trial"),
    ]
    known = (
        Column(key="cpu", label="CPU", kind="percent"),
        Column(key="memory", label="Memory"),
        Column(key="gpu", label="GPU"),
    )
    columns += [
        column for column in known if any(one.get(column.key) is not None for one in workers)
    ]
    rows = [
        {
            "name": str(one.get("name", "")),
            "trial": None if one.get("trial") is None else str(one["trial"]),
            "cpu": one.get("cpu"),
            "memory": bytes_text(one.get("memory")),
            "gpu": _gpu_text(one.get("gpu")),
        }
        for one in workers[:_WORKERS]
    ]
    return Table(title="Workers", columns=columns, rows=rows, total=len(workers))


def occupancy_table(experiment: Experiment) -> Table | None:
    """How many trials each worker did, and how busy it was with them; None before there are any.

    A worker is busy for the seconds of its trials, out of those since the first of them began.
    """
    now = utcnow()
    done: dict[str, list[Trial]] = {}
    for one in experiment.trials:
        if one.worker:
            done.setdefault(one.worker, []).append(one)
    if not done:
        return None
    rows = []
    for name, trials in done.items():
        ended = [one for one in trials if one.seconds is not None]
        began = min(one.started_at for one in trials)
        elapsed = max(1e-3, (now - began).total_seconds())
        seconds = sum(one.seconds or 0.0 for one in ended)
        running = [str(one.number) for one in trials if one.status == "running"]
        rows.append(
            {
                "name": name,
                "trial": ", ".join(running) or None,
                "done": len(ended),
                "mean": float(f"{seconds / len(ended):.3g}") if ended else None,
                "busy": min(1.0, seconds / elapsed),
            }
        )
    rows.sort(key=lambda row: str(row["name"]))
    columns = [
        Column(key="name", label="Worker"),
        Column(key="done", label="Trials done", kind="number"),
        Column(key="mean", label="Seconds a trial", kind="number"),
        Column(key="busy", label="Busy", kind="bar"),
    ]
    if any(row["trial"] for row in rows):
        columns.insert(1, Column(key="trial", label="Trial"))
    return Table(title="Workers", columns=columns, rows=rows[:_WORKERS], total=len(rows))


def bytes_text(count: float | None) -> str | None:
    """An amount of memory in the unit a person would say.

    Examples
    --------
    >>> bytes_text(3_221_225_472), bytes_text(5e6), bytes_text(None)
    ('3 GiB', '4.8 MiB', None)
    """
    if count is None:
        return None
    for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= size:
            many = count / size
            return f"{many:.0f} {unit}" if many >= 10 else f"{many:.2g} {unit}"
    return f"{count:.0f} B"


def _gpu_text(value: Any) -> str | None:
    """A share of a device, or whatever the cluster calls it."""
    if value is None:
        return None
    return f"{100 * value:.0f} %" if isinstance(value, float) else str(value)

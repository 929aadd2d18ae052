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
    """Who works on which trial, and how hard."""
    columns = [Column(key="name", label="Worker"), Column(key="trial", label="Trial")]
    rows = [
        {
            "name": str(one.get("name", "")),
            "trial": None if one.get("trial") is None else str(one["trial"]),
            **_load(one),
        }
        for one in workers[:_WORKERS]
    ]
    return Table(
        title="Workers", columns=[*columns, *_loads(workers)], rows=rows, total=len(workers)
    )


def _loads(workers: tuple[dict[str, Any], ...]) -> list[Column]:
    """Columns for what at least one of the workers tells."""
    known = (
        Column(key="cpu", label="CPU", kind="percent"),
        Column(key="memory", label="Memory", kind="bar"),
        Column(key="gpu", label="GPU", kind="percent"),
        Column(key="gpu_memory", label="GPU memory", kind="bar"),
    )
    return [one for one in known if any(told.get(one.key) is not None for told in workers)]


def _load(told: dict[str, Any]) -> dict[str, Any]:
    """How hard a worker works, as cells of a table."""
    return {
        "cpu": told.get("cpu"),
        "memory": _share(told.get("memory"), told.get("limit")),
        "gpu": told.get("gpu"),
        "gpu_memory": _share(told.get("gpu_memory"), told.get("gpu_limit")),
    }


def _share(used: float | None, limit: float | None) -> dict[str, Any] | None:
    """An amount of memory, out of what there may be where that is known."""
    if used is None:
        return None
    if not limit:
        return {"share": 0.0, "text": bytes_text(used)}
    text = f"{bytes_text(used)} of {bytes_text(limit)}"
    return {"share": min(1.0, used / limit), "text": text}


def occupancy_table(experiment: Experiment) -> Table | None:
    """How many trials each worker did, and how busy it is; None before there are any.

    A worker was busy for the seconds of its trials, out of those since the first of them began.
    """
    now = utcnow()
    done: dict[str, list[Trial]] = {str(one["name"]): [] for one in experiment.workers}
    for one in experiment.trials:
        if one.worker:
            done.setdefault(one.worker, []).append(one)
    if not done:
        return None
    loads = {str(one["name"]): one for one in experiment.workers}
    if loads:
        # Those that are gone are no news while others work.
        done = {name: trials for name, trials in done.items() if name in loads}
    rows = []
    for name, trials in done.items():
        ended = [one for one in trials if one.seconds is not None]
        began = min((one.started_at for one in trials), default=now)
        elapsed = max(1e-3, (now - began).total_seconds())
        seconds = sum(one.seconds or 0.0 for one in ended)
        told = loads.get(name, {})
        running = {one.number for one in trials if one.status == "running"}
        running |= {told["trial"]} if told.get("trial") is not None and not running else set()
        rows.append(
            {
                "name": name,
                "trial": ", ".join(map(str, sorted(running))) or None,
                **_load(told),
                "done": len(ended),
                "mean": float(f"{seconds / len(ended):.3g}") if ended else None,
                "busy": min(1.0, seconds / elapsed),
            }
        )
    rows.sort(key=lambda row: str(row["name"]))
    columns = [
        Column(key="name", label="Worker"),
        *_loads(experiment.workers),
        Column(key="done", label="Trials done", kind="number"),
        Column(key="mean", label="Seconds a trial", kind="number"),
        Column(key="busy", label="Busy", kind="bar"),
    ]
    if loads:
        # How hard they work now tells more than how long a trial takes; both don't fit.
        columns = [column for column in columns if column.key != "mean"]
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

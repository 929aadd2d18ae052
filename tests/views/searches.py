"""Experiments of any size, written into a store as a driver leaves them."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from jupyter_mlops.experiments.records import (
    CellRecord,
    EnvironmentRecord,
    ExperimentRecord,
    TrialRecord,
)
from jupyter_mlops.experiments.trials import process_name
from jupyter_mlops.workspace import Workspace
from jupyter_mlops.workspace.records import utcnow

SOURCE = """\
lr = suggest.float("lr", 1e-4, 1e-1, log=True)
depth = suggest.int("depth", 2, 12)
kind = suggest.categorical("kind", ["gbtree", "dart"])
model = fit(lr, depth, kind)
"""
FAILURES = [
    "MemoryError: the worker ran out of memory",
    "ValueError: depth 12 is too deep for 40 rows",
]


def add_experiment(
    ws: Workspace,
    name: str = "boosting",
    trials: int = 12,
    *,
    status: str = "finished",
    planned: int | None = None,
    seed: int = 0,
    steps: int = 8,
    **changes: Any,
) -> str:
    """Write an experiment with trials of every fate; returns its id.

    The value is best at lr 0.01 and depth 6. Every ninth trial is pruned, every 17th failed; of
    a running experiment the last two trials run.
    """
    draw = random.Random(seed)
    now = utcnow()
    began = now - timedelta(seconds=max(60, trials))
    identity = f"{draw.getrandbits(128):032x}"
    digest = f"{draw.getrandbits(256):064x}"
    rows = [_trial(draw, identity, digest, name, n, began, steps) for n in range(trials)]
    if status == "running":
        for row in rows[-2:]:
            row.update(status="running", ended_at=None, seconds=None, metrics={}, error="")
    done = [row for row in rows if row["status"] == "finished"]
    best = max(done, key=lambda row: row["metrics"]["auc"], default=None)
    outcome: dict[str, Any] = {}
    if status == "finished" and best is not None:
        value = best["metrics"]["auc"]
        outcome = {
            "why": f"all {trials:,} trials are done",
            "best": [best["number"]],
            "value": value,
            "corrected": value - 0.012,
            "low": value - 0.03,
            "high": value + 0.006,
            "optimism": 0.012,
            "importance": {"lr": 0.71, "depth": 0.24, "kind": 0.05},
        }
    fields: dict[str, Any] = {
        "id": identity,
        "name": name,
        "status": status,
        "actor": "ada",
        "process": process_name(),
        "started_at": began,
        "ended_at": None if status == "running" else now,
        "cell": digest,
        "plan": {
            "goals": [
                {"metric": "auc", "maximize": True},
                {"metric": "seconds_a_row", "maximize": False},
            ][:1],
            "trials": planned or trials,
            "sampler": "tpe",
            "pruner": "median",
            "timeout": None,
            "workers": 2,
        },
        "shipment": digest,
        "outcome": outcome,
    }
    with ws.write() as tx:
        add = tx.session.add
        if tx.session.get(EnvironmentRecord, "e" * 64) is None:
            add(EnvironmentRecord(digest="e" * 64, python="3.11", platform="Linux",
                                  packages=["numpy==2.3"], created_at=now))  # fmt: skip
            tx.session.flush()
        add(CellRecord(id=digest, source=SOURCE, variables={}, modules={},
                       data_ref="data:flights@3", environment="e" * 64, seed=7, git={},
                       validity="strong", created_at=now))  # fmt: skip
        tx.session.flush()
        add(ExperimentRecord(**{**fields, **changes}))
        tx.session.flush()
        if rows:
            tx.session.execute(TrialRecord.__table__.insert(), rows)  # type: ignore[arg-type]
        tx.emit("experiment.started", f"experiment:{identity}")
    return identity


def _trial(
    draw: random.Random, experiment: str, cell: str, name: str, number: int, began: Any, steps: int
) -> dict[str, Any]:
    lr, depth = 10 ** draw.uniform(-4, -1), draw.randint(2, 12)
    auc = 0.93 - 0.05 * (math.log10(lr) + 2) ** 2 - 0.004 * (depth - 6) ** 2 + draw.gauss(0, 0.004)
    status = "failed" if number % 17 == 16 else "pruned" if number % 9 == 8 else "finished"
    curve = [[step, auc - 0.3 * math.exp(-step / 2)] for step in range(1, steps + 1)]
    started = began + timedelta(seconds=number / 2)
    seconds = draw.uniform(0.5, 2.0)
    return {
        "id": f"{draw.getrandbits(128):032x}",
        "name": name,
        "status": status,
        "actor": "ada",
        "process": process_name(),
        "started_at": started,
        "ended_at": started + timedelta(seconds=seconds),
        "seconds": seconds,
        "cell": cell,
        "experiment": experiment,
        "number": number,
        "seed": number,
        "distributions": {},
        "curve": curve[: steps // 2] if status == "pruned" else curve,
        "worker": f"tcp://127.0.0.1:{40000 + number % 2}",
        "attempts": 2 if number % 50 == 3 else 1,
        "usage": {"cpu_seconds": seconds * 0.9, "peak_bytes": 3.2e8},
        "error": FAILURES[number // 17 % 2] if status == "failed" else "",
        "notes": [],
        "params": {"lr": lr, "depth": depth, "kind": draw.choice(["gbtree", "dart"])},
        "metrics": {"auc": auc} if status == "finished" else {},
        "model": {"class": "xgboost.XGBClassifier", "sha256": "0" * 64, "signature": {"x": "f8"}},
        "validation": {},
        "send_attempts": 0,
        "send_error": "",
    }


def end_trial(ws: Workspace, experiment: str, number: int, value: float) -> None:
    """Have a trial finish as a driver records it; it is begun first when it isn't there."""
    with ws.write() as tx:
        row = tx.session.scalar(
            select(TrialRecord).where(
                TrialRecord.experiment == experiment, TrialRecord.number == number
            )
        )
        if row is None:
            told = tx.session.get_one(ExperimentRecord, experiment)
            fields = _trial(random.Random(number), experiment, told.cell, told.name, number,
                            utcnow(), 8)  # fmt: skip
            fields["id"] = f"{number:08x}{experiment[8:]}"
            row = TrialRecord(**fields)
            tx.session.add(row)
        row.status, row.metrics, row.error = "finished", {"auc": value}, ""
        row.seconds, row.ended_at = 1.5, utcnow()
        payload = {"experiment": experiment, "number": number, "status": "finished"}
        tx.emit("run.finished", f"run:{row.id}", payload=payload)

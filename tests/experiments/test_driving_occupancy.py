"""How busy workers are is seen while an experiment runs, from its cell and from elsewhere."""

from __future__ import annotations

import pytest

from jupyter_mlops import models
from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.driver import driving, occupancy
from jupyter_mlops.experiments.studies import find_experiment

BUSY = """
import time
until = time.time() + 1.2
while time.time() < until:
    sum(range(10_000))
loss = suggest.float("x", 0, 1)
"""


@pytest.fixture
def scheduler():
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50,
        memory_limit="1GiB",
    ) as cluster:  # fmt: skip
        yield cluster.scheduler_address


def test_workers_tell_how_busy_they_are_and_where_trials_run(ws, scheduler, monkeypatch):
    monkeypatch.setattr(driving, "send_later", lambda ws: None)
    monkeypatch.setattr(occupancy, "_APART", 0.0)
    told, stored = [], []

    def watch(step):
        told.append(step)
        found = find_experiment(ws, step.experiment.id)
        if found.workers:
            stored.append(found)

    asked = driver.Asked(metric=["loss"], trials=8, seed=1, sampler="random", cluster=scheduler)
    begun = driver.launch(ws, "busy", BUSY, asked, {"__name__": "__main__"})
    ended = driver.drive(ws, begun, models.freeze, driver.Watch(step=watch))
    assert ended.status == "finished"
    addresses = {one.worker for one in ended.trials}
    last = next(one for one in reversed(told) if one.running == 2 and one.workers[0].get("cpu"))
    assert {one["name"] for one in last.workers} == addresses
    busiest: dict[str, float] = {}
    for step in told:
        for one in step.workers:
            busiest[one["name"]] = max(busiest.get(one["name"], 0.0), one.get("cpu") or 0.0)
    # Others may keep the machine busy at any one look.
    assert all(busiest[name] > 0.05 for name in addresses)
    assert all(1e7 < one["memory"] < one["limit"] == 1 << 30 for one in last.workers)
    assert last.cluster["name"] == scheduler
    # Others saw the same while it ran, and which worker a trial had begun on.
    assert {one["name"] for one in stored[-1].workers} == addresses
    assert stored[-1].cluster["name"] == scheduler
    assert stored[-1].outcome == {}
    running = [one for found in stored for one in found.trials if one.status == "running"]
    assert {one.worker for one in running} - {""} == addresses
    # Once it has ended nobody works on it.
    assert ended.workers == ()
    assert "workers" not in ended.outcome
    kinds = {event.kind for event in ws.events(limit=100)}
    assert kinds == {"experiment.started", "run.started", "run.finished", "experiment.ended"}


def test_what_a_worker_with_a_gpu_tells_is_taken_over(ws):
    from jupyter_mlops.experiments.clusters import Cluster

    cluster = Cluster("cuda-1", "cuda", "tcp://x", "http://127.0.0.1:8787/status", "", 1, True,
                      lambda: True)  # fmt: skip
    found = occupancy.Occupancy(ws, "0" * 32, cluster)
    found.heard(
        {
            "tcp://a": {
                "memory_limit": 4e9,
                "metrics": {"cpu": 230.0, "memory": 1e9, "gpu_utilization": 87,
                            "gpu_memory_used": 3e9, "gpu-memory-total": 8e9},
            },
            "tcp://b": {},
        }
    )  # fmt: skip
    first, second = found.workers({"tcp://a": 7})
    assert first == {
        "name": "tcp://a", "trial": 7, "cpu": 2.3, "memory": 1_000_000_000,
        "limit": 4_000_000_000, "gpu": 0.87, "gpu_memory": 3_000_000_000,
        "gpu_limit": 8_000_000_000,
    }  # fmt: skip
    assert second == {"name": "tcp://b", "trial": None}

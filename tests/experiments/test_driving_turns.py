"""Short trials: a worker runs several in a turn, and the faults of one are no other's."""

from __future__ import annotations

import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from jupyter_mlops import models
from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.clusters.cluster import Cluster
from jupyter_mlops.experiments.driver import driving
from jupyter_mlops.experiments.driver import tasks as tasks_of_dask
from jupyter_mlops.experiments.driver.lines import Caller, Lines, Way

BODY = """
import pathlib
x = suggest.float("x", 0, 1)
with (pathlib.Path(place) / str(trial.number)).open("a") as file:
    file.write("begun\\n")
loss = x
"""
KILL = """
import os, pathlib, signal
if trial.number == 20 and len(pathlib.Path(place, "20").read_text().split()) == 1:
    os.kill(os.getpid(), signal.SIGKILL)
if trial.number == 25:
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(scope="module")
def scheduler():
    import dask
    from distributed import LocalCluster

    settings = {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.deploy.lost-worker-timeout": "1000h",
    }
    with (
        dask.config.set(settings),
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50
        ) as cluster,
    ):
        yield cluster.scheduler_address


@pytest.fixture
def experiment(ws, scheduler, monkeypatch, tmp_path):
    """Runs trials that write down that they began; counts how often each did, and the tasks."""
    from distributed import Client

    monkeypatch.setattr(driving, "send_later", lambda ws: None)
    tasks = Counter()
    submit = Client.submit

    def counted(self, *args, **options):
        tasks["submitted"] += 1
        return submit(self, *args, **options)

    monkeypatch.setattr(Client, "submit", counted)

    def run(body, name="short", **asked):
        place = tmp_path / name
        place.mkdir()
        tasks.clear()
        asked = {"metric": ["loss"], "trials": 60, "seed": 1, "sampler": "random",
                 "cluster": scheduler, **asked}  # fmt: skip
        names = {"__name__": "__main__", "place": str(place)}
        begun = driver.launch(ws, name, body, driver.Asked(**asked), names)
        found = driver.drive(ws, begun, models.freeze)
        times = {int(one.name): one.read_text().count("begun") for one in place.iterdir()}
        return found, times, tasks["submitted"]

    return run


def test_short_trials_share_tasks_and_give_what_they_give_alone(experiment, monkeypatch):
    found, times, tasks = experiment(BODY)
    assert times == dict.fromkeys(range(60), 1)
    assert found.count("finished") == 60
    assert tasks < 20
    monkeypatch.setattr(Cluster, "near", False)
    alone, times, tasks = experiment(BODY, "alone")
    assert times == dict.fromkeys(range(60), 1)
    assert tasks == 60
    assert [one.metrics for one in found.trials] == [one.metrics for one in alone.trials]


def test_long_trials_have_a_task_each(experiment):
    # One that waited for a long one couldn't be run by another worker meanwhile.
    found, _, tasks = experiment(BODY + "import time\ntime.sleep(0.25)\n", trials=12)
    assert found.count("finished") == 12
    assert tasks == 12


def test_a_worker_killed_in_its_turn_costs_only_the_trial_that_ran(experiment):
    found, times, _ = experiment(BODY + KILL)
    assert {one.number for one in found.trials if one.status != "finished"} == {25}
    assert "worker died 4 times" in found.trials[25].error
    assert times == dict.fromkeys(range(60), 1) | {20: 2, 25: 4}


def test_a_worker_that_finds_nobody_on_its_line_goes_by_dask(experiment, monkeypatch):
    # As behind a tunnel: the scheduler seems to be here, and its workers are elsewhere.
    monkeypatch.setattr(tasks_of_dask, "Way", lambda _, *rest: Way("/nowhere", *rest))
    found, times, tasks = experiment(BODY, trials=20)
    assert (found.count("finished"), tasks) == (20, 20)
    assert times == dict.fromkeys(range(20), 1)


def test_nothing_begins_after_a_stop(ws, experiment, tmp_path):
    result = []
    thread = threading.Thread(
        target=lambda: result.append(experiment(BODY + "import time\ntime.sleep(0.05)\n", "halted",
                                                trials=2000))
    )  # fmt: skip
    thread.start()
    until = time.monotonic() + 60
    while not (tmp_path / "halted" / "20").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    driver.stop(ws, "halted")
    thread.join(30)
    found, times, _ = result[0]
    assert found.status == "stopped"
    ended = {one.number for one in found.trials if one.status == "finished"}
    stopped = {one.number for one in found.trials if one.status == "stopped"}
    assert ended <= times.keys() <= ended | stopped
    # The workers are free at once, and have begun none of the others since.
    experiment(BODY, "next", trials=4)
    assert {int(one.name) for one in (tmp_path / "halted").iterdir()} == times.keys()


def test_a_line_tells_what_began_before_it_can_be_undone(tmp_path: Path):
    heard: list[tuple[str, object]] = []
    closed = threading.Event()

    def hear(kind: str, news: object) -> None:
        heard.append((kind, news))
        if kind == "closed":
            closed.set()

    lines = Lines(hear)
    with Caller(Way(lines.address, "turn", 5.0), "tcp://worker") as caller:
        assert caller.begin({"id": "a"})
        while not lines.send("turn", {"id": "b"}):
            time.sleep(0.001)
        assert caller.next() == {"id": "b"}
        lines.send("turn", {"id": "c"})
        lines.halt()
        # What was handed over before the end isn't begun either.
        assert caller.next() is None
        assert not caller.begin({"id": "c"})
    assert closed.wait(10)
    lines.close()
    told = [news[1] for kind, news in heard if kind == "line"]
    assert [(one["kind"], one["trial"], one["worker"]) for one in told] == [
        ("started", "a", "tcp://worker")
    ]
    assert Caller.reach(Way(lines.address, "turn", 5.0), "tcp://worker") is None

"""What an experiment survives on a cluster of its own: a scheduler's death, a lack of memory."""

from __future__ import annotations

import os
import signal
import threading
import time

import psutil
import pytest

from jupyter_mlops import models
from jupyter_mlops.experiments import clusters, driver
from jupyter_mlops.experiments.clusters.holding import log_of
from jupyter_mlops.experiments.driver import driving
from jupyter_mlops.experiments.studies import find_experiment


@pytest.fixture
def begin(ws, monkeypatch):
    """Begin an experiment on a cluster of this workspace; end all of them afterwards."""
    monkeypatch.setattr(driving, "send_later", lambda ws: None)

    def begin(body, **asked):
        asked = {"metric": ["loss"], "seed": 1, "sampler": "random", **asked}
        return driver.launch(ws, "hard", body, driver.Asked(**asked), {"__name__": "__main__"})

    yield begin
    for one in clusters.clusters(ws):
        if one.status == "running":
            clusters.stop(ws, one.name)


def test_it_goes_on_when_its_scheduler_is_killed(ws, begin):
    begun = begin("import time\nx = suggest.float('x', 0, 1)\ntime.sleep(0.2)\nloss = x\n",
                  trials=12, workers=1)  # fmt: skip
    said, result = [], []
    watch = driver.Watch(announce=said.append)
    thread = threading.Thread(
        target=lambda: result.append(driver.drive(ws, begun, models.freeze, watch)), daemon=True
    )
    thread.start()
    end = time.monotonic() + 60
    while (kept := find_experiment(ws, begun)).count("finished") < 3:
        assert time.monotonic() < end
        time.sleep(0.05)
    (cluster,) = [one for one in clusters.clusters(ws) if one.status == "running"]
    host = psutil.Process(int(cluster.process.rsplit(":", 2)[1]))
    os.kill(host.pid, signal.SIGKILL)
    thread.join(60)
    found = result[0]
    assert [one.number for one in found.trials] == list(range(12))
    assert found.count("finished") == 12
    assert {one.id: one.metrics for one in kept.finished}.items() <= {
        one.id: one.metrics for one in found.trials
    }.items()
    assert any("cluster was lost" in one for one in said)


def test_what_is_printed_past_python_fills_no_disk(ws, begin):
    begun = begin(
        "import subprocess\n"
        "subprocess.run(['dd', 'if=/dev/zero', 'bs=1M', 'count=100', 'status=none'])\n"
        "loss = suggest.float('x', 0, 1)\n",
        trials=2, workers=1,
    )  # fmt: skip
    found = driver.drive(ws, begun, models.freeze)
    assert found.count("finished") == 2
    (cluster,) = clusters.clusters(ws)
    log = log_of(ws, cluster.name)
    end = time.monotonic() + 20
    # For a moment it is empty.
    while log.stat().st_size > 1000 or "bytes were left out" not in log.read_text():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_trial_that_takes_all_memory_fails_alone_and_says_what_it_had(ws, begin):
    ws.settings.clusters = {"tight": {"kind": "local", "workers": 2, "memory_limit": "500MB"}}
    begun = begin(
        "import numpy as np, time\nx = suggest.float('x', 0, 1)\nhoard = []\n"
        "while trial.number == 1:\n    hoard.append(np.ones(4 << 20)); time.sleep(0.01)\n"
        "loss = x\n",
        trials=6, cluster="tight",
    )  # fmt: skip
    found = driver.drive(ws, begun, models.freeze)
    assert {one.number: one.status for one in found.trials} == {
        number: "failed" if number == 1 else "finished" for number in range(6)
    }
    assert "out of memory (it had 0.5 GB; fewer --workers leave each more)" in found.trials[1].error

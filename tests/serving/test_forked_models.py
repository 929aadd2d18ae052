"""A model's process that is forked badly holds nobody up: another one takes its place."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import served

from jupyter_mlops.serving import workers, zygote
from jupyter_mlops.serving.model_process import Task
from jupyter_mlops.serving.modelfile import directory_digest

pytestmark = pytest.mark.skipif(not zygote.available(), reason="nothing is forked here")


@pytest.fixture
def task(model: Path, monkeypatch: pytest.MonkeyPatch) -> Task:
    # A bundle that ran in this process has switched it off.
    monkeypatch.delenv("JUPYTER_MLOPS_FORK", raising=False)
    return Task(str(model), directory_digest(model))


ROW = {"hour": np.array([7]), "distance": np.array([300.0]), "carrier": np.array(["UA"])}


def predicts(worker: workers.Worker) -> bool:
    """Whether it answers one row."""

    async def ask() -> dict[str, Any]:
        asked = {"columns": ROW, "counts": [1], "requests": ["r"]}
        return await worker.ask(asked, 60)

    try:
        return len(asyncio.run(ask())["prediction"]) == 1
    finally:
        worker.kill()


def test_a_models_process_is_a_fork_of_what_has_imported_all(task: Task) -> None:
    worker = workers.start(task)
    process = psutil.Process(worker.pid)
    assert process.name() == "mlops-model"
    assert "jupyter_mlops.serving.zygote" in process.parent().cmdline()
    assert predicts(worker)


def test_a_model_computes_with_one_thread_however_many_processors_there_are(
    tmp_path: Path, task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenMP's threads stay once they are there."""
    # Tests run with one thread each; a zygote of its own starts as it does for users.
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    place = tempfile.TemporaryDirectory()
    monkeypatch.setenv("XDG_RUNTIME_DIR", place.name)
    from sklearn.ensemble import HistGradientBoostingClassifier

    table = served.flights()
    trees = HistGradientBoostingClassifier(max_iter=5)
    known = [f"{type(trees).__module__.rpartition('.')[0]}.predictor.TreePredictor", "numpy.dtype"]
    folder = served.save_model(
        tmp_path / "trees", table, served.late(table), trees, skops_trusted_types=known
    )
    threads = []
    for one in (task, Task(str(folder), directory_digest(folder))):
        worker = workers.start(one)
        asyncio.run(worker.ask({"columns": ROW, "counts": [1], "requests": ["r"]}, 60))
        threads.append(psutil.Process(worker.pid).num_threads())
        parent = psutil.Process(worker.pid).parent()
        worker.kill()
    assert parent is not None
    parent.kill()
    place.cleanup()
    assert threads[0] == threads[1]


def test_a_fork_that_hangs_is_ended_and_a_process_is_started(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging: list[subprocess.Popen[bytes]] = []

    def ask(_role: str, _task: Any, _log: int, _cwd: Path, pair: tuple[int], python: str) -> int:
        assert not python
        command = [sys.executable, "-c", "import time; time.sleep(600)"]
        hanging.append(subprocess.Popen(command, pass_fds=pair))
        return hanging[0].pid

    monkeypatch.setattr(zygote, "ask", ask)
    began = time.monotonic()
    worker = workers.start(task)
    assert time.monotonic() - began < 60
    assert hanging[0].wait(60) == -9
    assert worker.pid != hanging[0].pid
    assert predicts(worker)


def test_two_processes_never_have_the_same_end_of_a_pair(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    forked: list[int] = []
    real = zygote.ask

    def ask(*given: Any, **named: Any) -> int:
        forked.append(real(*given, **named))
        if len(forked) == 1:
            # As when the zygote is killed after it has forked and before it says so.
            raise InterruptedError
        return forked[-1]

    monkeypatch.setattr(zygote, "ask", ask)
    worker = workers.start(task)
    assert worker.pid == forked[1]
    # Nobody has its other end any more: it ends by itself.
    if psutil.pid_exists(forked[0]):
        psutil.Process(forked[0]).wait(60)
    assert predicts(worker)

"""Runs reach MLflow once, whoever sends them and whoever dies meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import pyfunc

from experiments.workbench import LOGISTIC, Bench
from jupyter_mlops import experiments
from jupyter_mlops.experiments import sending
from jupyter_mlops.experiments.records import TrialRecord
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import Unavailable, Workspace
from jupyter_mlops.workspace.records import utcnow
from jupyter_mlops.workspace.tracking import artifact_root, tracking_client


def in_mlflow(ws: Workspace, name: str = "cancer") -> list[Any]:
    client = tracking_client(ws)
    experiment = client.get_experiment_by_name(name)
    return [] if experiment is None else list(client.search_runs([experiment.experiment_id]))


def test_mlflow_gets_the_run_with_its_model(tracked: Bench) -> None:
    run = tracked.scored(LOGISTIC + "\nmetrics = {'rows': 284}\n")
    assert sending.pending(tracked.ws) == [run.id]
    assert sending.send_all(tracked.ws) == 1
    (found,) = in_mlflow(tracked.ws)
    assert found.data.metrics == pytest.approx(run.metrics)
    assert found.data.params["logisticregression__C"] == "1.0"
    assert found.data.tags["jupyter_mlops.cell"] == run.cell
    assert found.info.status == "FINISHED"
    sent = experiments.find_run(tracked.ws, run)
    assert sent.sent
    logged = tracking_client(tracked.ws).get_logged_model(sent.mlflow_model_id)
    assert str(logged.status) == "READY"
    root = artifact_root(tracked.ws, "cancer")
    assert root is not None
    assert logged.artifact_location.startswith(root)
    # MLflow's own client loads it, and answers as the kernel's model does.
    loaded = pyfunc.load_model(logged.artifact_location)
    rows = tracked.names["held_out"].drop(columns="target")
    assert np.array_equal(loaded.predict(rows), tracked.names["model"].predict(rows))
    assert loaded.metadata.get_input_schema().input_names() == run.features
    assert loaded.input_example.shape == (5, 30)
    assert (Path(logged.artifact_location[7:]) / "requirements.txt").read_text().count("==") >= 5


def test_failed_runs_are_told_too(tracked: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        tracked.train("1 / 0")
    sending.send_all(tracked.ws)
    (found,) = in_mlflow(tracked.ws)
    assert found.info.status == "FAILED"
    assert "ZeroDivisionError" in found.data.tags["jupyter_mlops.error"]


def test_sending_again_after_a_crash_makes_no_second_run(
    tracked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tracked.scored()
    monkeypatch.setattr(sending, "_tags", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        sending.send(tracked.ws, run.id)
    monkeypatch.undo()
    assert not experiments.find_run(tracked.ws, run).sent
    sending.send(tracked.ws, run.id)
    (found,) = in_mlflow(tracked.ws)
    assert found.data.metrics == pytest.approx(run.metrics)
    assert len(found.outputs.model_outputs) == 1


def test_runs_are_sent_together_and_one_that_fails_takes_none_with_it(
    tracked: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [tracked.train(LOGISTIC, seed=seed).id for seed in range(4)]
    tags = sending._tags
    with monkeypatch.context() as patch:
        patch.setattr(
            sending,
            "_tags",
            lambda trial, cell: 1 / 0 if trial.id == ids[2] else tags(trial, cell),
        )
        with pytest.raises(ZeroDivisionError):
            sending.send_all(tracked.ws)
    assert sending.pending(tracked.ws) == ids[2:]
    assert experiments.find_run(tracked.ws, ids[2]).send_error == "division by zero"
    assert not experiments.find_run(tracked.ws, ids[3]).send_error
    # Nobody's claim on them is left.
    assert sending.send_all(tracked.ws) == 2
    assert sorted(found.data.tags[sending.TAG] for found in in_mlflow(tracked.ws)) == sorted(ids)
    assert not experiments.find_run(tracked.ws, ids[2]).send_error


def test_two_senders_make_one_run(tracked: Bench) -> None:
    ids = [tracked.scored(LOGISTIC, seed=seed).id for seed in range(3)]
    threads = [threading.Thread(target=sending.send_all, args=(tracked.ws,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found.data.tags[sending.TAG] for found in in_mlflow(tracked.ws)) == sorted(ids)


def test_an_acknowledged_run_survives_a_kill_in_the_midst_of_its_sending(
    tmp_path: Path, mlflow_database: Path
) -> None:
    script = f"""
        import os, signal, sys, time
        from jupyter_mlops import experiments, models
        from jupyter_mlops.workspace import Workspace
        from sklearn.datasets import load_breast_cancer
        from mlflow import MlflowClient
        def die(*_, **__):
            os.kill(os.getpid(), signal.SIGKILL)
        setattr(MlflowClient, sys.argv[2], die)
        names = {{"rows": load_breast_cancer(as_frame=True).frame}}
        run = experiments.train(
            Workspace.open(sys.argv[1]), "cancer", {LOGISTIC!r},
            freeze=models.freeze, namespace=names, target="target",
        )
        print(run.id, flush=True)
        time.sleep(60)
    """
    # One kernel dies before its run's model is in MLflow, one when all but the end is.
    steps = ["log_outputs", "set_terminated"]
    for step in steps:
        shutil.copy(mlflow_database, Workspace.open(tmp_path / step).home)
    children = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(script), tmp_path / step, step],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for step in steps
    ]
    acknowledged = [child.communicate()[0].strip() for child in children]
    assert [child.returncode for child in children] == [-signal.SIGKILL] * len(steps)
    for step, run_id in zip(steps, acknowledged, strict=True):
        ws = Workspace.open(tmp_path / step)
        assert sending.pending(ws) == [run_id]
        sending.send(ws, run_id)
        (found,) = in_mlflow(ws)
        assert found.data.tags[sending.TAG] == run_id
        assert found.info.status == "FINISHED"
        assert len(found.outputs.model_outputs) == 1


def test_a_reader_sends_only_what_a_process_left_behind(tracked: Bench) -> None:
    run = tracked.scored()
    assert sending.pending(tracked.ws, overdue=True) == []
    with tracked.ws.write() as tx:
        trial = tx.session.get_one(TrialRecord, run.id)
        trial.ended_at = utcnow() - timedelta(minutes=5)
    assert sending.pending(tracked.ws, overdue=True) == [run.id]
    find("runs")(tracked.ws)
    sending.wait_until_sent(60)
    assert experiments.find_run(tracked.ws, run).sent


def test_an_mlflow_server_that_doesnt_answer_costs_no_run(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://someone:secret@127.0.0.1:9/")
    bench.ws = Workspace.open(bench.ws.root)
    run = bench.scored()
    assert run.status == "finished"
    with pytest.raises(Unavailable) as raised:
        sending.send(bench.ws, run.id)
    assert "the MLflow server at http://127.0.0.1:9/ doesn't answer" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert sending.pending(bench.ws) == [run.id]

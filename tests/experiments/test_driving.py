"""A cell becomes many trials: found, run on workers, recorded, and gone on with after a fault."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta

import nbformat
import numpy as np
import pandas as pd
import polars as pl
import psutil
import pytest
from distributed import Client
from sklearn.datasets import load_iris

from jupyter_mlops import data, experiments, labeling, models
from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.driver import driving
from jupyter_mlops.experiments.records import TrialRecord
from jupyter_mlops.experiments.studies import find_experiment
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import Conflict, Invalid, MLOpsError
from jupyter_mlops.workspace.tracking import tracking_client

SQUARE = """
x = suggest.float("x", -4, 4)
n = suggest.int("n", 1, 3)
loss = (x - 1) ** 2 + n
"""
LOGISTIC_OF_LABELS = """
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
model = make_pipeline(CountVectorizer(), LogisticRegression())
model.fit(labels["content"], labels["label"])
"""
SLOW = "import time\nx = suggest.float('x', 0, 1)\ntime.sleep(0.4)\nloss = x\n"


def test_a_cell_becomes_trials_and_the_best_is_the_least(ws, experiment):
    found = experiment(SQUARE, trials=12)
    assert found.status == "finished"
    assert [one.number for one in found.trials] == list(range(12))
    assert {one.status for one in found.trials} == {"finished"}
    losses = [one.metrics["loss"] for one in found.trials]
    assert found.best.metrics["loss"] == min(losses)
    for one in found.trials:
        assert one.metrics["loss"] == pytest.approx((one.params["x"] - 1) ** 2 + one.params["n"])
    assert len({one.params["x"] for one in found.trials}) == 12
    assert found.outcome["value"] == min(losses)
    assert ws.audit().intact
    kinds = [event.kind for event in ws.events(limit=100)]
    assert kinds.count("run.finished") == 12
    assert kinds[-1] == "experiment.ended"


def test_the_same_seed_gives_the_same_parameters_whatever_the_order(experiment):
    first = experiment(SQUARE, trials=8, seed=7)
    again = experiment("import time; time.sleep(0.05 * trial.seed % 0.1)\n" + SQUARE,
                       trials=8, seed=7)  # fmt: skip
    assert [one.params for one in first.trials] == [one.params for one in again.trials]
    other = experiment(SQUARE, trials=8, seed=8)
    assert [one.params for one in first.trials] != [one.params for one in other.trials]


def test_trials_see_a_version_of_labels_and_the_experiment_says_which(ws, scheduler, monkeypatch):
    monkeypatch.setattr(driving, "send_later", lambda ws: None)
    remarks = pl.DataFrame({"remark": [f"remark {n}" for n in range(8)]})
    labeling.create(ws, "remarks", data.resolve(ws, remarks), "text", ["a", "b"])
    said = [labeling.Decision(f"e{n}", n, "label", "ab"[n % 2]) for n in range(7)]
    labeling.commit(ws, "remarks", "maria", said[:6])
    labeling.export(ws, "remarks")
    labeling.commit(ws, "remarks", "maria", said[6:])
    body = "share = suggest.float('share', 0.2, 1)\nrows = len(labels)\nloss = rows + 0 * share\n"
    names = {"labels": "mine", "__name__": "__main__"}

    def run(version, **more):
        asked = {"metric": ["loss"], "trials": 2, "seed": 1, "cluster": scheduler, **more}
        return find("experiment")(
            ws, name="fit", body=body, namespace=names, labels=version, **asked
        )

    first, again, newer = run("remarks@1"), run("remarks@1"), run("remarks")
    assert [one.best.metrics["loss"] for one in (first, again, newer)] == [6, 6, 7]
    assert names["labels"] == "mine"
    # Which labels they were is sealed with the cell, and one step of its lineage.
    assert first.cell == again.cell != newer.cell
    started = [one.inputs for one in ws.events(kind="experiment.started")]
    assert ["data:labels.remarks@1" in one for one in started] == [True, True, False]
    assert "data:labels.remarks@2" in started[2]
    assert driver.verify(ws, first.best.ref).same
    body = "loss = len(labels)\n" + LOGISTIC_OF_LABELS
    run("remarks@1", one_model=True)
    assert "data:labels.remarks@1" in ws.events(kind="run.finished")[-1].inputs


def test_a_trial_sees_the_notebooks_values_functions_and_modules(experiment, tmp_path, monkeypatch):
    (tmp_path / "shapes.py").write_text("def area(side): return side * side\n")
    monkeypatch.syspath_prepend(tmp_path)
    names: dict = {"__name__": "__main__"}
    exec(
        "import numpy as np\nscale = 2\n"
        "def shifted(v): return v + scale + suggest.int('shift', 5, 5)\n",
        names,
    )
    names["table"] = pd.DataFrame({"v": [1.0, 2.0]})
    found = experiment(
        "import shapes\nloss = shifted(table['v'].sum()) + shapes.area(3) + np.pi * 0",
        trials=2,
        namespace=names,
    )
    assert [one.metrics["loss"] for one in found.trials] == [19.0, 19.0]
    assert found.trials[0].params == {"shift": 5}


def test_what_one_trial_writes_no_other_sees(experiment):
    table = pd.DataFrame({"v": np.zeros(10_000)})
    found = experiment(
        "loss = float(table['v'].sum())\ntable.loc[0, 'v'] = 1.0\nvalues[0] = 5\n",
        trials=6,
        namespace={"table": table, "values": np.zeros(10_000)},
    )
    assert {one.metrics["loss"] for one in found.trials} == {0.0}


def test_a_trial_is_replayed_from_what_was_recorded(ws, experiment):
    found = experiment(
        "import random, numpy as np\n"
        "x = suggest.float('x', 0, 1)\n"
        "loss = x + random.random() + np.random.rand() + values.mean()\n",
        namespace={"values": np.arange(5.0)},
    )
    told = driver.verify(ws, found.trials[3].ref)
    assert told.same
    assert told.metrics["loss"][0] == told.metrics["loss"][1]
    with ws.write() as tx:
        tx.session.get_one(TrialRecord, found.trials[3].id).metrics = {"loss": 17.0}
    assert not driver.verify(ws, found.trials[3].ref).same
    first, second = ws.events(kind="run.verified", subject=found.trials[3].ref)
    assert (first.payload["same"], second.payload["changed"]) == (True, ["loss"])


def test_the_best_models_are_kept_and_can_be_registered(ws, experiment):
    found = experiment(
        """
        from sklearn.linear_model import LogisticRegression
        C = suggest.float("C", 1e-4, 1e2, log=True)
        model = LogisticRegression(C=C, max_iter=500).fit(
            flowers.drop(columns="target"), flowers["target"])
        loss = 1 - model.score(flowers.drop(columns="target"), flowers["target"])
        """.replace("\n        ", "\n"),
        namespace={"flowers": load_iris(as_frame=True).frame},
        keep=2,
        trials=8,
    )
    kept = [one for one in found.trials if one.has_model]
    assert len(kept) == 2
    ordered = sorted(found.trials, key=lambda one: one.metrics["loss"])
    assert {one.metrics["loss"] for one in kept} == {one.metrics["loss"] for one in ordered[:2]}
    folders = [one for one in found.trials if ws.artifacts.exists(f"runs/{one.id}/model.skops")]
    assert {one.id for one in folders} == {one.id for one in kept}
    run = experiments.find_run(ws, found.best.ref)
    assert run.has_model
    assert run.signature is not None


def test_validation_rows_score_each_trial_and_the_winner_is_corrected(ws, experiment):
    iris = load_iris(as_frame=True).frame
    frame = iris[iris["target"] < 2].sample(frac=1, random_state=0)
    found = experiment(
        "from sklearn.dummy import DummyClassifier\n"
        "C = suggest.float('C', 0, 1)\n"
        "model = DummyClassifier(strategy='stratified', random_state=trial.seed % 2**31).fit(\n"
        "    rows.drop(columns='target'), rows['target'])\n",
        namespace={"rows": frame.iloc[::2], "held": frame.iloc[1::2]},
        metric=["accuracy"],
        maximize=True,
        target="target",
        valid="held",
        trials=12,
        keep=2,
    )
    assert found.status == "finished", found.error
    best = found.best.metrics["accuracy"]
    assert best == max(one.metrics["accuracy"] for one in found.trials)
    # Models that guess: the best of twelve looks better than guessing, and isn't.
    assert best > 0.55
    assert found.outcome["corrected"] < best
    assert found.outcome["low"] < 0.5 < found.outcome["high"]
    a, b = (one for one in found.trials if one.has_model)
    told = experiments.compare(ws, a.ref, b.ref, metric="error_rate")
    assert told.rows == len(frame.iloc[1::2])


def test_reports_prune_trials_that_promise_little(experiment):
    found = experiment(
        "import time\n"
        "x = suggest.choice('x', [0, 1, 2, 3])\n"
        "for step in range(40):\n"
        "    time.sleep(0.02)\n"
        "    report(step, x + 1 / (step + 1))\n"
        "loss = x\n",
        trials=16,
        pruner="median",
    )
    assert found.count("pruned") >= 1
    assert found.count("pruned") + found.count("finished") == 16
    best = min(one.params["x"] for one in found.trials)
    assert found.best.metrics["loss"] == best
    for one in found.trials:
        assert one.curve
        if one.status == "pruned":
            assert len(one.curve) < 40


def test_a_killed_worker_costs_nobody_else_anything(experiment, tmp_path):
    found = experiment(
        "import os, signal, pathlib, time\n"
        "x = suggest.float('x', 0, 1)\n"
        "mark = pathlib.Path(folder) / str(trial.number)\n"
        "if trial.number == 3 and not mark.exists():\n"
        "    mark.touch()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if trial.number in (5, 6):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "loss = x\n",
        trials=10,
        namespace={"folder": str(tmp_path)},
    )
    assert [one.number for one in found.trials] == list(range(10))
    failed = {one.number: one.error for one in found.trials if one.status != "finished"}
    assert failed.keys() == {5, 6}
    assert all("worker died" in error for error in failed.values())
    assert found.status == "finished"


def test_a_workers_trials_run_one_after_another_however_many_threads_it_has(experiment):
    import dask
    from distributed import LocalCluster

    body = (
        "import random, time\nx = suggest.float('x', 0, 1)\nprint(trial.number)\n"
        "first = random.random(); time.sleep(0.05); loss = random.random()\n"
    )
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(n_workers=1, threads_per_worker=3, dashboard_address=":0") as wide,
    ):
        found = experiment(body, trials=6, cluster=wide.scheduler_address)
    narrow = experiment(body, trials=6)
    assert [one.metrics for one in found.trials] == [one.metrics for one in narrow.trials]


def test_failures_are_counted_with_their_reason_and_the_rest_goes_on(experiment):
    found = experiment(
        "x = suggest.float('x', 0, 1)\n"
        "if trial.number % 3 == 1: raise ValueError('no convergence')\n"
        "loss = float('nan') if trial.number % 3 == 2 else x\n",
        trials=9,
    )
    assert found.status == "finished"
    assert found.count("finished") == 3
    errors = {one.error for one in found.trials if one.status == "failed"}
    assert any("no convergence (line 2 of the cell)" in one for one in errors)
    assert any("`loss` is nan: such a trial can't be compared; look for" in one for one in errors)


def test_a_cell_that_always_fails_ends_early_and_says_why(experiment):
    found = experiment("x = suggest.float('x', 0, 1)\nloss = missing_name\n", trials=200)
    assert found.status == "failed"
    assert "missing_name" in found.error
    assert len(found.trials) < 20


def test_a_parameter_asked_for_twice_with_other_bounds_is_named(experiment):
    found = experiment("loss = suggest.float('x', 0, 1) + suggest.float('x', 0, 2)", trials=3)
    assert found.status == "failed"
    assert "'x' is asked for twice in one trial, from 0 to 1 and from 0 to 2" in found.error
    assert "give each its own name" in found.error
    later = experiment("loss = suggest.float('x', 0, 1 + trial.number)", trials=3)
    assert "give the parameter another name where its range differs" in later.outcome["why"]


def test_what_is_no_number_or_returned_by_no_function_says_the_way_out(experiment):
    assert "set it to one number" in experiment("loss = 'good'", trials=1).error
    names: dict = {"__name__": "__main__"}
    exec("def forgets(suggest): return {'lost': 1}\ndef nothing(suggest): pass", names)
    for name, said in (("forgets", "it returns lost"), ("nothing", "it returns nothing")):
        found = experiment("", call=names[name], trials=1)
        assert f"the function returns no `loss`: {said}; return the number" in found.error


def test_parameters_that_cannot_be_searched_so_fail_the_experiment_in_one_sentence(experiment):
    found = experiment("x = suggest.float('x', 0, 1)\nloss = x\n", sampler="grid", trials=30)
    assert found.status == "failed"
    assert "'x'" in found.error
    assert "step" in found.error
    assert found.count("finished") == 0


def test_a_later_experiment_learns_from_an_earlier_one(ws, experiment):
    first = experiment(SQUARE, "first", trials=30, seed=1)
    warm = experiment(SQUARE, "warm", trials=6, seed=2, sampler="tpe", warm_start="first")
    cold = experiment(SQUARE, "cold", trials=6, seed=2, sampler="tpe")
    assert first.status == warm.status == cold.status == "finished"

    def away(found):
        return np.mean([abs(one.params["x"] - 1) for one in found.trials])

    assert away(warm) < away(cold)


def test_limits_end_it_early_and_say_so(experiment):
    patient = experiment("x = suggest.float('x', 0, 1)\nloss = 1.0\n", trials=200, patience=5)
    assert patient.status == "finished"
    assert len(patient.trials) < 30
    assert "5" in patient.outcome["why"]
    brief = experiment(SLOW, trials=200, timeout="1s")
    assert len(brief.trials) < 20
    assert "time" in brief.outcome["why"]


def test_one_model_is_trained_by_the_whole_cluster(ws, scheduler, monkeypatch):
    monkeypatch.setattr("jupyter_mlops.experiments.training.send_later", lambda ws: None)
    names = {"__name__": "__main__", "flowers": load_iris(as_frame=True).frame}
    body = (
        "import os\n"
        "from sklearn.ensemble import RandomForestClassifier\n"
        "X = flowers.drop(columns='target')\n"
        "model = RandomForestClassifier(20, n_jobs=-1, random_state=0).fit(X, flowers['target'])\n"
        "score = model.score(X, flowers['target'])\n"
        "elsewhere = client.submit(os.getpid).result() != os.getpid()\n"
    )
    asked = driver.Asked(metric=["score"], maximize=True, cluster=scheduler)
    run = driver.train_on_cluster(ws, "forest", body, asked, names, models.freeze)
    assert run.status == "finished"
    assert run.metrics["score"] > 0.9
    assert run.has_model
    assert names["elsewhere"]
    assert "client" not in names


def test_two_functions_are_two_cells(ws):
    asked = {"metric": ["loss"]}
    cells = []
    for code in ("lambda suggest: 1", "lambda suggest: 2", "lambda suggest: 1"):
        # Not of the module that runs: `python -m pytest` is an installed one.
        names: dict = {"__name__": "cells"}
        call = eval(code, names)
        begun = driver.launch(ws, "f", "", driver.Asked(**asked, call=call, seed=1), names)
        cells.append(find_experiment(ws, begun).cell)
    assert cells[0] == cells[2] != cells[1]


def test_the_time_between_two_attempts_counts_for_nothing():
    at = datetime(2026, 1, 1, tzinfo=UTC)
    spans = [(0, 10), (5, 12), (3600, 3605)]
    rows = [
        TrialRecord(started_at=at + timedelta(seconds=a), ended_at=at + timedelta(seconds=b))
        for a, b in spans
    ]
    assert driving._worked(rows) == 17.0


def test_over_http_the_servers_packages_are_nobodys_choice(ws, monkeypatch):
    monkeypatch.setenv("JUPYTER_MLOPS_SERVED", "1")
    begun = driver.launch(ws, "web", "loss = 1", driver.Asked(metric=["loss"]), {})
    with pytest.raises(Invalid, match="Jupyter server's packages"):
        driver.drive(ws, begun, models.freeze)


@pytest.mark.parametrize(
    ("body", "asked", "sentence"),
    [
        ("x = suggest.float('x', 0, 1)", {}, "never sets `loss`"),
        ("loss = 1", {"metric": ["auc:up"]}, "--metric can't be 'auc:up'"),
        ("loss = 1", {"trials": 0}, "--trials can't be 0"),
        ("loss = 1", {"timeout": "soon"}, "--timeout can't be 'soon'"),
        ("loss = 1", {"model": "tree"}, "binds no model called `tree`"),
        ("loss = 1\n", {"valid": pd.DataFrame({"a": [1]})}, "which column is the truth"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_runs(ws, experiment, body, asked, sentence):
    with pytest.raises(Invalid) as refused:
        experiment(body, **asked)
    assert sentence in refused.value.what or sentence in refused.value.why
    assert ws.events(limit=10) == []


def test_what_a_trial_prints_is_kept_within_bounds(ws, experiment):
    found = experiment(
        "print('first')\nfor _ in range(100): print('x' * 1_000_000)\nprint('last')\nloss = 1",
        trials=1,
    )
    text = ws.artifacts.read_bytes(f"runs/{found.trials[0].id}/output.txt").decode()
    assert len(text) < 20_000
    assert text.startswith("first")
    assert text.rstrip().endswith("last")
    assert "characters left out" in text


def test_a_function_may_be_the_trial(experiment):
    names: dict = {"__name__": "__main__"}
    exec("def objective(suggest):\n    x = suggest.float('x', 0, 1)\n"
         "    return {'loss': x, 'twice': 2 * x}\n", names)  # fmt: skip
    found = experiment("", call=names["objective"], trials=3)
    for one in found.trials:
        assert one.metrics == {"loss": one.params["x"], "twice": 2 * one.params["x"]}


def test_a_notebook_may_be_the_trial_and_is_kept_as_it_ran(ws, experiment, tmp_path):
    cell = nbformat.v4.new_code_cell
    book = nbformat.v4.new_notebook(
        cells=[cell("rate = 0.5", metadata={"tags": ["parameters"]}), cell("loss = rate * 2")],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(book, tmp_path / "train.ipynb")
    found = experiment(
        "rate = suggest.float('rate', 0, 1)\nloss = notebook(path, rate=rate)['loss']\n",
        namespace={"path": str(tmp_path / "train.ipynb")},
        trials=1,
    )
    one = found.trials[0]
    assert one.status == "finished", one.error
    assert one.metrics["loss"] == pytest.approx(2 * one.params["rate"])
    kept = nbformat.reads(
        ws.artifacts.read_bytes(f"runs/{one.id}/train.ipynb").decode(), as_version=4
    )
    assert any("injected-parameters" in c.metadata.get("tags", []) for c in kept.cells)


def test_a_notebook_whose_kernel_is_missing_says_the_way_out(experiment, tmp_path):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("loss = 1")])
    book.metadata["kernelspec"] = {"name": "julia-1.9", "display_name": "J", "language": "python"}
    nbformat.write(book, tmp_path / "theirs.ipynb")
    body = "x = suggest.float('x', 0, 1)\nloss = notebook(path, x=x)['loss']\n"
    found = experiment(body, trials=1, namespace={"path": str(tmp_path / "theirs.ipynb")})
    assert found.trials[0].error.startswith(
        "theirs.ipynb asks for the kernel 'julia-1.9', which isn't there"
    )
    assert "--env" in found.trials[0].error


def test_several_metrics_leave_a_front(experiment):
    found = experiment(
        "x = suggest.float('x', 0, 1)\nloss = x\ngain = x * x\n",
        metric=["loss:min", "gain:max"],
        trials=12,
        sampler="nsga2",
    )
    assert found.status == "finished"
    assert len(found.outcome["best"]) == 12  # every trial trades one for the other


def _beside(work):
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def _trials_of(ws, name):
    try:
        return find_experiment(ws, name).trials
    except MLOpsError:
        return ()  # it begins


def _until(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("it didn't come about in time")


def test_a_running_experiment_is_stopped_and_fed_from_outside(ws, experiment):
    result = []
    thread = _beside(lambda: result.append(experiment(SLOW, "slow", trials=500)))
    _until(lambda: any(e.kind == "run.finished" for e in ws.events(limit=50, newest=True)))
    driver.enqueue(ws, "slow", {"x": 0.123})
    _until(lambda: any(one.params.get("x") == 0.123 for one in find_experiment(ws, "slow").trials))
    running = next(o for o in find_experiment(ws, "slow").trials if o.status == "running")
    told = driver.stop(ws, "slow")
    thread.join(60)
    assert told.status == "stopped"
    found = result[0]
    assert found.count("running") == 0
    assert found.count("finished") >= 1
    assert running.number in {one.number for one in found.trials}
    with pytest.raises(Conflict, match="isn't running"):
        driver.stop(ws, "slow")


def test_one_trial_is_stopped_and_the_others_go_on(ws, experiment):
    body = (
        SLOW + "if trial.number == 1:\n    while True: time.sleep(0.01)\n"
        # It hears nothing: its worker is ended.
        "if trial.number == 3: time.sleep(300)\n"
    )
    result = []
    thread = _beside(lambda: result.append(experiment(body, "stuck", trials=6)))
    # Both may run with all others behind them, so that nothing else would come to an end.
    for number in (1, 3):
        _until(lambda number=number: number in {one.number for one in _trials_of(ws, "stuck")})
        driver.stop_trial(ws, "stuck", number)
    thread.join(120)
    found = result[0]
    assert {one.number: one.status for one in found.trials} == {
        0: "finished", 1: "stopped", 2: "finished", 3: "stopped", 4: "finished", 5: "finished"
    }  # fmt: skip
    assert {one.error for one in found.trials if one.status == "stopped"} == {
        "it was stopped by a person"
    }


def test_a_trial_that_hangs_fails_when_its_time_is_over_and_the_others_go_on(experiment):
    body = (
        "import ctypes, time\nx = suggest.float('x', 0, 1)\nloss = x\n"
        "if trial.number == 1:\n    time.sleep(0.3)\n    ctypes.PyDLL(None).sleep(300)\n"
        "while trial.number == 3: time.sleep(0.01)\n"
    )
    found = experiment(body, "hangs", trials=6, trial_timeout="2s")
    done = [one.number for one in found.trials if one.status == "finished"]
    assert done == [0, 2, 4, 5]
    for one in (found.trials[1], found.trials[3]):
        assert (one.status, one.attempts) == ("failed", 1)
        assert one.error == "it took longer than the 2 s that a trial may take"


MEET = """
import pathlib, time
x = suggest.float("x", 0, 1)
pathlib.Path(place, str(trial.number)).touch()
while len(list(pathlib.Path(place).iterdir())) < 2: time.sleep(0.01)
loss = x
"""


@pytest.mark.parametrize(
    "hang",
    ["time.sleep(60)", "time.sleep(0.3); __import__('ctypes').PyDLL(None).sleep(60)"],
    ids=["never-hears", "holds-the-interpreter"],
)
def test_a_stop_frees_the_workers_of_trials_that_dont_hear_it(ws, experiment, hang):
    body = f"import time\nx = suggest.float('x', 0, 1)\nif trial.number: {hang}\nloss = x\n"
    result = []
    thread = _beside(lambda: result.append(experiment(body, "deaf", trials=5)))
    _until(lambda: any(e.kind == "run.finished" for e in ws.events(limit=50, newest=True)))
    before = time.monotonic()
    driver.stop(ws, "deaf")
    thread.join(30)
    assert time.monotonic() - before < 40  # and not 60
    assert result[0].status == "stopped"
    assert result[0].count("running") == 0
    # Both workers are there again: each waits for the other's trial.
    place = ws.root / "meeting"
    place.mkdir()
    found = experiment(MEET, "both", trials=2, namespace={"place": str(place)}, timeout="90s")
    assert found.count("finished") == 2


DRIVER = textwrap.dedent(
    """
    import sys
    from jupyter_mlops import models
    from jupyter_mlops.experiments import driver
    from jupyter_mlops.experiments.driver import driving
    from jupyter_mlops.workspace import Workspace

    driving.send_later = lambda ws: None  # MLflow's import would be waited for at the end
    ws = Workspace.open(sys.argv[1])
    body = sys.argv[3]
    asked = driver.Asked(metric=["loss"], trials=int(sys.argv[4]), seed=3, sampler="random",
                         cluster=sys.argv[2])
    begun = driver.launch(ws, "long", body, asked, {"__name__": "__main__", "offset": 10})
    driver.drive(ws, begun, models.freeze)
    """
)


def _drive_elsewhere(ws, scheduler, body, trials):
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(ws.root), scheduler, body, str(trials)],
        stderr=subprocess.PIPE,
        # The background of a shell ignores interrupts, and hands that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_an_experiment_goes_on_after_its_process_was_killed(ws, scheduler, experiment):
    body = "import time\nx = suggest.float('x', 0, 1)\ntime.sleep(0.1)\nloss = x + offset\n"
    process = _drive_elsewhere(ws, scheduler, body, 30)
    _until(lambda: sum(e.kind == "run.finished" for e in ws.events(limit=200)) >= 5, 40)
    process.kill()
    process.communicate()
    left = find_experiment(ws, "long")
    assert left.status == "interrupted"
    # It took as long as it is known to have run, and not until anybody looks.
    assert left.seconds == find_experiment(ws, "long").seconds < 60
    # The same cell again, with --resume, means the same experiment; another cell doesn't.
    assert driver.begun_before(ws, "long", body).id == left.id
    assert driver.begun_before(ws, "other", body) is None
    with pytest.raises(Conflict, match="was begun with another cell"):
        driver.begun_before(ws, "long", "loss = 1")
    assert driver.begun_before(ws, "long", body, {"trials": 30, "keep": 1}).id == left.id
    with pytest.raises(Conflict, match="begun with --trials 30, not 60"):
        driver.begun_before(ws, "long", body, {"trials": 60})
    done = {one.number: one.metrics for one in left.trials if one.status == "finished"}
    assert 5 <= len(done) < 30
    found = driver.drive(ws, left.id, models.freeze)
    assert found.status == "finished"
    assert [one.number for one in found.trials] == list(range(30))
    assert {one.status for one in found.trials} == {"finished"}
    for number, metrics in done.items():
        assert found.trials[number].metrics == metrics
    undisturbed = experiment(body, trials=30, seed=3, namespace={"offset": 10})
    assert [one.params for one in found.trials] == [one.params for one in undisturbed.trials]
    assert found.best.metrics == undisturbed.best.metrics
    assert ws.audit().intact


def test_an_interrupt_ends_it_soon_and_keeps_what_ended(ws, scheduler):
    body = SLOW + "while x > 0.5: time.sleep(0.01)\n"
    process = _drive_elsewhere(ws, scheduler, body, 100)
    _until(lambda: any(e.kind == "run.finished" for e in ws.events(limit=50)), 40)
    began = datetime.now(UTC)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in said
    left = find_experiment(ws, "long")
    assert left.status == "interrupted"
    assert left.count("running") == 0
    assert left.count("finished") >= 1
    # Within two seconds on a machine of its own; a trial that isn't ended takes for ever.
    # Ending the interpreter afterwards is another matter.
    assert (left.ended_at - began).total_seconds() < 15


def test_a_stop_finds_trials_that_hold_the_interpreter_from_their_first_instruction(
    ws, scheduler, experiment
):
    # Their workers can't even say that they began.
    body = "import time\nloss = suggest.float('x', 0, 1)\ntime.sleep(0.1)\n"
    body += "if trial.number > 5: __import__('ctypes').PyDLL(None).sleep(60)\n"
    process = _drive_elsewhere(ws, scheduler, body, 10)
    # What a worker ended last it may not have told yet: two of the six at most, as it tells what
    # came before while the next one sleeps. The other doesn't wait for those that wait beside it.
    _until(lambda: sum(e.kind == "run.finished" for e in ws.events(limit=99)) >= 4, 60)
    with Client(scheduler) as client:
        workers = client.scheduler_info()["workers"]
        _until(lambda: all(_deaf(client, one) for one in workers))
        held = [psutil.Process(pid) for pid in client.run(_worker_of, nanny=True).values()]
        began = datetime.now(UTC)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        assert b"KeyboardInterrupt" in said
        left = find_experiment(ws, "long")
        assert (left.ended_at - began).total_seconds() < 15
        assert (left.status, left.count("running")) == ("interrupted", 0)
        assert 4 <= left.count("finished") <= 6
        _until(lambda: not any(one.is_running() for one in held))
    # Others have taken their places.
    place = ws.root / "meeting"
    place.mkdir()
    found = experiment(MEET, "both", trials=2, namespace={"place": str(place)}, timeout="90s")
    assert found.count("finished") == 2


def _deaf(client, worker):
    try:
        client.run(int, workers=[worker], callback_timeout=0.5)
    except TimeoutError:
        return True
    return False


def _worker_of(dask_worker):
    return dask_worker.pid


def test_two_processes_never_drive_one_experiment(ws, scheduler):
    process = _drive_elsewhere(ws, scheduler, SLOW, 100)
    try:
        _until(lambda: any(e.kind == "run.started" for e in ws.events(limit=50)), 40)
        with pytest.raises(Conflict, match="running in another process"):
            driver.drive(ws, find_experiment(ws, "long").id, models.freeze)
    finally:
        process.kill()
        process.communicate()


def test_an_unreachable_scheduler_is_one_sentence(experiment):
    with pytest.raises(MLOpsError) as refused:
        experiment(SQUARE, cluster="tcp://127.0.0.1:9")
    assert "127.0.0.1:9" in str(refused.value)


def test_sixty_four_trials_at_once_lose_nothing(ws, experiment):
    found = experiment("x = suggest.float('x', 0, 1)\nloss = x\nmetrics = {'y': 2 * x}\n",
                       trials=64)  # fmt: skip
    assert found.count("finished") == 64
    assert all(one.metrics["y"] == 2 * one.metrics["loss"] for one in found.trials)


def test_mlflow_gets_a_run_for_each_trial_below_one_for_the_whole(tracked, experiment):
    ws = tracked.ws
    rows, notes = pl.DataFrame({"v": [1, 2]}), pl.DataFrame({"note": ["a", "b"]})
    labeling.create(ws, "notes", data.resolve(ws, notes), "text", ["x", "y"])
    labeling.commit(ws, "notes", "maria", [labeling.Decision("e", 0, "label", "x")])
    labeling.export(ws, "notes")
    found = experiment(
        "x = suggest.float('x', 0, 1)\nfor i in range(3): report(i, x / (i + 1))\n"
        "loss = x * len(data) / len(labels)\n",
        trials=4,
        data=rows,
        labels=labeling.label_set(ws, "notes@1"),
    )
    experiments.send_all(ws)
    client = tracking_client(ws)
    place = client.get_experiment_by_name("square").experiment_id
    runs = client.search_runs([place])
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    children = [one for one in runs if "mlflow.parentRunId" in one.data.tags]
    assert len(parents) == 1
    assert len(children) == 4
    assert {one.data.tags["mlflow.parentRunId"] for one in children} == {parents[0].info.run_id}
    assert parents[0].info.status == "FINISHED"
    assert parents[0].data.metrics["best_loss"] == found.best.metrics["loss"]
    for one, trial in zip(
        sorted(children, key=lambda one: int(one.data.tags["jupyter_mlops.trial"])),
        found.trials,
        strict=True,
    ):
        assert one.data.params == {"x": str(trial.params["x"])}
        assert one.data.metrics["loss"] == trial.metrics["loss"]
        assert {"usage/cpu_seconds", "usage/peak_bytes"} <= one.data.metrics.keys()
    cell = experiments.find_run(ws, found.best.ref)
    for one in runs:
        tags = one.data.tags
        assert tags["jupyter_mlops.cell"] == found.cell
        assert tags["jupyter_mlops.environment"] == found.environment
        assert tags["jupyter_mlops.data_digest"] == data.resolve(ws, rows).digest
        assert tags["jupyter_mlops.labels"] == "data:labels.notes@1"
        assert tags["jupyter_mlops.labels_digest"] == cell.variables["--labels"]["digest"]
    assert "report(i, x / (i + 1))" in parents[0].data.tags["mlflow.note.content"]
    curve = client.get_metric_history(children[0].info.run_id, "reported")
    assert [one.step for one in curve] == [0, 1, 2]
    experiments.send_all(ws)
    assert len(client.search_runs([place])) == 5

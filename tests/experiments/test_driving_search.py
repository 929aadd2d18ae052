"""Every way to search is gone through by real trials: samplers, pruners, limits, constraints."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from jupyter_mlops import models
from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.records import ExperimentRecord
from jupyter_mlops.experiments.studies import find_experiment
from jupyter_mlops.workspace import Invalid, NotFound

BODY = """
x = suggest.float("x", -4, 4, step=0.5)
kind = suggest.choice("kind", ["near", "far"])
if kind == "far" and conditional:
    loss = 30 + suggest.int("n", 1, 3)
else:
    loss = (x - 1) ** 2 + (kind == "far")
gain = -x
"""
SAMPLERS = ["random", "tpe", "cmaes", "nsga2", "nsga3", "qmc", "gp"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_each_sampler_searches_a_conditional_space(experiment, sampler):
    if sampler == "gp" and find_spec("torch") is None:
        with pytest.raises(Invalid, match="needs PyTorch"):
            experiment(BODY, sampler=sampler)
        return
    found = experiment(BODY, sampler=sampler, trials=30, namespace={"conditional": True})
    assert found.count("finished") == 30, found.trials[0].error
    assert found.best.metrics["loss"] <= 1.0
    for one in found.trials:
        assert ("n" in one.params) == (one.params["kind"] == "far")


def test_a_grid_is_tried_whole_and_only_once(experiment):
    found = experiment(BODY, sampler="grid", trials=100, namespace={"conditional": False})
    assert len({(one.params["x"], one.params["kind"]) for one in found.trials}) == 34
    assert len(found.trials) == 34
    assert found.best.params == {"x": 1.0, "kind": "near"}
    assert found.outcome["why"] == "the whole grid was tried"


@pytest.mark.parametrize("pruner", ["percentile", "halving", "hyperband"])
def test_each_pruner_ends_trials_and_the_best_stays(experiment, pruner):
    found = experiment(
        "import time\nx = suggest.choice('x', list(range(8)))\n"
        "for step in range(1, 13):\n    report(step, x + 1 / step)\n    time.sleep(0.06)\n"
        "loss = x\n",
        pruner=pruner,
        trials=14,
    )
    assert found.count("pruned") >= 1
    assert found.count("pruned") + found.count("finished") == 14
    assert found.best.params["x"] == min(one.params["x"] for one in found.trials)


MODEL = """
C = suggest.float("C", 0.01, 1)
model = LogisticRegression(C=C).fit(X, y)
loss, heavy = -C, C - 0.5
"""


def test_what_breaks_a_constraint_never_wins_and_is_not_kept(ws, experiment):
    rng = np.random.default_rng(0)
    names = {"X": rng.normal(size=(40, 2)), "y": np.arange(40) % 2,
             "LogisticRegression": LogisticRegression}  # fmt: skip
    found = experiment(MODEL, trials=12, constraints=["heavy"], namespace=names, keep=2)
    worthy = [one for one in found.trials if one.metrics["heavy"] <= 0]
    assert 2 < len(worthy) < 12
    ranked = sorted(worthy, key=lambda one: one.metrics["loss"])
    assert found.best == ranked[0]
    assert found.outcome["number"] == ranked[0].number
    assert {one.number for one in found.trials if one.has_model} == {
        one.number for one in ranked[:2]
    }
    # Whoever goes on with it knows that, too.
    with ws.write() as tx:
        row = tx.session.get_one(ExperimentRecord, found.id)
        row.status, row.plan = "interrupted", {**row.plan, "trials": 13}
    again = driver.drive(ws, found.id, models.freeze)
    assert len(again.trials) == 13
    assert again.best.metrics["heavy"] <= 0
    assert sum(one.has_model for one in again.trials) == 2
    none = experiment("loss = suggest.float('x', 0, 1)\nheavy = 1", trials=3, constraints=["heavy"])
    assert none.best is None
    assert "value" not in none.outcome
    assert any("`heavy` must not be above 0" in note for note in none.notes)


@pytest.mark.parametrize("goal", ["loss:min", "loss:max"])
def test_a_metric_by_row_has_the_luck_of_the_best_taken_off(experiment, goal):
    body = (
        "import numpy as np\nx = suggest.float('x', 0, 1)\n"
        "loss = many * x + np.random.default_rng(trial.seed).random(200)\n"
    )
    found = experiment(body, metric=[goal], trials=20, namespace={"many": 0})
    best, told = found.best.metrics["loss"], found.outcome
    assert abs(best - 0.5) > 0.02  # though all are the same
    assert abs(told["corrected"] - 0.5) < abs(best - 0.5)
    assert told["low"] < 0.5 < told["high"]
    assert told["low"] < told["corrected"] < told["high"]
    clear = experiment(body, metric=[goal], trials=10, namespace={"many": 9})
    assert clear.outcome["corrected"] == pytest.approx(clear.best.metrics["loss"], abs=0.1)


def test_a_budget_of_cpu_time_ends_it(experiment):
    found = experiment(
        "import time\nuntil = time.process_time() + 0.2\n"
        "while time.process_time() < until: pass\nloss = suggest.float('x', 0, 1)\n",
        trials=100,
        budget="1s",
    )
    assert 5 <= len(found.trials) < 12
    assert "budget of CPU time" in found.outcome["why"]


def test_a_search_that_cannot_be_is_refused_before_anybody_hears_of_it(ws, experiment):
    two = ["loss", "gain"]
    with pytest.raises(Invalid, match="pruner median needs one metric"):
        experiment(BODY, metric=two, pruner="median")
    with pytest.raises(Invalid, match="cmaes improves one metric only"):
        experiment(BODY, metric=two, sampler="cmaes")
    with pytest.raises(NotFound, match="no experiment is called 'earlier'"):
        experiment(BODY, warm_start="earlier")
    assert ws.events(limit=5) == []


def test_a_pruner_that_goes_on_remembers_how_far_others_came(ws, experiment):
    from jupyter_mlops.experiments.driver.driving import _search
    from jupyter_mlops.experiments.driver.journal import Journal

    found = experiment(
        "x = suggest.choice('x', [0, 1])\nfor step in range(1, 9): report(step, x)\nloss = x\n",
        pruner="halving", trials=6,
    )  # fmt: skip
    with ws.write() as tx:
        row = tx.session.get_one(ExperimentRecord, found.id)
        row.status, row.plan = "interrupted", {**row.plan, "trials": 30}
    journal = Journal(ws, found.id)
    search, _ = _search(ws, journal.row, journal.take())
    assert any("completed_rung_0" in one.system_attrs for one in search.trials())
    assert find_experiment(ws, found.id).count("finished") == 6

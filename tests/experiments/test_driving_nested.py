"""An experiment validates its search as a whole when it is asked to."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from jupyter_mlops import models
from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.browsing import browse
from jupyter_mlops.experiments.driver import driving
from jupyter_mlops.views import view
from jupyter_mlops.views.text import render_text
from jupyter_mlops.workspace import Invalid

CELL = """
column = suggest.int("column", 0, 19)
near = suggest.int("near", 1, 9, step=2)
accuracy = evaluate(Neighbours(near), X[:, [column]], y, metric="accuracy", folds=3, {more})
"""


@pytest.fixture
def experiment(ws, scheduler, monkeypatch):
    """Twenty columns of noise, in ten rows of each of sixteen groups."""
    monkeypatch.setattr(driving, "send_later", lambda ws: None)
    rng = np.random.default_rng(4)
    groups = np.repeat(np.arange(16), 10)
    names = {
        "__name__": "__main__",
        "Neighbours": KNeighborsClassifier,
        "X": rng.normal(size=(16, 20))[groups] + 0.1 * rng.normal(size=(160, 20)),
        "y": (rng.permutation(16) % 2)[groups],
        "groups": groups,
    }

    def run(body, **asked):
        asked = {"metric": ["accuracy:max"], "trials": 24, "seed": 1, "sampler": "random",
                 "cluster": scheduler, **asked}  # fmt: skip
        begun = driver.launch(ws, "noise", body, driver.Asked(**asked), names)
        return driver.drive(ws, begun, models.freeze)

    return run


def test_the_searchs_value_stands_beside_the_winners(ws, experiment):
    found = experiment(CELL.format(more="groups=groups"), nested=4)
    best, told = found.best.metrics["accuracy"], found.outcome
    assert best > 0.6
    assert len(told["nested"]["winners"]) == 4
    assert told["nested"]["low"] < 0.5 < told["nested"]["high"]
    assert told["nested"]["value"] < best
    # Groups are drawn whole: there are 16 of them, and luck counts for much.
    assert told["low"] < 0.5 < told["high"]
    assert told["high"] - told["low"] > 0.3
    text = render_text(view(browse(ws, found.id)))
    assert "Nested validation" in text
    facts = view(browse(ws, found.id)).blocks[0].items
    fact = next(one for one in facts if one.label == "Nested validation")
    assert "4 outer folds chose trials" in fact.hint
    assert "the winner looks" in fact.hint
    assert "sampler" not in fact.hint


def test_a_cell_may_ask_for_it_itself_and_a_sampler_that_learns_is_told_of(ws, experiment):
    found = experiment(CELL.format(more="nested=3"), sampler="tpe", trials=6)
    assert len(found.outcome["nested"]["winners"]) == 3
    shown = view(browse(ws, found.id)).blocks[0].items
    fact = next(one for one in shown if one.label == "Nested validation")
    assert "the sampler learnt from values that all rows are in" in fact.hint


def test_without_a_cross_validation_there_is_nothing_to_nest(experiment):
    found = experiment("accuracy = suggest.float('a', 0, 1)", nested=4, trials=3)
    assert "nested" not in found.outcome
    assert any("nothing is validated by --nested" in note for note in found.notes)
    with pytest.raises(Invalid, match="2 outer folds or more"):
        experiment(CELL, nested=1)

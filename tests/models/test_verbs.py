"""The verbs as a notebook line or a panel calls them."""

from __future__ import annotations

import json

import pytest

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import experiments
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid


def test_register_sends_the_run_first_and_takes_the_latest_with_a_model(tracked: Bench) -> None:
    run = tracked.scored(LOGISTIC)
    tracked.scored(
        "from sklearn.preprocessing import FunctionTransformer\n"
        "def same(x):\n    return x\n"
        "same.__module__ = '__main__'\n"
        + LOGISTIC.replace("StandardScaler()", "StandardScaler(), FunctionTransformer(same)")
    )
    assert not experiments.find_run(tracked.ws, run).sent
    version = find("register")(tracked.ws, run="cancer", name="delay", alias="champion")
    assert version.run_id == run.id
    assert experiments.find_run(tracked.ws, run).sent


def test_models_lists_versions_and_shows_one(tracked: Bench) -> None:
    find("models")(tracked.ws)  # none yet
    for body in (LOGISTIC, FOREST):
        run = tracked.scored(body)
        find("register")(tracked.ws, run=run.id, name="delay", alias="champion")
    text = mimebundle(find("models")(tracked.ws))["text/plain"]
    assert "Models · 2 versions" in text
    assert text.index("model:delay@2") < text.index("model:delay@1")
    one = find("models")(tracked.ws, name="delay@champion")
    assert one.label == "delay@2"
    shown = mimebundle(one)
    assert len(shown["text/plain"].splitlines()) <= 15
    assert len(json.dumps(shown["application/vnd.jupyter-mlops.model.v1+json"])) < 200_000


def test_a_run_without_a_model_is_refused_by_its_id(tracked: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        tracked.train("1 / 0")
    failed = experiments.runs(tracked.ws)[0]
    with pytest.raises(Invalid, match="is failed: register a run that finished"):
        find("register")(tracked.ws, run=failed.short, name="delay")

"""Versions side by side, and their tags."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.magics.words import split
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Invalid
from jupyter_mlops.workspace.tracking import tracking_client


def run_line(bench: Bench, line: str) -> Any:
    return parse(split(line, {})).call(bench.ws)


def add(bench: Bench, body: str, **options: Any) -> None:
    run = bench.scored(body, **options)
    sending.send(bench.ws, run.id)
    models.register(bench.ws, experiments.find_run(bench.ws, run), "delay")


def test_two_versions_are_compared_on_the_same_rows(tracked: Bench) -> None:
    add(tracked, LOGISTIC.replace("LogisticRegression()", "LogisticRegression(C=1e-4)"))
    less = FOREST.replace('columns="target"', 'columns=["target", "mean radius"]')
    add(tracked, less)
    found = run_line(tracked, "models compare delay@2 delay@1")
    pairs = {one.metric: one for one in found.metrics}
    expected = experiments.compare(
        tracked.ws, f"run:{found.a.run_id}", f"run:{found.b.run_id}", metric="log_loss"
    )
    assert pairs["log_loss"].difference == pytest.approx(-expected.difference)
    assert pairs["log_loss"].high == pytest.approx(-expected.low)
    assert pairs["log_loss"].differs
    assert [(one.what, one.a) for one in found.inputs] == [("mean radius", "–")]
    assert "class" in {one.what for one in found.changes}
    assert "Really different:" in mimebundle(found)["text/plain"]
    with pytest.raises(Invalid, match="are both delay@2"):
        run_line(tracked, "models compare delay@2 delay")


def test_versions_on_other_rows_are_shown_without_an_interval(tracked: Bench) -> None:
    add(tracked, LOGISTIC)
    add(tracked, FOREST, valid=tracked.names["held_out"].iloc[:100])
    found = run_line(tracked, "models compare delay@1 delay@2")
    assert all(one.differs is None for one in found.metrics)
    assert len(found.notes) == 1
    assert "validated on different rows" in found.notes[0]


def test_tags_are_mlflows_with_an_event_of_ours(tracked: Bench) -> None:
    add(tracked, LOGISTIC)
    made = run_line(tracked, "models tag delay@1 team=ops ticket=ML-12")
    assert made.tags == {"team": "ops", "ticket": "ML-12"}
    kept = tracking_client(tracked.ws).get_model_version("delay", "1").tags
    assert kept["team"] == "ops"
    assert run_line(tracked, "models tag delay ticket=").tags == {"team": "ops"}
    assert "ops" in mimebundle(run_line(tracked, "models tag delay@1"))["text/plain"]
    first, second = tracked.ws.events(kind="model.tagged")
    assert (first.payload["tags"]["team"], second.payload["tags"]) == ("ops", {"ticket": ""})
    for wrong in ("team", "=x", "jupyter_mlops.run=1"):
        with pytest.raises(Invalid):
            run_line(tracked, f"models tag delay@1 {wrong}")

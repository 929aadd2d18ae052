"""Parallel coordinates: axes as parameters were asked for, and a bearable number of lines."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from jupyter_mlops.experiments.browsing import browse, glance
from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views import view
from jupyter_mlops.views.blocks import Chart
from jupyter_mlops.views.drawing import picture
from jupyter_mlops.views.parallel import parallel_chart
from jupyter_mlops.workspace import Workspace
from views.searches import add_experiment

IMPORTANCE = {"lr": 0.71, "depth": 0.24, "kind": 0.05}


@pytest.fixture
def found(tmp_path: Path) -> Experiment:
    ws = Workspace.open(tmp_path / "project")
    return glance(ws, add_experiment(ws, trials=60))


def rows(chart: Chart, layer: int) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(chart.spec["layer"][layer]["data"]["values"])))


def ticks(chart: Chart, axis: str) -> dict[str, int]:
    return {row["text"]: int(row["place"]) for row in rows(chart, 3) if row["axis"] == axis}


def trials(experiment: Experiment, *params: dict[str, Any]) -> Experiment:
    """The experiment with trials of these parameters, each a little worse than the one before."""
    first = experiment.finished[0]
    made: list[Trial] = [
        replace(first, id=f"{n}", number=n, params=one, metrics={"auc": 0.9 - n / 100})
        for n, one in enumerate(params)
    ]
    return replace(experiment, trials=tuple(made))


def test_each_trial_is_a_line_and_the_best_stand_out(found: Experiment) -> None:
    chart = parallel_chart(found, IMPORTANCE, {})
    assert chart is not None
    assert [row["text"] for row in rows(chart, 4)] == ["lr", "depth", "kind", "auc"]
    best = sorted(found.finished, key=lambda one: -one.metrics["auc"])[:10]
    assert [int(row["trial"]) for row in rows(chart, 1)] == [one.number for one in best]
    assert len(rows(chart, 0)) + 10 == len(found.finished)
    assert "the best 10 of 51 trials in orange" in chart.title
    # The metric is the last axis, and the best is at its top.
    assert rows(chart, 1)[0]["a3"] == "1000"


def test_numbers_lie_by_magnitude_where_they_were_asked_for_so(found: Experiment) -> None:
    ten = trials(found, {"lr": 1e-3, "n": 1}, {"lr": 1e-2, "n": 5}, {"lr": 1e-1, "n": 2})
    for asked in ({}, {"lr": {"kind": "float", "log": True}}):
        chart = parallel_chart(ten, {"lr": 1.0}, asked)
        assert chart is not None
        assert ticks(chart, "a0") == {"0.001": 0, "0.01": 500, "0.1": 1000}
        assert ticks(chart, "a1") == {"1": 0, "2": 250, "3": 500, "4": 750, "5": 1000}
    chart = parallel_chart(ten, {"lr": 1.0}, {"lr": {"kind": "float", "log": False}})
    assert chart is not None
    assert ticks(chart, "a0") == {"0.02": 192, "0.04": 394, "0.06": 596, "0.08": 798, "0.1": 1000}


def test_words_lie_in_the_order_of_the_options_and_what_wasnt_asked_for_below(
    found: Experiment,
) -> None:
    some = trials(found, {"k": "b"}, {"k": "a"}, {"k": None}, {"other": 2.0}, {"k": True})
    chart = parallel_chart(some, {"k": 1.0}, {"k": {"kind": "choice", "options": ["b", "a"]}})
    assert chart is not None
    assert ticks(chart, "a0") == {
        "b": 125, "a": 375, "None": 625, "True": 875, "not asked for": -90,
    }  # fmt: skip
    lines = {row["trial"]: row["a0"] for layer in (0, 1) for row in rows(chart, layer)}
    assert lines == {"0": "125", "1": "375", "2": "625", "3": "-90", "4": "875"}


def test_what_is_far_off_lies_at_the_end_and_the_end_says_so(found: Experiment) -> None:
    many = trials(found, *({"x": n / 40} for n in range(40)))
    worst = replace(many.trials[-1], metrics={"auc": -1e6})
    chart = parallel_chart(replace(many, trials=(*many.trials[:-1], worst)), {}, {})
    assert chart is not None
    assert any(text.startswith("≤ ") for text in ticks(chart, "a1"))
    assert rows(chart, 0)[-1]["a1"] == "0"


def test_thousands_of_trials_are_a_thousand_lines_and_the_title_says_so(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path / "project")
    name = add_experiment(ws, trials=4_000, steps=2)
    chart = next(
        one
        for one in view(browse(ws, name)).blocks
        if isinstance(one, Chart) and "parameters" in one.title
    )
    assert len(rows(chart, 0)) == 990
    assert "and 990 others evenly over the ranks" in chart.title
    assert len(json.dumps(chart.spec)) < 40_000
    assert len(picture(chart)) < 60_000


def test_many_parameters_leave_those_that_matter(found: Experiment) -> None:
    wide = trials(found, *({f"p{n}": math.sin(n + t) for n in range(20)} for t in range(5)))
    chart = parallel_chart(wide, {f"p{n}": float(n) for n in range(20)}, {})
    assert chart is not None
    assert [row["text"] for row in rows(chart, 4)] == [*(f"p{n}" for n in range(19, 12, -1)), "auc"]
    assert "the 7 of 20 parameters that matter most" in chart.title


def test_nothing_that_varies_is_no_chart(found: Experiment) -> None:
    assert parallel_chart(trials(found, *[{"x": 1}] * 5), {}, {}) is None
    assert parallel_chart(replace(found, trials=()), {}, {}) is None

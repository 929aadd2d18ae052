"""The notebook about experiments runs without a person, and leaves a model and no process."""

from __future__ import annotations

from pathlib import Path

import nbformat
import psutil
import pytest
from papermilled import run, shown


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("experiments")


@pytest.fixture(scope="module")
def executed(place: Path) -> nbformat.NotebookNode:
    """The notebook, executed by papermill."""
    return run("experiments.ipynb", place, days=2, trials=8)


def test_the_search_ends_with_every_trial_and_a_corrected_value(
    executed: nbformat.NotebookNode,
) -> None:
    text = shown(executed, "%%mlops experiment delay")
    assert "8 of 8" in text
    assert "Best log_loss" in text
    assert "Expected on new rows: 0." in text


def test_a_trial_is_replayed_and_its_numbers_are_the_same(executed: nbformat.NotebookNode) -> None:
    assert "come out the same" in shown(executed, "%mlops verify")


def test_trials_that_promise_little_may_end_early(executed: nbformat.NotebookNode) -> None:
    text = shown(executed, "%%mlops experiment linear")
    assert "8 of 8" in text
    assert "Finished" in text


def test_the_winner_is_a_cell_and_a_registered_model(executed: nbformat.NotebookNode) -> None:
    assert "rate = " in shown(executed, "%mlops experiment winner")
    assert "delay@1" in shown(executed, "%mlops register")


def test_nothing_of_it_runs_on(executed: nbformat.NotebookNode, place: Path) -> None:
    assert "running" in shown(executed, "%mlops cluster ls")
    left = [
        one.info["cmdline"]
        for one in psutil.process_iter(["cmdline"])
        if any(str(place) in word for word in one.info["cmdline"] or [])
    ]
    assert left == []

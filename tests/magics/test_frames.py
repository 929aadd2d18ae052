"""A panel learns which data frames a kernel holds without a trace in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pytest
from IPython.core.interactiveshell import InteractiveShell

from jupyter_mlops.magics import frames


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """What was answered, from a kernel that works in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    answers: list[dict[str, Any]] = []
    monkeypatch.setattr("IPython.display.publish_display_data", answers.append)
    return answers


def holding(monkeypatch: pytest.MonkeyPatch, **variables: Any) -> InteractiveShell:
    """A shell with these variables."""
    shell = InteractiveShell()
    shell.user_ns.update(variables)
    monkeypatch.setattr("IPython.core.getipython.get_ipython", lambda: shell)
    return shell


def test_frames_are_listed_the_largest_first_and_the_lazy_ones_uncounted(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lazy = pl.LazyFrame({"a": [1]})
    small, large = pd.DataFrame({"a": [1]}), pl.DataFrame({"a": [1, 2], "b": [3, 4]})
    holding(monkeypatch, small=small, large=large, _hidden=small, number=3)
    frames.tell_frames()
    (answer,) = told
    assert answer[frames.MIME]["frames"] == [
        {"name": "large", "kind": "polars", "rows": 2, "columns": 2},
        {"name": "small", "kind": "pandas", "rows": 1, "columns": 1},
    ]
    found = frames.frames_of({"lazy": lazy})
    assert [(one["name"], one["rows"]) for one in found] == [("lazy", None)]


def test_one_is_profiled_under_its_name_and_nothing_is_left_behind(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = holding(monkeypatch, late=pd.DataFrame({"x": range(200)}))
    before, count = set(shell.user_ns), shell.execution_count
    frames.tell_profile("late")
    view = told[0][frames.MIME]["view"]
    assert (view["title"], view["kind"]) == ("late", "profile")
    assert view["subtitle"] == "200 rows · 1 column"
    assert (set(shell.user_ns), shell.execution_count) == (before, count)


def test_a_variable_that_is_gone_is_a_sentence(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(monkeypatch, flights=pd.DataFrame({"x": [1]}))
    frames.tell_profile("flight")
    error = told[0][frames.MIME]["error"]
    assert error["code"] == "E-KERNEL-001"
    assert "flights" in error["fix"]

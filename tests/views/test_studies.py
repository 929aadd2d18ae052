"""An experiment says what matters: in a line, in fifteen lines, and in a page of any size."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.experiments.studies import find_experiment
from jupyter_mlops.magics.showing import Showing
from jupyter_mlops.verbs.progress import Lines, Shown, shown_by, teller_of_search
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.views.studies import Searching
from jupyter_mlops.views.text import render_text
from jupyter_mlops.workspace import Workspace
from views.searches import add_experiment


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


@pytest.fixture
def step(ws: Workspace) -> SearchStep:
    """A search of 50 trials after 20 of them."""
    identity = add_experiment(ws, trials=20, status="running", planned=50)
    return SearchStep(
        replace(find_experiment(ws, identity), trials=()),
        done=18,
        running=2,
        total=50,
        best=0.91234567,
        best_params={"lr": 0.0123456, "depth": 6},
        seconds=90.0,
        remaining=160.0,
        failures=1,
        workers=({"name": "w0", "trial": 18, "cpu": 0.97, "memory": 3.2e8},),
        best_number=11,
        pruned=2,
    )


def test_a_search_under_way_says_all_in_one_line(step: SearchStep) -> None:
    line = Searching(step).line
    assert line == (
        "boosting: 36 % · 18 of 50 trials · 12 trials/min · 3 min left · 1 failed · best auc 0.9123"
    )


def test_a_search_under_way_shows_its_best_and_who_works(step: SearchStep) -> None:
    text = render_text(view(Searching(step)))
    for part in ("running", "18 of 50 trials", "Best auc: 0.9123 in trial 11", "lr: 0.01235",
                 "Failed: 1", "Pruned: 2", "w0", "97.0 %", "305 MiB"):  # fmt: skip
        assert part in text
    assert len(text.splitlines()) <= 15
    early = replace(step, best=None, best_params={}, best_number=None, total=None, remaining=None)
    assert "Best auc: none yet" in render_text(view(Searching(early)))
    assert "None" not in render_text(view(Searching(early)))


def test_steps_come_fast_and_are_drawn_seldom(step: SearchStep) -> None:
    assert teller_of_search() is None
    drawn: list[Shown] = []
    with shown_by(drawn.append):
        tell = teller_of_search()
        assert tell is not None
        assert tell.due
        for _ in range(1000):
            tell(step)
        assert not tell.due
    assert [one.done for one in drawn] == [18]


class Shell(SimpleNamespace):
    """A kernel's shell, in front of which somebody sits or nobody."""

    def __init__(self, watched: bool) -> None:
        super().__init__(kernel=SimpleNamespace(_allow_stdin=watched))


def test_a_line_now_and_then_where_nobody_watches(
    step: SearchStep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = 0.0
    monkeypatch.setattr("jupyter_mlops.verbs.progress.time.monotonic", lambda: now)
    shell: Any = Shell(watched=False)
    showing = Showing(shell)
    for second in range(0, 60):
        now = float(second)
        showing(Searching(replace(step, done=second)))
    told = capsys.readouterr().out.splitlines()
    assert [line.split(" of ")[0].split()[-1] for line in told] == ["10", "20", "30", "40", "50"]


def test_lines_come_less_often_as_hours_go_by(
    step: SearchStep, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("jupyter_mlops.verbs.progress.time.monotonic", lambda: now)
    told: list[float] = []
    lines = Lines(lambda line: told.append(now))
    for second in range(0, 7200):
        now = float(second)
        lines(Searching(step))
    assert told[0] == 10
    assert min(b - a for a, b in itertools.pairwise(told)) >= 10
    assert told[-1] - told[-2] > 100


def test_a_running_cell_stays_small(step: SearchStep) -> None:
    many = tuple({"name": f"worker-{n}" * 9, "trial": n, "cpu": 0.5} for n in range(500))
    bundle = mimebundle(Searching(replace(step, workers=many)))
    assert len(json.dumps(bundle)) < 30_000

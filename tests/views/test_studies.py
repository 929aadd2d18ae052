"""An experiment says what matters: in a line, in fifteen lines, and in a page of any size."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_mlops.experiments import driver
from jupyter_mlops.experiments.browsing import browse, find_trial
from jupyter_mlops.experiments.progress import SearchStep
from jupyter_mlops.experiments.studies import Goal, experiments, find_experiment
from jupyter_mlops.experiments.winner import winner
from jupyter_mlops.magics.showing import Showing
from jupyter_mlops.verbs.progress import Lines, Shown, shown_by, teller_of_search
from jupyter_mlops.views import mimebundle, view
from jupyter_mlops.views.blocks import Chart, Explorer, Facts, Table, View
from jupyter_mlops.views.drawing import picture
from jupyter_mlops.views.html import render_html
from jupyter_mlops.views.studies import Searching
from jupyter_mlops.views.text import render_text
from jupyter_mlops.workspace import Workspace
from views.searches import add_experiment
from views.test_renderings import Page


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


def trials_of(shown: View) -> Explorer:
    """The table of trials in an experiment's view."""
    (found,) = (one for one in shown.blocks if isinstance(one, Explorer))
    return found


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
    early = replace(
        step,
        done=0,
        running=0,
        best=None,
        best_params={},
        best_number=None,
        total=None,
        remaining=None,
    )
    assert "Best auc: none yet" in render_text(view(Searching(early)))
    assert view(Searching(early)).subtitle == "waiting for workers"
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


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with an experiment of ten thousand trials."""
    ws = Workspace.open(tmp_path_factory.mktemp("many"))
    add_experiment(ws, "many", 10_000)
    return ws


def charts(shown: View) -> list[Chart]:
    return [one for one in shown.blocks if isinstance(one, Chart)]


def points(spec: dict[str, Any]) -> int:
    """Rows of data in a spec, wherever they are."""
    nested = [*spec.get("layer", []), *spec.get("concat", [])]
    own = spec["data"]["values"].count("\n") - 1 if "data" in spec else 0
    return own + sum(points(one) for one in nested)


def test_fifteen_lines_say_what_was_found_and_how_it_went(ws: Workspace) -> None:
    text = render_text(view(find_experiment(ws, add_experiment(ws, trials=60))))
    assert len(text.splitlines()) <= 15
    for part in ("boosting", "finished", "Best auc: 0.9291 in trial 21", "0.9171 (0.8991 – 0.9351)",
                 "Trials: 60 of 60", "Finished: 51", "Pruned: 6", "Failed: 3", "Took: 1 min",
                 "all 60 trials are done", "Best parameters: lr: 0.01239 · depth: 5 · kind: gbtree",
                 "2 × MemoryError: the worker ran out of memory", "1 × ValueError", "lr 71 %",
                 "data:flights@3"):  # fmt: skip
        assert part in text, part


def test_while_it_runs_it_says_how_far_it_is(ws: Workspace) -> None:
    identity = add_experiment(ws, trials=20, status="running", planned=50)
    shown = view(browse(ws, identity))
    text = render_text(shown)
    for part in ("running", "36 % · 18 of 50 trials", "left", "Running: 2", "Running for:"):
        assert part in text, part
    bundle = shown.model_dump_json()
    for part in ("experiment enqueue", "experiment stop", "tcp://127.0.0.1:40001", "best so far"):
        assert part in bundle, part
    assert "experiment resume" not in bundle
    (workers,) = (one for one in shown.blocks if isinstance(one, Table) and one.title == "Workers")
    assert [(row["trial"], row["done"]) for row in workers.rows] == [("18", 9), ("19", 9)]
    assert all(0.1 < row["busy"] < 0.5 for row in workers.rows)


def test_what_a_person_asked_of_it_is_told_until_it_is_done(ws: Workspace) -> None:
    identity = add_experiment(ws, trials=20, status="running", planned=50)
    driver.enqueue(ws, identity, {"lr": 0.02, "kind": "dart"})
    asked = driver.enqueue(ws, identity, {"lr": 0.03})
    facts = {f.label: f for one in view(asked).blocks if isinstance(one, Facts) for f in one.items}
    queued = facts["To be tried next"]
    assert (queued.value, queued.hint) == ("lr 0.02, kind dart", "and 1 more after that")
    driver.stop_trial(ws, identity, 19)
    told = [render_text(view(find_trial(ws, identity, number))) for number in (18, 19)]
    assert ["being stopped" in one for one in told] == [False, True]


def test_figures_of_a_column_can_be_compared_at_a_glance(ws: Workspace) -> None:
    identity = add_experiment(ws, trials=40)
    assert {c.key: c.digits for c in trials_of(view(browse(ws, identity))).columns} == {
        "number": None, "status": None, "metrics.auc": 4, "params.lr": None,
        "params.depth": None, "params.kind": None, "seconds": 3,
    }  # fmt: skip
    (table,) = view(experiments(ws)).blocks
    assert isinstance(table, Table)
    (row,) = table.rows
    assert row["experiment"] == {"text": "boosting", "ref": f"experiment:{identity}"}
    assert next(one.digits for one in table.columns if one.key == "best") == 4


def test_an_interrupted_one_can_be_resumed_and_an_empty_one_is_shown(ws: Workspace) -> None:
    broken = add_experiment(ws, "broken", 0, status="interrupted", planned=9, outcome={})
    shown = view(browse(ws, broken))
    text = render_text(shown)
    assert "Best auc: none yet" in text
    assert "Trials: 0 of 9" in text
    assert "No trial has begun yet." in text
    assert f"%mlops experiment resume {broken[:8]}" in text
    assert "register" not in shown.model_dump_json()
    assert charts(shown) == []


def test_ten_thousand_trials_take_little_room(many: Workspace) -> None:
    whole = find_experiment(many, "many")
    for result in (whole, browse(many, "many")):
        shown = view(result)
        assert len(shown.model_dump_json()) < 80_000
        assert [points(one.spec) for one in charts(shown)] == [
            pytest.approx(600, abs=20), 3, pytest.approx(1030, abs=20),
            pytest.approx(720, abs=3), pytest.approx(92, abs=8),
        ]  # fmt: skip
        page = render_html(shown)
        assert len(page) < 200_000
        assert page.count("data:image/png;base64,") == 5
        assert Page(page).bad == []
    bundle = mimebundle(whole)
    assert len(json.dumps(bundle, indent=1)) < 200_000


def test_the_picture_is_drawn_from_the_chart_itself(ws: Workspace) -> None:
    from base64 import b64decode
    from io import BytesIO

    from PIL import Image

    shown = view(find_experiment(ws, add_experiment(ws, trials=60)))
    history = charts(shown)[0]
    drawn = Image.open(BytesIO(b64decode(picture(history))))
    assert drawn.width > 500
    # Points are blue and the best so far is orange.
    colours = {colour for _, colour in drawn.convert("RGB").getcolors() or []}
    assert any(red > 180 and blue < 60 for red, _, blue in colours)
    assert any(red < 130 and blue > 150 for red, _, blue in colours)
    assert history.png == ""


def test_the_best_so_far_is_never_thinned_away(many: Workspace) -> None:
    experiment = find_experiment(many, "many")
    (line,) = (one["data"]["values"] for one in charts(view(experiment))[0].spec["layer"][1:])
    best, found = -1.0, []
    for one in experiment.finished:
        if one.metrics["auc"] > best:
            best = one.metrics["auc"]
            found.append(f"{one.number},{best:.6g}")
    assert line.splitlines()[1:-1] == found


def test_the_winner_is_a_cell_that_binds_the_same_values(ws: Workspace) -> None:
    found = winner(ws, add_experiment(ws, trials=40))
    trial = found.detail.trial
    *python, register = found.cell.splitlines()
    names: dict[str, Any] = {}
    exec("\n".join(python), names)
    assert {name: names[name] for name in trial.params} == trial.params
    assert register == f"%mlops register run:{trial.id[:12]} boosting"
    assert found.detail.place == 1
    assert found.cell in render_text(view(found))


def test_names_that_are_no_variables_are_bound_together(ws: Workspace) -> None:
    from jupyter_mlops.experiments.winner import cell_of

    detail = find_trial(ws, add_experiment(ws), 0)
    odd = {"clf__C": 0.1, "class": "a", "tree depth": 3, "limit": float("inf"), "wide": [1, None]}
    names: dict[str, Any] = {}
    trial = replace(detail.trial, params=odd, has_model=False)
    exec(cell_of(detail.experiment, trial), names)
    assert names["params"] == {"class": "a", "tree depth": 3}
    assert (names["clf__C"], names["limit"], names["wide"]) == (0.1, float("inf"), [1, None])


def test_a_trial_says_where_it_ran_and_what_it_took(ws: Workspace) -> None:
    identity = add_experiment(ws, trials=60)
    text = render_text(view(find_trial(ws, identity, 3)))
    for part in ("Trial 3 of boosting", "Place: ", " of 51", "Attempts: 2", "305 MiB",
                 "tcp://127.0.0.1:40001", "auc by step of trial 3"):  # fmt: skip
        assert part in text, part
    failed = view(find_trial(ws, identity, 16))
    assert "✗ MemoryError: the worker ran out of memory" in render_text(failed)
    assert "register" not in failed.model_dump_json()


def test_the_list_says_how_far_each_is(ws: Workspace) -> None:
    add_experiment(ws, "one", 60)
    add_experiment(ws, "two", 20, status="running", planned=50, seed=2)
    text = render_text(view(experiments(ws)))
    assert "18 of 50" in text
    assert "60 of 60" in text
    none = Workspace.open(ws.root.parent / "none")
    assert "No experiments yet" in render_text(view(experiments(none)))


def test_whatever_things_are_called_the_page_stays_harmless(ws: Workspace) -> None:
    identity = add_experiment(ws, trials=20)
    told = find_experiment(ws, identity)
    odd = "<script>x</script> $a_b$ \n|" + "x" * 300
    trials = tuple(
        replace(one, params={odd: one.params["lr"], "k": f"{odd}{one.number % 3}"}, error=odd)
        for one in told.trials
    )
    outcome = told.outcome | {"importance": {odd: 0.7}, "why": odd}
    bundle = mimebundle(replace(told, trials=trials, outcome=outcome, notes=(odd,)))
    assert Page(bundle["text/html"]).bad == []
    assert len(bundle["text/plain"].splitlines()) <= 15
    assert len(json.dumps(bundle)) < 200_000


def test_two_metrics_are_shown_against_each_other(ws: Workspace) -> None:
    told = find_experiment(ws, add_experiment(ws, trials=60))
    trials = tuple(
        replace(
            one, metrics={**one.metrics, "cost": one.params["depth"] / 10} if one.metrics else {}
        )
        for one in told.trials
    )
    goals = (*told.goals, Goal("cost"))
    outcome = told.outcome | {"best": [21, 3, 5]}
    shown = view(replace(told, goals=goals, trials=trials, outcome=outcome))
    (front,) = (one for one in charts(shown) if one.title == "auc against cost")
    assert points(front.spec["layer"][0]) == 48
    assert points(front.spec["layer"][1]) == 3
    assert "Best against cost: trials 21, 3, 5" in render_text(shown)
    assert picture(front)

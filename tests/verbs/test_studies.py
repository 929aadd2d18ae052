"""Experiments are looked through by condition, order and page, as every face asks for them."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from experiments.workbench import FOREST, LOGISTIC, Bench, bench
from jupyter_mlops.experiments import browsing
from jupyter_mlops.experiments.browsing import TrialPage, browse, glance
from jupyter_mlops.experiments.contest import Contest
from jupyter_mlops.experiments.studies import Trial, find_experiment
from jupyter_mlops.server.watcher import digested, payload
from jupyter_mlops.verbs.glance import Section, Status
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import view
from jupyter_mlops.views.text import render_text
from jupyter_mlops.workspace import MLOpsError, Workspace
from views.searches import add_experiment, end_trial

__all__ = ["bench"]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with an experiment of 400 trials that nobody changes."""
    ws = Workspace.open(tmp_path_factory.mktemp("kept"))
    add_experiment(ws, "boosting", 400)
    return ws


@pytest.fixture
def ws(tmp_path: Path) -> Workspace:
    return Workspace.open(tmp_path / "project")


def run(ws: Workspace, line: str) -> Any:
    """What a line of the magic gives."""
    return parse(shlex.split(line)).call(ws)


def auc(trial: Trial) -> float:
    return trial.metrics.get("auc", float("nan"))


CONDITIONS: list[tuple[str, Callable[[Trial], bool]]] = [
    ("lr < 0.01 and status = finished",
     lambda t: t.params["lr"] < 0.01 and t.status == "finished"),
    ("params.lr>=.01 OR kind=dart", lambda t: t.params["lr"] >= 0.01 or t.params["kind"] == "dart"),
    ("not (depth = 6)", lambda t: t.params["depth"] != 6),
    ("status in (failed, pruned) and number < 100",
     lambda t: t.status in {"failed", "pruned"} and t.number < 100),
    ("auc between 0.8 and 0.9", lambda t: 0.8 <= auc(t) <= 0.9),
    ("auc is null", lambda t: not t.metrics),
    ("auc is not null and seconds > 1e0", lambda t: bool(t.metrics) and (t.seconds or 0) > 1),
    ("error like '%too deep%'", lambda t: "too deep" in t.error),
    ("kind != 'gbtree'", lambda t: t.params["kind"] != "gbtree"),
    ("attempts == 2", lambda t: t.attempts == 2),
    ("lr < -1", lambda t: False),
    ("1 = 1", lambda t: True),
    ("", lambda t: True),
]  # fmt: skip


@pytest.mark.parametrize(("where", "fits"), CONDITIONS, ids=[one for one, _ in CONDITIONS])
def test_a_condition_chooses_what_it_says(
    kept: Workspace, where: str, fits: Callable[[Trial], bool]
) -> None:
    wanted = {one.number for one in find_experiment(kept, "boosting").trials if fits(one)}
    found = browse(kept, "boosting", where=where, size=200)
    second = browse(kept, "boosting", where=where, size=200, page=2)
    assert {one.number for one in (*found.trials, *second.trials)} == wanted
    assert found.matching == len(wanted)


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("lrr < 1", "trials have no 'lrr': did you mean 'lr'?"),
        ("lr <", "trials can't be chosen by 'lr <'"),
        ("lr", "it is no condition"),
        ("lr < 0.1 depth", "trials can't be chosen by"),
        ("kind < 3", "cannot compare string with numeric"),
        ("lr < 1; drop table trial", "';' means nothing here"),
        ("read_csv('/etc/passwd') = 1", "trials have no 'read_csv'"),
        ("number in (select number)", "trials can't be chosen by"),
        ("(" * 400 + "lr < 1", "trials can't be chosen by"),
        ("lr < 1 or " * 200 + "lr < 1", "longer than 1,000 characters"),
        ("lr < 'x", "means nothing here"),
    ],
)
def test_what_is_no_condition_is_told_in_a_sentence(kept: Workspace, where: str, said: str) -> None:
    with pytest.raises(MLOpsError) as caught:
        browse(kept, "boosting", where=where)
    text = str(caught.value)
    assert said in text
    assert "\n" not in text
    assert len(text) < 500


def test_the_best_come_first_and_what_has_no_value_last(kept: Workspace, ws: Workspace) -> None:
    shown = browse(kept, "boosting", size=200)
    values = [auc(one) for one in shown.trials]
    assert values == sorted(values, reverse=True)
    assert shown.trials[0].number == find_experiment(kept, "boosting").best.number  # type: ignore[union-attr]
    last = browse(kept, "boosting", size=200, page=2).trials[-1]
    assert last.status != "finished"
    goals = [{"metric": "auc", "maximize": False}]
    add_experiment(ws, "least", 50, plan={"goals": goals, "trials": 50})
    values = [auc(one) for one in browse(ws, "least").trials]
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("lr", lambda t: t.params["lr"]),
        ("params.depth", lambda t: t.params["depth"]),
        ("seconds", lambda t: t.seconds),
        ("number", lambda t: t.number),
        ("kind", lambda t: t.params["kind"]),
    ],
)
@pytest.mark.parametrize("descending", [False, True])
def test_every_page_is_in_order(
    kept: Workspace, sort: str, key: Callable[[Trial], Any], descending: bool
) -> None:
    rows: list[Trial] = []
    for page in range(1, 5):
        part = browse(kept, "boosting", sort=sort, descending=descending, page=page, size=111)
        rows += part.trials
    assert [key(one) for one in rows] == sorted(map(key, rows), reverse=descending)
    assert len({one.number for one in rows}) == 400


def test_a_line_shows_a_page_and_a_trial(kept: Workspace) -> None:
    line = 'experiment show boosting --where "depth > 6" --sort lr --page 2 --size 5'
    shown = run(kept, line)
    assert isinstance(shown, TrialPage)
    assert len(shown.trials) == 5
    assert not shown.whole
    assert len(view(shown).blocks) == 1
    assert "Trial 7 of boosting" in view(run(kept, "experiment show boosting --trial 7")).title
    whole = run(kept, "experiment show boosting --size 20")
    assert len(view(whole).blocks) > 6


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("experiment show nothing --size 20", "no experiment is called 'nothing'"),
        ("experiment show boosting --trial 400", "has no trial 400"),
        ("experiment show boosting --page 0", "there is no page 0"),
        ("experiment show boosting --size 1000", "have up to 200"),
        ("experiment show boosting --sort lrr", "did you mean 'lr'?"),
        ("experiment compare boosting boosting/9999 --quiet", "has no trial 9999"),
    ],
)
def test_what_is_not_there_is_told_in_a_sentence(kept: Workspace, line: str, said: str) -> None:
    with pytest.raises(MLOpsError, match=said):
        run(kept, line)


def test_what_happens_is_seen_though_trials_are_kept_in_memory(ws: Workspace) -> None:
    identity = add_experiment(ws, trials=20, status="running", planned=50)
    before = glance(ws, identity)
    assert (before.count("running"), len(before.trials)) == (2, 20)
    end_trial(ws, identity, 18, 0.99)
    end_trial(ws, identity, 20, 0.5)
    after = glance(ws, identity)
    assert (after.count("running"), len(after.trials)) == (1, 21)
    assert after.best is not None
    assert after.best.number == 18
    assert after.trials[:18] == before.trials[:18]


def test_ten_thousand_trials_are_answered_at_once(tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path)
    add_experiment(ws, "many", 10_000)
    find("experiment show")(ws, name="many", page=1)  # imports
    took = []
    for _ in range(2):
        browsing._seen.clear()
        for _ in range(2):
            began = time.perf_counter()
            answer = view(find("experiment show")(ws, name="many")).model_dump_json()
            took.append(1000 * (time.perf_counter() - began))
    print(f"10,000 trials: {took[2]:.0f} ms at first, then {took[3]:.0f} ms, {len(answer):,} bytes")
    assert min(took) < 1500
    assert len(answer) < 80_000


def test_side_by_side_with_an_interval_where_both_kept_predictions(bench: Bench) -> None:
    bench.scored(LOGISTIC, "logistic")
    bench.scored(FOREST, "forest")
    add_experiment(bench.ws, "boosting", 40)
    result = find("experiment compare")(bench.ws, a="logistic", b="forest", c="boosting")
    assert isinstance(result, Contest)
    (pair,) = result.pairs
    assert pair.low < pair.difference < pair.high
    (note,) = result.notes
    assert "logistic and boosting/" in note
    text = render_text(view(result))
    assert pair.verdict.split(" (")[0] in text
    assert "log_loss" in view(result).model_dump_json()
    with pytest.raises(MLOpsError, match="are the same run"):
        find("experiment compare")(bench.ws, a="boosting", b=result.entrants[2].label)


def test_nothing_finished_means_no_winner(ws: Workspace) -> None:
    add_experiment(ws, "fresh", 0, status="running", planned=9)
    with pytest.raises(MLOpsError, match="has no winner"):
        find("experiment winner")(ws, name="fresh")


def test_the_overview_names_experiments_and_not_their_trials(ws: Workspace) -> None:
    add_experiment(ws, "ended", 30)
    live = add_experiment(ws, "live", 20, status="running", planned=50, seed=2)
    told = find("status")(lambda: ws)
    assert isinstance(told, Status)
    (section,) = (one for one in told.sections if one.title == "Experiments")
    assert isinstance(section, Section)
    assert [one.state for one in section.entries] == [
        "live running, 18 of 50 trials", "ended finished, 30 trials"
    ]  # fmt: skip
    assert section.total == 2
    assert told.answers[0].answer == f"live, 18 of 50 trials (experiment:{live})"


def test_an_experiment_of_a_process_that_is_gone_was_interrupted(ws: Workspace) -> None:
    add_experiment(ws, "lost", 20, status="running", planned=50, process="elsewhere:1:1")
    from jupyter_mlops.experiments.trials import process_name

    gone = process_name().split(":")[0] + ":999999:1.0"
    add_experiment(ws, "gone", 20, status="running", planned=50, seed=3, process=gone)
    states = {one.label: one.short for one in find("status")(lambda: ws).sections[2].entries}
    assert states["gone"] == "interrupted"
    seen = glance(ws, "gone")
    assert (seen.status, seen.count("running"), seen.count("interrupted")) == ("interrupted", 0, 2)
    assert "experiment resume" in render_text(view(browse(ws, "gone")))


def test_browsers_hear_of_a_burst_of_trials_once(ws: Workspace) -> None:
    one = add_experiment(ws, "one", 20, status="running", planned=50)
    other = add_experiment(ws, "other", 20, status="running", planned=50, seed=2)
    for number in range(20, 30):
        end_trial(ws, one, number, 0.5)
    end_trial(ws, other, 20, 0.5)
    events = ws.events(after=0, limit=100)
    told = digested(events)
    assert [event.kind for event in told] == ["experiment.started"] * 2 + ["run.finished"] * 2
    assert told[2].payload["number"] == 29
    assert [payload(event).get("experiment") for event in told] == [None, None, one, other]


def test_both_databases_answer_alike(database: str, tmp_path: Path) -> None:
    ws = Workspace.open(tmp_path / "project")
    identity = add_experiment(ws, "live", 40, status="running", planned=50)
    end_trial(ws, identity, 40, 0.99)
    shown = find("experiment show")(ws, name="live", where="depth > 6 or number = 40", size=5)
    assert shown.trials[0].number == 40
    assert shown.matching == sum(one.params["depth"] > 6 or one.number == 40
                                 for one in shown.experiment.trials)  # fmt: skip
    assert find("experiment ls")(ws).bests == {identity: 0.99}
    (entry,) = find("status")(lambda: ws).sections[2].entries
    assert entry.more == "39 of 50"

"""Policies that decide: trained on what is known, judged on what nobody saw, and back again."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from math import inf, nan
from pathlib import Path
from typing import Any

import polars as pl
import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "agent")]

import world
from living import until
from world import Place, deliveries

from jupyter_mlops import mlops, models, retraining
from jupyter_mlops.retraining import decisions, promoting
from jupyter_mlops.retraining.decisions import State
from jupyter_mlops.retraining.labelled import _as_trained
from jupyter_mlops.retraining.running import _failure, _last_line
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, NotFound


def end(place: Place, state: State, **values: Any) -> str:
    """A decision that ended so."""
    begun = retraining.begin(place.ws, retraining.policy(place.ws, place.name), mine=True)
    return decisions.close(place.ws, begun.ref, state, "It ended.", **values).ref


WORSE = "loss > champion_at_promotion.loss + 0.05 (95%)"


def test_a_world_that_stays_as_it_is_trains_nothing(place: Place) -> None:
    place.ask(deliveries(20, start="2026-02-01", seed=2))
    found = place.decide(when=WORSE, approve="auto")
    assert found.state == "unneeded"
    assert "the whole interval must be > 0.05" in found.reason
    assert place.champion == 1
    assert found.cpu_seconds == 0


def test_a_world_that_turns_gets_a_better_champion_until_it_turns_back(place: Place) -> None:
    place.turn()
    found = place.decide(when=WORSE, approve="auto", window="90d")
    assert found.state == "promoted", found.reason
    assert found.champion == f"{place.name}@1"
    assert found.challenger == f"{place.name}@2"
    assert found.cpu_seconds > 0
    assert place.champion == 2
    (line,) = found.found["gates"]
    assert line["verdict"] == "pass"
    assert line["expression"] == "log_loss < champion.log_loss (95%)"
    # It was trained on the older rows, and judged on the newest that it never saw.
    assert found.found["window"]["held_rows"] == 6 * 60
    assert found.found["window"]["held_since"][:10] == "2026-02-25"
    assert found.rows == 24 * 60
    assert place.ws.artifacts.exists(found.found["notebook"])
    # Who has it open was told of each cell, and of each stage.
    told = [one.kind for one in place.ws.events(subject=found.ref)]
    assert told[0] == "decision.training"
    assert told[-2:] == ["decision.judging", "decision.promoted"]
    assert set(told[1:-2]) == {"decision.progressed"}
    until(lambda: place.serves == "2")
    text = mimebundle(found)["text/plain"]
    assert f"{place.name}@2 is champion and served by {place.name}" in text

    # Nothing new has come since: the next look trains nothing.
    assert place.look().state == "unneeded"

    # It holds on what it answers, and stays.
    place.ask(deliveries(3, start="2026-04-01", turned=True, seed=9))
    until(lambda: retraining.decision(place.ws, found.ref).found.get("watch"))
    assert place.champion == 2

    # The world turns back: what was learnt is wrong again, and the version before returns.
    place.ask(deliveries(25, start="2026-04-10", seed=10))
    until(lambda: retraining.decision(place.ws, found.ref).state == "rolled back")
    found = retraining.decision(place.ws, found.ref)
    assert f"{place.name}@2 went back to {place.name}@1: its log_loss on 1,680 rows" in found.reason
    assert place.champion == 1
    until(lambda: place.serves == "1")


def test_a_dry_run_says_what_it_would_do_and_does_nothing(place: Place) -> None:
    place.turn()
    place.retrain(when="rows > 1000", window="90d")
    mlops.retrain.stop(place.name)
    found = place.look(dry_run=True)
    assert found.state == "would train"
    assert found.reason.startswith("It would train on 1,440 rows and judge on 360.")
    assert len(models.list_models(place.ws, place.name)) == 1
    assert [one for one in place.decisions if one.dry] == []


def test_a_challenger_that_learnt_nothing_is_held_with_numbers(place: Place) -> None:
    place.ask(deliveries(30, start="2026-02-01", seed=2))
    found = place.decide(approve="auto", runs_a_week=1)
    assert found.state == "held", found.reason
    assert f"{place.name}@2 isn't promoted: log_loss is" in found.reason
    assert "the whole interval must be < 0" in found.reason
    assert place.champion == 1
    # New truth comes, but the week's budget is used up.
    place.ask(deliveries(10, start="2026-04-01", turned=True, seed=9))
    found = place.look()
    assert found.state == "held"
    assert "it ran 1 notebooks in seven days, of 1" in found.reason


def test_a_person_approves_what_waits_and_the_agent_promotes_it(place: Place) -> None:
    place.turn()
    place.retrain(window="90d")
    # The agent looks by itself: nobody runs anything.
    until(lambda: any(one.state == "waiting" for one in place.decisions), 120)
    (found,) = place.decisions
    assert found.actor == f"policy:{place.name}"
    assert f"`%mlops approve {place.name}@2` promotes it" in found.reason
    assert place.champion == 1
    # Others that wait for versions that are gone don't hold it up.
    gone = [
        end(place, "waiting", challenger=f"{place.name}@{number}", champion=f"{place.name}@1")
        for number in (8, 9)
    ]
    mlops.approve(f"{place.name}@2")
    until(lambda: place.champion == 2)
    until(lambda: retraining.decision(place.ws, found.ref).state == "promoted")
    for ref in gone:
        until(lambda: retraining.decision(place.ws, ref).state == "failed")  # noqa: B023
        one = retraining.decision(place.ws, ref)
        assert one.reason.startswith(f"{one.challenger} can't be promoted: the model ")


def test_a_killed_decision_goes_on_and_promotes_once(place: Place) -> None:
    place.turn()
    place.retrain(approve="auto", window="90d")

    def working() -> int | None:
        for found, process in decisions.unfinished(place.ws):
            if found.state == "training" and found.found.get("progress") and process:
                return int(process.split(":")[1])
        return None

    until(working)
    pid = working()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: place.champion == 2, 120)
    until(lambda: place.decisions[0].state == "promoted")
    (found,) = place.decisions
    assert found.attempts == 2
    moved = place.ws.events(kind="model.alias_moved", subject=f"model:{place.name}@champion")
    assert [one.payload["how"] for one in moved] == ["register", "promote"]


def test_truth_that_comes_late_is_new_and_judges_nobody_who_was_trained_on_its_days(
    place: Place,
) -> None:
    table = deliveries(30, start="2026-02-01", turned=True, seed=3)
    early, late = table.iloc[: 10 * 60], table.iloc[10 * 60 :]
    mlops.call(place.name, table.drop(columns="late"))
    mlops.feedback(place.name, late[["id", "late"]], truth="late")
    place.retrain(window="90d", runs_a_week=0)
    mlops.retrain.stop(place.name)
    first = place.look(dry_run=True).found["window"]
    assert (first["held_rows"], first["held_since"][:10]) == (4 * 60, "2026-02-27")

    end(place, "held", challenger=f"{place.name}@1", found={"window": first})
    end(place, "held")  # because of its budget: it knew nothing of the rows
    again = place.look(dry_run=True)
    assert again.reason.endswith("But no truth has come since the last decision.")

    mlops.feedback(place.name, early[["id", "late"]], truth="late")
    then = place.look(dry_run=True)
    assert then.state == "would train", then.reason
    window = then.found["window"]
    # A fifth of all rows would begin on the 25th, which a challenger was trained on.
    assert window["new_rows"] == 10 * 60
    assert (window["held_rows"], window["held_since"]) == (4 * 60, first["held_since"])
    assert window["rows"] == 26 * 60


def test_a_decision_that_goes_on_isnt_held_because_of_its_own_run(place: Place) -> None:
    place.turn()
    place.retrain(window="90d", runs_a_week=1)
    mlops.retrain.stop(place.name)
    begun = retraining.begin(place.ws, retraining.policy(place.ws, place.name), dry=True)
    decisions.note(place.ws, begun.ref, cpu_seconds=3.0)
    assert retraining.decide(place.ws, begun.ref).state == "would train"
    assert "it ran 1 notebooks in seven days, of 1" in place.look(dry_run=True).reason


def test_a_notebook_is_ended_when_it_used_up_the_budget(place: Place) -> None:
    place.turn()
    world.notebook(place.ws.root / "burns.ipynb", "while True: pass")
    found = place.decide(notebook="burns.ipynb", cpu_a_week="5s")
    assert found.state == "stopped"
    assert found.reason == ("The notebook was ended: it used up the 5s of processor time a week.")
    assert found.cpu_seconds < 30


def test_a_difference_that_is_no_number_sends_nobody_back(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.ask(deliveries(2, start="2026-02-01", seed=2))
    place.retrain()
    mlops.retrain.stop(place.name)
    found = retraining.decision(place.ws, end(place, "held"))
    version = models.get(place.ws, f"{place.name}@1")
    monkeypatch.setattr(promoting, "paired_difference", lambda *_: (nan, nan, nan, 120))
    assert not promoting._look(place.ws, found, version, version)
    watch = retraining.decision(place.ws, found.ref).found["watch"]
    assert (watch["rows"], watch["low"], watch["high"]) == (120, None, None)


def test_truth_that_is_no_number_is_no_truth() -> None:
    truth = pl.Series("late", [1.0, nan, inf, None])
    assert _as_trained(truth, {}).to_list() == [1.0, None, None, None]


def test_a_policy_that_was_changed_while_it_decided_promotes_nothing(place: Place) -> None:
    place.turn()
    place.retrain(approve="auto", window="90d")
    until(lambda: any(one.state == "training" for one in place.decisions))
    first = place.decisions[-1]
    with pytest.raises(Conflict, match="is deciding already"):
        retraining.begin(place.ws, retraining.policy(place.ws, place.name))
    place.retrain(gate="auc > 0.99")
    until(lambda: not retraining.decision(place.ws, first.ref).active, 120)
    found = retraining.decision(place.ws, first.ref)
    assert found.reason == "The policy was changed while it decided."
    assert place.champion == 1


def test_stopping_a_policy_ends_what_it_runs(place: Place) -> None:
    place.turn()
    world.notebook(place.ws.root / "sleeps.ipynb", "import time\ntime.sleep(600)")
    place.retrain(notebook="sleeps.ipynb")
    until(lambda: any(one.found.get("progress") for one in place.decisions))
    mlops.retrain.stop(place.name)
    until(lambda: place.decisions[0].state == "stopped")
    assert "its policy was stopped" in place.decisions[0].reason
    # Whoever changes it doesn't start it by the way.
    assert place.retrain(every="20d").paused
    assert not mlops.retrain.resume(place.name).paused


def test_a_notebook_that_hangs_is_ended_with_its_kernel(place: Place) -> None:
    place.turn()
    sign = place.ws.root / "pid"
    world.notebook(
        place.ws.root / "hangs.ipynb",
        f"import os, time, pathlib\npathlib.Path({str(sign)!r}).write_text(str(os.getpid()))",
        "time.sleep(600)",
    )
    begun = time.monotonic()
    found = place.decide(notebook="hangs.ipynb", timeout="30s", retries=0)
    assert time.monotonic() - begun < 150
    assert found.state == "stopped"
    assert "it took longer than 30 s" in found.reason
    assert not Path(f"/proc/{sign.read_text()}").exists()


def test_a_notebook_that_fails_is_run_again_and_its_error_is_told(place: Place) -> None:
    place.turn()
    world.notebook(place.ws.root / "broken.ipynb", "1 / 0")
    found = place.decide(notebook="broken.ipynb", approve="auto")
    assert found.state == "failed"
    assert found.reason.endswith("failed: ZeroDivisionError: division by zero")
    assert found.reason.startswith("The notebook failed 2 times: cell ")
    assert place.champion == 1
    assert b"ZeroDivisionError" in place.ws.artifacts.read_bytes(found.found["notebook"])


def test_whatever_a_cell_wrote_its_error_is_one_line(tmp_path: Path) -> None:
    error = {"output_type": "error", "ename": "ValueError", "evalue": "a\n\tb\x00\udcff" * 200}
    cell = {"cell_type": "code", "execution_count": 3, "outputs": [error]}
    said = _failure(json.dumps({"cells": [cell]}).encode())
    assert said.startswith("cell 3 failed: ValueError: a b a b ")
    assert said.isprintable()
    assert len(said) == 500
    log = tmp_path / "log"
    log.write_text("Traceback\nnbformat.reader.NotJSONError: no JSON: 'x'\n\n")
    assert _last_line(log) == "NotJSONError: no JSON: 'x'"


def test_a_notebook_that_trains_nothing_is_no_challenger(place: Place) -> None:
    place.turn()
    world.notebook(place.ws.root / "idle.ipynb", "model = 'garbage'")
    found = place.decide(notebook="idle.ipynb", approve="auto")
    assert found.state == "failed"
    assert "trained no model" in found.reason


def test_too_little_truth_is_said_and_trains_nothing(place: Place) -> None:
    place.ask(deliveries(2, start="2026-02-01", turned=True, seed=3, a_day=40))
    found = place.decide()
    assert found.state == "unneeded"
    assert "not enough data: 40 of 100 rows to judge by" in found.reason


def test_bad_terms_are_refused_before_anything_is_kept(place: Place) -> None:
    for terms, said in (
        ({"notebook": "nowhere.ipynb"}, "there is no notebook 'nowhere.ipynb'"),
        ({}, "names no notebook"),
        ({"notebook": "train.ipynb", "when": "los > 1"}, "did you mean 'loss'"),
        ({"notebook": "train.ipynb", "gate": "auk > 1"}, "did you mean 'auc'"),
        ({"notebook": "train.ipynb", "hold": "120%"}, "can't be held back"),
        ({"notebook": "train.ipynb", "window": "all"}, "no window to train on"),
        ({"notebook": "train.ipynb", "every": "soon"}, "no length of time"),
        ({"notebook": "train.ipynb", "endpoint": "delai"}, "no endpoint is called"),
        ({"notebook": "train.ipynb", "set": ["a-b=1"]}, "no parameter of a notebook"),
    ):
        with pytest.raises((Invalid, NotFound)) as raised:
            mlops.retrain(place.name, **terms)
        assert said in str(raised.value)
    with pytest.raises(NotFound):
        retraining.policy(place.ws, place.name)

"""Policies that decide: trained on what is known, judged on what nobody saw, and back again."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parent), str(Path(__file__).parents[1] / "agent")]

import world
from living import until
from world import ask

from jupyter_mlops import mlops, models, retraining, serving
from jupyter_mlops.models.aliases import pointed_to
from jupyter_mlops.retraining import promoting
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Workspace

WORSE = "loss > champion_at_promotion.loss + 0.05 (95%)"


def turn(days: int = 30, **more: object) -> None:
    ask(world.deliveries(days, start="2026-02-01", turned=True, seed=3, **more))  # type: ignore[arg-type]


def test_a_world_that_stays_as_it_is_trains_nothing(place: Workspace) -> None:
    ask(world.deliveries(20, start="2026-02-01", seed=2))
    mlops.retrain("delay", notebook="train.ipynb", when=WORSE, approve="auto")
    found = mlops.retrain.run("delay")
    assert found.state == "unneeded"
    assert "the whole interval must be > 0.05" in found.reason
    assert pointed_to(place, "delay", "champion") == 1
    assert found.cpu_seconds == 0


def test_a_world_that_turns_gets_a_better_champion_that_serves(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", when=WORSE, approve="auto", window="90d")
    dry = mlops.retrain.run("delay", dry_run=True)
    assert dry.state == "would train"
    assert len(models.list_models(place, "delay")) == 1

    found = mlops.retrain.run("delay")
    assert found.state == "promoted", found.reason
    assert found.champion == "delay@1"
    assert found.challenger == "delay@2"
    assert found.cpu_seconds > 0
    assert pointed_to(place, "delay", "champion") == 2
    (line,) = found.found["gates"]
    assert line["verdict"] == "pass"
    assert line["expression"] == "log_loss < champion.log_loss (95%)"
    # It was trained on the older rows, and judged on the newest that it never saw.
    assert found.rows == found.found["window"]["rows"]
    assert found.found["window"]["held_rows"] == 6 * 60
    assert found.found["window"]["held_since"][:10] == "2026-02-25"
    assert place.artifacts.exists(found.found["notebook"])
    until(lambda: serving.get(place, "delay").serves == "2")
    text = mimebundle(found)["text/plain"]
    assert "delay@2 is champion and served by delay" in text
    # Nothing new has come since: the next look trains nothing.
    again = mlops.retrain.run("delay")
    assert again.state == "unneeded"


def test_a_challenger_that_learnt_nothing_is_held_with_numbers(place: Workspace) -> None:
    ask(world.deliveries(30, start="2026-02-01", seed=2))
    mlops.retrain("delay", notebook="train.ipynb", approve="auto")
    found = mlops.retrain.run("delay")
    assert found.state == "held", found.reason
    assert "delay@2 isn't promoted: log_loss is" in found.reason
    assert "the whole interval must be < 0" in found.reason
    assert pointed_to(place, "delay", "champion") == 1
    assert serving.get(place, "delay").version == "1"


def test_a_person_approves_what_waits_and_the_agent_promotes_it(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", window="90d", every="30d")
    # The agent looks by itself: nobody runs anything.
    until(lambda: any(one.state == "waiting" for one in mlops.decisions("delay")), 120)
    (found,) = mlops.decisions("delay")
    assert found.actor == "policy:delay"
    assert "`%mlops approve delay@2` promotes it" in found.reason
    assert pointed_to(place, "delay", "champion") == 1
    mlops.approve("delay@2")
    until(lambda: pointed_to(place, "delay", "champion") == 2, 60)
    until(lambda: retraining.decision(place, found.ref).state == "promoted")


def test_a_version_that_does_worse_than_the_one_before_goes_back(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", approve="auto", window="90d")
    found = mlops.retrain.run("delay")
    assert found.state == "promoted", found.reason
    until(lambda: serving.get(place, "delay").serves == "2")
    # The world turns back: what was learnt is wrong again.
    ask(world.deliveries(10, start="2026-04-01", seed=9))
    assert promoting.watch_promoted(place) == 1
    found = retraining.decision(place, found.ref)
    assert found.state == "rolled back"
    assert "delay@2 went back to delay@1: its log_loss on 600 rows with truth is" in found.reason
    assert pointed_to(place, "delay", "champion") == 1
    until(lambda: serving.get(place, "delay").serves == "1")


def test_a_version_that_holds_stays(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", approve="auto", window="90d")
    found = mlops.retrain.run("delay")
    until(lambda: serving.get(place, "delay").serves == "2")
    ask(world.deliveries(10, start="2026-04-01", turned=True, seed=9))
    assert promoting.watch_promoted(place) == 0
    assert retraining.decision(place, found.ref).found["watch"]["looks"] == 1
    assert pointed_to(place, "delay", "champion") == 2


def test_a_notebook_that_fails_is_run_again_and_its_error_is_told(place: Workspace) -> None:
    turn()
    world.notebook(place.root / "broken.ipynb", "import random", "1 / 0")
    mlops.retrain("delay", notebook="broken.ipynb", approve="auto")
    found = mlops.retrain.run("delay")
    assert found.state == "failed"
    assert found.reason == (
        "The notebook failed 2 times: cell 4 failed: ZeroDivisionError: division by zero"
    )
    assert pointed_to(place, "delay", "champion") == 1
    assert b"ZeroDivisionError" in place.artifacts.read_bytes(found.found["notebook"])


def test_a_notebook_that_trains_nothing_is_no_challenger(place: Workspace) -> None:
    turn()
    world.notebook(place.root / "idle.ipynb", "model = 'garbage'")
    mlops.retrain("delay", notebook="idle.ipynb", approve="auto")
    found = mlops.retrain.run("delay")
    assert found.state == "failed"
    assert "trained no model" in found.reason


def test_a_notebook_that_hangs_is_ended_with_its_kernel(place: Workspace) -> None:
    turn()
    sign = place.root / "pid"
    world.notebook(
        place.root / "hangs.ipynb",
        f"import os, time, pathlib\npathlib.Path({str(sign)!r}).write_text(str(os.getpid()))",
        "time.sleep(600)",
    )
    mlops.retrain("delay", notebook="hangs.ipynb", approve="auto", timeout="15s", retries=0)
    begun = time.monotonic()
    found = mlops.retrain.run("delay")
    assert time.monotonic() - begun < 60
    assert found.state == "stopped"
    assert "it took longer than 15 s" in found.reason
    assert not Path(f"/proc/{sign.read_text()}").exists()


def test_stopping_a_policy_ends_what_it_runs(place: Workspace) -> None:
    turn()
    world.notebook(place.root / "hangs.ipynb", "import time\ntime.sleep(600)")
    mlops.retrain("delay", notebook="hangs.ipynb", every="30d")
    until(lambda: any(one.found.get("progress") for one in mlops.decisions("delay")), 90)
    mlops.retrain.stop("delay")
    until(lambda: mlops.decisions("delay").items[0].state == "stopped", 30)
    assert "its policy was stopped" in mlops.decisions("delay").items[0].reason


def test_a_policy_that_was_changed_while_it_decided_promotes_nothing(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", approve="auto", window="90d", every="30d")
    until(lambda: any(one.state == "training" for one in mlops.decisions("delay")), 90)
    mlops.retrain("delay", gate="auc > 0.99")
    first = mlops.decisions("delay").items[-1]
    until(lambda: not retraining.decision(place, first.ref).active, 120)
    assert retraining.decision(place, first.ref).reason == (
        "The policy was changed while it decided."
    )
    assert pointed_to(place, "delay", "champion") == 1


def test_a_killed_decision_goes_on_and_promotes_once(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", approve="auto", window="90d", every="30d")

    def working() -> int | None:
        for found, process in retraining.decisions.unfinished(place):
            if found.state == "training" and found.found.get("progress") and process:
                return int(process.split(":")[1])
        return None

    until(working, 90)
    pid = working()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: pointed_to(place, "delay", "champion") != 1, 120)
    (found,) = mlops.decisions("delay")
    until(lambda: retraining.decision(place, found.ref).state == "promoted")
    assert retraining.decision(place, found.ref).attempts == 2
    moved = place.events(kind="model.alias_moved", subject="model:delay@champion")
    assert [one.payload["how"] for one in moved] == ["register", "promote"]


def test_a_budget_that_is_used_up_trains_nothing(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", runs_a_week=1, gate="auc > 0.999")
    assert mlops.retrain.run("delay").state == "held"
    ask(world.deliveries(10, start="2026-04-01", turned=True, seed=9))
    found = mlops.retrain.run("delay")
    assert found.state == "held"
    assert "it ran 1 notebooks in seven days, of 1" in found.reason


def test_too_little_truth_is_said_and_trains_nothing(place: Workspace) -> None:
    ask(world.deliveries(2, start="2026-02-01", turned=True, seed=3, a_day=40))
    mlops.retrain("delay", notebook="train.ipynb")
    found = mlops.retrain.run("delay")
    assert found.state == "unneeded"
    assert "not enough data: 40 of 100 rows to judge by" in found.reason


def test_two_decisions_of_one_policy_do_not_run_at_once(place: Workspace) -> None:
    turn()
    mlops.retrain("delay", notebook="train.ipynb", every="30d")
    found = retraining.policy(place, "delay")
    until(lambda: len(mlops.decisions("delay")) == 1, 30)
    with pytest.raises(Conflict, match="is deciding already"):
        retraining.begin(place, found)


def test_bad_terms_are_refused_before_anything_is_kept(place: Workspace) -> None:
    for terms, said in (
        ({"notebook": "nowhere.ipynb"}, "there is no notebook 'nowhere.ipynb'"),
        ({}, "names no notebook"),
        ({"notebook": "train.ipynb", "when": "los > 1"}, "did you mean 'loss'"),
        ({"notebook": "train.ipynb", "gate": "auk > 1"}, "did you mean 'auc'"),
        ({"notebook": "train.ipynb", "hold": "120%"}, "can't be held back"),
        ({"notebook": "train.ipynb", "window": "all"}, "no window to train on"),
        ({"notebook": "train.ipynb", "every": "soon"}, "no length of time"),
        ({"notebook": "train.ipynb", "endpoint": "dlay"}, "did you mean 'delay'"),
        ({"notebook": "train.ipynb", "set": ["a-b=1"]}, "no parameter of a notebook"),
    ):
        with pytest.raises((Invalid, NotFound)) as raised:
            mlops.retrain("delay", **terms)
        assert said in str(raised.value)
    assert len(retraining.list_policies(place)) == 0

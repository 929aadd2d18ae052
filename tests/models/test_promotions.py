"""Promoting through gates, going back, and what a crash in between leaves."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.workbench import FOREST, LOGISTIC, Bench
from jupyter_mlops import experiments, models
from jupyter_mlops.experiments import sending
from jupyter_mlops.magics.words import split
from jupyter_mlops.models import aliases, settling
from jupyter_mlops.verbs.line import parse
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Denied, Invalid, NotFound, Workspace
from jupyter_mlops.workspace.tracking import tracking_client


def run_line(ws: Workspace, line: str) -> Any:
    return parse(split(line, {})).call(ws)


@pytest.fixture
def three(tracked: Bench) -> Workspace:
    """A model with three versions."""
    for seed in (1, 2, 3):
        run = tracked.scored(LOGISTIC if seed == 1 else FOREST, seed=seed)
        sending.send(tracked.ws, run.id)
        models.register(tracked.ws, experiments.find_run(tracked.ws, run), "delay")
    return tracked.ws


def at(ws: Workspace, alias: str = "champion") -> int:
    """What MLflow says."""
    return int(tracking_client(ws).get_model_version_by_alias("delay", alias).version)


def test_a_version_that_fails_a_gate_isnt_promoted_and_the_refusal_says_why(
    three: Workspace,
) -> None:
    run_line(three, "gate delay auc > 0.5 never: auc > 1 approved")
    with pytest.raises(Denied) as raised:
        run_line(three, "promote delay@2")
    text = str(raised.value)
    assert "delay@2 isn't promoted to champion: 2 of 3 gates didn't pass" in text
    assert "never: auc is" in text
    assert "approved: Nobody approved delay@2" in text
    with pytest.raises(NotFound):
        models.get(three, "delay@champion")
    # What was measured is kept all the same.
    assert len(three.events(kind="gate.checked")) == 1
    forced = run_line(three, 'promote delay@2 --force "the old one is down"')
    assert at(three) == 2
    event = three.events(kind="model.alias_moved")[-1]
    assert event.payload["forced"] == "the old one is down"
    assert event.payload["checked"] == three.events(kind="gate.checked")[-1].seq
    assert "the old one is down" in mimebundle(forced)["text/plain"]
    with pytest.raises(Invalid, match="--force needs a reason"):
        run_line(three, 'promote delay@1 --force " "')


def test_promoting_and_going_back_step_by_step(three: Workspace) -> None:
    run_line(three, "gate delay auc > 0.5")
    for version in (1, 2, 3):
        made = run_line(three, f"promote delay@{version} champion")
        assert (made.version.version, made.forced) == (version, "")
    assert at(three) == 3
    with pytest.raises(Invalid, match="delay@3 is at champion already"):
        run_line(three, "promote delay@3")
    back = run_line(three, "rollback delay")
    assert (back.version.version, back.earlier, at(three)) == (2, 3, 2)
    assert "went back to delay@2" in mimebundle(back)["text/plain"]
    run_line(three, "promote delay@3")
    assert run_line(three, "rollback delay").version.version == 2
    assert run_line(three, "rollback delay champion").version.version == 1
    with pytest.raises(NotFound, match="has no version before"):
        run_line(three, "rollback delay")
    assert at(three) == 1
    hows = [one.payload["how"] for one in three.events(kind="model.alias_moved")]
    assert hows.count("rollback") == 3
    assert three.audit().intact


def test_a_version_set_in_mlflow_itself_is_gone_back_to(three: Workspace) -> None:
    tracking_client(three).set_registered_model_alias("delay", "champion", "3")
    run_line(three, "promote delay@1")
    assert run_line(three, "rollback delay").version.version == 3


def test_registering_doesnt_go_around_the_gates(tracked: Bench, three: Workspace) -> None:
    run_line(three, "gate delay auc > 0.5")
    run = experiments.runs(three)[0]
    with pytest.raises(Denied, match="delay has gates, and registering doesn't look at them"):
        models.register(three, run, "delay", alias="champion")


def test_a_crash_before_mlflow_is_told_is_mended_at_the_next_look(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_line(three, "promote delay@1")

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(settling, "_settle_one", die)
        with pytest.raises(KeyboardInterrupt):
            run_line(three, "promote delay@2")
    assert at(three) == 1
    assert three.events(kind="model.alias_moved")[-1].payload["version"] == 2
    assert models.get(three, "delay@champion").version == 2
    assert at(three) == 2
    assert settling.settle(three, tracking_client(three)) == 0


def test_two_who_promote_at_once_dont_overwrite_each_other(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = aliases.pointed_to

    def while_another_promotes(ws: Workspace, name: str, alias: str) -> int | None:
        found = real(ws, name, alias)
        monkeypatch.setattr(aliases, "pointed_to", real)
        models.move_alias(ws, models.get(ws, "delay@3"), alias)
        return found

    monkeypatch.setattr(aliases, "pointed_to", while_another_promotes)
    with pytest.raises(Conflict, match="was moved meanwhile: it points to version 3"):
        models.move_alias(three, models.get(three, "delay@2"), "champion")
    assert at(three) == 3


def test_mlflow_ends_where_the_last_of_two_movers_says(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that tells MLflow late, after another has moved on, doesn't win."""
    client = tracking_client(three)
    models.move_alias(three, models.get(three, "delay@1"), "champion")
    real = type(client).set_registered_model_alias

    def late(self: Any, name: str, alias: str, version: str) -> None:
        monkeypatch.setattr(type(client), "set_registered_model_alias", real)
        # Meanwhile another process mends this move and makes one of its own.
        models.move_alias(three, models.get(three, "delay@3"), "champion")
        real(self, name, alias, version)

    monkeypatch.setattr(type(client), "set_registered_model_alias", late)
    models.move_alias(three, models.get(three, "delay@2"), "champion")
    assert at(three) == 3


def test_gates_are_written_as_in_a_notebook(three: Workspace) -> None:
    line = "gate delay log_loss < champion.log_loss - 0.002 (95%, paired by day) auc > .5"
    kept = run_line(three, line)
    assert [one.expression for one in kept.items] == [
        "log_loss < champion.log_loss - 0.002 (95%, paired by day)",
        "auc > .5",
    ]
    cell = parse(split("gate delay", {})).call(three, body="auc > 0.6\nsure: auc > 0.5 (90%)\n")
    assert [one.name for one in cell.items] == ["auc", "sure"]
    assert run_line(three, "gate show delay").items == cell.items
    assert run_line(three, "gate check delay").passed
    assert run_line(three, "gate show delay@3").passed
    assert run_line(three, "gate delay --clear").items == ()

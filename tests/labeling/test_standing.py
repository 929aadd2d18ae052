"""What wants attention first among many tasks, and how fast they are labelled."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest

from jupyter_mlops.labeling import (
    Decision,
    change_rules,
    commit,
    create,
    list_tasks,
    people,
    status,
)
from jupyter_mlops.labeling.pace import measure
from jupyter_mlops.views.registry import view
from jupyter_mlops.workspace import Invalid, Workspace

from .conftest import Rows, label, skip, undo

NOW = datetime(2026, 12, 3, 9, tzinfo=UTC)


@pytest.fixture
def ws(database, tmp_path):
    return Workspace.open(tmp_path, user="maria")


def make(ws, name, count=4, **settings):
    frame = pl.DataFrame({"remark": [f"{name} {n}" for n in range(count)]})
    return create(ws, name, Rows(frame), "text", ["a", "b"], settings=settings)


def say(ws, task, person, values):
    made = [label(f"{task}{person}{n}", n, value) for n, value in enumerate(values)]
    assert not commit(ws, task, person, made).refused


@pytest.fixture
def tasks(ws):
    make(ws, "done", 2)
    say(ws, "done", "jo", "ab")
    make(ws, "begun")
    say(ws, "begun", "jo", "a")
    make(ws, "untouched")
    make(ws, "late", due="2026-12-01")
    make(ws, "in-time", due="2026-12-03")
    make(ws, "disputed", overlap=2)
    say(ws, "disputed", "jo", "ab")
    say(ws, "disputed", "ana", "aa")
    return list_tasks(ws, now=NOW)


def test_disputes_and_late_tasks_come_first_and_those_done_last(tasks):
    names = [one.task.name for one in tasks.standings]
    assert names == ["disputed", "late", "begun", "in-time", "untouched", "done"]
    first, second = tasks.standings[:2]
    assert (first.disputed, first.people, first.agreement) == (1, 2, 0.5)
    assert (second.overdue, second.people, second.agreement) == (2, 0, None)
    assert tasks.standings[3].overdue == 0


def test_the_list_says_what_each_task_waits_for_and_leads_there(tasks):
    found = view(tasks)
    table, form = found.blocks
    states = {row["task"]: row["state"]["text"] for row in table.rows}
    assert states == {
        "label:disputed": "1 to decide",
        "label:late": "2 days late",
        "label:begun": "under way",
        "label:in-time": "due 2026-12-03",
        "label:untouched": "not begun",
        "label:done": "done",
    }
    assert [one["label"] for one in table.rows[0]["do"]] == ["Label", "Decide"]
    assert table.rows[5]["do"] is None
    assert found.subtitle == "6 tasks · 17 items to label · 1 item to decide"
    assert {one.name for one in form.fields if one.required} == {"task", "data", "kind"}


def test_a_workspace_without_tasks_says_how_to_make_one(ws):
    found = view(list_tasks(ws))
    assert found.blocks[0].rows == []
    assert "%mlops label TASK DATA" in found.blocks[0].empty
    assert found.subtitle == ""


def test_a_pace_is_of_labels_that_stand_and_of_all_the_attention_they_took():
    labels = [(f"l{n}", "label", None, ms) for n, ms in enumerate([1000, 2000, 3000, 4000, 90_000])]
    more = [("l5", "label", None, 1000), ("u", "undo", "l5", 1000), ("s", "skip", None, 6000)]
    found = measure([*labels, *more])
    assert (found.labels, found.seconds) == (5, 3.0)
    assert found.hours == pytest.approx(108 / 3600)
    assert found.per_hour == pytest.approx(5 / (108 / 3600))
    # A few labels tell nothing, and neither does what came without times.
    assert measure(labels[:4]).per_hour is None
    assert measure([]).hours == 0


def test_each_task_and_each_person_has_a_pace(ws):
    make(ws, "remarks", 12)
    timed = [label(f"j{n}", n, "a", active_ms=2000) for n in range(6)]
    commit(ws, "remarks", "jo", timed)
    slow = [label(f"m{n}", n, "a", active_ms=4000) for n in range(6, 12)]
    commit(ws, "remarks", "maria", [*slow, undo("u", 11, "m11"), skip("s", 11)])
    assert list_tasks(ws).standings[0].pace.per_hour == pytest.approx(11 / (36 / 3600))
    assert status(ws, "remarks").pace.seconds == 2.0
    paces = {one.name: one.done.pace for one in people(ws, "remarks").people}
    assert (paces["jo"].per_hour, paces["jo"].seconds) == (pytest.approx(1800), 2.0)
    assert (paces["maria"].per_hour, paces["maria"].labels) == (pytest.approx(750), 5)
    facts = {one.label: one.value for one in view(status(ws, "remarks")).blocks[0].items}
    assert facts["Seconds a label"] == "2.0"
    assert facts["Labels an hour"] == "1,100"


def test_the_last_answers_of_any_shape_are_told(ws):
    frame = pl.DataFrame({"p": ["one.png", "two.png", "three.png"]})
    for name in frame["p"]:
        (ws.root / name).write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(40))
    create(ws, "faces", Rows(frame), "image", ["face", "hat"], answer="boxes")
    box = {"x": 1, "y": 1, "width": 4, "height": 4}
    boxes = [{"label": "hat", **box}, {"label": "face", **box}, {"label": "hat", **box}]
    made = [Decision("e0", 0, "label", boxes), Decision("e1", 1, "label", []), skip("e2", 2)]
    assert not commit(ws, "faces", "jo", made).refused
    told = {one.item: one.label for one in status(ws, "faces").recent}
    assert told == {0: "2 hat, 1 face", 1: "nothing", 2: None}
    # Boxes have no class of their own, so none is counted.
    assert "Classes" not in [getattr(one, "title", "") for one in view(status(ws, "faces")).blocks]


def test_a_day_that_is_none_is_refused(ws):
    make(ws, "remarks")
    with pytest.raises(Invalid, match="due is a day, written 2026-12-31"):
        change_rules(ws, "remarks", {"due": "tomorrow"})
    with pytest.raises(Invalid, match="due is a day"):
        make(ws, "other", due="20261231")
    assert change_rules(ws, "remarks", {"due": "2026-12-31"}).task.settings["due"] == "2026-12-31"
    assert change_rules(ws, "remarks", {"due": ""}).task.settings["due"] == ""

"""All that is known of a task goes out as JSON lines and comes back, to the last byte."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from jupyter_mlops.labeling import (
    Decision,
    adjudicate,
    change_rules,
    commit,
    create,
    disputes,
    export,
    get,
    give_role,
    import_file,
    pick,
    roles,
    set_gold,
    stats,
    status,
)
from jupyter_mlops.labeling.guidelines import versions
from jupyter_mlops.labeling.records import ItemRecord
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import Denied, Invalid, Workspace

from .conftest import Rows

ITEMS = 4
PEOPLE = ["jo", "ana", "maria"]
VALUES = ["a", "b", "ö \u2028"]
NUMBERS = itertools.count()

_text = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12
)
_rules = st.fixed_dictionaries(
    {},
    optional={
        "overlap": st.integers(1, 3),
        "requeue": st.sampled_from(["me", "others", "never"]),
        "gold": st.sampled_from([0.0, 0.25]),
        "threshold": st.sampled_from([0.2, 0.9]),
        "guideline": _text,
    },
)
_item = st.integers(0, ITEMS - 1)
_proposed = st.one_of(
    st.just({}),
    st.fixed_dictionaries(
        {"value": st.sampled_from(VALUES), "by": _text, "confidence": st.sampled_from([0.25, None])}
    ),
)
_said = st.fixed_dictionaries(
    {
        "do": st.sampled_from(["label", "label", "skip", "undo"]),
        "who": st.sampled_from(PEOPLE),
        "item": _item,
        "value": st.sampled_from(VALUES),
        "reason": st.one_of(st.just(""), _text),
        "requeue": st.sampled_from(["", "me", "others", "never"]),
        "suggestion": _proposed,
        "guideline": st.sampled_from([None, "", "f" * 16]),
        "active_ms": st.one_of(st.none(), st.integers(0, 99_999)),
    }
)
_done = st.one_of(
    _said,
    _said,
    st.fixed_dictionaries({"do": st.just("rules"), "rules": _rules}),
    st.fixed_dictionaries(
        {"do": st.sampled_from(["gold", "decide"]), "item": _item, "value": st.sampled_from(VALUES)}
    ),
    st.fixed_dictionaries({"do": st.just("suggest"), "item": _item, "suggestion": _proposed}),
    st.fixed_dictionaries(
        {"do": st.just("role"), "who": st.sampled_from(["jo", "ana"]),
         "role": st.sampled_from(["annotator", "reviewer", "owner", "none"])}
    ),
    st.just({"do": "pick"}),
)  # fmt: skip


def rows() -> Rows:
    return Rows(pl.DataFrame({"remark": ["one", "two", "two", "<b>ö</b>"], "id": list("wxyz")}))


def make(ws: Workspace, name: str, rules: dict[str, Any]) -> str:
    more: dict[str, Any] = {"column": "remark", "key": "id", "settings": rules}
    return create(ws, name, rows(), "text", VALUES, **more).id


def do(ws: Workspace, task: str, act: dict[str, Any], said: list[tuple[str, int, str]]) -> None:
    """One thing that happens to a task; `said` are the decisions that may be taken back."""
    kind, item = act["do"], act.get("item", 0)
    ev = f"e{next(NUMBERS)}"
    if kind == "rules":
        change_rules(ws, task, act["rules"])
    elif kind == "gold":
        set_gold(ws, task, {item: act["value"]})
    elif kind == "decide":
        adjudicate(ws, task, item, act["value"], reason="so it is")
    elif kind == "role":
        give_role(ws, task, act["who"], act["role"])
    elif kind == "pick":
        pick(ws, task, strategy_name="margin", seed=3)
    elif kind == "suggest":
        with ws.write() as tx:
            query = select(ItemRecord).filter_by(task=task, item=item)
            tx.session.scalars(query).one().suggestion = act["suggestion"]
    else:
        mine = [one for one in said if one[:2] == (act["who"], item)]
        if kind == "undo" and not mine:
            return
        decision = Decision(
            ev,
            item,
            kind,
            act["value"] if kind == "label" else None,
            reason=act["reason"] if kind == "skip" else "",
            undoes=mine.pop()[2] if kind == "undo" else None,
            requeue=act["requeue"] if kind == "skip" else "",
            suggestion=act["suggestion"] if kind != "undo" else {},
            guideline=act["guideline"],
            active_ms=act["active_ms"],
        )
        try:
            commit(ws, task, act["who"], [decision])
        except Denied:
            return  # somebody without a role, once an annotator is named
        if kind != "undo":
            said.append((act["who"], item, ev))


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Workspace]:
    here, there = (tmp_path_factory.mktemp(one) for one in ("here", "there"))
    return Workspace.open(here, user="maria"), Workspace.open(there, user="maria")


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rules=_rules, acts=st.lists(_done, max_size=12))
def test_what_goes_out_comes_back_and_goes_out_again_byte_for_byte(
    places: tuple[Workspace, Workspace], rules: dict[str, Any], acts: list[dict[str, Any]]
) -> None:
    here, there = places
    name = f"task{next(NUMBERS)}"
    task = make(here, name, rules)
    said: list[tuple[str, int, str]] = []
    for act in acts:
        do(here, task, act, said)
    export(here, name, f"{name}.jsonl")
    first = (here.root / f"{name}.jsonl").read_bytes()
    # Only what the task asks is said again; all the rest comes with the file.
    make(there, name, {})
    import_file(there, name, here.root / f"{name}.jsonl", keep_people=True)
    export(there, name, f"{name}.jsonl")
    assert (there.root / f"{name}.jsonl").read_bytes() == first
    assert import_file(there, name, here.root / f"{name}.jsonl", keep_people=True).new == 0
    assert stats(there, name).labels == stats(here, name).labels
    assert status(there, name).counts == status(here, name).counts


def full(ws: Workspace) -> str:
    """A task with one of everything."""
    task = make(ws, "full", {"guideline": "# First", "overlap": 2})
    change_rules(ws, task, {"guideline": "# Second", "requeue": "others"})
    give_role(ws, task, "jo", "annotator")
    give_role(ws, task, "rita", "reviewer")
    give_role(ws, task, "ana", "annotator")
    said: list[tuple[str, int, str]] = []
    for who, value in (("jo", "a"), ("ana", "b")):
        proposal = {"value": "a", "by": "m", "confidence": 0.25}
        act = {"who": who, "item": 0, "value": value, "reason": "", "requeue": "",
               "suggestion": proposal, "guideline": None, "active_ms": 5}  # fmt: skip
        do(ws, task, {**act, "do": "label"}, said)
        do(ws, task, {**act, "do": "label", "item": 1}, said)
        do(ws, task, {**act, "do": "skip", "item": 3, "reason": "unclear"}, said)
    adjudicate(ws, task, 0, "b", reason="see page 2")
    set_gold(ws, task, {2: "a"})
    export(ws, "full", "full.jsonl")
    return task


def test_a_task_with_one_of_everything_comes_back_byte_for_byte(
    places: tuple[Workspace, Workspace], ws: Workspace
) -> None:
    _, there = places
    task = make(ws, "whole", {"guideline": "# First", "overlap": 2, "audit": 0.5})
    pick(ws, task, strategy_name="margin", seed=3)
    change_rules(ws, task, {"guideline": "# Second"})
    give_role(ws, task, "rita", "reviewer")
    for who in ("jo", "ana"):
        said = [Decision(f"{who}{n}", n, "label", VALUES[n]) for n in range(3)]
        commit(ws, task, who, said)
    adjudicate(ws, task, 0, "b")
    export(ws, "whole", "whole.jsonl")
    first = (ws.root / "whole.jsonl").read_bytes()
    assert all(one in first for one in (b'"audit": 1', b'"strategy": "audit"', b"# First"))
    make(there, "whole", {})
    import_file(there, "whole", ws.root / "whole.jsonl", keep_people=True)
    export(there, "whole", "whole.jsonl")
    assert (there.root / "whole.jsonl").read_bytes() == first


def test_rules_guidelines_roles_and_disputes_hold_where_they_were_taken(
    ws: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    full(ws)
    there = Workspace.open(tmp_path_factory.mktemp("there"), user="zoe")
    make(there, "full", {})
    label_import = find("label import")
    done = label_import(there, task="full", data=str(ws.root / "full.jsonl"), keep_people=True)
    assert "rules, guidelines and roles came along" in done.notes[0]
    task = get(there, "full")
    assert {**task.settings, "golden": True} == {
        "overlap": 2,
        "guideline": "# Second",
        "requeue": "others",
        "golden": True,
    }
    with there.read() as session:
        assert [(one.text, one.person) for one in versions(session, task.id)] == [
            ("# First", "maria"),
            ("# Second", "maria"),
        ]
    # Who brought it stays an owner beside those whom the file names.
    assert {one.person: one.role for one in roles(there, "full").held} == {
        "maria": "owner",
        "zoe": "owner",
        "rita": "reviewer",
        "jo": "annotator",
        "ana": "annotator",
    }
    rita = Workspace.open(there.root, user="rita")
    assert [(one.item, one.opinions) for one in disputes(rita, "full").items] == [
        (1, (("jo", "a", ""), ("ana", "b", "")))
    ]
    jo = Workspace.open(there.root, user="jo")
    with pytest.raises(Denied):
        disputes(jo, "full")
    export(jo, "full", "jo.jsonl")
    # Blind there too: jo was not yet asked for the item with a known answer.
    assert "gold:" not in (there.root / "jo.jsonl").read_text()
    event = there.events(kind="label.charter_taken")[0]
    assert (event.actor, event.payload["roles"]["rita"]) == ("zoe", "reviewer")
    assert there.audit().intact


def test_a_task_with_labels_keeps_its_own_rules_and_only_an_owner_brings_others(
    ws: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    full(ws)
    there = Workspace.open(tmp_path_factory.mktemp("there"), user="maria")
    make(there, "full", {"overlap": 3})
    commit(there, "full", "maria", [Decision("own", 1, "label", "a")])
    bo = Workspace.open(there.root, user="bo")
    with pytest.raises(Denied, match="bo may not change the rules"):
        import_file(bo, "full", ws.root / "full.jsonl", keep_people=True)
    import_file(there, "full", ws.root / "full.jsonl", keep_people=True)
    assert get(there, "full").settings["overlap"] == 3
    assert [one.person for one in roles(there, "full").held] == ["maria"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"guidelines": [{"version": "f" * 16, "text": "x", "person": "m",
                          "at": "2026-01-01T00:00:00+00:00"}]}, "isn't the one of its text"),
        ({"roles": [{"person": "jo", "role": "king", "by": "m",
                     "at": "2026-01-01T00:00:00+00:00"}]}, "'jo' can't be 'king'"),
        ({"roles": ["jo"]}, "can't be taken over"),
        ({"rules": {"overlap": 99}}, "overlap is a number of people"),
        ({"rules": {"overlpa": 2}}, "no rule 'overlpa'"),
        ({"pick": {"strategy": "psychic", "model": "", "batch": 10}}, "psychic"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_changes_nothing(
    ws: Workspace, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    task = make(ws, "plain", {})
    commit(ws, "plain", "maria", [Decision("e1", 1, "label", "a")])
    export(ws, "plain", "plain.jsonl")
    head, *lines = (ws.root / "plain.jsonl").read_text().split("\n")
    (tmp_path / "bad.jsonl").write_text(
        "\n".join([json.dumps({**json.loads(head), **change}), *lines])
    )
    other = create(ws, "other", rows(), "text", VALUES, column="remark")
    with pytest.raises(Invalid, match=says):
        import_file(ws, "other", tmp_path / "bad.jsonl", keep_people=True)
    assert get(ws, "other") == other
    assert task != other.id

"""Labeling by many: as many opinions as asked for, unseen by others, and who may what."""

from __future__ import annotations

import polars as pl
import pytest

from jupyter_mlops.labeling import (
    Decision,
    adjudicate,
    agreement,
    answer,
    change_rules,
    claim,
    commit,
    create,
    disputes,
    give_role,
    labels,
    people,
    release,
    require,
    roles,
    set_gold,
    status,
)
from jupyter_mlops.workspace import Conflict, Denied, Invalid, Workspace

from .conftest import Rows, label, skip, undo


@pytest.fixture
def ws(database, tmp_path):
    return Workspace.open(tmp_path, user="maria")


def make(ws, count=6, classes=("a", "b", "c"), **settings):
    frame = pl.DataFrame({"remark": [f"remark {n}" for n in range(count)]})
    return create(ws, "remarks", Rows(frame), "text", list(classes), settings=settings)


def numbers(found):
    return sorted(one.item for one in found.items)


def say(ws, task, person, **values):
    decisions = [label(f"{person}{n}", int(n[1:]), v) for n, v in values.items()]
    receipt = commit(ws, task.id, person, decisions)
    assert not receipt.refused
    return receipt


def test_each_item_goes_to_as_many_people_as_asked_for_and_to_nobody_twice(ws):
    task = make(ws, 4, overlap=2)
    assert numbers(claim(ws, task.id, "jo", 4, session="s")) == [0, 1, 2, 3]
    assert numbers(claim(ws, task.id, "ana", 4, session="s")) == [0, 1, 2, 3]
    assert numbers(claim(ws, task.id, "bo", 4, session="s")) == []
    # The same person in another tab doesn't get the second opinion as well.
    assert numbers(claim(ws, task.id, "jo", 4, session="other")) == []
    assert say(ws, task, "jo", i0="a", i1="a").counts.labeled == 0
    assert numbers(claim(ws, task.id, "jo", 4, session="s", holding=[2, 3])) == []
    assert say(ws, task, "ana", i0="a", i1="b").counts.labeled == 2


def test_what_a_closed_page_held_goes_first_to_the_same_person_with_overlap_too(ws):
    task = make(ws, 4, overlap=2)
    claim(ws, task.id, "jo", 2, session="s")
    release(ws, task.id, "jo", "s")
    assert numbers(claim(ws, task.id, "jo", 2, session="t")) == [0, 1]


def test_nobody_sees_what_others_said_before_all_have_spoken(ws):
    task = make(ws, 2, overlap=2)
    say(ws, task, "jo", i0="c")
    assert status(ws, task.id).recent == ()
    assert labels(ws, task.id).empty
    given = answer(ws, task.id, "ana", "claim", {"session": "s", "count": 2, "recent": 50})
    assert given["recent"] == []
    assert all(set(one) == {"item", "digest", "text"} for one in given["items"])
    # One's own is there, to take back after a reload.
    mine = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 1, "recent": 50})
    assert [(one["item"], one["value"]) for one in mine["recent"]] == [(0, "c")]


def test_the_majority_stands_and_of_two_the_first_while_a_reviewer_is_asked(ws):
    task = make(ws, 3, overlap=3)
    say(ws, task, "jo", i0="a", i1="a", i2="a")
    say(ws, task, "ana", i0="b", i1="a", i2="b")
    say(ws, task, "bo", i0="b", i1="a", i2="c")
    assert labels(ws, task.id)["label"].tolist() == ["b", "a", "a"]
    assert status(ws, task.id).disputed == 2
    found = disputes(ws, task.id)
    assert [(one.item, round(one.agreement, 2)) for one in found.items] == [(2, 0.0), (0, 0.33)]
    assert [(who, what) for who, what, _ in found.items[1].opinions] == [
        ("jo", "a"),
        ("ana", "b"),
        ("bo", "b"),
    ]


def test_a_reviewers_word_stands_before_all_and_is_one_event(ws):
    task = make(ws, 1, overlap=2)
    say(ws, task, "jo", i0="a")
    say(ws, task, "ana", i0="b")
    assert adjudicate(ws, task.id, 0, "c", reason="neither").items == ()
    row = labels(ws, task.id).iloc[0]
    assert (row["label"], row["person"]) == ("c", "maria")
    event = ws.events(kind="label.committed")[-1]
    assert (event.actor, event.payload["adjudications"]) == ("maria", 1)
    say(ws, task, "bo", i0="a")  # a late label changes nothing
    assert labels(ws, task.id)["label"].tolist() == ["c"]
    with pytest.raises(Invalid, match="no class of the task"):
        adjudicate(ws, task.id, 0, "zebra")


def test_annotators_neither_decide_nor_see_disputes_nor_change_the_rules(ws):
    task = make(ws, 2, overlap=2)
    give_role(ws, task.id, "jo", "annotator")
    jo = Workspace.open(ws.root, user="jo")
    for forbidden in (
        lambda: disputes(jo, task.id),
        lambda: adjudicate(jo, task.id, 0, "a"),
        lambda: set_gold(jo, task.id, {0: "a"}),
        lambda: give_role(jo, task.id, "jo", "owner"),
        lambda: change_rules(jo, task.id, {"overlap": 1}),
    ):
        with pytest.raises(Denied, match="jo may not"):
            forbidden()
    # A labeler can't smuggle a reviewer's word in.
    sent = {"ev": "x", "item": 0, "kind": "adjudicate", "value": "a"}
    assert answer(jo, task.id, "jo", "events", {"events": [sent]})["accepted"] == []


def test_once_an_annotator_is_named_others_may_not_label(ws):
    task = make(ws)
    assert numbers(claim(ws, task.id, "bo", 1))
    give_role(ws, task.id, "jo", "annotator")
    with pytest.raises(Denied, match="bo may not label"):
        claim(ws, task.id, "bo", 1)
    with pytest.raises(Denied, match="bo may not label"):
        commit(ws, task.id, "bo", [label("e", 0)])
    assert numbers(claim(ws, task.id, "jo", 1))
    give_role(ws, task.id, "bo", "reviewer")
    say(ws, task, "bo", i0="a")
    give_role(ws, task.id, "jo", "none")
    assert roles(ws, task.id).open
    with pytest.raises(Invalid, match="needs an owner"):
        give_role(ws, task.id, "maria", "none")
    assert [one.payload["role"] for one in ws.events(kind="label.role_given")] == [
        "annotator",
        "reviewer",
        "none",
    ]


def test_a_skipped_item_comes_back_to_whom_the_rule_says(ws):
    task = make(ws, 3)
    act = {"me": 0, "others": 1, "never": 2}
    decisions = [
        Decision(f"e{item}", item, "skip", reason="unclear", requeue=rule)
        for rule, item in act.items()
    ]
    counts = commit(ws, task.id, "jo", decisions).counts
    assert (counts.skipped, counts.open) == (1, 2)
    assert numbers(claim(ws, task.id, "jo", 3, session="j")) == [0]
    release(ws, task.id, "jo", "j")
    assert numbers(claim(ws, task.id, "ana", 3, session="a")) == [1]


def test_the_tasks_rule_holds_when_the_person_says_nothing(ws):
    task = make(ws, 2, requeue="others")
    commit(ws, task.id, "jo", [skip("e0", 0)])
    assert numbers(claim(ws, task.id, "jo", 2, session="j")) == [1]
    assert 0 in numbers(claim(ws, task.id, "ana", 2, session="a"))


def test_known_answers_are_slipped_in_once_to_each_person_and_give_their_quality(ws):
    task = make(ws, 40, gold=0.25)
    set_gold(ws, task.id, {0: "a", 1: "b", 2: "c"})
    assert labels(ws, task.id)["label"].tolist() == ["a", "b", "c"]
    seen = []
    for turn in range(9):
        given = claim(ws, task.id, "jo", 4, session=f"s{turn}").items
        seen += [one.item for one in given if one.item < 3]
        commit(
            ws,
            task.id,
            "jo",
            [label(f"j{one.item}", one.item, "a", session=f"s{turn}") for one in given],
        )
    assert sorted(seen) == [0, 1, 2]
    # What jo says of them is kept and doesn't change what is known.
    assert labels(ws, task.id)["label"].tolist()[:3] == ["a", "b", "c"]
    found = next(one for one in people(ws, task.id).people if one.name == "jo")
    assert (found.gold.value, found.gold.n) == (pytest.approx(1 / 3), 3)
    assert found.gold.low == pytest.approx(0.061, abs=1e-3)
    assert found.gold.high == pytest.approx(0.792, abs=1e-3)


def test_each_person_meets_known_answers_in_an_order_of_their_own(ws):
    task = make(ws, 60, gold=0.5)
    set_gold(ws, task.id, dict.fromkeys(range(30), "a"))

    def met(person):
        given = claim(ws, task.id, person, 8, session=person).items
        return frozenset(one.item for one in given if one.item < 30)

    first = {person: met(person) for person in ("jo", "ana", "bo", "cy", "di")}
    assert {len(one) for one in first.values()} == {4}
    # Nobody can tell the next which items count.
    assert len(set(first.values())) > 2


def test_a_reviewers_word_stands_before_a_known_answer_whichever_came_first(ws):
    task = make(ws, 2)
    set_gold(ws, task.id, {0: "a"})
    adjudicate(ws, task.id, 0, "b", reason="the known answer was wrong")
    adjudicate(ws, task.id, 1, "b")
    set_gold(ws, task.id, {0: "c", 1: "c"})
    assert labels(ws, task.id)["label"].tolist() == ["b", "b"]


def test_a_person_is_told_to_agree_with_others_and_how_skilled_they_are(ws):
    task = make(ws, 30, overlap=4)
    truth = ["abc"[n % 3] for n in range(30)]
    for person in ("jo", "ana", "bo"):
        say(ws, task, person, **{f"i{n}": value for n, value in enumerate(truth)})
    say(ws, task, "lazy", **{f"i{n}": "a" for n in range(30)})
    found = {one.name: one for one in people(ws, task.id).people}
    assert found["lazy"].skill < 0.5 < 0.95 < found["jo"].skill
    assert found["lazy"].others.value == pytest.approx(1 / 3)
    told = agreement(ws, task.id)
    assert (told.items, told.people) == (30, 4)
    assert told.measures[0].estimate.low < told.value < told.measures[0].estimate.high
    pair = next(one for one in told.pairs if {one.first, one.second} == {"ana", "bo"})
    assert pair.estimate.value == 1


def test_more_opinions_are_asked_for_when_the_overlap_grows(ws):
    task = make(ws, 3)
    say(ws, task, "jo", i0="a", i1="b")
    state = change_rules(ws, task.id, {"overlap": 2})
    assert (state.counts.labeled, state.counts.open) == (0, 3)
    assert numbers(claim(ws, task.id, "jo", 3, session="j")) == [2]
    assert numbers(claim(ws, task.id, "ana", 3, session="a")) == [0, 1, 2]
    assert change_rules(ws, task.id, {"overlap": 1}).counts.labeled == 2
    with pytest.raises(Invalid, match="overlap is a number of people"):
        change_rules(ws, task.id, {"overlap": 0})
    with pytest.raises(Invalid, match="no rule 'overlpa'"):
        change_rules(ws, task.id, {"overlpa": 2})


def test_an_undone_second_opinion_is_wanted_again(ws):
    task = make(ws, 1, overlap=2)
    say(ws, task, "jo", i0="a")
    say(ws, task, "ana", i0="a")
    receipt = commit(ws, task.id, "ana", [undo("u", 0, "anai0")])
    assert receipt.counts.labeled == 0
    # It is in ana's hands again: nobody else is given it meanwhile.
    assert numbers(claim(ws, task.id, "bo", 1, session="b")) == []


def test_a_run_goes_on_only_with_enough_labels_that_people_agree_about(ws):
    task = make(ws, 4, overlap=2)
    say(ws, task, "jo", i0="a", i1="b", i2="c")
    say(ws, task, "ana", i0="a", i1="b", i2="a")
    assert require(ws, task.id, count=3).counts.labeled == 3
    with pytest.raises(Conflict, match="3 items are labelled, 4 are required"):
        require(ws, task.id)
    with pytest.raises(Conflict, match=r"alpha, nominal is 0\.\d+ over 3 items .* 0.9 is required"):
        require(ws, task.id, count=3, agreed=0.9)
    assert require(ws, task.id, agreed=0.4)
    with pytest.raises(Conflict, match="1 items of 'remarks' wait for a reviewer"):
        require(ws, task.id, count=3, undisputed=True)

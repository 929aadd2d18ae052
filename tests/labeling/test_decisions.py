"""Labels, skips and undos: stored once, never lost, folded into what stands."""

from __future__ import annotations

import pytest
from sqlalchemy import func, select

from jupyter_mlops.labeling import claim, commit, labels, status
from jupyter_mlops.labeling.folding import fold
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord

from .conftest import label, skip, undo


def stored(ws):
    with ws.read() as session:
        return session.scalar(select(func.count()).select_from(AnnotationRecord))


def test_a_label_is_kept_with_who_when_and_of_what(ws, texts):
    task = texts()
    receipt = commit(ws, task.name, "jo", [label("e1", 3, "b")])
    assert receipt.accepted == ("e1",)
    assert receipt.counts.labeled == 1
    frame = labels(ws, "remarks")
    row = frame.iloc[0]
    assert (row["item"], row["label"], row["person"]) == (3, "b", "jo")
    assert row["content"] == "remark 3"
    assert row["at"].tzinfo is not None


def test_sending_a_label_again_stores_it_once(ws, texts):
    task = texts()
    for _ in range(5):
        receipt = commit(ws, task.id, "jo", [label("e1", 0), label("e2", 1)])
        assert receipt.accepted == ("e1", "e2")
    assert stored(ws) == 2
    assert len(ws.events(kind="label.committed")) == 1


def test_an_id_used_for_something_else_is_refused_and_the_rest_is_kept(ws, texts):
    task = texts()
    commit(ws, task.id, "jo", [label("e1", 0, "a")])
    receipt = commit(ws, task.id, "jo", [label("e1", 0, "b"), label("e2", 1, "b")])
    assert receipt.accepted == ("e2",)
    assert "same id" in receipt.refused[0].what
    assert labels(ws, task.id)["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("decision", "reason"),
    [
        (label("x", 99), "no item 99"),
        (label("x", 0, "zebra"), "no class"),
        (label("x", 0, digest="other"), "other content"),
        (undo("x", 0, "nothing"), "no such decision"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_with_the_reason(ws, texts, decision, reason):
    receipt = commit(ws, texts().id, "jo", [decision, label("good", 1)])
    assert receipt.accepted == ("good",)
    assert reason in receipt.refused[0].what


def test_undo_brings_back_what_was_before_and_keeps_the_history(ws, texts):
    task = texts()
    commit(ws, task.id, "jo", [label("e1", 0, "a"), label("e2", 0, "b")])
    assert labels(ws, task.id)["label"].tolist() == ["b"]
    commit(ws, task.id, "jo", [undo("e3", 0, "e2")])
    assert labels(ws, task.id)["label"].tolist() == ["a"]
    receipt = commit(ws, task.id, "jo", [undo("e4", 0, "e1")])
    assert labels(ws, task.id).empty
    assert receipt.counts.labeled == 0
    assert stored(ws) == 4


def test_an_undone_item_is_in_the_hands_of_who_took_it_back(ws, texts):
    task = texts(2)
    commit(ws, task.id, "jo", [label("e1", 0), undo("e2", 0, "e1")])
    assert [one.item for one in claim(ws, task.id, "maria").items] == [1]


def test_nobody_undoes_the_label_of_somebody_else(ws, texts):
    task = texts()
    commit(ws, task.id, "jo", [label("e1", 0)])
    receipt = commit(ws, task.id, "maria", [undo("e2", 0, "e1")])
    assert "one's own" in receipt.refused[0].what


def test_a_skip_leaves_the_queue_until_somebody_labels_it(ws, texts):
    task = texts(1)
    receipt = commit(ws, task.id, "jo", [skip("e1", 0)])
    assert (receipt.counts.skipped, receipt.counts.open) == (1, 0)
    assert claim(ws, task.id, "jo").items == ()
    receipt = commit(ws, task.id, "maria", [label("e2", 0)])
    assert (receipt.counts.labeled, receipt.counts.skipped) == (1, 0)


def test_the_first_of_two_people_stands_and_the_other_is_kept(ws, texts):
    task = texts()
    commit(ws, task.id, "jo", [label("e1", 0, "a")])
    commit(ws, task.id, "maria", [label("e2", 0, "b")])
    assert labels(ws, task.id)[["label", "person"]].iloc[0].tolist() == ["a", "jo"]
    commit(ws, task.id, "jo", [label("e3", 0, "b"), undo("e4", 0, "e3")])
    assert labels(ws, task.id)["label"].tolist() == ["a"]
    commit(ws, task.id, "jo", [undo("e5", 0, "e1")])
    assert labels(ws, task.id)[["label", "person"]].iloc[0].tolist() == ["b", "maria"]


def test_counts_and_states_are_always_the_fold_of_all_decisions(ws, texts):
    import random

    chance = random.Random(7)
    task = texts(6)
    sent: list[tuple[str, str, int]] = []
    for number in range(70):
        person, item, ev = chance.choice(["jo", "maria"]), chance.randrange(6), f"e{number}"
        mine = [one for one in sent if one[0] == person and one[2] == item]
        act = chance.choice(["label", "label", "skip", "undo"])
        if act == "undo" and mine:
            decision = undo(ev, item, chance.choice(mine)[1])
        elif act == "skip":
            decision = skip(ev, item)
        else:
            decision = label(ev, item, chance.choice("ab"))
        if decision.kind != "undo":
            sent.append((person, ev, item))
        commit(ws, task.id, person, [decision])
    with ws.read() as session:
        rows = list(session.scalars(select(ItemRecord).where(ItemRecord.task == task.id)))
        states = []
        for row in rows:
            history = session.scalars(
                select(AnnotationRecord).where(AnnotationRecord.item == row.item)
            )
            standing = fold(history)
            states.append(standing.state)
            assert (row.state, row.label, row.person, row.ev) == (
                standing.state,
                standing.value,
                standing.person,
                standing.ev,
            )
    counts = status(ws, task.id).counts
    assert (counts.labeled, counts.skipped) == (states.count("labeled"), states.count("skipped"))


def test_each_commit_is_one_event_of_the_chain_that_vouches_for_its_rows(ws, texts):
    task = texts()
    commit(ws, task.id, "jo", [label("e1", 0), skip("e2", 1)])
    event = ws.events(kind="label.committed")[0]
    assert event.actor == "jo"
    assert event.subject == "label:remarks"
    assert event.inputs == ("data:remarks@1",)
    assert (event.payload["labels"], event.payload["skips"]) == (1, 1)
    assert len(event.payload["digest"]) == 64
    assert ws.audit().intact

"""What a label says of itself: who, of what, under which guideline, how chosen and suggested."""

from __future__ import annotations

from datetime import UTC, datetime

import polars as pl
import pytest
from sqlalchemy import select

from jupyter_mlops.labeling import (
    answer,
    change_rules,
    claim,
    commit,
    create,
    export,
    give_role,
    labels,
    pick,
    rank,
    set_gold,
    stats,
    status,
)
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.workspace import Workspace

from .conftest import Rows, label, skip, undo


@pytest.fixture
def ws(database, tmp_path):
    return Workspace.open(tmp_path, user="maria")


def make(ws, count=6, classes=("a", "b"), **settings):
    frame = pl.DataFrame({"remark": [f"remark {n}" for n in range(count)]})
    return create(ws, "remarks", Rows(frame), "text", list(classes), settings=settings)


def stored(ws, **wanted):
    query = select(AnnotationRecord).filter_by(**wanted).order_by(AnnotationRecord.number)
    with ws.read() as session:
        found = list(session.scalars(query))
        session.expunge_all()
    return found


def propose(ws, **values):
    """Let a model propose values: `i3="a"`."""
    with ws.write() as tx:
        for name, value in values.items():
            row = tx.session.scalars(select(ItemRecord).filter_by(item=int(name[1:]))).one()
            row.suggestion = {"value": value, "by": "model:m@1", "confidence": 0.8}


def test_a_label_says_all_that_is_known_of_how_it_was_made(ws):
    task = make(ws, guideline="Say a.")
    propose(ws, i0="a", i1="a", i2="b")
    given = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 4})
    version = given["task"]["settings"]["guideline_version"]
    shown, decided = "2026-01-02T03:04:05.250+00:00", "2026-01-02T03:04:09.500+00:00"
    events = [
        {
            "ev": f"e{one['item']}",
            "item": one["item"],
            "digest": one["digest"],
            "kind": kind,
            "session": "s",
            "shown_at": shown,
            "decided_at": decided,
            "active_ms": 3100,
            "guideline": version,
            **({"suggestion": one["suggestion"]} if "suggestion" in one else {}),
            **more,
        }
        for one, kind, more in zip(
            given["items"],
            ["label", "label", "skip", "label"],
            [{"value": "a"}, {"value": "b"}, {"reason": "unclear", "requeue": "others"},
             {"value": "b"}],
            strict=True,
        )
    ]  # fmt: skip
    assert answer(ws, task.id, "jo", "events", {"events": events})["refused"] == []
    kept, changed, skipped, own = stored(ws)
    assert (kept.person, kept.digest, kept.guideline) == (
        "jo",
        given["items"][0]["digest"],
        version,
    )
    assert kept.shown_at == datetime(2026, 1, 2, 3, 4, 5, 250_000, UTC)
    assert (kept.decided_at - kept.shown_at).total_seconds() == 4.25
    assert (kept.active_ms, kept.strategy, kept.audit) == (3100, "order", False)
    assert kept.suggestion == {
        "value": "a",
        "by": "model:m@1",
        "confidence": 0.8,
        "changed": False,
    }
    assert changed.suggestion["changed"] is True
    assert (skipped.reason, skipped.requeue) == ("unclear", "others")
    assert skipped.suggestion["value"] == "b"
    assert own.suggestion == {}
    told = stats(ws, task.id)
    assert [(one.by, one.labels, one.kept.value) for one in told.suggested] == [
        ("model:m@1", 2, 0.5)
    ]
    assert [(one.reason, one.requeue, one.skips) for one in told.skipped] == [
        ("unclear", "others", 1)
    ]


def test_a_label_says_which_guideline_was_shown_not_which_one_holds_when_it_arrives(ws):
    task = make(ws, guideline="Old words.")

    def shown():
        return answer(ws, task.id, "jo", "state", {})["task"]["settings"]["guideline_version"]

    old = shown()
    commit(ws, task.id, "jo", [label("e0", 0, guideline=old)])
    change_rules(ws, task.id, {"guideline": "New words."})
    new = shown()
    # It was on its way, or in an outbox, when the owner wrote other words.
    late = [label("e1", 1, guideline=old), label("e2", 2, guideline=new), label("e3", 3)]
    commit(ws, task.id, "jo", [*late, label("e4", 4, guideline="")])
    assert [one.guideline for one in stored(ws)] == [old, old, new, new, ""]
    # The same words again are the same version.
    change_rules(ws, task.id, {"guideline": "Old words."})
    assert shown() == old
    told = stats(ws, task.id).guidelines
    assert [
        (one.version, one.guideline and one.guideline.text, one.labels, one.holds) for one in told
    ] == [(old, "Old words.", 2, True), (new, "New words.", 2, False), ("", None, 1, False)]
    assert [one.guideline and one.guideline.number for one in told] == [1, 2, None]


def test_a_label_says_how_its_item_was_chosen_when_it_was_handed_out(ws):
    task = make(ws, 40, audit=0.0)
    commit(ws, task.id, "jo", [label(f"e{n}", n, "ab"[n % 2]) for n in range(6)])
    first = claim(ws, task.id, "ana", 2, session="s").items
    pick(ws, task.id, strategy_name="entropy")
    rank(ws, task.id, seed=1)
    # The queue is in another order now; what is in ana's hands was given by the old one.
    second = claim(ws, task.id, "ana", 2, session="s", holding=[one.item for one in first]).items
    again = claim(ws, task.id, "ana", 4, session="s").items
    assert {one.item for one in again} == {one.item for one in (*first, *second)}
    rank(ws, task.id, by="random", seed=1)
    for n, one in enumerate((*first, *second)):
        commit(ws, task.id, "ana", [label(f"a{n}", one.item)])
    undone = second[0].item
    commit(ws, task.id, "ana", [undo("u", undone, "a2"), label("a9", undone)])
    assert [one.strategy for one in stored(ws, person="ana", kind="label")] == [
        *["order"] * 2,
        *["entropy"] * 3,
    ]
    assert {one.strategy: one.labels for one in stats(ws, task.id).chosen} == {
        "order": 8,
        "entropy": 2,
    }


def test_items_that_measure_a_model_are_told_apart_and_come_without_suggestions(ws):
    task = make(ws, 20, audit=0.5)
    propose(ws, **{f"i{n}": "a" for n in range(20)})
    pick(ws, task.id, strategy_name="random")
    given = claim(ws, task.id, "jo", 20, session="s").items
    with ws.read() as session:
        drawn = set(session.scalars(select(ItemRecord.item).where(ItemRecord.audit > 0)))
    assert len(drawn) == 10
    assert {one.item for one in given if not one.suggestion} == drawn
    commit(ws, task.id, "jo", [label(f"e{one.item}", one.item) for one in given])
    assert {one.item for one in stored(ws) if one.audit} == drawn
    assert {one.item for one in stored(ws) if one.strategy == "audit"} == drawn
    (audit,) = [one for one in stats(ws, task.id).chosen if one.strategy == "audit"]
    assert (audit.labels, audit.audits) == (10, 10)


def test_a_labeler_cannot_say_that_its_item_was_drawn_at_random(ws):
    task = make(ws)
    sent = {"ev": "x", "item": 0, "kind": "label", "value": "a"}
    forged = {**sent, "audit": True, "strategy": "audit", "stored_at": "2020-01-01T00:00:00Z",
              "person": "ana"}  # fmt: skip
    answer(ws, task.id, "jo", "events", {"events": [forged]})
    (row,) = stored(ws)
    assert (row.audit, row.strategy, row.person) == (False, "order", "jo")
    assert row.stored_at.year > 2020


# What an annotator must not see


def blind(ws):
    """Three items for two people each; jo has said all, ana one; item 2 has a known answer."""
    task = make(ws, 4, overlap=2)
    give_role(ws, task.id, "jo", "annotator")
    give_role(ws, task.id, "ana", "annotator")
    set_gold(ws, task.id, {2: "b"})
    commit(ws, task.id, "jo", [label("j0", 0), label("j1", 1), label("j2", 2)])
    commit(ws, task.id, "jo", [skip("j3", 3, "looks like b")])
    commit(ws, task.id, "ana", [label("a0", 0)])
    return task


def told(ws, path="out.jsonl"):
    done = export(ws, "remarks", path, "jsonl")
    text = (ws.root / path).read_text()
    return done, text


def test_an_export_keeps_from_people_what_others_said_of_items_they_have_still_to_label(ws):
    task = blind(ws)
    ana = Workspace.open(ws.root, user="ana")
    done, text = told(ana)
    assert set(done.frame["item"]) == {0}
    assert '"item": 0' in text
    assert not any(ev in text for ev in ("j1", "gold:", "j2", '"item": 2'))
    assert done.version is None
    assert "2 items are left out which you have still to label" in done.notes[0]
    assert set(labels(ana, task.id)["item"]) == {0}
    assert [one.item for one in status(ana, task.id).recent] == [3, 0]
    # Once she has spoken nothing is kept from her.
    commit(ws, task.id, "ana", [label("a1", 1), label("a2", 2)])
    done, text = told(ana)
    assert set(done.frame["item"]) == {0, 1, 2}
    assert (done.notes, done.version) == ((), "data:labels.remarks@1")


def test_reviewers_and_owners_see_everything(ws):
    blind(ws)
    give_role(ws, "remarks", "rita", "reviewer")
    for person in ("maria", "rita"):
        done, text = told(Workspace.open(ws.root, user=person))
        assert all(ev in text for ev in ("j0", "j1", "gold:", "j2", "j3"))
        assert set(done.frame["item"]) == {0, 2}
        assert done.version
        assert not done.notes

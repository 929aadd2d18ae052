"""Two people never get the same item; the same person gets their own back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from jupyter_mlops.labeling import claim, commit, release, renew, status, upcoming
from jupyter_mlops.labeling.records import LeaseRecord
from jupyter_mlops.workspace import Invalid

from .conftest import label


def numbers(found):
    return [one.item for one in found.items]


def age(ws, seconds):
    """Let time pass for every lease."""
    past = timedelta(seconds=seconds)
    with ws.write() as tx:
        for row in tx.session.query(LeaseRecord):
            tx.session.execute(
                update(LeaseRecord)
                .where(LeaseRecord.item == row.item)
                .values(renewed_at=row.renewed_at - past, until=row.until - past)
            )


def test_two_people_get_different_items(ws, texts):
    task = texts(10)
    assert numbers(claim(ws, task.id, "jo", 4, session="s1")) == [0, 1, 2, 3]
    assert numbers(claim(ws, task.id, "maria", 4, session="s2")) == [4, 5, 6, 7]


def test_one_person_in_two_tabs_gets_different_items(ws, texts):
    task = texts(10)
    assert numbers(claim(ws, task.id, "jo", 4, session="s1")) == [0, 1, 2, 3]
    assert numbers(claim(ws, task.id, "jo", 4, session="s2")) == [4, 5, 6, 7]


def test_what_a_labeler_holds_is_not_given_again(ws, texts):
    task = texts(10)
    first = numbers(claim(ws, task.id, "jo", 4, session="s1"))
    assert numbers(claim(ws, task.id, "jo", 4, session="s1", holding=first)) == [4, 5, 6, 7]


def test_a_lost_answer_is_given_again(ws, texts):
    task = texts(10)
    claim(ws, task.id, "jo", 4, session="s1")
    assert numbers(claim(ws, task.id, "jo", 4, session="s1")) == [0, 1, 2, 3]


def test_a_closed_page_leaves_its_items_to_the_same_person_first(ws, texts):
    task = texts(6)
    claim(ws, task.id, "jo", 4, session="s1")
    release(ws, task.id, "jo", "s1")
    assert numbers(claim(ws, task.id, "maria", 4, session="s2")) == [4, 5]
    assert numbers(claim(ws, task.id, "jo", 4, session="s3")) == [0, 1, 2, 3]


def test_a_closed_page_leaves_its_items_to_anybody_soon(ws, texts):
    task = texts(4)
    claim(ws, task.id, "jo", 4, session="s1")
    release(ws, task.id, "jo", "s1")
    age(ws, 31)
    assert numbers(claim(ws, task.id, "maria", 4, session="s2")) == [0, 1, 2, 3]


def test_a_crashed_page_leaves_its_items_after_a_while(ws, texts):
    task = texts(4)
    claim(ws, task.id, "jo", 4, session="s1")
    age(ws, 80)
    assert numbers(claim(ws, task.id, "maria", 4, session="s2")) == []
    assert numbers(claim(ws, task.id, "jo", 4, session="s3")) == [0, 1, 2, 3]
    age(ws, 601)
    assert numbers(claim(ws, task.id, "maria", 4, session="s2")) == [0, 1, 2, 3]


def test_a_renewed_lease_lasts(ws, texts):
    task = texts(4)
    claim(ws, task.id, "jo", 4, session="s1")
    age(ws, 590)
    assert renew(ws, task.id, "jo", "s1") == 4
    age(ws, 70)
    assert numbers(claim(ws, task.id, "maria", 4, session="s2")) == []


def test_a_label_is_kept_even_when_its_lease_ran_out(ws, texts):
    task = texts(4)
    claim(ws, task.id, "jo", 4, session="s1")
    age(ws, 601)
    claim(ws, task.id, "maria", 4, session="s2")
    assert commit(ws, task.id, "jo", [label("late", 0)]).accepted == ("late",)


def test_a_labelled_item_is_free_of_its_lease(ws, texts):
    task = texts(4)
    claim(ws, task.id, "jo", 4, session="s1")
    commit(ws, task.id, "jo", [label("e1", 0)])
    assert status(ws, task.id).held == 3


def test_looking_at_what_comes_next_takes_nothing(ws, texts):
    task = texts(6)
    claim(ws, task.id, "jo", 2, session="s1")
    for _ in range(2):
        assert [one[0] for one in upcoming(ws, task.id, 3).items] == [2, 3, 4]


@pytest.mark.parametrize("count", [0, 65])
def test_a_claim_has_a_size(ws, texts, count):
    with pytest.raises(Invalid, match="1 to 64"):
        claim(ws, texts().id, "jo", count)

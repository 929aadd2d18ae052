"""Labeling functions: each votes where it can, and votes are weighed into suggestions."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.labeling import (
    apply_functions,
    claim,
    commit,
    create,
    labeling_function,
    suggest,
)
from jupyter_mlops.workspace import Denied, Invalid, Workspace

from .conftest import Rows, label

TEXTS = ["dense fog", "no crew", "fog, and no crew", "snow on the runway", "the crew slept"]


@labeling_function
def fog(text):
    return "weather" if "fog" in text else None


@labeling_function(name="staff")
def crew(text):
    return "crew" if "crew" in text else None


def snow(text):
    return "weather" if "snow" in text else None


@pytest.fixture
def task(ws):
    return create(ws, "remarks", Rows(pl.DataFrame({"r": TEXTS})), "text", ["weather", "crew"])


def test_the_table_says_what_each_covers_and_where_they_disagree(ws, task):
    commit(ws, task.id, "jo", [label("e0", 0, "weather"), label("e2", 2, "crew")])
    votes = apply_functions(ws, task.id, [fog, crew, snow], combine="majority")
    assert [one.name for one in votes.rules] == ["fog", "staff", "snow"]
    first = votes.rules[0]
    assert first.classes == ("weather",)
    assert (first.coverage, first.overlaps, first.conflicts) == (0.4, 0.2, 0.2)
    assert (first.accuracy.value, first.accuracy.n) == (0.5, 2)
    assert votes.covered == 5
    assert votes.probabilities[2].tolist() == [0.5, 0.5]


def test_weighed_votes_are_righter_than_the_majority(ws):
    chance = np.random.default_rng(0)
    truth = chance.integers(0, 2, 600)
    skill, coverage = [0.95, 0.9, 0.55, 0.55, 0.55], [0.5, 0.5, 0.9, 0.9, 0.9]
    said = np.where(chance.random((600, 5)) < skill, truth[:, None], 1 - truth[:, None])
    said[chance.random((600, 5)) > coverage] = -1
    texts = pl.DataFrame({"r": [str(n) for n in range(600)]})
    task = create(ws, "many", Rows(texts), "text", ["no", "yes"])

    def rule(column):
        def vote(text):
            code = said[int(text), column]
            return None if code < 0 else ("no", "yes")[code]

        return labeling_function(vote, name=f"rule{column}")

    rules = [rule(column) for column in range(5)]
    right = {}
    for combine in ("majority", "dawid-skene"):
        votes = apply_functions(ws, task.id, rules, combine=combine)
        guessed = votes.probabilities.argmax(axis=1)
        right[combine] = (guessed == truth)[votes.voted].mean()
    assert right["dawid-skene"] > right["majority"] + 0.03
    assert votes.rules[0].skill > votes.rules[2].skill + 0.1


def test_a_function_that_fails_on_an_item_abstains_there_and_it_is_told(ws, task):
    def picky(text):
        return {"dense fog": "weather"}[text]

    votes = apply_functions(ws, task.id, [picky])
    assert (votes.rules[0].failed, votes.covered) == (4, 1)
    assert votes.problem.startswith("picky, item 1: KeyError")


def test_what_is_no_class_of_the_task_is_named(ws, task):
    with pytest.raises(Invalid, match="'wether' of item 0"):
        apply_functions(ws, task.id, [lambda text: "wether"])
    with pytest.raises(Invalid, match="two have the same name"):
        apply_functions(ws, task.id, [fog, fog])
    with pytest.raises(Invalid, match="there is none"):
        apply_functions(ws, task.id, [])


def test_suggestions_stand_beside_open_items_that_are_sure_enough(ws, task):
    commit(ws, task.id, "jo", [label("e", 0, "weather")])
    votes = apply_functions(ws, task.id, [fog, crew, snow], combine="majority")
    assert suggest(ws, task.id, votes.probabilities, by="functions", least=0.6) == 4
    given = {one.item: one.suggestion for one in claim(ws, task.id, "jo", 5).items}
    assert sorted(given) == [1, 2, 3, 4]
    assert given[1] == {"value": "crew", "by": "functions", "confidence": 1.0}
    assert given[2] == {}
    assert ws.events(kind="label.suggested")[-1].payload["items"] == 4
    with pytest.raises(Invalid, match="don't fit"):
        suggest(ws, task.id, [[1.0, 0.0]], by="x")
    other = Workspace.open(ws.root, user="bo")
    with pytest.raises(Denied, match="bo may not change the rules"):
        suggest(other, task.id, votes.probabilities, by="x")

"""What is labelled next, and an accuracy that nobody's choice has made better or worse."""

from __future__ import annotations

import sys

import numpy as np
import polars as pl
import pytest
from sklearn.datasets import load_digits

from jupyter_mlops.labeling import (
    Decision,
    Pool,
    change_rules,
    claim,
    commit,
    create,
    due,
    pick,
    png,
    rank,
    status,
    suggest,
    suspects,
    upcoming,
)
from jupyter_mlops.labeling.choosing import STRATEGIES, strategy, suspicion
from jupyter_mlops.labeling.ranking import learner
from jupyter_mlops.labeling.records import AnnotationRecord, ItemRecord
from jupyter_mlops.verbs.table import find
from jupyter_mlops.workspace import Conflict, Invalid, Unavailable

from .conftest import Rows, label, skip

NAMES = [str(one) for one in range(10)]


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture
def task(ws, digits):
    images = [png(one.reshape(8, 8).astype(np.uint8)) for one in digits[0][:300]]
    return create(ws, "digits", Rows(pl.DataFrame({"x": images}), ref=None), "image", NAMES)


def teach(ws, task, truth, items):
    decisions = [label(f"t{one}", int(one), str(truth[one])) for one in items]
    assert not commit(ws, task.id, "jo", decisions).refused


def column(ws, task, name):
    with ws.read() as session:
        rows = session.query(ItemRecord).where(ItemRecord.task == task.id).order_by(ItemRecord.item)
        return np.array([getattr(row, name) for row in rows])


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_scores_each_item_with_and_without_a_model(name):
    chance = np.random.default_rng(0)
    vectors = chance.normal(size=(60, 4))
    for probabilities in (None, chance.dirichlet(np.ones(3), 60)):
        pool = Pool(vectors, probabilities, np.array([5, 1, 0]), 5, chance=chance)
        scores = np.asarray(strategy(name).score(pool))
        assert scores.shape == (60,)
        assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("name", "first"), [("margin", 1), ("entropy", 2), ("least-confident", 2), ("rarest", 3)]
)
def test_what_a_model_is_least_sure_about_comes_first(name, first):
    said = np.array([[0.9, 0.05, 0.05], [0.5, 0.499, 0.001], [0.4, 0.3, 0.3], [0.1, 0.1, 0.8]])
    pool = Pool(np.zeros((4, 1)), said, np.array([30, 30, 0]))
    assert np.argmax(strategy(name).score(pool)) == first


def test_the_default_takes_a_batch_that_differs():
    middles = np.repeat(np.eye(5) * 10, 20, axis=0)
    pool = Pool(middles + np.random.default_rng(0).normal(size=(100, 5)), None, np.zeros(2), 5)
    chosen = np.argsort(-np.asarray(strategy("margin-kmeans").score(pool)))[:5]
    assert sorted(chosen // 20) == [0, 1, 2, 3, 4]


def test_an_unknown_strategy_is_named_with_the_closest():
    with pytest.raises(Invalid, match="least-confident"):
        strategy("least-confidence")


def test_any_object_that_scores_is_a_strategy(ws, task):
    class Last:
        def score(self, pool):
            return np.arange(len(pool))

    rank(ws, task.id, by=Last())
    assert [one[0] for one in upcoming(ws, task.id, 3).items] == [299, 298, 297]

    class Wrong:
        def score(self, pool):
            return np.zeros(3)

    with pytest.raises(Invalid, match="Wrong gave no score for each item"):
        rank(ws, task.id, by=Wrong())


def test_a_ranking_moves_the_queue_in_one_step_and_leaves_what_people_hold(ws, task, digits):
    teach(ws, task, digits[1], range(60))
    held = {one.item for one in claim(ws, task.id, "jo", 8, session="j").items}
    first = rank(ws, task.id, by="entropy")
    assert (first.epoch, first.strategy, first.labeled) == (1, "entropy", 60)
    given = claim(ws, task.id, "ana", 8, session="a")
    assert given.epoch == 1
    assert not {one.item for one in given.items} & held
    assert {one.item for one in claim(ws, task.id, "jo", 8, session="j").items} == held
    # What it was told to look at is what it says the least sure about.
    assert [one.item for one in given.items] != sorted(one.item for one in given.items)
    second = rank(ws, task.id, by="random", seed=1)
    assert second.epoch == 2
    assert (column(ws, task, "rank") < 0).sum() <= 240
    assert [one.payload["epoch"] for one in ws.events(kind="label.ranked")] == [1, 2]


def test_the_stated_accuracy_is_that_of_items_drawn_at_random_alone(ws, task, digits):
    pick(ws, task.id, batch=20, seed=4)
    audit = np.nonzero(column(ws, task, "audit"))[0]
    assert len(audit) == round(0.08 * 300)
    teach(ws, task, digits[1], [one for one in range(200) if one not in audit])
    assert rank(ws, task.id).accuracy.n == 0
    teach(ws, task, digits[1], audit)
    found = rank(ws, task.id).accuracy
    assert found.n == len(audit)
    assert found.low < found.value <= found.high
    assert status(ws, task.id).accuracy == found
    # Their labels say that they were drawn; the others how they were chosen.
    with ws.read() as session:
        rows = session.query(AnnotationRecord).all()
        assert {row.item for row in rows if row.audit} == set(audit.tolist())
        assert {row.strategy for row in rows if row.audit} == {"audit"}


def test_a_model_does_not_learn_from_the_items_that_measure_it(ws, task):
    change_rules(ws, task.id, {"audit": 0.5})
    pick(ws, task.id, batch=20, seed=4)
    # A class that the measured items alone have: who hasn't learnt from them can't know it.
    audit = column(ws, task, "audit") > 0
    said = np.where(audit, 2, np.random.default_rng(0).integers(0, 2, 300))
    teach(ws, task, said, range(300))
    found = rank(ws, task.id).accuracy
    assert (found.n, found.value) == (150, 0.0)


def test_items_drawn_at_random_are_mixed_in_from_the_first_claim_on(ws, task):
    pick(ws, task.id, batch=10)
    drawn = column(ws, task, "audit") > 0
    seen = []
    for turn in range(12):
        given = claim(ws, task.id, "jo", 10, session=f"s{turn}").items
        seen += [drawn[one.item] for one in given]
    assert 4 <= sum(seen) <= 16
    with pytest.raises(Invalid, match="can't have 0 items"):
        pick(ws, task.id, batch=0)


def test_a_ranking_is_due_after_each_batch_of_labels(ws, task, digits):
    assert due(ws) == []
    pick(ws, task.id, batch=10)
    assert due(ws) == [task.id]
    rank(ws, task.id)
    assert due(ws) == []
    teach(ws, task, digits[1], range(9))
    assert due(ws) == []
    teach(ws, task, digits[1], [9])
    assert due(ws) == [task.id]


def test_a_model_of_ones_own_chooses_and_is_measured(ws, task, digits):
    pick(ws, task.id, seed=1)
    audit = np.nonzero(column(ws, task, "audit"))[0]
    unsure = [one for one in range(300) if one not in audit][100]
    asked = []

    def predict(items):
        asked.extend(items)
        found = np.full((len(items), 10), 0.01)
        found[np.arange(len(items)), digits[1][list(items)]] = 0.91
        found[[one == unsure for one in items]] = 0.1
        return found

    teach(ws, task, digits[1], audit)
    found = rank(ws, task.id, by="margin", predict=predict)
    assert found.accuracy.value == 1
    assert set(asked) == set(range(300))
    assert upcoming(ws, task.id, 1).items[0][0] == unsure


def test_texts_are_ranked_without_a_model_of_ones_own(ws):
    words = ["fog at the airport", "the crew was late", "dense fog", "crew and pilots missing"]
    texts = [f"{words[n % 4]} today {n}" for n in range(80)]
    task = create(ws, "remarks", Rows(pl.DataFrame({"r": texts})), "text", ["weather", "crew"])
    decisions = [label(f"e{n}", n, "crew" if n % 2 else "weather") for n in range(20)]
    commit(ws, task.id, "jo", [*decisions, skip("s", 20)])
    found = rank(ws, task.id)
    assert (found.labeled, found.scored) == (20, 59)


def test_a_task_without_classes_is_put_in_order_at_random_only(ws):
    rows = Rows(pl.DataFrame({"r": [f"t{n}" for n in range(30)]}))
    task = create(ws, "notes", rows, "text", answer="rating")
    with pytest.raises(Invalid, match="the task asks for rating"):
        rank(ws, task.id, by="margin")
    assert rank(ws, task.id, by="random").ranked == 30


def test_a_picture_that_cannot_be_read_does_not_stop_the_ranking(ws, tmp_path):
    good = [png(np.full((4, 4), 20 * n, np.uint8)) for n in range(6)]
    broken = good[0][:20]
    task = create(ws, "p", Rows(pl.DataFrame({"x": [*good, broken]})), "image", ["a", "b"])
    assert rank(ws, task.id).scored == 7


def test_labels_that_were_changed_on_purpose_are_found(ws, task, digits):
    truth = digits[1][:300].copy()
    wrong = np.random.default_rng(0).choice(300, 15, replace=False)
    truth[wrong] = (truth[wrong] + 3) % 10
    teach(ws, task, truth, range(300))
    found = suspects(ws, task.id, count=20, queue=True)
    hit = {one.item for one in found.items[:15]} & set(wrong.tolist())
    # At random it would be one of the fifteen.
    assert len(hit) >= 7
    assert status(ws, task.id).disputed == found.queued == len(found.items)
    # The score is out of sample: its own label can't vouch for it.
    assert all(one.label != one.likely for one in found.items[:5])


def test_cleanlab_finds_them_too_where_it_is_installed(ws, task, digits, monkeypatch):
    truth = digits[1][:300].copy()
    wrong = np.random.default_rng(0).choice(300, 15, replace=False)
    truth[wrong] = (truth[wrong] + 3) % 10
    # Classes that nobody was given don't disturb it.
    few = [one for one in range(300) if truth[one] not in (8, 9)]
    teach(ws, task, truth, few)
    found = suspects(ws, task.id, count=300, by="cleanlab")
    hit = {one.item for one in found.items[:12]} & set(wrong.tolist())
    assert len(hit) >= 6
    assert found.total == len(found.items) < 60
    assert all(one.label != one.likely for one in found.items[:5])
    scores = [one.score for one in found.items]
    assert scores == sorted(scores, reverse=True)
    shown = find("label suspects")(ws, task="digits", by="cleanlab")
    assert "by cleanlab" in shown._repr_mimebundle_()["text/plain"]
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(Unavailable, match="cleanlab isn't installed"):
        suspects(ws, task.id, by="cleanlab")


class FromActiveML:
    """A query strategy of scikit-activeml as one of ours."""

    def __init__(self, query, model):
        self.query, self.model = query, model

    def score(self, pool):
        from skactiveml.utils import MISSING_LABEL

        vectors = np.vstack([pool.known, pool.vectors])
        known = np.r_[pool.codes.astype(float), np.full(len(pool), MISSING_LABEL)]
        candidates = np.arange(len(pool.known), len(vectors))
        _, utilities = self.query.query(
            vectors, known, self.model, candidates=candidates, return_utilities=True
        )
        return utilities[0, candidates]


@pytest.mark.parametrize(("ours", "method"), [("margin", "margin_sampling"), ("entropy",) * 2])
def test_a_strategy_of_scikit_activeml_takes_a_few_lines(ws, task, digits, ours, method):
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import UncertaintySampling

    teach(ws, task, digits[1], range(60))
    scored = rank(ws, task.id, by=ours).scored
    expected = [one[0] for one in upcoming(ws, task.id, 200).items]
    rank(ws, task.id, by="random")
    assert [one[0] for one in upcoming(ws, task.id, 200).items] != expected
    query = UncertaintySampling(method=method, random_state=0)
    theirs = FromActiveML(query, SklearnClassifier(learner(), classes=range(10)))
    found = find("label rank")(ws, task="digits", strategy=theirs)
    assert (found.strategy, found.scored) == ("FromActiveML", scored)
    # It trains the same model on the same labels, so it must come to the same order.
    assert [one[0] for one in upcoming(ws, task.id, 200).items] == expected


def test_too_few_labels_to_tell_is_said(ws, task, digits):
    teach(ws, task, digits[1], range(10))
    with pytest.raises(Conflict, match="too few labels to tell"):
        suspects(ws, task.id)


def test_confident_learning_of_a_small_table():
    said = np.array([0, 0, 0, 1, 1, 1])
    table = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.45, 0.55]])
    score, wrong = suspicion(table, said)
    assert score.argmax() == 2
    assert wrong.tolist() == [False, False, True, False, False, False]


def test_a_suggestion_is_seen_beside_the_item_except_where_a_model_is_measured(ws, task):
    pick(ws, task.id, seed=2)
    drawn = column(ws, task, "audit") > 0
    table = np.tile(np.eye(10)[3] * 0.9 + 0.01, (300, 1))
    suggest(ws, task.id, table, by="model:digits@1")
    given = []
    for turn in range(30):
        given += claim(ws, task.id, "jo", 10, session=f"s{turn}").items
    assert len(given) == 300
    assert all(bool(one.suggestion) != drawn[one.item] for one in given)
    said = next(one for one in given if one.suggestion).suggestion
    assert said == {"value": "3", "by": "model:digits@1", "confidence": 0.91}
    one = next(one for one in given if one.suggestion)
    sent = Decision("e", one.item, "label", "4", suggestion=said)
    commit(ws, task.id, "jo", [sent])
    with ws.read() as session:
        kept = session.query(AnnotationRecord).one()
        assert (kept.value, kept.suggestion["value"]) == ("4", "3")

"""Performance estimated without truth: by the book, and its intervals cover what comes later."""

from __future__ import annotations

import datetime as dt
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn import metrics

from jupyter_mlops.monitoring import Expectation, measure
from jupyter_mlops.monitoring.calibration import calibrate
from jupyter_mlops.monitoring.expected import covers, expected_auc, expected_metrics
from jupyter_mlops.workspace import Unavailable

LABELS = ["0", "1"]


def answers(rng, n, *, shift=0.0, days=30, slope=1.0, day_effect=0.0, concept=1.0):
    """A model that knows the odds up to `slope`; `concept` turns what the inputs mean."""
    x = rng.normal(shift, 1, n)
    day = np.sort(rng.integers(0, days, n))
    luck = rng.normal(0, day_effect, days)[day] if day_effect else 0.0
    odds = 1.2 * x - 0.8
    late = rng.random(n) < 1 / (1 + np.exp(-concept * odds - luck))
    chance = 1 / (1 + np.exp(-slope * odds))
    return pl.DataFrame(
        {
            "truth": late,
            "prediction": chance > 0.5,
            "probability": chance,
            "day": [dt.date(2013, 1, 1) + dt.timedelta(int(one)) for one in day],
        }
    )


def nannyml_accuracy(chance, predicted):
    """Its documentation: a row's chance of being false is |class - probability|."""
    return 1 - np.mean(np.abs(predicted - chance))


def nannyml_auc(score, chance):
    """Its documentation: expected counts at each threshold make the ROC curve."""
    tpr, fpr = [0.0], [0.0]
    for threshold in np.sort(np.unique(score))[::-1]:
        positive = score >= threshold
        tp, fp = chance[positive].sum(), (1 - chance[positive]).sum()
        fn, tn = chance[~positive].sum(), (1 - chance[~positive]).sum()
        tpr.append(tp / (tp + fn))
        fpr.append(fp / (fp + tn))
    return sum((b - a) * (c + d) / 2 for (a, b), (c, d) in zip(
        pairwise(fpr), pairwise(tpr), strict=True))  # fmt: skip


def test_values_are_those_of_the_definitions():
    rng = np.random.default_rng(2)
    score = rng.beta(2, 4, 400).round(2)
    chance = np.clip(score * 0.9 + 0.03, 0, 1)
    predicted = (score > 0.4).astype(int)
    both = np.column_stack([1 - score, score]), np.column_stack([1 - chance, chance])
    found = expected_metrics(*both, predicted)
    assert found["accuracy"].value == pytest.approx(nannyml_accuracy(chance, predicted), abs=1e-12)
    assert found["auc"].value == pytest.approx(nannyml_auc(score, chance), abs=1e-12)
    # The same by scikit-learn: each row counts as both classes, weighed by their chances.
    twice = np.r_[np.ones(400), np.zeros(400)], np.r_[score, score]
    weights = np.r_[chance, 1 - chance]
    expected = metrics.roc_auc_score(*twice, sample_weight=weights)
    assert expected_auc(score, chance) == pytest.approx(expected, abs=1e-12)
    expected = metrics.log_loss(*twice, sample_weight=weights)
    assert found["log_loss"].value == pytest.approx(expected, abs=1e-12)


def test_variances_are_those_of_truths_that_are_drawn():
    """What the formulas say of the truth's own chance, against 4,000 draws of it."""
    rng = np.random.default_rng(3)
    score = rng.beta(2, 4, 300)
    both = np.column_stack([1 - score, score])
    found = expected_metrics(both, both, (score > 0.4).astype(int))
    truth = rng.random((4000, 300)) < score
    positive = truth.sum(axis=1)
    ranks = (truth * stats.rankdata(score)).sum(axis=1) - positive * (positive + 1) / 2
    drawn = {
        "log_loss": -np.log(np.where(truth, score, 1 - score)).mean(axis=1),
        "auc": ranks / (positive * (300 - positive)),
        "accuracy": (truth == (score > 0.4)).mean(axis=1),
    }
    for name, metric in found.items():
        mean = (metric.contributions * both).sum(axis=1)
        variance = ((metric.contributions**2 * both).sum(axis=1) - mean**2).sum() / 300**2
        assert np.std(drawn[name]) == pytest.approx(variance**0.5, rel=0.06)
        assert np.mean(drawn[name]) == pytest.approx(metric.value, abs=0.004)


@pytest.mark.parametrize(
    ("validated", "served"),
    [
        ({}, {}),
        ({}, {"shift": 0.7}),
        ({"slope": 2.0}, {"slope": 2.0, "shift": -0.5}),
        ({"day_effect": 0.5}, {"day_effect": 0.5}),
    ],
    ids=["stationary", "inputs moved", "overconfident model", "days that differ"],
)
def test_intervals_cover_the_truth_that_comes_later(validated, served):
    """At least nine in ten windows, and six windows share one validation."""
    held: dict[str, list[bool]] = {}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        told = Expectation(answers(rng, 2000, **validated), "binary", LABELS)
        for _ in range(6):
            window = answers(rng, 500, days=7, **served)
            came = measure(window, "binary")
            for one in told.of(window.drop("truth")):
                held.setdefault(one.name, []).append(covers(one, came[one.name]))
    fewest = int(stats.binom.ppf(0.01, 60, 0.9))
    for name, inside in held.items():
        assert sum(inside) >= fewest, (name, sum(inside))
    assert sum(map(sum, held.values())) >= 0.9 * 180


def test_intervals_are_no_wider_than_they_need_be():
    rng = np.random.default_rng(5)
    told = Expectation(answers(rng, 4000), "binary", LABELS)
    loss = told.of(answers(rng, 1000, days=7))[0]
    by_chance = measure(answers(rng, 1000).drop("day"), "binary").scores[0]
    assert (loss.high - loss.low) < 2 * (by_chance.high - by_chance.low)


def test_a_changed_concept_is_not_seen():
    """By construction: the inputs and their probabilities are what they were."""
    rng = np.random.default_rng(6)
    told = Expectation(answers(rng, 3000), "binary", LABELS)
    turned = answers(rng, 1000, days=7, concept=-1.0)
    auc = next(one for one in told.of(turned) if one.name == "auc")
    assert measure(turned, "binary")["auc"] < 0.4 < 0.6 < auc.low


def test_three_classes():
    rng = np.random.default_rng(7)

    def rows(n):
        chances = rng.dirichlet([2, 1, 1], n)
        return pl.DataFrame(
            {
                "truth": ["abc"[rng.choice(3, p=p)] for p in chances],
                "prediction": ["abc"[i] for i in chances.argmax(1)],
                "probability": chances.tolist(),
            }
        )

    told, window = Expectation(rows(2000), "multiclass", ["a", "b", "c"]), rows(800)
    came = measure(window, "multiclass", classes=["a", "b", "c"])
    found = {one.name: one for one in told.of(window)}
    assert set(found) == {"log_loss", "accuracy"}
    assert all(covers(one, came[name]) for name, one in found.items())


def test_poor_calibration_is_said_and_a_good_one_is_left_as_it_is():
    rng = np.random.default_rng(8)
    good = Expectation(answers(rng, 3000), "binary", LABELS).calibration
    assert not good.poor
    assert good.error_raw - good.noise < 0.02
    bad = Expectation(answers(rng, 3000, slope=3.0), "binary", LABELS).calibration
    assert bad.error_raw > 0.1 > bad.error
    # Frequencies that leap from day to day can't be learnt from other days.
    score = np.full((800, 2), 0.5)
    codes = (np.arange(800) // 100 % 2).astype(np.int64)
    days = np.arange(800) // 100
    assert calibrate(score, codes, days)[0].error > 0.02


@pytest.mark.parametrize(
    ("frame", "task", "why"),
    [
        (None, "binary", "weren't kept"),
        (answers(np.random.default_rng(0), 60), "binary", "there are 60"),
        (answers(np.random.default_rng(0), 500).drop("probability"), "binary", "no probabilities"),
        (
            answers(np.random.default_rng(0), 500).with_columns(truth=pl.lit(True)),
            "binary",
            "500 and 0",
        ),
        (answers(np.random.default_rng(0), 500), "regression", "has no probability"),
    ],
)
def test_what_cant_be_estimated_says_why(frame, task, why):
    with pytest.raises(Unavailable, match="can't be estimated") as raised:
        Expectation(frame, task, LABELS)
    assert why in str(raised.value)


def test_rows_without_probability_or_of_unknown_classes():
    rng = np.random.default_rng(9)
    told = Expectation(answers(rng, 1000), "binary", LABELS)
    window = answers(rng, 100)
    assert told.of(window.head(0)) == []
    assert told.of(window.drop("probability")) == []
    some = window.with_columns(probability=pl.when(pl.int_range(100) > 9).then("probability"))
    assert told.of(some) == told.of(window.tail(90))
    strange = told.of(window.with_columns(prediction=pl.lit("maybe")))
    assert next(one for one in strange if one.name == "accuracy").value == 0.0

"""Metrics equal scikit-learn's, and their intervals cover what they say."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from sklearn import metrics

from jupyter_mlops.monitoring import Performance, measure, validation_rows


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def answers(rng, n, bias=0.0):
    probability = rng.beta(2, 4, n)
    truth = rng.random(n) < np.clip(probability + bias, 0, 1)
    return pl.DataFrame(
        {"truth": truth, "prediction": probability > 0.5, "probability": probability}
    )


def test_binary_metrics_equal_scikit_learns(rng):
    frame = answers(rng, 800).with_columns(probability=pl.col("probability").round(2))
    found = measure(frame, "binary")
    truth, score = frame["truth"].to_numpy(), frame["probability"].to_numpy()
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, score), abs=1e-12)
    assert found["auc"] == pytest.approx(metrics.roc_auc_score(truth, score), abs=1e-12)
    assert found["accuracy"] == pytest.approx(np.mean(truth == frame["prediction"].to_numpy()))


def test_multiclass_and_regression_metrics_equal_scikit_learns(rng):
    chances = rng.dirichlet([2, 1, 1], 500)
    classes = ["ant", "bee", "cat"]
    truth = [classes[rng.choice(3, p=p)] for p in chances]
    frame = pl.DataFrame(
        {
            "truth": truth,
            "prediction": [classes[i] for i in chances.argmax(1)],
            "probability": chances.tolist(),
        }
    )
    found = measure(frame, "multiclass", classes=classes)
    assert found["log_loss"] == pytest.approx(metrics.log_loss(truth, chances), abs=1e-9)
    guess = rng.normal(size=300)
    numbers = pl.DataFrame({"truth": guess + rng.normal(size=300), "prediction": guess})
    found = measure(numbers, "regression")
    expected = metrics.root_mean_squared_error(numbers["truth"], numbers["prediction"])
    assert found["rmse"] == pytest.approx(expected)
    expected = metrics.mean_absolute_error(numbers["truth"], numbers["prediction"])
    assert found["mae"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["log_loss", "auc", "accuracy"])
def test_intervals_cover_the_true_value(rng, name):
    true = measure(answers(rng, 200_000), "binary")[name]
    inside = 0
    for _ in range(150):
        found = measure(answers(rng, 300), "binary")
        score = next(one for one in found.scores if one.name == name)
        inside += score.low <= true <= score.high
    assert 0.89 <= inside / 150 <= 0.99


def test_rows_of_one_day_count_as_one_block(rng):
    """Days that are late as a whole: an interval of independent rows is far too narrow."""
    inside = {"blocks": 0, "rows": 0}
    for _ in range(60):
        day = np.repeat(np.arange(20), 50)
        late = rng.random(1000) < np.repeat(rng.beta(1, 3, 20), 50)
        frame = pl.DataFrame(
            {
                "truth": late,
                "prediction": [False] * 1000,
                "day": [dt.date(2013, 1, 1) + dt.timedelta(int(d)) for d in day],
            }
        )
        for name, one in (("blocks", frame), ("rows", frame.drop("day"))):
            score = measure(one, "binary").scores[0]
            assert score.name == "error_rate"
            inside[name] += score.low <= 0.25 <= score.high
    assert inside["blocks"] >= 52
    assert inside["rows"] < 40


@pytest.mark.parametrize(("bias", "verdict"), [(0.0, "held"), (0.25, "worse")])
def test_worse_takes_an_interval_beyond_the_margin(rng, bias, verdict):
    found = measure(answers(rng, 3000, bias), "binary", validation=answers(rng, 3000))
    assert found.verdict == verdict
    assert found.change_low < found.change < found.change_high


def test_false_alarms_of_worse_are_rare(rng):
    found = [
        measure(answers(rng, 400), "binary", validation=answers(rng, 400)).verdict
        for _ in range(150)
    ]
    assert found.count("worse") <= 6


def test_labels_that_json_changed_are_the_same_labels(rng):
    frame = answers(rng, 300)
    as_numbers = frame.with_columns(pl.col("truth").cast(pl.Float64))
    as_text = frame.with_columns(truth=pl.col("truth").cast(pl.String))
    assert measure(as_numbers, "binary") == measure(frame, "binary") == measure(as_text, "binary")


def test_the_metrics_of_the_run_stand_in_for_validation_rows(rng):
    found = measure(answers(rng, 3000, 0.25), "binary", metrics={"log_loss": 0.55, "auc": 0.7})
    assert found.verdict == "worse"
    assert [(one.name, one.value) for one in found.reference_scores] == [
        ("log_loss", 0.55),
        ("auc", 0.7),
    ]
    assert measure(answers(rng, 3000), "binary", metrics={"auc": 0.7}).verdict == "unknown"
    assert measure(answers(rng, 3000), "binary", metrics={"f1": 0.7}).reference_scores is None


def test_too_little_truth_gives_numbers_but_no_verdict(rng):
    frame = answers(rng, 3000, 0.25).with_columns(
        truth=pl.when(pl.int_range(3000) < 40).then("truth")
    )
    found = measure(frame, "binary", validation=answers(rng, 500))
    assert (found.rows, found.answered, found.verdict) == (40, 3000, "unknown")
    assert measure(frame.with_columns(truth=pl.lit(None, pl.Boolean)), "binary") is None


def test_one_class_alone_has_no_auc_and_a_sure_miss_a_finite_loss():
    frame = pl.DataFrame({"truth": [1] * 5, "prediction": [0] * 5, "probability": [0.0] * 5})
    found = measure(frame, "binary")
    assert [score.name for score in found.scores] == ["log_loss", "accuracy"]
    assert np.isfinite(found["log_loss"])
    with pytest.raises(KeyError):
        found["auc"]


def test_validation_rows_of_a_run_are_understood(rng):
    stored = pl.DataFrame(
        {
            "truth": [True, False],
            "prediction": [True, False],
            "p_0": [0.2, 0.7],
            "p_1": [0.8, 0.3],
            "by.origin": ["JFK", "LGA"],
            "by.date": [dt.datetime(2013, 2, 1, 5), dt.datetime(2013, 2, 2, 6)],
        }
    )
    rows = validation_rows(stored, [False, True])
    assert rows["probability"].to_list() == [0.8, 0.3]
    assert rows["day"].to_list() == [dt.date(2013, 2, 1), dt.date(2013, 2, 2)]
    three = stored.with_columns(p_2=pl.lit(0.0))
    assert validation_rows(three, ["a", "b", "c"])["probability"].to_list()[0] == [0.2, 0.8, 0.0]
    assert "day" not in validation_rows(stored.drop("by.date"), [False, True])


def test_a_result_survives_its_record(rng):
    found = measure(answers(rng, 200), "binary", validation=answers(rng, 200))
    assert Performance.from_dict(found.to_dict()) == found

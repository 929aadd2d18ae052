"""Cross-validation in a trial's body."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import make_classification
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression, RidgeClassifier
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from jupyter_mlops.experiments.search.folds import evaluate, splits
from jupyter_mlops.workspace import Invalid


@pytest.fixture(scope="module")
def table():
    X, y = make_classification(300, 5, n_informative=3, random_state=0)
    return X, np.array(["no", "yes"])[y]


def test_the_mean_is_what_scikit_learn_finds(table):
    X, y = table
    found = evaluate(LogisticRegression(), X, y, folds=5)
    cv = StratifiedKFold(5, shuffle=True, random_state=0)
    proba = cross_val_predict(LogisticRegression(), X, y, cv=cv, method="predict_proba")
    assert found.mean == pytest.approx(log_loss(y, proba))
    assert found.rows.shape == (300,)
    assert found.rows.mean() == pytest.approx(found.mean)
    assert float(found) == found.mean
    assert np.mean(found.folds) == pytest.approx(found.mean, rel=0.01)
    error = found.rows.std(ddof=1) / np.sqrt(300)
    assert (found.high - found.low) / 2 == pytest.approx(1.968 * error, rel=0.001)


def test_metrics_are_told_in_their_own_unit(table):
    X, y = table
    accuracy = evaluate(LogisticRegression(), X, y, metric="accuracy")
    wrong = evaluate(LogisticRegression(), X, y, metric="error_rate")
    assert accuracy.mean == pytest.approx(1 - wrong.mean)
    assert accuracy.low < accuracy.mean < accuracy.high
    assert np.array_equal(accuracy.rows, wrong.rows)  # losses: less is better
    target = X[:, 0] * 2 + np.random.default_rng(0).normal(size=300)
    found = evaluate(LinearRegression(), X, target, metric="rmse")
    assert found.mean == pytest.approx(np.sqrt(found.rows.mean()))
    assert found.low < root_mean_squared_error(target, 2 * X[:, 0]) < found.high


@pytest.mark.parametrize("kind", ["pandas", "polars"])
def test_frames_are_split_as_arrays_are(table, kind):
    X, y = table
    names = list("abcde")
    frame = pd.DataFrame(X, columns=names) if kind == "pandas" else pl.DataFrame(X, names)
    target = pd.Series(y) if kind == "pandas" else pl.Series(y)
    model = make_pipeline(StandardScaler(), LogisticRegression())
    assert evaluate(model, frame, target).mean == pytest.approx(evaluate(model, X, y).mean)


def test_seeds_reach_the_estimator_and_folds_stay_the_same(table):
    X, y = table
    forest = make_pipeline(StandardScaler(), RandomForestClassifier(5))
    first, again = (evaluate(forest, X, y, seed=1, metric="brier") for _ in range(2))
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, evaluate(forest, X, y, seed=2, metric="brier").rows)
    assert forest.get_params()["randomforestclassifier__random_state"] is None
    plain = LogisticRegression()
    assert np.array_equal(evaluate(plain, X, y, seed=1).rows, evaluate(plain, X, y, seed=2).rows)
    assert evaluate(plain, X, y, split_seed=3).mean != evaluate(plain, X, y).mean


def test_groups_stay_together_and_widen_the_interval():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 10)
    y = rng.normal(size=30)[groups]
    X = rng.normal(size=(300, 1))
    for train, test in splits(y, 5, groups=groups):
        assert not set(groups[train]) & set(groups[test])
    grouped = evaluate(LinearRegression(), X, y, groups=groups, metric="mae")
    loose = evaluate(LinearRegression(), X, y, metric="mae")
    assert grouped.high - grouped.low > 2 * (loose.high - loose.low)


def test_by_time_only_the_past_is_learnt_from():
    rng = np.random.default_rng(0)
    time = rng.permutation(60)
    for train, test in splits(np.zeros(60), 5, time=time):
        assert time[train].max() < time[test].min()
    y = time * 0.5 + rng.normal(size=60)
    found = evaluate(LinearRegression(), time[:, None], y, time=time, metric="mae")
    assert len(found.rows) == 50
    assert set(found.places) == set(np.flatnonzero(time >= 10))
    assert len(found.folds) == 5
    assert found.low < found.mean < found.high


def test_repeats_add_no_false_certainty():
    rng = np.random.default_rng(0)
    covered, widths, naive = [], [], []
    for _ in range(25):
        X = rng.normal(size=(60, 2))
        y = X[:, 0] + rng.normal(size=60)
        found = evaluate(LinearRegression(), X, y, folds=5, repeats=4, metric="squared_error")
        # The error of a model fitted on 48 rows, with 3 coefficients: 1 + 3 / (48 - 4).
        covered.append(found.low < 1 + 3 / 44 < found.high)
        widths.append(found.high - found.low)
        naive.append(2 * 2.09 * np.std(found.folds, ddof=1) / np.sqrt(20))
        assert len(found.folds) == 20
        assert len(found.rows) == 60
    assert np.mean(covered) > 0.85
    assert np.mean(widths) > 2 * np.mean(naive)


def test_a_search_hears_of_each_fold(table):
    X, y = table
    told = []
    found = evaluate(LogisticRegression(), X, y, on_fold=lambda *one: told.append(one))
    assert [fold for fold, _ in told] == [1, 2, 3, 4, 5]
    assert told[-1][1] == pytest.approx(found.mean)


def test_a_class_that_a_fold_lacks_counts_as_improbable():
    groups = np.arange(40) % 4
    y = np.where(groups == 3, 2, np.arange(40) // 4 % 2)
    found = evaluate(DummyClassifier(), np.zeros((40, 1)), y, folds=4, groups=groups)
    assert np.isfinite(found.rows).all()
    assert found.rows[groups == 3].min() > 10


@pytest.mark.parametrize(
    ("wishes", "sentence"),
    [
        ({"metric": "auc"}, "knows no metric 'auc'"),
        ({"metric": "log_los"}, "did you mean 'log_loss'"),
        ({"folds": 1}, "can't be split into 1 folds"),
        ({"folds": 400}, "can't be split into 400 folds"),
        ({"folds": 200}, "the rarest class has"),
        ({"time": np.arange(300), "repeats": 2}, "neither groups nor repeats"),
        ({"groups": np.arange(300) // 100}, "3 groups can't be split into 5"),
    ],
)
def test_what_cannot_be_split_is_told(table, wishes, sentence):
    X, y = table
    with pytest.raises(Invalid, match=sentence):
        evaluate(LogisticRegression(), X, y, **wishes)


def test_an_estimator_without_probabilities_says_what_it_can(table):
    X, y = table
    with pytest.raises(Invalid, match="gives no probabilities: use metric"):
        evaluate(RidgeClassifier(), X, y)
    assert evaluate(RidgeClassifier(), X, y, metric="accuracy").mean > 0.6

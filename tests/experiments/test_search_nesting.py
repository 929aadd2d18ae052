"""Nested validation: what a search finds, on rows that neither fitted nor chose."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from jupyter_mlops.experiments.search.folds import evaluate
from jupyter_mlops.experiments.search.nesting import kept, nested, unkept
from jupyter_mlops.experiments.search.optimism import corrected
from jupyter_mlops.workspace import Invalid


class Nearest(ClassifierMixin, BaseEstimator):
    """Tells classes apart by the means of one column."""

    def __init__(self, column=0):
        self.column = column

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == one, self.column].mean() for one in self.classes_])
        return self

    def predict(self, X):
        return self.classes_[np.abs(X[:, [self.column]] - self.means_).argmin(axis=1)]


def wrong(X, y, train, test):
    """Whether rows are taken for the wrong class, by each column alone; shape (rows, columns)."""
    means = [X[train][y[train] == one].mean(axis=0) for one in (0, 1)]
    told = np.abs(X[test] - means[1]) < np.abs(X[test] - means[0])
    return (told != y[test, None]).astype(float)


def dealt(rng, y, groups, folds):
    """The fold of each row: groups stay whole, and classes are dealt out evenly."""
    names, first = np.unique(groups, return_index=True)
    of = np.empty(len(names), dtype=int)
    for one in (0, 1):
        members = rng.permutation(np.flatnonzero(y[first] == one))
        of[members] = (np.arange(len(members)) + one * len(members)) % folds
    return of[np.searchsorted(names, groups)]


def search(rng, X, y, groups, folds):
    """A search over columns: losses by trial and row, inner losses, outer folds."""
    outer = dealt(rng, y, groups, folds)
    losses, inner = np.empty(X.shape), np.zeros((folds, X.shape[1]))
    for one in range(folds):
        train, test = np.flatnonzero(outer != one), np.flatnonzero(outer == one)
        losses[test] = wrong(X, y, train, test)
        within = dealt(rng, y[train], groups[train], 4)
        for other in range(4):
            held = within == other
            inner[one] += wrong(X, y, train[~held], train[held]).sum(axis=0) / len(train)
    return losses.T, inner.T, outer


@pytest.mark.parametrize(
    ("rows", "groups", "folds"), [(80, None, 4), (300, None, 5), (120, 20, 4), (240, 40, 5)]
)
def test_without_signal_the_winner_flatters_and_the_nested_value_does_not(rows, groups, folds):
    rng = np.random.default_rng(5)
    naive, fair, covered = [], [], []
    for _ in range(150):
        units = np.arange(rows) if groups is None else np.repeat(np.arange(groups), rows // groups)
        y = (rng.permutation(units.max() + 1) % 2)[units]
        X = rng.normal(size=(units.max() + 1, 25))[units] + 0.1 * rng.normal(size=(rows, 25))
        losses, inner, outer = search(rng, X, y, units, folds)
        told = nested(losses, inner, outer, units)
        naive.append(losses.mean(axis=1).min())
        fair.append(told.value)
        covered.append(told.low <= 0.5 <= told.high)
    # Nothing tells the classes apart: half of all rows are wrong.
    assert np.mean(naive) < 0.45
    assert abs(np.mean(fair) - 0.5) < max(0.01, 3 * np.std(fair) / np.sqrt(150))
    assert np.mean(covered) >= 0.92


def test_with_signal_it_is_what_the_winner_does_on_new_rows():
    rng = np.random.default_rng(6)
    fair = []
    for _ in range(15):
        y = rng.permutation(200) % 2
        X = rng.normal(size=(200, 12))
        X[:, 3] += 1.5 * y
        losses, inner, outer = search(rng, X, y, np.arange(200), 4)
        told = nested(losses, inner, outer)
        assert set(told.winners) == {3}
        assert told.value == pytest.approx(losses[3].mean())
        fair.append(told.value)
    # Two normals 1.5 apart: that part of each lies beyond the middle.
    assert np.mean(fair) == pytest.approx(0.2266, abs=0.02)


def test_groups_are_drawn_whole_when_luck_is_taken_off():
    rng = np.random.default_rng(7)
    whole, loose = [], []
    for seed in range(20):
        groups = np.repeat(np.arange(20), 6)
        y = (rng.permutation(20) % 2)[groups]
        X = rng.normal(size=(20, 20))[groups] + 0.1 * rng.normal(size=(120, 20))
        losses, _, _ = search(rng, X, y, groups, 4)
        whole.append(corrected(losses, groups=groups, rounds=100, seed=seed))
        loose.append(corrected(losses, rounds=100, seed=seed))
    # Rows drawn one by one leave some of each group on both sides, and correct too little.
    assert np.mean([one.optimism for one in whole]) > 2 * np.mean([one.optimism for one in loose])
    assert np.mean([one.low <= 0.5 <= one.high for one in whole]) >= 0.85
    assert np.mean([one.low <= 0.5 <= one.high for one in loose]) < 0.7


def test_a_cross_validation_nests_with_groups_whole_in_all_its_folds():
    rng = np.random.default_rng(7)
    groups = rng.permutation(np.repeat(np.arange(20), 5))
    y = (np.arange(20) % 2)[groups]
    X = rng.normal(size=(100, 3))
    trials = [
        evaluate(Nearest(one), X, y, groups=groups + 7, metric="accuracy", nested=4, folds=3)
        for one in range(3)
    ]
    read = [unkept(kept(one)["folds.npz"]) for one in trials]
    for one in read:
        assert np.array_equal(one.groups, groups)
        assert np.array_equal(one.outer, read[0].outer)
    outer = read[0].outer
    for one in range(20):
        assert len(set(outer[groups == one])) == 1
    for place, one in enumerate(trials):
        assert one.mean == pytest.approx(1 - one.rows.mean())
        for fold in range(4):
            train, test = np.flatnonzero(outer != fold), np.flatnonzero(outer == fold)
            fitted = Nearest(place).fit(X[train], y[train])
            assert np.array_equal(one.rows[test], fitted.predict(X[test]) != y[test])
            within = evaluate(
                Nearest(place), X[train], y[train], groups=groups[train], metric="error_rate",
                folds=3,
            )  # fmt: skip
            assert one.inner[fold] == pytest.approx(within.mean)


def test_by_time_rows_near_each_other_are_one_unit():
    rng = np.random.default_rng(0)
    time = rng.permutation(160)
    found = evaluate(
        Nearest(), rng.normal(size=(160, 1)), rng.integers(0, 2, 160),
        time=time, metric="accuracy", folds=3, nested=4,
    )  # fmt: skip
    told = unkept(kept(found)["folds.npz"])
    at = time[found.places]
    assert len(found.rows) == 128
    assert len(np.unique(told.groups)) == 26  # of five rows
    for one in np.unique(told.groups):
        assert np.ptp(at[told.groups == one]) <= 4
    assert [at[told.outer == fold].min() for fold in range(4)] == [32, 64, 96, 128]


def test_the_outer_folds_give_the_metric_and_plain_ones_keep_nothing():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 2
    plain = evaluate(LogisticRegression(), X, y, folds=3)
    both = evaluate(LogisticRegression(), X, y, folds=5, nested=3)
    assert np.array_equal(plain.rows, both.rows)
    assert plain.mean == both.mean
    assert len(both.inner) == 3
    assert kept(plain) == {}
    with pytest.raises(Invalid, match="aren't repeated"):
        evaluate(LogisticRegression(), X, y, nested=3, repeats=2)


@pytest.mark.parametrize(
    ("inner", "groups", "sentence"),
    [
        (np.zeros((2, 3)), None, "don't fit inner losses"),
        (np.full((2, 2), np.nan), None, "no finite numbers"),
        (np.zeros((2, 2)), np.zeros(20), "one group"),
    ],
)
def test_what_cannot_be_nested_is_told(inner, groups, sentence):
    with pytest.raises(Invalid, match=sentence):
        nested(np.zeros((2, 20)), inner, np.arange(20) % 2, groups)

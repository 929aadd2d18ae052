"""A change of how two numbers go together is found, and chance is not taken for one."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from scipy import stats
from scipy.signal import lfilter

from jupyter_mlops.monitoring.correlations import compare_pairs
from jupyter_mlops.monitoring.joint import compare_jointly
from jupyter_mlops.monitoring.limits import Limits


def together(rng, n: int, tie: float):
    a = rng.normal(size=n)
    return np.column_stack([a, tie * a + np.sqrt(1 - tie**2) * rng.normal(size=n)])


def binary(rng, n):
    return (together(rng, n, 0.6) > 1.3).astype(float)


def clipped(rng, n):
    return np.maximum(together(rng, n, 0.6), 1)


def gaps(rng, n):
    made = together(rng, n, 0.6)
    made[rng.random(n) < 0.3, 0] = np.nan
    return made


def waves(rng, n):
    return np.column_stack([lfilter([1], [1, -0.9], rng.normal(size=n)) for _ in range(2)])


@pytest.mark.parametrize("make", [binary, clipped, gaps, waves])
def test_chance_is_as_rare_as_the_p_value_says(make):
    rng = np.random.default_rng(7)
    alarms = 0
    for _ in range(200):
        # One stream, so that what goes on goes on from one side to the other.
        rows = make(rng, 2500)
        found = compare_pairs(rows[:2000], rows[2000:], ["a", "b"])
        alarms += bool(found) and found[0].p_value <= 0.05
    assert alarms <= stats.binom.ppf(0.999, 200, 0.05)


def test_correlations_are_those_of_the_ranks_of_rows_that_have_both():
    rng = np.random.default_rng(3)
    before, now = gaps(rng, 4000), together(rng, 4000, 0.1)
    (found,) = compare_pairs(before, now, ["a", "b"])
    both = before[np.isfinite(before).all(axis=1)]
    assert found.before == pytest.approx(stats.spearmanr(*both.T).statistic, abs=0.01)
    assert found.now == pytest.approx(stats.spearmanr(*now.T).statistic, abs=1e-9)


def test_a_tie_that_loosens_a_little_is_found_and_named():
    rng = np.random.default_rng(11)
    names = ["width", "height", "other"]
    sides = [
        pl.DataFrame(np.column_stack([together(rng, n, tie), rng.normal(size=n)]), schema=names)
        for n, tie in ((5000, 0.6), (1000, 0.4))
    ]
    found = compare_jointly(*sides, dict.fromkeys(names, "number"), Limits())
    assert found.verdict == "watch"
    assert found.reason.startswith("width and height correlate by 0.")
    assert [(one.first, one.second) for one in found.pairs] == [("width", "height")]
    wide = Limits(correlation_watch=0.5)
    assert compare_jointly(*sides, dict.fromkeys(names, "number"), wide).verdict == "stable"


def test_columns_that_never_vary_or_have_hardly_a_value_say_nothing():
    rng = np.random.default_rng(1)
    rows = np.column_stack([together(rng, 300, 0.9), np.ones(300), np.full(300, np.nan)])
    rows[:20, 3] = rng.normal(size=20)
    found = compare_pairs(rows, together(rng, 300, 0.0)[:, [0, 1, 1, 0]], list("abcd"))
    assert {(one.first, one.second) for one in found} == {("a", "b")}

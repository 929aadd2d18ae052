"""Agreement beyond chance gives what the papers give for their own examples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from jupyter_mlops.labeling.coefficients import alpha, cohen, fleiss, mean, wilson

NONE = np.nan
# Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011: four observers, twelve units.
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
        [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
    ]
).T
# Fleiss, Measuring nominal scale agreement among many raters, 1971, in the form in which
# textbooks give it: how many of fourteen raters put each of ten subjects into five classes.
FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


@pytest.mark.parametrize(
    ("level", "published"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_alpha_of_the_published_example(level, published):
    found = alpha(KRIPPENDORFF, level)
    assert found.value == pytest.approx(published, abs=5e-4)
    # One unit has a single value and says nothing about agreement.
    assert found.n == 11
    assert found.low < found.value < found.high


def test_fleiss_kappa_of_the_published_example():
    table = [[code for code, count in enumerate(row) for _ in range(count)] for row in FLEISS]
    assert fleiss(table).value == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_that_of_scikit_learn_with_and_without_weights():
    chance = np.random.default_rng(3)
    first = chance.integers(0, 5, 200)
    second = np.where(chance.random(200) < 0.6, first, chance.integers(0, 5, 200))
    assert cohen(first, second).value == pytest.approx(cohen_kappa_score(first, second))
    weighted = cohen_kappa_score(first, second, weights="quadratic")
    assert cohen(first, second, "quadratic").value == pytest.approx(weighted)
    # Fifty proposals, 20 both yes, 15 both no: the textbook's 0.4.
    yes = [1] * 20 + [1] * 5 + [0] * 10 + [0] * 15
    other = [1] * 20 + [0] * 5 + [1] * 10 + [0] * 15
    assert cohen(yes, other).value == pytest.approx(0.4)


def test_wilsons_interval_of_the_published_examples():
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    for right, n, low, high in ((81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605)):
        found = wilson(right, n)
        assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)
    assert wilson(0, 20).low == 0
    assert wilson(0, 20).high == pytest.approx(0.1611, abs=5e-5)
    assert wilson(0, 0).value is None


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    chance = np.random.default_rng(0)
    held = 0
    for _ in range(200):
        truth = chance.integers(0, 3, 120)
        seen = [np.where(chance.random(120) < 0.7, truth, chance.integers(0, 3, 120)) for _ in "ab"]
        found = alpha(np.array(seen).T)
        # Both right, or both guessing alike: 0.8² + 2 · 0.1² = 0.66 agree, a third by chance.
        held += found.low <= 0.49 <= found.high
    assert 180 <= held <= 199


def test_units_of_one_item_are_drawn_together():
    """A thousand tokens of two documents are two cases, not a thousand."""
    chance = np.random.default_rng(1)
    truth = chance.integers(0, 2, 1000)
    bad = np.where(chance.random(1000) < 0.5, truth, 1 - truth)
    table = np.array([truth, np.r_[truth[:500], bad[500:]]]).T
    apart, together = alpha(table), alpha(table, groups=np.repeat([0, 1], 500))
    assert together.value == pytest.approx(apart.value)
    assert together.high - together.low > 5 * (apart.high - apart.low)


def test_what_is_not_defined_is_not_given_a_number():
    assert alpha([[1, NONE], [NONE, 2]]).value is None
    assert alpha([[1, 1], [1, 1]]).value is None
    assert cohen([1, 1], [1, 1]).value is None
    assert mean([]).value is None
    assert fleiss([[1, NONE]]).value is None


def test_the_same_labels_have_the_same_interval():
    assert alpha(KRIPPENDORFF) == alpha(KRIPPENDORFF)

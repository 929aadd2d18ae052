"""Each number agrees with the package that is known for it, and knows its own noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import jensenshannon

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.columns import NumberColumn


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def test_psi_is_the_textbook_sum_and_infinite_for_an_emptied_bin():
    p, q = np.array([0.2, 0.3, 0.5]), np.array([0.25, 0.25, 0.5])
    expected = sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))
    assert statistics.psi(p * 1000, q * 400) == pytest.approx(expected, abs=1e-12)
    assert statistics.psi([10, 0], [5, 5]) == math.inf
    assert statistics.psi([10, 0, 5], [20, 0, 10]) == 0


def test_jensen_shannon_equals_scipys_squared_distance(rng):
    p, q = rng.integers(0, 50, 20), rng.integers(0, 50, 20)
    assert statistics.jensen_shannon(p, q) == pytest.approx(jensenshannon(p, q) ** 2, abs=1e-12)


def test_kolmogorov_smirnov_equals_scipys_with_and_without_ties(rng):
    for a, b in [
        (rng.normal(size=500), rng.normal(0.2, 1, 400)),
        (rng.integers(0, 5, 500) * 1.0, rng.integers(0, 6, 300) * 1.0),
    ]:
        expected = stats.ks_2samp(a, b, method="asymp")
        distance, p_value = statistics.kolmogorov_smirnov(np.sort(a), np.sort(b))
        assert distance == pytest.approx(expected.statistic, abs=1e-12)
        scale = math.sqrt(a.size * b.size / (a.size + b.size))
        assert p_value == pytest.approx(stats.kstwobign.sf(distance * scale), abs=1e-12)


def test_wasserstein_equals_scipys(rng):
    a, b = np.sort(rng.lognormal(size=400)), np.sort(np.round(rng.normal(1, 1, 700), 1))
    distance, _ = statistics.wasserstein(a, b)
    assert distance == pytest.approx(stats.wasserstein_distance(a, b), abs=1e-9)


def test_chi2_equals_scipys_contingency_where_no_bin_is_small(rng):
    a, b = rng.multinomial(800, np.ones(6) / 6), rng.multinomial(500, np.ones(6) / 6)
    expected = stats.chi2_contingency([a, b], correction=False).pvalue
    assert statistics.chi2_two_samples(a, b) == pytest.approx(expected, abs=1e-12)


def test_chi2_pools_small_bins_and_never_divides_by_zero():
    assert statistics.chi2_two_samples([0, 0, 0], [1, 2, 3]) == 1
    assert statistics.chi2_two_samples([100, 0, 1, 1], [100, 1, 0, 1]) > 0.5
    assert statistics.chi2_two_samples([3, 0], [0, 2]) == 1
    assert statistics.chi2_two_samples([100, 0], [0, 100]) < 1e-20


@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (5000, 700)])
def test_psi_of_an_unchanged_distribution_averages_to_its_floor(rng, n, m):
    shares = np.ones(50) / 50
    psi = [
        8 * statistics.jensen_shannon(rng.multinomial(n, shares), rng.multinomial(m, shares))
        for _ in range(200)
    ]
    assert np.mean(psi) == pytest.approx(statistics.psi_floor(50, n, m), rel=0.07)


@pytest.mark.parametrize("draw", ["normal", "exponential", "standard_cauchy"])
def test_wasserstein_of_an_unchanged_distribution_averages_to_its_floor(rng, draw):
    pairs = []
    for _ in range(150):
        a, b = getattr(rng, draw)(size=600), getattr(rng, draw)(size=300)
        pairs.append(statistics.wasserstein(np.sort(np.clip(a, -6, 6)), np.sort(np.clip(b, -6, 6))))
    distance, floor = np.mean(pairs, axis=0)
    assert distance == pytest.approx(floor, rel=0.1)


def test_floor_of_a_normal_is_the_known_constant(rng):
    a, b = np.sort(rng.normal(size=20_000)), np.sort(rng.normal(size=20_000))
    assert statistics.wasserstein(a, b)[1] == pytest.approx(1.288 * 0.01, rel=0.03)


def test_rows_needed_bring_the_floor_under_the_limit():
    needed = statistics.rows_needed(11, 50_000, 0.05)
    assert statistics.psi_floor(11, 50_000, needed) <= 0.05
    assert statistics.psi_floor(11, 50_000, needed - 2) > 0.05
    # A reference too small for any window: what both sides would need.
    assert statistics.rows_needed(11, 150, 0.05) == 400


def test_one_outlier_in_the_reference_neither_hides_nor_makes_a_shift(rng):
    scale = statistics.robust_scale(np.sort(np.append(rng.normal(size=20_000), 1e6)))
    assert scale == pytest.approx(1.349, rel=0.03)
    ties = np.sort(np.append(np.zeros(900), np.arange(100)))
    assert statistics.robust_scale(ties) > 0
    assert statistics.robust_scale(np.zeros(10)) == 0


def test_unseen_mass_of_identifiers_is_expected_and_of_months_is_not():
    ids = {f"a{i}": 1 for i in range(1000)}
    fresh = {f"b{i}": 1 for i in range(1000)}
    share, p_value = statistics.unseen_mass(ids, fresh)
    assert (share, p_value) == (0.0, 1.0)
    assert statistics.unseen_mass({"Jan": 900, "Feb": 900}, {"Mar": 900})[0] == pytest.approx(1)
    assert statistics.unseen_mass({"Jan": 900}, {"Jan": 100}) == (0.0, 1.0)


def test_unseen_p_value_of_one_category_is_its_exact_chance():
    reference, current = {"y": 500}, {"y": 4985, "x": 15}
    expected = (5000 / 5500) ** 15
    assert statistics.unseen_mass(reference, current)[1] == pytest.approx(expected, rel=1e-3)


def test_two_shares_is_fisher_for_few_hits_and_z_for_many():
    few = stats.fisher_exact([[2, 498], [9, 491]]).pvalue
    assert statistics.two_shares(2, 500, 9, 500) == pytest.approx(few)
    many = stats.chi2_contingency([[500, 4500], [600, 4400]], correction=False).pvalue
    assert statistics.two_shares(500, 5000, 600, 5000) == pytest.approx(many)
    assert statistics.two_shares(0, 10, 0, 10) == 1


def test_benjamini_hochberg_keeps_order_and_takes_nothing():
    assert statistics.benjamini_hochberg([]) == []
    assert statistics.benjamini_hochberg([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.04, 0.04])


def test_normal_scores_find_shifts_and_scales_and_hold_their_level():
    def p_values(seed, **changed):
        rng = np.random.default_rng(seed)
        before = NumberColumn(np.sort(rng.standard_t(3, 4000)), 0)
        now = rng.standard_t(3, 800) * changed.get("scale", 1) + changed.get("shift", 0)
        return statistics.normal_scores(before, NumberColumn(np.sort(now), 0))

    null = np.array([p_values(seed) for seed in range(400)])
    # Of 400 at 5 %, 32 are met with in 1 % of all runs.
    assert ((null <= 0.05).sum(axis=0) <= 32).all()
    assert p_values(1, shift=0.3)[0] < 1e-4 < p_values(1, shift=0.3)[1]
    assert p_values(1, scale=1.5)[1] < 1e-4 < p_values(1, scale=1.5)[0]
    few = NumberColumn(np.repeat([0.0, 1.0], [900, 100]), 0)
    more = NumberColumn(np.repeat([0.0, 1.0], [800, 200]), 0)
    assert statistics.normal_scores(few, more)[0] < 1e-6
    assert statistics.normal_scores(few, few)[0] == 1.0
    assert statistics.normal_scores(few, more, alike=50.0)[0] > 0.05
    empty = NumberColumn(np.array([]), 5)
    assert statistics.normal_scores(few, empty) == (1.0, 1.0)


def test_one_p_value_from_several_is_as_small_as_the_surest_allows():
    assert statistics.together([0.03]) == pytest.approx(0.03)
    assert statistics.together([1e-200, 1.0]) == pytest.approx(2e-200, rel=1e-3)
    assert statistics.together([1.0, 1.0, 1.0]) > 0.9
    rng = np.random.default_rng(3)
    shared = rng.normal(size=20_000)
    tests = [2 * stats.norm.sf(abs(shared * 0.8 + rng.normal(size=20_000) * 0.6)) for _ in range(4)]
    found = np.array([statistics.together(row) for row in np.transpose(tests)])
    assert np.mean(found <= 0.01) <= 0.013

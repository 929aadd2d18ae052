"""Two sorted samples are merged with both of their distribution functions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.merging import merged


def samples(seed: int, decimals: int):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(1, 400, 2)
    return (np.sort(np.round(rng.normal(size=size), decimals)) for size in (n, m))


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("seed", range(5))
def test_counts_at_the_end_of_each_run_are_those_up_to_the_value(seed, decimals):
    before, now = samples(seed, decimals)
    values, left, right = merged(before, now)
    assert np.array_equal(values, np.sort(np.concatenate([before, now])))
    ends = np.append(values[1:] > values[:-1], True)
    assert np.array_equal(left[ends], np.searchsorted(before, values[ends], "right"))
    assert np.array_equal(right[ends], np.searchsorted(now, values[ends], "right"))


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("seed", range(5))
def test_counted_values_are_as_good_as_rows(seed, decimals):
    before, now = samples(seed, decimals)
    (a, many), (b, more) = (np.unique(side, return_counts=True) for side in (before, now))
    values, left, right = merged(a, b, many, more)
    ends = np.append(values[1:] > values[:-1], True)
    assert np.array_equal(left[ends], np.searchsorted(before, values[ends], "right"))
    assert np.array_equal(right[ends], np.searchsorted(now, values[ends], "right"))
    assert left[-1] == before.size
    assert right[-1] == now.size
    _, alone, rows = merged(a, now, many)
    assert (alone[-1], rows[-1]) == (before.size, now.size)


@pytest.mark.parametrize("decimals", [0, 1, 12])
@pytest.mark.parametrize("seed", range(5))
def test_distances_are_scipys_with_and_without_ties(seed, decimals):
    before, now = samples(seed, decimals)
    distance, _ = statistics.kolmogorov_smirnov(before, now)
    assert distance == pytest.approx(stats.ks_2samp(before, now).statistic, abs=1e-12)
    moved, _ = statistics.wasserstein(before, now)
    assert moved == pytest.approx(stats.wasserstein_distance(before, now), abs=1e-12)


def test_infinite_values_have_a_place():
    before, now = np.array([-np.inf, 0.0, 1.0]), np.array([0.0, np.inf, np.inf])
    assert statistics.kolmogorov_smirnov(before, now)[0] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="infinite"):
        statistics.wasserstein(before, now)

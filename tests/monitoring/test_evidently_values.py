"""Where Evidently and we measure the same thing on the same bins, the numbers are the same."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.columns import as_text

WITHIN = 1e-6


@pytest.fixture(scope="module", autouse=True)
def engine():
    """Our module first: it sets the telemetry switch and mends what pandas dropped."""
    from jupyter_mlops.monitoring import evidently_report

    return evidently_report


def theirs(test: str, before, after, kind: str) -> float:
    """The score of one of Evidently's tests, by its name."""
    from evidently import ColumnType
    from evidently.legacy.calculations.stattests.registry import get_stattest

    sides = pd.Series(before), pd.Series(after)
    found = get_stattest(*sides, ColumnType(kind), test)
    return float(found(*sides, ColumnType(kind), None).drift_score)


def counts(before, after):
    """Rows by value on both sides, on the bins that Evidently takes for categories."""
    values = sorted({as_text(one) for one in [*before, *after]})
    sides = ([as_text(one) for one in side] for side in (before, after))
    return [np.array([side.count(value) for value in values]) for side in sides]


def sturges(before, after):
    """Rows by bin on both sides, on the bins that Evidently takes for numbers."""
    edges = np.histogram_bin_edges(np.concatenate([before, after]), bins="sturges")
    return [np.histogram(side, edges)[0] for side in (before, after)]


def tables(name: str, seed: int, n: int, m: int):
    rng = np.random.default_rng(seed)
    made = {
        "normal": (rng.normal(size=n), rng.normal(0.3, 1.2, m)),
        "log-normal": (rng.lognormal(size=n), rng.lognormal(0.2, 1, m)),
        "ties": (np.round(rng.normal(size=n), 1), np.round(rng.normal(0.2, 1, m), 1)),
        "spike": (
            np.where(rng.random(n) < 0.6, 0, rng.exponential(size=n)),
            np.where(rng.random(m) < 0.5, 0, rng.exponential(size=m)),
        ),
        "uniform": (rng.random(n), rng.random(m)),
    }
    return made[name]


NUMBERS = ("normal", "log-normal", "ties", "spike", "uniform")
SIZES = ((200, 300), (5000, 1200), (12_000, 30_000))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("size", SIZES)
def test_of_numbers(name, size):
    before, after = tables(name, 11, *size)
    p, q = sturges(before, after)
    # Where a bin is empty on one side, Evidently puts a share of its own there.
    if not np.any((p == 0) != (q == 0)):
        psi = theirs("psi", before, after, "num")
        assert statistics.psi(p, q) == pytest.approx(psi, abs=WITHIN)
    distance = theirs("jensenshannon", before, after, "num")
    assert np.sqrt(statistics.jensen_shannon(p, q)) == pytest.approx(distance, abs=WITHIN)
    moved = statistics.wasserstein(np.sort(before), np.sort(after))[0] / np.std(before)
    wasserstein = theirs("wasserstein", before, after, "num")
    assert moved == pytest.approx(wasserstein, abs=WITHIN)
    p_value = theirs("ks", before, after, "num")
    distance, mine = statistics.kolmogorov_smirnov(np.sort(before), np.sort(after))
    if max(size) > 10_000:  # SciPy's limit of the exact p-value
        rows = size[0] * size[1] / sum(size)
        assert stats.kstwo.sf(distance, round(rows)) == pytest.approx(p_value, abs=WITHIN)
    # The same distance; our p-value is the limit for many rows.
    assert stats.ks_2samp(before, after).statistic == pytest.approx(distance, abs=1e-12)
    assert mine == pytest.approx(p_value, abs=0.06)


def test_psi_is_tried_on_bins_that_both_sides_fill():
    tried = 0
    for name in NUMBERS:
        for size in SIZES:
            p, q = sturges(*tables(name, 11, *size))
            tried += not np.any((p == 0) != (q == 0))
    assert tried >= 5


@pytest.mark.parametrize("categories", [2, 5, 40])
@pytest.mark.parametrize("size", SIZES)
def test_of_categories(categories, size):
    rng = np.random.default_rng(categories)
    names = [f"c{i}" for i in range(categories)]
    weights = rng.dirichlet(np.full(categories, 8.0))
    before = [*names, *rng.choice(names, size[0])]
    after = [*names, *rng.choice(names, size[1], p=weights)]
    p, q = counts(before, after)
    psi = theirs("psi", before, after, "cat")
    assert statistics.psi(p, q) == pytest.approx(psi, abs=WITHIN)
    distance = theirs("jensenshannon", before, after, "cat")
    assert np.sqrt(statistics.jensen_shannon(p, q)) == pytest.approx(distance, abs=WITHIN)


# Tables and values of Evidently's own tests (tests/stattests, tests/multitest; Apache-2.0).
SIX = [16, 18, 16, 14, 12, 12], [16, 16, 16, 16, 16, 8]


@pytest.mark.parametrize("times", [1, 2])
def test_its_chi_square_is_ours_with_an_endless_reference(times):
    """Evidently takes the reference for exact, which is why it rejects too often."""
    reference, current = np.array(SIX[0]) * times, np.array(SIX[1])
    rows = [np.repeat(np.arange(6), one) for one in (reference, current)]
    found = theirs("chisquare", *rows, "cat")
    assert found == pytest.approx(0.67309, abs=1e-5)
    assert statistics.chi2_two_samples(reference * 10**8, current) == pytest.approx(
        found, abs=WITHIN
    )
    # With the reference it has, it is the contingency test.
    table = np.array([reference, current])
    exact = stats.chi2_contingency(table, correction=False).pvalue
    assert statistics.chi2_two_samples(reference, current) == pytest.approx(exact, abs=WITHIN)
    assert exact > found


def test_its_table_with_an_empty_bin():
    before, after = [3, 2, 2], [1, 2, 3]
    found = theirs("psi", before, after, "cat")
    assert found == pytest.approx(2.93, abs=0.01)
    p, q = counts(before, after)
    assert statistics.psi(p, q) == np.inf
    filled = np.where(p == 0, 0.0001 * p.sum(), p)
    assert statistics.psi(filled, q) == pytest.approx(found, abs=1e-3)


@pytest.mark.parametrize("letters", [["a", "b"], ["a", "b", "c"]])
def test_its_equal_tables(letters):
    rows = np.repeat(letters, 10)
    for test in ("psi", "jensenshannon"):
        assert theirs(test, rows, rows, "cat") == pytest.approx(0, abs=1e-5)
    assert theirs("chisquare", rows, rows, "cat") == pytest.approx(1, abs=1e-5)
    p, q = counts(rows.tolist(), rows.tolist())
    assert statistics.psi(p, q) == statistics.jensen_shannon(p, q) == 0
    assert statistics.chi2_two_samples(p, q) == 1


def test_its_weights_of_eight_people():
    before = [38.7, 41.5, 43.8, 44.5, 45.5, 46.0, 47.7, 58.0]
    after = [39.2, 39.3, 39.7, 41.4, 41.8, 42.9, 43.3, 45.8]
    moved = statistics.wasserstein(np.array(before), np.array(after))[0]
    found = theirs("wasserstein", before, after, "num")
    assert moved / np.std(before) == pytest.approx(found, abs=WITHIN)
    distance, _ = statistics.kolmogorov_smirnov(np.array(before), np.array(after))
    assert theirs("ks", before, after, "num") == pytest.approx(
        stats.ks_2samp(before, after).pvalue, abs=WITHIN
    )
    assert distance == stats.ks_2samp(before, after).statistic

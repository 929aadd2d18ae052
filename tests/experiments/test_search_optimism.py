"""The winner's value without the luck of being the best of many."""

from __future__ import annotations

import numpy as np
import pytest

from jupyter_mlops.experiments.search.optimism import by_luck, corrected
from jupyter_mlops.workspace import Invalid


def simulate(rng, trials, rows, shared=0.5, effect=0.0):
    """Skewed losses of trials whose true means are known, partly the same by row."""
    common = rng.exponential(size=rows) - 1
    own = rng.exponential(size=(trials, rows)) - 1
    truth = effect * np.linspace(0, 1, trials)
    return np.sqrt(shared) * common + np.sqrt(1 - shared) * own + truth[:, None], truth


@pytest.mark.parametrize(("shared", "effect"), [(0.2, 0.0), (0.5, 0.0), (0.9, 0.0), (0.5, 0.3)])
def test_the_naive_value_flatters_and_the_corrected_one_does_not(shared, effect):
    rng = np.random.default_rng(3)
    naive, value, covered = [], [], []
    for seed in range(120):
        losses, truth = simulate(rng, 40, 200, shared, effect)
        found = corrected(losses, seed=seed, rounds=160)
        assert found.winner == int(losses.mean(axis=1).argmin())
        right = truth[found.winner]
        naive.append(found.naive - right)
        value.append(found.value - right)
        covered.append(found.low <= right <= found.high)
    error = np.std(value) / np.sqrt(len(value))
    assert abs(np.mean(value)) < max(3 * error, 0.02)
    assert np.mean(naive) < np.mean(value) - 0.03
    assert np.mean(covered) >= 0.91


def test_the_seed_decides_and_more_is_better_is_the_mirror_image():
    losses, _ = simulate(np.random.default_rng(1), 20, 100)
    found = corrected(losses, seed=4)
    assert corrected(losses, seed=4) == found
    assert corrected(losses, seed=5) != found
    mirrored = corrected(-losses, maximize=True, seed=4)
    assert mirrored.winner == found.winner
    assert mirrored.value == pytest.approx(-found.value)
    assert mirrored.optimism == pytest.approx(found.optimism)
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))


def test_a_clear_winner_needs_no_correction():
    losses, _ = simulate(np.random.default_rng(1), 10, 300, effect=20.0)
    found = corrected(losses)
    assert found.winner == 0
    assert abs(found.optimism) < 0.01
    error = losses[0].std() / np.sqrt(300)
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * error, rel=0.15)


def test_rows_of_a_group_are_drawn_together():
    rng = np.random.default_rng(2)
    groups = np.repeat(np.arange(30), 10)
    losses = rng.normal(size=(15, 30))[:, groups] + 0.1 * rng.normal(size=(15, 300))
    wide, narrow = corrected(losses, groups=groups), corrected(losses)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.optimism > 2 * narrow.optimism
    one_each = corrected(losses, groups=np.arange(300))
    assert one_each.value == pytest.approx(narrow.value)


@pytest.mark.parametrize(
    ("losses", "groups", "sentence"),
    [
        (np.zeros(5), None, "have the shape"),
        (np.zeros((2, 9)), None, "9 independent rows are too few"),
        (np.full((2, 20), np.nan), None, "no finite numbers"),
        (np.zeros((2, 20)), np.zeros(19), "19 groups for 20 rows"),
        (np.zeros((2, 20)), np.zeros(20), "1 independent rows"),
    ],
)
def test_what_cannot_be_corrected_is_told(losses, groups, sentence):
    with pytest.raises(Invalid, match=sentence):
        corrected(losses, groups=groups)


def test_luck_alone_is_the_expected_largest_of_normal_errors():
    drawn = np.random.default_rng(0).normal(size=(20_000, 30)).max(axis=1).mean()
    assert by_luck(30, 0.5) == pytest.approx(0.5 * drawn, rel=0.01)
    assert by_luck(1, 0.5) == 0.0

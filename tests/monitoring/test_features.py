"""A table that didn't change raises no alarm at any size; one that did is found, and named."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest
from scipy import stats

from jupyter_mlops.monitoring import Limits, compare_features
from jupyter_mlops.monitoring.bins import CategoryBins, NumberBins
from jupyter_mlops.monitoring.columns import read_categories, read_numbers
from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.workspace import Invalid

from .tables import awkward


@pytest.fixture
def rng():
    return np.random.default_rng(11)


def compare(reference, current, limits=None):
    found = compare_features(reference, current, reference.columns, limits)
    return {one.name: one for one in found}


@pytest.mark.parametrize(
    ("n", "m", "checks"), [(500, 500, 60), (500, 4000, 25), (5000, 500, 25), (20_000, 20_000, 6)]
)
def test_an_unchanged_table_raises_no_alarm(rng, n, m, checks):
    alarms = 0
    for _ in range(checks):
        found = compare(awkward(rng, n), awkward(rng, m))
        alarms += any(one.verdict in ("drifted", "watch") for one in found.values())
    # At the stated rate of 1 % more alarms than this come up once in 10,000 runs.
    assert alarms <= stats.binom.ppf(0.9999, checks, Limits().alpha)


def test_counting_the_reference_on_its_own_most_frequent_values_would_alarm(rng):
    """The trap the hash buckets are there for, shown on the same data."""
    tail = [pl.Series("tail", np.minimum(rng.zipf(1.3, 4000), 10**6).astype(str)) for _ in range(2)]
    ours = compare(*(side.to_frame() for side in tail))["tail"]
    assert ours.verdict == "stable"
    reference, current = (read_categories(side) for side in tail)
    top = sorted(reference.counts, key=lambda value: -reference.counts[value])[:1000]
    counts = [[side.counts.get(value, 0) for value in top] for side in (reference, current)]
    table = np.array([[*row, 4000 - sum(row)] for row in counts])
    table = table[:, table.sum(axis=0) > 0]
    assert stats.chi2_contingency(table).pvalue < 1e-3


@pytest.mark.parametrize("n", [2000, 20_000])
def test_planted_changes_are_found_and_explained(rng, n):
    before, after = awkward(rng, n), awkward(rng, n)
    x = after["cat5"].to_numpy()
    after = after.with_columns(
        normal=pl.Series(rng.normal(0.6, 1, n)),
        lognormal=pl.Series(rng.lognormal(0, 1.8, n)),
        gaps=pl.Series(np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n))),
        cat5=pl.Series(np.where(rng.random(n) < 0.35, "a", x)),
        rare=pl.Series(np.where(rng.random(n) < 0.08, "z", "y")),
        ties=pl.Series(np.where(rng.random(n) < 0.6, 0, rng.exponential(size=n))),
    )
    found = compare(before, after)
    moved = {"normal", "lognormal", "gaps", "cat5", "rare", "ties"}
    assert {name for name, one in found.items() if one.verdict in ("drifted", "watch")} == moved
    assert found["normal"].verdict == "drifted"
    assert "PSI" in found["normal"].reason
    assert found["gaps"].reason.startswith("missing")
    assert "unseen categories" in found["rare"].reason


def test_a_shift_too_small_to_matter_is_stable_however_many_rows_prove_it(rng):
    before = pl.DataFrame({"x": rng.normal(size=200_000)})
    after = pl.DataFrame({"x": rng.normal(0.03, 1, 200_000)})
    one = compare(before, after)["x"]
    assert one.p_value < 0.01
    assert (one.verdict, one.reason) == ("stable", "real but small")


@pytest.mark.parametrize("n", [1, 12, 150])
def test_a_short_window_says_how_many_rows_it_needs(rng, n):
    one = compare(awkward(rng, 5000), awkward(rng, n))["normal"]
    assert one.verdict == "not enough data"
    assert one.reason == f"{n} of {one.rows_needed} rows"
    assert 180 <= one.rows_needed <= 250


def test_one_outlier_changes_nothing(rng):
    before = pl.DataFrame({"x": np.append(rng.normal(size=20_000), 1e9)})
    still = compare(before, pl.DataFrame({"x": rng.normal(size=20_000)}))["x"]
    moved = compare(before, pl.DataFrame({"x": rng.normal(0.5, 1, 20_000)}))["x"]
    assert still.verdict == "stable"
    assert still.effect < 0.01
    assert moved.effect == pytest.approx(0.24, abs=0.03)
    assert moved.distance == pytest.approx(0.5 / 1.349, abs=0.03)


@pytest.mark.parametrize(
    "values",
    [[None] * 600, [float("nan")] * 600, [1.0] * 600, ["a"] * 600, [True] * 600],
    ids=["null", "nan", "constant", "one category", "true"],
)
def test_columns_without_variety_are_stable_against_themselves(values):
    dtype = pl.Float64 if values[0] is None else None
    frame = pl.DataFrame({"x": pl.Series(values, dtype=dtype)})
    assert compare(frame, frame)["x"].verdict == "stable"


def test_a_column_that_vanished_into_nulls_or_a_new_constant_has_drifted():
    ones = pl.DataFrame({"x": [1.0] * 600})
    nulls = pl.DataFrame({"x": pl.Series([None] * 600, dtype=pl.Float64)})
    twos = pl.DataFrame({"x": [2.0] * 600})
    assert compare(ones, nulls)["x"].reason.startswith("missing 0.0% → 100.0%")
    assert compare(nulls, ones)["x"].verdict == "drifted"
    assert compare(ones, twos)["x"].verdict == "drifted"


@pytest.mark.parametrize("share", [0.02, 0.4, 1.0])
def test_infinite_values_are_values(rng, share):
    before = pl.DataFrame({"x": rng.normal(size=1000)})
    after = pl.DataFrame({"x": np.where(rng.random(1000) < share, np.inf, rng.normal(size=1000))})
    assert compare(before, after)["x"].verdict == ("stable" if share < 0.1 else "drifted")
    assert compare(after, after)["x"].verdict == "stable"


def test_types_that_json_changed_compare_as_the_same_values():
    before = pl.DataFrame({"n": [1, 2, 3] * 300, "c": ["1", "2", "3"] * 300, "b": [True] * 900})
    after = pl.DataFrame({"n": [1.0, 2.0, 3.0] * 300, "c": [1, 2, 3] * 300, "b": [True] * 900})
    assert {one.verdict for one in compare(before, after).values()} == {"stable"}


def test_times_are_compared_and_lists_are_refused_by_name():
    days = pl.DataFrame({"day": [dt.date(2013, 1, 1) + dt.timedelta(i % 60) for i in range(900)]})
    later = days.select(pl.col("day") + pl.duration(days=90))
    assert compare(days, later)["day"].verdict == "drifted"
    with pytest.raises(Invalid, match="column 'l' holds List"):
        compare(pl.DataFrame({"l": [[1]]}), pl.DataFrame({"l": [[1]]}))


def test_times_are_the_same_in_any_unit_and_zone():
    hours = pl.Series(
        "t", [dt.datetime(2013, 1, 1, tzinfo=dt.UTC) + dt.timedelta(hours=i) for i in range(900)]
    )
    kept = hours.cast(pl.Datetime("us", "UTC")).to_frame()
    for same in (
        hours.cast(pl.Datetime("ns", "UTC")),
        hours.cast(pl.Datetime("ms", "UTC")).dt.convert_time_zone("America/New_York"),
    ):
        assert compare(kept, same.to_frame())["t"].effect == 0


def test_bins_count_every_row_once(rng):
    frame = awkward(rng, 3000)
    for name in ("ties", "rounded", "hour", "few", "gaps", "constant"):
        column = read_numbers(frame[name])
        assert NumberBins.of(column).count(column).sum() == 3000
    for name in ("cat5", "tail", "id"):
        column = read_categories(frame[name])
        assert CategoryBins.of(column).count(column).sum() == 3000


def test_spikes_are_bins_of_their_own():
    column = read_numbers(pl.Series("rain", [0.0] * 900 + list(range(1, 101))))
    bins = NumberBins.of(column)
    assert bins.spikes == (0.0,)
    assert bins.count(column)[0] == 900


def test_a_result_survives_its_record(rng):
    one = compare(awkward(rng, 600), awkward(rng, 600))["cat5"]
    assert FeatureDrift.from_dict(one.to_dict()) == one

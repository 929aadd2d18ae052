"""Points in place of rows: a column's shape is kept, whatever the side is kept as."""

from __future__ import annotations

import datetime as dt
import pickle
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from scipy import stats

from jupyter_mlops.monitoring import compare_features
from jupyter_mlops.monitoring.drawing import (
    OTHERS,
    POINTS,
    RAW_ROWS,
    SHOWN_CATEGORIES,
    Rows,
    Sketches,
    drawn,
    in_proportion,
    sketched,
)
from jupyter_mlops.profiling import profile

N = RAW_ROWS + 10_000


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(8)
    first = dt.datetime(2013, 1, 1)
    return pl.DataFrame(
        {
            "gaps": np.where(rng.random(N) < 0.2, np.nan, rng.lognormal(size=N)),
            "spike": np.where(rng.random(N) < 0.9, 0.0, rng.exponential(size=N)),
            "hour": rng.integers(0, 24, N),
            "when": pl.Series([first + dt.timedelta(minutes=int(i)) for i in range(N)]),
            "letter": np.repeat(np.array(["a", "b", "c"]), [N * 7 // 10, N * 2 // 10, N // 10]),
            "many": rng.zipf(1.5, N).clip(0, 5000).astype(str),
            "flag": pl.Series(rng.random(N) < 0.25),
        }
    )


def kinds(features):
    return {one.name: one.kind for one in features}


@pytest.fixture(scope="module")
def features(frame):
    return compare_features(frame, frame, frame.columns)


@pytest.mark.parametrize("kept", ["rows", "sketches", "profile"])
def test_points_have_the_distribution_of_the_rows(frame, features, kept):
    if kept == "rows":
        side = Rows(frame)
    elif kept == "sketches":
        side = sketched(frame.lazy(), kinds(features))
    else:
        side = Sketches(profile(frame.lazy()).columns, N)
    columns, notices, sampled = drawn(side, side, features)
    assert (len(columns), notices, sampled) == (7, [], True)
    found = {one.name: one.reference for one in columns}
    assert all(one.reference.size == one.current.size == POINTS for one in columns)
    for name in ("gaps", "spike", "hour"):
        values = frame[name].to_numpy().astype(float)
        points = found[name]
        assert np.isnan(points).mean() == pytest.approx(np.isnan(values).mean(), abs=1 / POINTS)
        distance = stats.ks_2samp(values[~np.isnan(values)], points[~np.isnan(points)]).statistic
        assert distance < (0.001 if kept == "rows" or name == "hour" else 0.012)
    # Microseconds, as rows have them.
    middle = frame["when"].dt.timestamp("us").median()
    assert np.median(found["when"]) == pytest.approx(middle, abs=0.01 * N * 60e6)
    letters, counts = np.unique(found["letter"].astype(str), return_counts=True)
    assert dict(zip(letters, counts, strict=True)) == {"a": 1400, "b": 400, "c": 200}
    share = np.mean(found["flag"] == "true")
    assert share == pytest.approx(frame["flag"].mean(), abs=1 / POINTS)
    told = set(found["many"])
    assert len(told) == SHOWN_CATEGORIES + 1
    assert OTHERS in told
    ones = frame["many"].eq("1").mean()
    assert np.mean(found["many"] == "1") == pytest.approx(ones, abs=2 / POINTS)


def test_they_are_the_same_every_time_and_in_no_order(frame, features):
    side = Rows(frame)
    first, again = (drawn(side, side, features)[0] for _ in range(2))
    for one, other in zip(first, again, strict=True):
        same = [str(a) == str(b) for a, b in zip(one.reference, other.reference, strict=True)]
        assert all(same)
    hours = next(one for one in first if one.name == "hour").reference
    assert abs(np.corrcoef(np.arange(POINTS), hours)[0, 1]) < 0.1


def test_few_rows_are_drawn_as_they_are(frame, features):
    few = Rows(frame.head(1000))
    columns, _, sampled = drawn(few, few, features)
    assert not sampled
    hours = next(one for one in columns if one.name == "hour")
    assert hours.reference.tolist() == frame["hour"].head(1000).to_list()


def test_sketches_take_no_more_room_for_more_rows(frame, features):
    side = sketched(frame.lazy(), kinds(features))
    more = sketched(pl.concat([frame, frame, frame]).lazy(), kinds(features))
    assert more.rows == 3 * N
    room = [
        len(pickle.dumps([column.to_dict() for column in one.columns.values()]))
        for one in (side, more)
    ]
    assert room[1] < 1.3 * room[0]
    assert room[1] < 40_000 * len(kinds(features))


def test_text_is_read_as_numbers_where_the_reference_has_them():
    before = pl.DataFrame({"x": [1.0, 2.0, 3.0] * 400})
    after = pl.DataFrame({"x": ["1", "2", "none"] * 400})
    features = compare_features(before, after, ["x"])
    side = sketched(after.lazy(), kinds(features))
    columns, notices, _ = drawn(Rows(before), side, features)
    assert notices == []
    values, counts = np.unique(columns[0].current, return_counts=True)
    assert values[:2].tolist() == [1, 2]
    assert counts.tolist()[:2] == [667, 666]
    # Where one side has points alone, both are drawn in points.
    assert columns[0].reference.size == columns[0].current.size == 2000


def test_a_column_without_values_is_said_with_its_verdict(frame):
    after = frame.with_columns(gaps=pl.lit(None, pl.Float64), letter=pl.lit(None, pl.String))
    features = compare_features(frame, after, ["gaps", "letter", "hour"])
    for side in (Rows(after), sketched(after.lazy(), kinds(features))):
        columns, notices, _ = drawn(Rows(frame), side, features)
        assert [one.name for one in columns] == ["hour"]
        why = "isn't drawn: it has no values in the traffic (drifted: missing"
        gaps, letter = sorted(notices)
        assert gaps.startswith(f"'gaps' {why} 19.8% → 100.0%")
        assert letter.startswith(f"'letter' {why} 0.0% → 100.0%")


def test_what_has_no_bars_is_said(frame, features):
    strange = [replace(one, kind="sound") if one.name == "gaps" else one for one in features]
    columns, notices, _ = drawn(Rows(frame), Rows(frame), strange)
    assert "gaps" not in [one.name for one in columns]
    why = "there is no way to draw a column of the kind 'sound'"
    assert notices == [f"'gaps' isn't drawn: {why} (stable: within the noise)"]


@pytest.mark.parametrize("total", [1, 7, 2000])
def test_proportions_add_up(total):
    counts = np.array([3, 1, 4, 1, 5, 9, 2, 6])
    whole = in_proportion(counts, total)
    assert whole.sum() == total
    assert np.abs(whole - counts * total / counts.sum()).max() < 1

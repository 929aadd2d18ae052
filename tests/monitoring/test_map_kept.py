"""The map of drift read from kept profiles: the verdicts of rows, and rows where profiles lack."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import data
from jupyter_mlops.monitoring import KeptLog, Window, readings
from jupyter_mlops.monitoring.driftmap import drift_map
from jupyter_mlops.views.registry import view

from .logs import evenly, logged, wide, write

MONDAY = dt.datetime(2013, 3, 4, tzinfo=dt.UTC)
WEEK = dt.timedelta(weeks=1)
FEATURES = ["normal", "wide", "ties", "gaps", "hour", "few", "many"]


@pytest.fixture(scope="module")
def rng():
    return np.random.default_rng(17)


@pytest.fixture
def traffic(ws, rng):
    """Five weeks, the last two moved, one file a week; what nothing asks for can't be read."""
    frames = []
    for at in range(5):
        moved = 0.8 if at >= 3 else 0.0
        rows = wide(rng, 2000, moved)
        if at == 4:
            rows = rows.with_columns(few=pl.Series(["a", "d"] * 1000))
        # Two days of a week have rows.
        times = evenly(MONDAY + at * WEEK, 4, 1000)
        times += evenly(MONDAY + at * WEEK + dt.timedelta(3), 4, 1000)
        frames.append(logged(rows, times, f"w{at}"))
        write(ws, "delay", f"w{at}", frames[-1])
    return pl.concat(frames)


@pytest.fixture
def training(ws, rng):
    data.add(ws, "training", wide(rng, 30_000))
    return data.resolve(ws, "training")


def unwanted():
    raise AssertionError("rows were read")


def kept(ws, training, traffic=unwanted, **more):
    log = KeptLog(ws, "delay")
    more = {"features": FEATURES, **more}
    return drift_map(training, traffic, endpoint="delay", log=log, **more)


def test_it_has_the_verdicts_of_all_rows_and_says_what_it_read(ws, training, traffic):
    from_profiles = kept(ws, training)
    assert from_profiles.source == "5 kept profiles and 0 rows"
    (rows,) = (f for f in view(from_profiles).blocks[1].items if f.label == "Rows")
    assert rows.hint == "read from 5 kept profiles and 0 rows"
    from_rows = drift_map(training, traffic.lazy(), endpoint="delay", features=FEATURES)
    assert from_rows.source == "10,000 rows"
    assert [(w.start, w.end, w.rows) for w in from_profiles.windows] == [
        (w.start, w.end, w.rows) for w in from_rows.windows
    ]
    assert [w.rows for w in from_rows.windows] == [2000] * 5
    for small, whole in zip(from_profiles.windows, from_rows.windows, strict=True):
        for name in FEATURES:
            one, other = small.features[name], whole.features[name]
            assert one.verdict == other.verdict, (small.start, name)
            # Half a point of a thousand, and a reference of which rows are a sample.
            assert one.effect == pytest.approx(other.effect, abs=0.03)
            assert one.missing_current == other.missing_current
    moved = {name: len(from_profiles.drifted(name)) for name in FEATURES}
    assert moved == dict.fromkeys(FEATURES, 0) | {"normal": 2, "few": 1}
    assert from_profiles.names[:2] == ["normal", "few"]


def test_days_and_half_weeks_and_open_rows_are_periods_too(ws, training, traffic, monkeypatch):
    found = kept(ws, training, every="1d")
    assert len(found.windows) == 32  # to the Thursday of the last week
    assert sum(one.rows for one in found.windows) == 10_000
    assert len([one for one in found.windows if one.rows]) == 10
    window = Window(MONDAY + dt.timedelta(hours=2), MONDAY + WEEK + dt.timedelta(minutes=90))
    found = kept(ws, training, window=window)
    expected = traffic.filter(
        (pl.col("event_time") >= window.since) & (pl.col("event_time") < window.until)
    )
    assert sum(one.rows for one in found.windows) == expected.height
    # Rows that aren't in a closed file yet: one exactly at the beginning of a week.
    row = wide(np.random.default_rng(1), 1)
    hot = logged(row, [MONDAY + 5 * WEEK], "hot")
    monkeypatch.setattr(readings, "hot_rows", lambda ws, endpoint: {"open": hot})
    found = kept(ws, training)
    assert [one.rows for one in found.windows] == [2000] * 5 + [1]
    assert found.windows[-1].features["normal"].verdict == "not enough data"
    assert found.source == "5 kept profiles and 1 rows"


def test_rows_are_read_where_profiles_lack_and_it_is_said(ws, training, traffic):
    # Forty minutes are no whole hours.
    window = Window(MONDAY + 4 * WEEK, MONDAY + 4 * WEEK + dt.timedelta(hours=4))
    found = kept(ws, training, traffic.lazy(), every="40min", window=window)
    assert found.source == "1,000 rows"
    assert "Rows were read and not the kept profiles: they are of whole hours." in found.notices
    # In one week a number came as many different texts, of which not all are kept.
    week = traffic.filter(pl.col("prediction_id").str.starts_with("w2-"))
    write(ws, "delay", "w2", week.with_columns(pl.col("in.wide").cast(pl.String)))
    ws.traffic.delete("delay/profiles/index.json.gz")
    found = kept(ws, training, traffic.lazy())
    assert found.source == "5 kept profiles and 2,000 rows"
    assert any(
        one.startswith("1 of 5 periods were read row by row") and "2013-03-18" in one
        for one in found.notices
    )
    assert found.windows[2].features["wide"].verdict == "stable"


def test_of_many_periods_the_newest_are_read(ws, training, traffic):
    found = kept(ws, training, every="12h")
    assert len(found.windows) <= 52
    earlier = traffic.height - sum(one.rows for one in found.windows)
    assert earlier > 0
    assert f"{earlier:,} rows came before" in found.notices[0]

"""Profiles kept of the log: whole hours from these, the rest from rows, and the same verdicts."""

from __future__ import annotations

import datetime as dt
import sys

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import (
    KeptLog,
    Limits,
    Window,
    bring_up_to_date,
    compare_features,
    hourly,
)
from jupyter_mlops.monitoring import drift as drift_module  # noqa: F401
from jupyter_mlops.monitoring.columns import read_categories, read_numbers
from jupyter_mlops.monitoring.condensed import POINTS, condense, merge
from jupyter_mlops.monitoring.features import compare_columns
from jupyter_mlops.monitoring.hourly import FOLDER
from jupyter_mlops.monitoring.sides import within
from jupyter_mlops.serving.records import EndpointRecord

from .logs import START, evenly, logged, wide, write

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def rng():
    return np.random.default_rng(8)


def days_of(ws, rng, days=3, an_hour=60, **changes):
    """A log of whole days, a file for every six hours."""
    frames = []
    for part in range(days * 4):
        start = START + part * 6 * HOUR
        n = 6 * an_hour
        rows = logged(wide(rng, n, **changes), evenly(start, 6, n), f"p{part:03}")
        write(ws, "delay", f"p{part:03}", rows)
        frames.append(rows)
    return pl.concat(frames)


def by_name(found):
    return {one.name: one for one in found}


@pytest.mark.parametrize("moved", [0.0, 0.6])
def test_small_columns_give_the_verdicts_of_all_rows(rng, moved):
    before, now = wide(rng, 60_000), wide(rng, 40_000, moved)
    exact = by_name(compare_features(before, now, before.columns))
    sides = []
    for side in (before, now):
        # Forty hours merged, as a window is; the other numbers in one piece.
        parts = [side[at : at + 1000] for at in range(0, side.height, 1000)]
        columns = {}
        for name in side.columns:
            read = read_numbers if side.schema[name].is_numeric() else read_categories
            columns[name] = merge([condense(read(part[name])) for part in parts])
            columns[name] = condense(columns[name])
            assert (
                len(columns[name].distinct()[0] if read is read_numbers else columns[name].counts)
                <= POINTS + 1
            )
            assert columns[name].rows == side.height
        sides.append(columns)
    small = by_name(compare_columns(*sides))
    assert {name: one.verdict for name, one in small.items()} == {
        name: one.verdict for name, one in exact.items()
    }
    for name, one in small.items():
        # Half a point of two thousand on either side moves no bin by more than 0.2 % of the rows.
        assert one.effect == pytest.approx(exact[name].effect, abs=0.005)
        assert one.missing_current == exact[name].missing_current
        if one.distance is not None:
            assert one.distance == pytest.approx(exact[name].distance, abs=0.01)
    assert small["normal"].verdict == ("drifted" if moved else "stable")


def test_ranks_read_from_points_are_off_by_half_a_point_and_merging_adds_nothing(rng):
    values = [rng.lognormal(size=20_000) for _ in range(12)]
    merged = merge([condense(read_numbers(pl.Series(one))) for one in values])
    whole = np.sort(np.concatenate(values))
    at = np.quantile(whole, np.linspace(0.01, 0.99, 99))
    error = np.abs(merged.upto(at) - np.searchsorted(whole, at, "right")) / whole.size
    assert error.max() <= 0.5 / POINTS
    assert merged.rows == whole.size


def test_a_new_value_among_thousands_of_rare_ones_is_found_and_identifiers_are_no_alarm(rng):
    def side(values):
        return condense(read_categories(pl.Series("v", values)))

    before = [f"v{one}" for one in rng.integers(0, 4000, 60_000)]
    same = [f"v{one}" for one in rng.integers(0, 4000, 60_000)]
    other = [f"w{at // 10 % 900}" if at % 10 == 0 else one for at, one in enumerate(same)]
    one = compare_columns({"v": side(before)}, {"v": side(same)})[0]
    assert (one.verdict, one.appeared, one.gone) == ("stable", [], [])
    one = compare_columns({"v": side(before)}, {"v": side(other)})[0]
    assert one.verdict == "drifted"
    # A tenth of the rare values is known on both sides: three standard errors.
    assert one.unseen == pytest.approx(0.1, abs=0.03)
    assert all(name.startswith("w") for name in one.appeared)
    ids = [[str(one) for one in rng.integers(0, 10**12, 30_000)] for _ in range(2)]
    assert compare_columns({"v": side(ids[0])}, {"v": side(ids[1])})[0].verdict == "stable"


def test_any_window_is_the_rows_it_holds_whether_kept_or_read(ws, rng):
    rows = days_of(ws, rng)
    log = KeptLog(ws, "delay")
    for since, until, profiles, edge in (
        (START, START + 24 * HOUR, 1, 0),
        (START + 5 * HOUR, START + 50 * HOUR, 3, 0),
        (START + 90 * dt.timedelta(minutes=1), START + 30.5 * HOUR, 2, 60),
        (START + 10 * dt.timedelta(minutes=1), START + 20 * dt.timedelta(minutes=1), 0, 10),
        (None, None, 1, 0),
    ):
        window = Window(since, until)
        reading = log.read(window)
        expected = within(rows.lazy(), window).collect()
        assert reading.block.rows == expected.height
        assert (reading.profiles, reading.read) == (profiles, edge)
        first, last = expected["event_time"].min(), expected["event_time"].max()
        assert (reading.block.first, reading.block.last) == (first, last)
        for name in ("hour", "few"):
            column = reading.block.columns[f"in.{name}"]
            read = read_numbers if name == "hour" else read_categories
            whole = read(expected[f"in.{name}"])
            if name == "few":
                assert column.counts == whole.counts
            else:
                assert column.counts.tolist() == whole.distinct()[1].tolist()
        sample = reading.block.sample["prediction_id"]
        assert set(sample) <= set(expected["prediction_id"])
    assert log.read(Window(START - 48 * HOUR, START - 24 * HOUR)).block.rows == 0


def test_a_sample_of_merged_days_is_one_of_all_their_rows(ws, rng):
    # One day has twenty times the rows of the next.
    for name, start, n in (("a", START, 20_000), ("b", START + 24 * HOUR, 1_000)):
        write(ws, "delay", name, logged(wide(rng, n), evenly(start, 24, n), name))
    sample = KeptLog(ws, "delay").read(Window()).block.sample
    share = sample["prediction_id"].str.starts_with("a").mean()
    assert 900 <= sample.height <= 1100
    assert share == pytest.approx(20 / 21, abs=0.03)


def test_late_rows_retention_and_a_lost_profile_are_all_made_good(ws, rng):
    rows = days_of(ws, rng)
    window = Window(START, START + 24 * HOUR)
    assert KeptLog(ws, "delay").read(window).block.rows == 1440
    before = {key: ws.traffic.read_bytes(key) for key in ws.traffic.list(f"delay/{FOLDER}")}
    # A row of the first day comes with a file of the fourth.
    late = logged(wide(rng, 1), [START + HOUR / 2], "late")
    write(ws, "delay", "p999", late)
    assert KeptLog(ws, "delay").read(window).block.rows == 1441
    # Retention takes that file: the profiles are those of before, byte by byte.
    ws.traffic.delete("delay/log/p999.parquet")
    assert KeptLog(ws, "delay").read(window).block.rows == 1440
    after = {key: ws.traffic.read_bytes(key) for key in ws.traffic.list(f"delay/{FOLDER}")}
    assert after == before
    for key in before:
        if "index" not in key:
            ws.traffic.delete(key)
    reading = KeptLog(ws, "delay").read(Window())
    assert reading.block.rows == rows.height
    again = {key: ws.traffic.read_bytes(key) for key in ws.traffic.list(f"delay/{FOLDER}")}
    assert again.items() <= before.items()
    # Without an index everything is made again.
    ws.traffic.delete(f"delay/{FOLDER}/index.json.gz")
    bring_up_to_date(ws, "delay")
    assert {
        key: ws.traffic.read_bytes(key) for key in ws.traffic.list(f"delay/{FOLDER}")
    }.items() >= again.items()


def test_profiles_of_another_version_are_made_anew_and_none_is_left(ws, rng, monkeypatch):
    days_of(ws, rng, 1)
    monkeypatch.setattr(hourly, "ENGINE", hourly.ENGINE - 1)
    bring_up_to_date(ws, "delay")
    old = set(ws.traffic.list(f"delay/{FOLDER}"))
    monkeypatch.undo()
    assert KeptLog(ws, "delay").read(Window()).block.rows == 1440
    now = set(ws.traffic.list(f"delay/{FOLDER}"))
    assert {one for one in old & now if "index" not in one} == set()
    assert len(now) == len(old)


def test_what_the_log_hides_and_what_was_asked_again_is_in_no_profile(ws, rng):
    rows = logged(wide(rng, 500), evenly(START, 2, 500), "a", share=0.1)
    again = pl.when(pl.int_range(500) < 100).then(pl.lit("mlops-replay-1")).otherwise("request_id")
    write(ws, "delay", "a", rows.with_columns(request_id=again), hidden=("id", "few"))
    block = KeptLog(ws, "delay").read(Window()).block
    assert block.rows == 400
    assert not {"in.id", "in.few"} & (block.columns.keys() | set(block.sample.columns))
    assert (block.asked, block.shares) == (pytest.approx(4000), (0.1, 0.1))


def test_clocks_that_jump_and_the_hour_that_comes_twice_are_hours_in_utc(ws, rng):
    times = [
        dt.datetime(1970, 1, 1, tzinfo=dt.UTC),
        dt.datetime(2013, 11, 3, 5, 30, tzinfo=dt.UTC),  # 01:30 in New York, and then again
        dt.datetime(2013, 11, 3, 6, 30, tzinfo=dt.UTC),
        dt.datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=dt.UTC),
    ]
    write(ws, "delay", "a", logged(wide(rng, 4), times, "a"))
    log = KeptLog(ws, "delay")
    assert log.read(Window()).block.rows == 4
    night = Window(times[1].replace(minute=0), times[2].replace(minute=0))
    assert log.read(night).block.rows == 1
    assert len(log.history(Window(), ["in.normal"])) == 3


def test_an_empty_log_and_one_row_are_no_trouble(ws, rng):
    assert KeptLog(ws, "delay").read(Window()).block.rows == 0
    write(ws, "delay", "a", logged(wide(rng, 1), [START], "a"))
    block = KeptLog(ws, "delay").read(Window()).block
    assert (block.rows, block.first, block.last) == (1, START, START)


def check(ws, rows, reference, monkeypatch, kept, **options):
    monkeypatch.setattr(sys.modules["jupyter_mlops.monitoring.drift"], "FROM_PROFILES", 1000)
    return monitoring.drift(
        ws, reference, rows.lazy(), endpoint="delay",
        log=KeptLog(ws, "delay") if kept else None, **options,
    )  # fmt: skip


def test_a_check_of_profiles_says_what_a_check_of_rows_says(ws, rng, monkeypatch):
    days_of(ws, rng, 2, 120)
    later = [
        logged(
            wide(rng, 720, 0.7).with_columns(few=pl.Series(["a", "d"] * 360)),
            evenly(START + 48 * HOUR + part * 6 * HOUR, 6, 720),
            f"q{part}",
        )
        for part in range(4)
    ]
    for part, rows in enumerate(later):
        write(ws, "delay", f"q{part}", rows)
    rows = pl.read_parquet(str(ws.traffic.local("delay/log/-").parent / "*.parquet"))
    training = resolve(ws, wide(rng, 20_000))
    window = Window(START + 48 * HOUR, START + 72 * HOUR)
    features = ["normal", "wide", "ties", "gaps", "hour", "few", "many"]
    found = [
        check(ws, rows, training, monkeypatch, kept, window=window, features=features)
        for kept in (True, False)
    ]
    kept, read = found
    assert "kept profiles" in kept.source
    assert read.source == "2,880 rows"
    assert kept.rows == read.rows == 2880
    assert (kept.first, kept.last) == (read.first, read.last)
    assert kept.verdict == read.verdict == "inputs moved"
    assert set(kept.drifted) == set(read.drifted) == {"normal", "few"}
    assert [one.verdict for one in kept.features] == [one.verdict for one in read.features]
    assert kept.feature("few").appeared == read.feature("few").appeared == ["d"]
    for one in found:
        assert one.joint.verdict == "drifted"
        since = {cause.feature: cause.since for cause in one.causes}
        assert since == dict.fromkeys(("normal", "few"), START + 48 * HOUR)
    assert kept.limits == Limits()


def test_the_agent_keeps_the_profiles_of_logs_that_are_large_enough(ws, rng, monkeypatch):
    from jupyter_mlops.agent.loop import _keep_house

    with ws.write() as tx:
        for name in ("delay", "small"):
            tx.session.add(
                EndpointRecord(
                    name=name,
                    generation=1,
                    desired="stopped",
                    model="m",
                    version="1",
                    digest="",
                    path="",
                    port=0,
                    token_sha256="",
                    actor="ada",
                )
            )
    for name, rows in (("delay", 4000), ("small", 5)):
        write(ws, name, "a", logged(wide(rng, rows), evenly(START, 2, rows), "a"))
    monkeypatch.setattr(hourly, "_LARGE", 100_000)
    _keep_house(ws)
    assert ws.traffic.list(f"delay/{FOLDER}") == []
    _keep_house(ws, profiles=True)
    assert len(ws.traffic.list(f"delay/{FOLDER}")) == 8
    assert ws.traffic.list(f"small/{FOLDER}") == []

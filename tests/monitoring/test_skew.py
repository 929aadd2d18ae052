"""The same row as it was trained on and as it is served."""

from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import Window, compare_sides, find_skew, keep_skew, replay
from jupyter_mlops.monitoring.pairs import compare_pairs
from jupyter_mlops.views.registry import mimebundle
from jupyter_mlops.workspace import Invalid, NotFound

NOON = dt.datetime(2013, 3, 1, 12, tzinfo=dt.UTC)


@pytest.fixture
def trained():
    rng = np.random.default_rng(1)
    n = 500
    return pl.DataFrame(
        {
            "flight": [f"f{i}" for i in range(n)],
            "distance": rng.uniform(100, 3000, n),
            "hour": rng.integers(0, 24, n),
            "carrier": np.array(["AA", "UA"])[rng.integers(0, 2, n)],
            "gaps": pl.Series(rng.normal(size=n)).set(pl.Series(rng.random(n) < 0.2), None),
            "when": [dt.datetime(2013, 1, 1) + dt.timedelta(minutes=i) for i in range(n)],
        }
    )


def log(rows: pl.DataFrame) -> pl.LazyFrame:
    inputs = [pl.col(one).alias(f"in.{one}") for one in rows.columns if one != "flight"]
    return rows.select(
        pl.col("flight").alias("prediction_id"),
        pl.lit(NOON).alias("event_time"),
        pl.col("flight").alias("key"),
        *inputs,
    ).lazy()


def check(ws, trained, served, **given):
    return compare_sides(
        resolve(ws, trained), log(served), endpoint="delay", key="flight", model="delay@1", **given
    )


def test_the_same_rows_are_the_same_in_whatever_types_they_came(ws, trained):
    served = trained.with_columns(
        pl.col("distance").cast(pl.Float32),
        pl.col("hour").cast(pl.Float64),
        pl.col("carrier").cast(pl.Categorical),
        pl.col("gaps").fill_null(float("nan")),
        pl.col("when").dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"),
    )
    found = check(ws, trained, served)
    assert (found.verdict, found.rows, found.skewed) == ("same", 500, [])
    assert {one.compared for one in found.features} == {500}
    assert sum(one.differing for one in found.features) == 0
    assert found.sentence == "500 rows found on both sides by 'flight': none of 5 features differs."


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("distance", pl.col("distance") * 1.609344, "served = 1.60934 × trained"),
        ("hour", pl.col("hour") + 5, "served = trained + 5"),
        ("carrier", pl.col("carrier").str.to_lowercase() + " ", "differs in case or spaces only"),
        ("gaps", pl.lit(None, pl.Float64), "missing when served"),
        ("when", pl.col("when") - pl.duration(hours=5), "served = trained -5 h"),
        ("hour", pl.lit("late"), ""),
    ],
)
def test_what_differs_is_named_with_its_rule_and_its_rows(ws, trained, name, change, rule):
    found = check(ws, trained, trained.with_columns(change.alias(name)))
    assert found.verdict == "skewed"
    assert found.skewed == [name]
    feature = found.feature(name)
    assert feature.rule == rule
    assert feature.share > 0.7
    key, before, now = feature.pairs[0]
    assert key.startswith("f")
    assert before != now
    assert name in found.sentence


def test_whole_numbers_are_the_same_key_with_and_without_decimals(ws, trained):
    """A gap in a column makes pandas read 5 as 5.0, here or there."""
    numbered = trained.with_columns(flight=pl.int_range(pl.len()))
    gappy = numbered.with_columns(flight=pl.col("flight").cast(pl.Float64))
    for before, now in ((gappy, numbered), (numbered, gappy), (gappy, gappy)):
        found = check(ws, before, now)
        assert (found.key, found.rows, found.verdict) == ("flight", 500, "same")


def test_one_row_in_a_thousand_is_to_watch(ws, trained):
    one = pl.when(pl.col("flight") == "f7").then(-1.0).otherwise("distance")
    found = check(ws, trained, trained.with_columns(one.alias("distance")))
    assert (found.verdict, found.skewed) == ("same", [])
    assert found.feature("distance").verdict == "watch"
    assert found.feature("distance").pairs[0][0] == "f7"


def test_missing_on_one_side_only_is_counted(trained):
    keys, values = trained["flight"], trained["gaps"]
    holes = values.is_null().sum()
    found = compare_pairs("gaps", keys, values, values.fill_null(0.0))
    assert (found.missing_trained, found.missing_served, found.differing) == (holes, 0, holes)
    assert found.pairs[0][1:] == ("missing", "0.0")


def test_lists_structures_and_lengths_of_time_are_compared_row_by_row(ws, trained):
    odd = trained.with_columns(
        vector=pl.concat_list("distance", "hour"),
        place=pl.struct("carrier", "hour"),
        took=pl.duration(minutes="hour"),
        clock=pl.time("hour"),
    )
    single = odd.with_columns(pl.col("vector").cast(pl.List(pl.Float32)))
    found = check(ws, odd, single)
    assert (found.verdict, len(found.features)) == ("same", 9)
    turned = single.with_columns(
        pl.col("vector").list.reverse(), place=pl.struct("hour", "carrier"), took=pl.lit("long")
    )
    found = check(ws, odd, turned)
    assert found.skewed == ["took", "vector"]
    assert found.feature("vector").pairs[0][1].startswith("[")
    # By distribution the lists are left out, and it is said.
    other = single.with_columns(flight=pl.lit("z"))
    found = check(ws, odd, other)
    assert (found.key, found.verdict) == (None, "same")
    assert "'vector' holds lists, which are compared row by row alone" in found.notices
    with pytest.raises(Invalid, match="none of the features of 'delay' can be compared"):
        check(ws, odd, other, features=["vector"])
    with pytest.raises(Invalid, match="rows can't be found by 'vector': it holds lists"):
        compare_sides(resolve(ws, odd), log(odd), endpoint="delay", key="vector")


def test_keys_that_mean_several_rows_are_left_out_and_the_newest_request_counts(ws, trained):
    twice = pl.concat([trained, trained.head(30).with_columns(hour=pl.lit(99, pl.Int64))])
    found = check(ws, twice, trained)
    assert (found.verdict, found.rows) == ("same", 470)
    assert any("30 keys mean several" in one for one in found.notices)
    old = log(trained.with_columns(hour=pl.lit(99, pl.Int64))).with_columns(
        event_time=pl.lit(NOON - dt.timedelta(days=1))
    )
    both = pl.concat([log(trained), old])
    again = compare_sides(resolve(ws, trained), both, endpoint="delay", key="flight")
    assert (again.verdict, again.rows) == ("same", 500)


def test_without_shared_keys_distributions_are_compared_more_tightly(ws, trained):
    big = pl.concat([trained] * 8)
    strangers = big.with_columns(flight=pl.lit("z") + pl.col("flight"))
    same = check(ws, big, strangers)
    assert (same.key, same.verdict, same.skewed) == (None, "same", [])
    assert any("0 rows are in both" in one for one in same.notices)
    moved = check(ws, big, strangers.with_columns(distance=pl.col("distance") * 1.25))
    assert (moved.verdict, moved.skewed) == ("skewed", ["distance"])
    few = check(ws, big, strangers.head(12))
    assert few.verdict == "not enough data"
    assert "12 of" in few.sentence


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        ({"key": "fligt"}, Invalid, "did you mean 'flight'"),
        ({"window": Window.parse("2015", None)}, NotFound, "no traffic in the window"),
    ],
)
def test_what_cant_be_compared_is_one_sentence(ws, trained, given, kind, message):
    known = {"endpoint": "delay", "key": "flight", **given}
    with pytest.raises(kind, match=message):
        compare_sides(resolve(ws, trained), log(trained), **known)


def test_a_check_is_kept_with_its_event_and_shown_again(ws, trained):
    moved = trained.with_columns(hour=pl.col("hour") + 1)
    made = keep_skew(ws, check(ws, trained, moved))
    assert find_skew(ws, made.ref) == made == find_skew(ws, "delay")
    event = ws.events(kind="skew.checked")[-1]
    assert event.payload == {"verdict": "skewed", "rows": 500, "skewed": ["hour"]}
    assert list(event.outputs) == [made.ref]
    with pytest.raises(NotFound, match="skew ENDPOINT"):
        find_skew(ws, "nobody")
    text = mimebundle(made)["text/plain"]
    assert len(text.splitlines()) <= 15
    assert "1 of 5 features differ (hour)" in text
    assert "trained + 1" in mimebundle(made)["text/html"]


def test_replayed_rows_are_held_against_the_models_own_answers():
    frame = pl.DataFrame({"x": np.linspace(0, 1, 300)})

    def own(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(prediction=pl.col("x") > 0.5, probability="x")

    def as_json(rows: pl.DataFrame) -> pl.DataFrame:
        return own(rows).with_columns(pl.col("prediction").cast(pl.Int64))

    def shifted(rows: pl.DataFrame) -> pl.DataFrame:
        return own(rows.with_columns(x=pl.when(pl.col("x") > 0.9).then(0.1).otherwise("x")))

    good = replay(frame, as_json, own, rows=100)
    assert (good.rows, good.differing, good.pairs) == (100, 0, [])
    bad = replay(frame, shifted, own, rows=10_000)
    assert (bad.rows, bad.differing) == (300, 30)
    assert bad.largest == pytest.approx(0.9, abs=0.01)

    def unsure(rows: pl.DataFrame) -> pl.DataFrame:
        known = pl.when(pl.col("x") > 0.9).then(None).otherwise("probability")
        return own(rows).with_columns(x=rows["x"]).with_columns(probability=known)

    without = replay(frame, unsure, own, rows=10_000)
    assert (without.differing, without.largest) == (30, 1.0)
    with pytest.raises(Invalid, match="can't be replayed"):
        replay(frame, own, own, rows=0)

"""All tests of a check together: what no feature shows alone, contents, and the false alarms."""

from __future__ import annotations

import datetime as dt
import re

import numpy as np
import polars as pl
import pytest
from scipy import stats

from jupyter_mlops.monitoring import Limits
from jupyter_mlops.monitoring.battery import promise, run_battery
from jupyter_mlops.monitoring.populations import Population, kind_of, kinds_of
from jupyter_mlops.monitoring.schema import schema_changes

from .tables import awkward

WORDS = ["delay", "gate", "crew", "bag", "storm", "late", "plane", "seat", "door", "fuel"]


@pytest.fixture
def rng():
    return np.random.default_rng(21)


def battery(reference, current, limits=None, **options):
    kinds = kinds_of(reference, reference.columns)
    sides = [Population.of(side, kinds) for side in (reference, current)]
    return run_battery(*sides, kinds, limits or Limits(), **options)


def pair(rng, n, correlation):
    a, b = rng.normal(size=(2, n))
    return pl.DataFrame(
        {
            "a": a,
            "b": correlation * a + np.sqrt(1 - correlation**2) * b,
            "c": rng.normal(size=n),
            "k": rng.choice(["x", "y"], n),
        }
    )


def texts(rng, n, words=WORDS, length=8):
    return [
        " ".join(rng.choice(words, length)) + f" number {rng.integers(10**6)}" for _ in range(n)
    ]


def test_a_correlation_that_is_gone_is_found_though_no_feature_moved(rng):
    features, joint = battery(pair(rng, 3000, 0.9), pair(rng, 3000, 0.0))
    assert {one.verdict for one in features} == {"stable"}
    assert joint.verdict == "drifted"
    assert joint.auc > 0.75
    assert joint.low < joint.auc < joint.high
    assert set(joint.leans_on[:2]) == {"a", "b"}
    (changed,) = joint.pairs
    assert {changed.first, changed.second} == {"a", "b"}
    assert changed.before == pytest.approx(0.9, abs=0.03)
    assert changed.now == pytest.approx(0.0, abs=0.06)
    assert "correlate by" in joint.reason
    same = battery(pair(rng, 3000, 0.9), pair(rng, 3000, 0.9))[1]
    assert same.verdict == "stable"
    assert battery(pair(rng, 3000, 0.9), pair(rng, 3000, 0.0), jointly=False)[1] is None


def test_unchanged_streams_flag_no_more_than_is_promised(rng):
    limits, checks, flagged = Limits(alpha=0.1), 25, 0
    for _ in range(checks):
        n, m = (400, 1500) if rng.random() < 0.5 else (1200, 300)
        sides = []
        for size in (n, m):
            frame = awkward(rng, size).drop("cauchy", "id", "cat500")
            sides.append(frame.with_columns(text=pl.Series(texts(rng, size))))
        features, joint = battery(*sides, limits)
        assert {one.kind for one in features} == {"number", "category", "text"}
        # Without the sizes that a change must have too: the tests themselves keep their level.
        significant = [one for one in features if one.p_value <= 0.8 * limits.alpha]
        flagged += bool(significant) or joint.p_value <= 0.2 * limits.alpha
    assert flagged <= stats.binom.ppf(0.999, checks, limits.alpha)


def test_the_joint_tests_p_values_are_spread_evenly_or_above_when_nothing_changed(rng):
    found = [battery(pair(rng, 300, 0.5), pair(rng, 300, 0.5))[1].p_value for _ in range(40)]
    for level in (0.05, 0.1, 0.25):
        below = sum(one <= level for one in found)
        assert below <= stats.binom.ppf(0.999, 40, level)


def test_texts_are_told_by_length_unknown_words_and_what_they_say(rng):
    before = pl.DataFrame({"note": texts(rng, 1500)})
    assert kind_of(before["note"]) == "text"
    (same,) = battery(before, pl.DataFrame({"note": texts(rng, 1500)}))[0]
    assert (same.kind, same.verdict) == ("text", "stable")
    (longer,) = battery(before, pl.DataFrame({"note": texts(rng, 1500, length=20)}))[0]
    assert longer.verdict == "drifted"
    assert re.search(r"median length 5\d → 1[01]\d characters", longer.reason)
    new = [*WORDS[:8], *["refund", "voucher", "lawyer", "claim", "angry", "hotel"]]
    (other,) = battery(before, pl.DataFrame({"note": texts(rng, 1500, new)}))[0]
    assert other.verdict == "drifted"
    assert "unknown words" in other.reason
    # The same words of the same length in another order of the day: only what is said differs.
    fewer = pl.DataFrame({"note": texts(rng, 1500, WORDS[:6])})
    assert battery(before, fewer)[0][0].auc > 0.9
    gone = pl.DataFrame({"note": [None] * 700 + texts(rng, 800)})
    assert battery(before, gone)[0][0].reason.startswith("missing 0.0% → 46.7%")
    (few,) = battery(before, pl.DataFrame({"note": texts(rng, 20)}))[0]
    assert (few.verdict, few.reason) == ("not enough data", "20 of 100 rows")


@pytest.mark.parametrize("fixed", [False, True])
def test_embeddings_are_compared_by_where_they_lie_and_how_they_spread(rng, fixed):
    def vectors(n, moved=0.0, spread=1.0):
        values = rng.normal(size=(n, 24)) * spread
        values[:, :4] += moved
        dtype = pl.Array(pl.Float32, 24) if fixed else pl.List(pl.Float64)
        return pl.DataFrame({"e": pl.Series(values.tolist(), dtype=dtype)})

    before = vectors(1500)
    (same,) = battery(before, vectors(1500))[0]
    assert (same.kind, same.verdict) == ("embedding", "stable")
    (moved,) = battery(before, vectors(1500, 0.6))[0]
    assert moved.verdict == "drifted"
    assert "the mean moved by 0.2" in moved.reason
    (wider,) = battery(before, vectors(1500, spread=1.5))[0]
    assert wider.verdict == "drifted"
    (short,) = battery(before, pl.DataFrame({"e": [[1.0, 2.0]] * 600}))[0]
    assert short.reason.startswith("missing 0.0% → 100.0%")


def test_categories_that_are_new_and_that_are_no_more_are_named(rng):
    before = pl.DataFrame({"k": rng.choice(["a", "b", "c", "d"], 2000)})
    after = pl.DataFrame({"k": rng.choice(["a", "b", "e"], 2000)})
    (one,) = battery(before, after)[0]
    assert one.verdict == "drifted"
    assert (one.appeared, one.gone) == (["e"], sorted(one.gone))
    assert one.gone == ["c", "d"]
    assert one.vanished == pytest.approx(0.5, abs=0.04)
    assert "of the reference in categories that are no more" in one.reason
    # A window too short to hold a rare category hasn't lost it.
    rare = pl.DataFrame({"k": ["r"] * 6 + ["a"] * 1994})
    assert battery(rare, pl.DataFrame({"k": ["a"] * 600}))[0][0].verdict == "stable"


@pytest.mark.parametrize(
    ("frame", "verdicts"),
    [
        ({"x": [1.0], "y": ["a"]}, {"not enough data"}),
        ({"x": pl.Series([None] * 400, dtype=pl.Float64), "y": [None] * 400}, {"drifted"}),
        ({"x": [2.0] * 400, "y": ["a"] * 400}, {"drifted"}),
    ],
    ids=["one row", "all missing", "constant"],
)
def test_awkward_windows_are_a_clear_state(rng, frame, verdicts):
    before = pl.DataFrame({"x": rng.normal(size=2000), "y": rng.choice(["a", "b"], 2000)})
    current = pl.DataFrame(frame, schema={"x": pl.Float64, "y": pl.String})
    features, joint = battery(before, current)
    assert {one.verdict for one in features} == verdicts
    assert joint.verdict in (("not enough data",) if current.height < 100 else ("drifted",))


def test_a_column_that_never_had_a_value_leaves_the_others_to_be_compared(rng):
    def rows(shift: float) -> pl.DataFrame:
        return pl.DataFrame(
            {
                "x": rng.normal(shift, size=1000),
                "y": rng.normal(size=1000),
                "never": pl.Series([None] * 1000, dtype=pl.Float64),
                # So rare that half of the rows may have none.
                "rarely": pl.Series([1.0] + [None] * 999, dtype=pl.Float64),
            }
        )

    features, joint = battery(rows(0), rows(0))
    assert {one.verdict for one in features} == {"stable"}
    assert joint.verdict == "stable"
    features, joint = battery(rows(0), rows(2))
    assert [one.name for one in features if one.verdict == "drifted"] == ["x"]
    assert (joint.verdict, joint.leans_on[0]) == ("drifted", "x")


@pytest.mark.parametrize("name", ["x", "y"])
def test_lists_where_single_values_are_expected_stop_no_other_column(rng, name):
    before = pl.DataFrame({"x": rng.normal(size=1000), "y": rng.choice(["a", "b"], 1000)})
    lists = pl.Series(name, rng.normal(size=(1000, 2)).tolist())
    features, joint = battery(before, before.with_columns(lists))
    (drifted,) = [one for one in features if one.verdict != "stable"]
    assert drifted.name == name
    assert drifted.reason.startswith("missing 0.0% → 100.0%")
    assert joint.verdict == "drifted"
    (told,) = schema_changes({name: str(before.schema[name])}, {name: str(lists.dtype)}, None)
    assert told.startswith(f"'{name}' was ")


def test_the_promise_is_told_in_plain_words_by_how_often_is_checked():
    daily = promise(Limits(), dt.timedelta(days=1), scheduled=False)
    assert daily.startswith("If nothing changed, at most 1 check in 100 flags anything")
    assert daily.endswith("less than one false alarm a quarter with a check every day.")
    hourly = promise(Limits(), dt.timedelta(hours=1), scheduled=True)
    assert hourly.endswith("22 false alarms a quarter at the most as it is monitored, every hour.")
    assert promise(Limits(), None, scheduled=False).endswith("independent of each other.")


def test_columns_that_came_or_hold_another_kind_of_values_are_told():
    before = {"x": "Float64", "y": "Int64", "t": "Datetime(time_unit='us', time_zone=None)"}
    assert schema_changes(before, {"x": "Int64", "y": "Float64", "t": before["t"]}, None) == []
    assert schema_changes(before, {"x": "String", "y": "Null", "z": "Int64"}, None) == [
        "'x' was a number and comes as text",
        "'z' is new: the reference has no such column",
    ]
    assert schema_changes(before, {"z": "Int64"}, ["x"]) == []

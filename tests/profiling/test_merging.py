"""A profile of two parts is the merge of the parts' profiles, and survives JSON."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.profiling import ColumnProfile, Profile, profile
from jupyter_mlops.profiling.engine import Scan, scan
from jupyter_mlops.profiling.profiles import finished
from jupyter_mlops.workspace import Invalid


def mixed(rows: int, seed: int = 0) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pl.DataFrame(
        {
            "normal": rng.normal(size=rows) * 3 + 100,
            "heavy": rng.lognormal(0, 2, rows),
            "zeros": np.where(rng.random(rows) < 0.3, 0.0, rng.normal(size=rows)),
            "small": rng.integers(0, 12, rows),
            "big": rng.integers(-(2**62), 2**62, rows),
            "word": rng.choice(["a", "bb", "ccc", ""], rows, p=[0.7, 0.2, 0.05, 0.05]),
            "name": [f"n{i}" for i in rng.zipf(1.3, rows) % 100_000],
            "flag": rng.random(rows) < 0.1,
            "day": [date(2013, 1, 1) + timedelta(days=int(i)) for i in rng.integers(0, 365, rows)],
            "when": [datetime(2013, 1, 1) + timedelta(seconds=i) for i in range(rows)],
        }
    )
    gaps = pl.Series(rng.random(rows) < 0.1)
    return frame.with_columns(
        pl.when(~gaps).then(pl.col(name)).alias(name) for name in ("normal", "word", "flag")
    ).with_columns(target=pl.Series(rng.random(rows) < 0.3))


def rank_of(values: np.ndarray, value: float) -> tuple[float, float]:
    return float((values < value).mean()), float((values <= value).mean())


def test_the_merge_of_64_parts_is_the_profile_of_the_whole() -> None:
    frame = mixed(64_000)
    whole = profile(frame.lazy(), target="target")
    # What a part has seen is merged; making a profile of each would say nothing more.
    first, *parts = (scan(part.lazy(), "target") for part in frame.iter_slices(1000))
    for part in parts:
        first.merge(part)
    merged = finished(first)
    assert merged.rows == whole.rows == 64_000
    for name, one in whole.columns.items():
        two = merged.columns[name]
        for count in ("rows", "missing", "zeros", "negatives", "unlabelled", "low", "high"):
            assert getattr(two, count) == getattr(one, count), (name, count)
        assert two.moments.mean == pytest.approx(one.moments.mean, rel=1e-9, abs=1e-9)
        if one.moments.count:
            assert two.moments.deviation == pytest.approx(one.moments.deviation, rel=1e-9)
        truth = frame[name].drop_nulls()
        for made in (one, two):
            assert made.values.distinct() == pytest.approx(truth.n_unique(), rel=0.02)
        if one.numeric:
            numbers = np.sort(truth.to_numpy().astype(float))
            for made in (one, two):
                for rank in (0.01, 0.25, 0.5, 0.75, 0.99):
                    below, upto = rank_of(numbers, made.quantile(rank) or 0.0)
                    assert below - 0.01 <= rank <= upto + 0.01
    assert merged.distinct_rows == pytest.approx(64_000, rel=0.02)
    assert merged.columns["when"].times == whole.columns["when"].times
    assert merged.columns["word"].texts == whole.columns["word"].texts
    assert merged.columns["name"].texts.lengths == whole.columns["name"].texts.lengths
    assert [a.finding for a in merged.advice] == [a.finding for a in whole.advice]


def test_moments_are_those_of_numpy() -> None:
    numbers = mixed(5000)["heavy"]
    made = profile(numbers.to_frame().lazy()).columns["heavy"].moments
    x = numbers.to_numpy()
    z = (x - x.mean()) / x.std()
    assert made.mean == pytest.approx(x.mean(), rel=1e-12)
    assert made.variance == pytest.approx(x.var(ddof=1), rel=1e-9)
    assert made.skewness == pytest.approx((z**3).mean(), rel=1e-9)
    assert made.kurtosis == pytest.approx((z**4).mean() - 3, rel=1e-9)


def test_frequent_values_are_found_among_many_rare_ones() -> None:
    frame = mixed(200_000)
    column = profile(frame.select("name").lazy()).columns["name"]
    truth = frame["name"].value_counts(sort=True).head(10).rows()
    assert not column.values.exact
    assert [value for value, _ in column.values.top(10)] == [value for value, _ in truth]
    for (_, found), (_, count) in zip(column.values.top(10), truth, strict=True):
        assert found <= count <= found + column.values.error
    assert column.values.error <= 0.004 * 200_000


def test_a_column_without_frequent_values_lists_none() -> None:
    frame = pl.DataFrame({"x": np.random.default_rng(0).permutation(200_000)})
    assert profile(frame.lazy()).columns["x"].values.top() == []


def test_profiles_survive_json_and_still_merge() -> None:
    first, second = mixed(20_000, 1), mixed(3000, 2)
    made = profile(first.lazy(), target="target")
    back = Profile.from_dict(json.loads(json.dumps(made.to_dict())))
    assert back.to_dict() == made.to_dict()
    other = profile(second.lazy(), target="target")
    a, b = made.merge(other), back.merge(other)
    for name, column in a.columns.items():
        assert b.columns[name].missing == column.missing
        assert b.columns[name].values.distinct() == column.values.distinct()
        assert b.columns[name].moments.mean == pytest.approx(column.moments.mean)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True, width=32)),
        min_size=1,
        max_size=60,
    ),
    st.integers(0, 60),
)
def test_few_values_merge_exactly(values: list[float | None], cut: int) -> None:
    column = pl.Series("x", values, dtype=pl.Float64)

    def of(part: pl.Series) -> ColumnProfile:
        made = ColumnProfile.of("x", pl.Float64())
        made.update(part)
        return made

    whole, merged = of(column), of(column[:cut])
    merged.merge(of(column[cut:]))
    assert (merged.rows, merged.missing, merged.infinite) == (
        whole.rows,
        whole.missing,
        whole.infinite,
    )
    assert merged.values.counts == whole.values.counts
    assert (merged.low, merged.high) == (whole.low, whole.high)
    assert merged.quantile(0.5) == whole.quantile(0.5)


# Every kind of value, with what each likes to go wrong on.
CELLS = st.tuples(
    st.none() | st.floats(allow_nan=True, allow_infinity=True),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.none() | st.text(max_size=30),
    st.none() | st.booleans(),
    st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)),
    st.none() | st.decimals(-(10**6), 10**6, places=2),
    st.none() | st.lists(st.none() | st.integers(0, 3), max_size=3),
    st.none() | st.binary(max_size=20),
    st.none(),
)
TYPES = pl.Schema(
    {
        "float": pl.Float64(),
        "integer": pl.Int64(),
        "text": pl.String(),
        "flag": pl.Boolean(),
        "when": pl.Datetime("us"),
        "price": pl.Decimal(12, 2),
        "list": pl.List(pl.Int64()),
        "bytes": pl.Binary(),
        "nothing": pl.Float64(),
    }
)


@settings(max_examples=40, deadline=None)
@given(st.lists(CELLS, max_size=30), st.integers(0, 30))
def test_a_pass_over_two_parts_is_the_merge_of_their_passes(
    rows: list[tuple[object, ...]], cut: int
) -> None:
    frame = pl.DataFrame(rows, schema=TYPES, orient="row")

    def of(part: pl.DataFrame) -> Scan:
        made = Scan.of(TYPES, None)
        made.update(part)
        return made

    whole, merged = of(frame), of(frame[:cut])
    merged.merge(of(frame[cut:]))
    assert merged.rows == whole.rows
    assert merged.distinct.estimate() == whole.distinct.estimate()
    assert merged.digest is not None
    assert whole.digest is not None
    assert merged.digest.hexdigest() == whole.digest.hexdigest()
    for name, one in whole.columns.items():
        two = merged.columns[name]
        assert not one.fault
        for count in ("rows", "missing", "infinite", "zeros", "negatives", "low", "high"):
            assert getattr(two, count) == getattr(one, count), (name, count)
        assert two.values.counts == one.values.counts
        assert two.values.distinct() == one.values.distinct()
        assert two.texts == one.texts
        assert two.times == one.times
        assert two.moments.count == one.moments.count
        assert two.moments.mean == pytest.approx(one.moments.mean, rel=1e-9, abs=1e-9)


def test_large_batches_that_hardly_repeat_are_sketched_within_the_stated_error() -> None:
    rng = np.random.default_rng(0)
    n = 600_000
    often = rng.random(n) < 0.01
    frame = pl.DataFrame(
        {
            "number": np.where(often, 7.5, rng.lognormal(0, 2, n)),
            "text": np.where(often, "often", np.char.add("row ", np.arange(n).astype(str))),
        }
    )
    made = profile(frame.lazy())
    number, text = made.columns["number"], made.columns["text"]
    count = int(often.sum())
    for column, value in ((number, 7.5), (text, "often")):
        (top,) = column.values.top(3)
        assert top[0] == value
        assert top[1] <= count <= top[1] + column.values.error
        assert column.values.error <= 0.005 * n
        assert column.values.distinct() == pytest.approx(n - count + 1, rel=0.02)
    ordered = np.sort(frame["number"].to_numpy())
    assert (number.low, number.high) == (ordered[0], ordered[-1])
    assert number.moments.mean == pytest.approx(ordered.mean(), rel=1e-9)
    for rank in (0.001, 0.05, 0.25, 0.5, 0.75, 0.95, 0.999):
        below, upto = rank_of(ordered, number.quantile(rank) or 0.0)
        assert below - 0.01 <= rank <= upto + 0.01


def test_texts_say_how_they_are_written() -> None:
    codes = [f"UA-{i:04d}" for i in range(900)] + ["n/a"] * 100
    texts = profile(pl.LazyFrame({"code": codes, "n": range(1000)})).columns["code"].texts
    assert texts is not None
    assert texts.top(2) == [("AA-9999", 0.9), ("a/a", 0.1)]
    assert texts.half_width == 0
    assert (texts.length(0.05), texts.length(0.5)) == (3, 7)
    assert texts.mean_words == 1
    assert (texts.share("digits"), texts.share("padding")) == (0.9, 0)


def test_times_say_where_nothing_happened_and_how_fresh_they_are() -> None:
    hours = [datetime(2026, 1, 1) + timedelta(hours=i) for i in range(2000) if not 500 <= i < 800]
    times = profile(pl.LazyFrame({"at": hours[::-1]})).columns["at"].times
    assert times is not None
    (gap,) = times.gaps(1)
    assert gap.seconds == 301 * 3600
    assert times.period_name == "day"
    assert times.latest == hours[-1].replace(tzinfo=UTC).timestamp()
    assert times.age(datetime(2026, 4, 1, tzinfo=UTC)) == pytest.approx(
        (datetime(2026, 4, 1) - hours[-1]).total_seconds()
    )
    assert times.coverage == pytest.approx(len(times.periods) / 84, rel=0.02)
    assert times.counts.sum() == len(hours)


def test_a_type_that_changes_between_parts_spoils_its_own_column_only() -> None:
    first, second = (
        pl.DataFrame({"x": [1, 2], "y": [1, 2]}),
        pl.DataFrame({"x": ["a"], "y": [3], "z": [1]}),
    )
    a, b = Scan.of(first.schema, None), Scan.of(second.schema, None)
    a.update(first)
    b.update(second)
    a.merge(b)
    assert "integer here and text there" in a.columns["x"].fault
    assert "not in every part" in a.columns["z"].fault
    assert (a.columns["y"].fault, a.columns["y"].values.distinct()) == ("", 3)
    assert a.rows == a.columns["x"].rows == a.columns["z"].rows == 3


def test_profiles_of_different_columns_do_not_merge() -> None:
    a = profile(pl.LazyFrame({"x": [1]}))
    with pytest.raises(Invalid, match="different columns"):
        a.merge(profile(pl.LazyFrame({"y": [1]})))
    with pytest.raises(Invalid, match="integer here and text there"):
        a.merge(profile(pl.LazyFrame({"x": ["a"]})))


def test_the_histogram_counts_every_number_and_survives_one_wild_value() -> None:
    x = np.random.default_rng(0).normal(size=50_000)
    x[7] = 1e12
    shown = profile(pl.LazyFrame({"x": x})).columns["x"].histogram(20)
    assert sum(shown.counts) == pytest.approx(50_000, rel=1e-6)
    assert max(shown.counts) < 0.3 * 50_000

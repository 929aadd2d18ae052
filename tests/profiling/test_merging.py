"""A profile of two parts is the merge of the parts' profiles, and survives JSON."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.profiling import ColumnProfile, Profile, profile
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
    parts = [profile(part.lazy(), target="target") for part in frame.iter_slices(1000)]
    merged = parts[0].merge(*parts[1:])
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

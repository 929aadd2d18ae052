"""The same rows are the same version, wherever they came from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_mlops.data import Digest, digest, open_source
from jupyter_mlops.data.hashing import hash_column, hash_words, words_of
from jupyter_mlops.data.sources.frames import FrameSource

MIXED = pl.DataFrame(
    {
        "whole": [1, 2, None, -4],
        "real": [0.5, float("nan"), -0.0, float("inf")],
        "word": ["a", "", None, "ü" * 400],
        "flag": [True, False, None, True],
        "day": [date(2013, 1, 1), None, date(1960, 1, 1), date(2050, 1, 1)],
        "when": [datetime(2013, 1, 1, 5, tzinfo=UTC)] * 4,
        "took": [timedelta(seconds=3), None, timedelta(0), timedelta(days=-1)],
        "price": [Decimal("1.10"), Decimal("2.00"), None, Decimal("0.01")],
        "parts": [[1, 2], None, [], [3]],
        "record": [{"x": 1, "y": "a"}, None, {"x": None, "y": "b"}, {"x": 2, "y": None}],
    }
)


def test_row_groups_batches_and_file_order_do_not_matter(tmp_path: Path) -> None:
    frame = pl.DataFrame({"n": range(5000), "text": [f"t{i % 7}" for i in range(5000)]})
    frame.write_parquet(tmp_path / "whole.parquet", row_group_size=5000)
    frame.write_parquet(tmp_path / "small.parquet", row_group_size=77)
    (tmp_path / "parts").mkdir()
    frame[3000:].write_parquet(tmp_path / "parts" / "a.parquet")
    frame[:3000].write_parquet(tmp_path / "parts" / "b.parquet")
    digests = {
        open_source(str(tmp_path / place)).digest()
        for place in ("whole.parquet", "small.parquet", "parts/*.parquet", "parts")
    }
    assert digests == {digest(frame.lazy())}


def test_pandas_polars_and_csv_agree(nyc: dict[str, Path]) -> None:
    path = nyc["weather.csv"]
    read = pd.read_csv(path, parse_dates=["time_hour"], float_precision="round_trip")
    assert read["wind_dir"].dtype == np.float64  # pandas widened integers that have gaps
    assert FrameSource(read).digest() == open_source(str(path)).digest()


def test_integer_widths_and_time_units_are_storage_not_content() -> None:
    small = MIXED.with_columns(
        pl.col("whole").cast(pl.Int8), pl.col("when").cast(pl.Datetime("ms", "UTC"))
    )
    assert digest(small.lazy()) == digest(MIXED.lazy())
    assert digest(MIXED.with_columns(pl.col("word").cast(pl.Categorical)).lazy()) == digest(
        MIXED.lazy()
    )


def test_any_other_difference_is_another_version() -> None:
    base = digest(MIXED.lazy())
    others = [
        MIXED.rename({"whole": "number"}),
        MIXED.select(MIXED.columns[::-1]),
        MIXED[:3],
        pl.concat([MIXED, MIXED[:1]]),
        MIXED.with_columns(pl.col("whole").fill_null(0)),
        MIXED.with_columns(pl.col("word").fill_null("")),
        MIXED.with_columns(pl.col("flag").cast(pl.Int8)),
        MIXED.with_columns(pl.col("when").dt.offset_by("1us")),
        MIXED.with_columns(pl.col("price").cast(pl.Float64)),
        MIXED.with_columns(whole=pl.Series([2, 1, None, -4])),
        MIXED.with_columns(word=pl.Series(["a", "", None, "ü" * 399 + "v"])),
    ]
    digests = [digest(other.lazy()) for other in others]
    assert base not in digests
    assert len(set(digests)) == len(digests)


def test_repeated_rows_count() -> None:
    one, two = pl.DataFrame({"x": [1, 2, 2]}), pl.DataFrame({"x": [1, 1, 2]})
    assert digest(one.lazy()) != digest(two.lazy())


def test_values_that_move_between_columns_are_seen() -> None:
    a = pl.DataFrame({"x": ["1", "2"], "y": ["2", "1"]})
    b = pl.DataFrame({"x": ["1", "2"], "y": ["1", "2"]})
    assert digest(a.lazy()) != digest(b.lazy())


def test_the_digest_is_a_promise_for_years() -> None:
    # These values are in people's stores: if this fails, every dataset gets a new version.
    assert digest(MIXED.lazy()) == "161cf903dbcb9e486ecb599ae67d3a73"


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), st.one_of(st.none(), st.text())
        ),
        max_size=30,
    ),
    st.integers(0, 30),
)
def test_parts_merge_to_the_whole(rows: list[tuple[int | None, str | None]], cut: int) -> None:
    schema = pl.Schema({"n": pl.Int64(), "s": pl.String()})
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    first, second = Digest(schema), Digest(schema)
    first.update(frame[:cut])
    second.update(frame[cut:])
    second.merge(first)
    assert second.hexdigest() == digest(frame.lazy())


@pytest.mark.parametrize("form", ["x{}", "a text of more than twelve bytes, {}", "{:0>300}"])
def test_no_two_of_many_texts_collide(form: str) -> None:
    first, second = words_of(pl.Series([form.format(i) for i in range(200_000)]))
    hashes = hash_words(first, second)
    assert len(np.unique(hashes)) == 200_000
    # Half of all bits of a good hash are set, and any 16 of them tell about as many apart.
    assert len(np.unique(hashes >> np.uint64(48))) > 60_000


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=40), st.integers(0, 39))
def test_a_text_has_the_same_words_wherever_it_stands(texts: list[str], cut: int) -> None:
    whole = pl.Series(texts, dtype=pl.String)
    (cut_first, cut_second), (first, second) = words_of(whole[cut:]), words_of(whole)
    assert cut_first.tolist() == first[cut:].tolist()
    assert (second if second is not None else first * 0)[cut:].tolist() == (
        cut_second if cut_second is not None else cut_first * 0
    ).tolist()
    pairs = set(
        zip(first.tolist(), (first * 0 if second is None else second).tolist(), strict=True)
    )
    assert len(pairs) == len(set(texts))


def test_texts_in_many_buffers_have_the_words_of_texts_in_one() -> None:
    parts = [pl.Series([f"part {i}, text {j} of some length" for j in range(3)]) for i in range(40)]
    many = pl.concat([part.to_frame("s") for part in parts], rechunk=False)["s"]
    one = pl.Series(many.to_list())
    for a, b in zip(words_of(many), words_of(one), strict=True):
        assert a is not None
        assert b is not None
        assert a.tolist() == b.tolist()


def test_values_close_to_each_other_have_words_of_their_own() -> None:
    near = [0.5, 1.0, -1.0, float("inf"), float("-inf"), 2.0**53, 2.0**60, 1e300, -0.5, 5e-324]
    assert len(set(hash_column(pl.Series(near)).tolist())) == len(near)
    large = [2**53 + i for i in range(-3, 9)] + [-(2**63), 2**63 - 1, 2**63 - 2]
    assert len(set(hash_column(pl.Series(large)).tolist())) == len(large)
    unsigned = pl.Series(large, dtype=pl.Int128).filter(pl.Series(large) >= 0).cast(pl.UInt64)
    assert set(hash_column(unsigned)) < set(hash_column(pl.Series(large)))
    when = pl.Series([0, 1, 1000, 1001, 2000]).cast(pl.Datetime("ns"))
    assert len(set(hash_column(when).tolist())) == 5


def test_texts_that_differ_in_two_places_stay_apart() -> None:
    # Eight bytes apart, where the pieces of one text are laid over those before.
    texts = [f"B61{a}5-2013-{b}2-{c}7-JFK-2059" for a in range(10) for b in range(2) for c in "012"]
    texts += [
        t[:place] + mark + t[place + 1 :] for t in texts for place in range(24) for mark in "XY"
    ]
    different = sorted(set(texts))
    first, second = words_of(pl.Series(different))
    assert second is not None
    assert len(np.unique(first)) == len(np.unique(second)) == len(different)

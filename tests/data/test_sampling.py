"""A sample is even, the same every time, and no heavier than its rows."""

from __future__ import annotations

import polars as pl
import pytest

from jupyter_mlops.data.sampling import RowSample


def test_a_part_draws_the_rows_it_has_in_the_sample_of_the_whole() -> None:
    frame = pl.DataFrame({"x": range(50_000)})
    whole = RowSample(500)
    whole.update(frame)
    parts = [RowSample(500, start) for start in (0, 20_000)]
    parts[0].update(frame[:20_000])
    parts[1].update(frame[20_000:])
    parts[0].merge(parts[1])
    assert parts[0].frame().equals(whole.frame())


@pytest.mark.parametrize("kind", [pl.String, pl.Binary])
def test_a_sample_does_not_keep_the_texts_it_was_not_drawn_from(kind: pl.DataType) -> None:
    texts = pl.DataFrame({"s": [f"{i:0200d}" for i in range(10_000)]}).cast(kind)
    kept = RowSample(10)
    kept.update(texts)
    array = kept.frame()["s"].to_arrow(compat_level=pl.CompatLevel.newest())
    assert sum(buffer.size for buffer in array.buffers() if buffer) < 20_000

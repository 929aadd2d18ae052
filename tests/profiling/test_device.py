"""What a GPU works out of a column is what the CPU makes of it.

The arithmetic is written for the array module that CuPy shares with NumPy, so it is held here on
NumPy's arrays; tests/gpu runs it on a device.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.profiling import ColumnProfile
from jupyter_mlops.profiling.gpu import profile_device, update_on_device
from jupyter_mlops.workspace import Invalid

RNG = np.random.default_rng(0)
N = 60_000
COLUMNS = {
    "real": np.where(RNG.random(N) < 0.1, np.nan, RNG.lognormal(0, 2, N)),
    "zeros": np.where(RNG.random(N) < 0.3, 0.0, RNG.normal(size=N)),
    "wild": np.array([np.inf, -np.inf, 1.0, np.nan] * (N // 4)),
    "narrow": RNG.normal(size=N).astype(np.float32),
    "small": RNG.integers(-3, 12, N),
    "large": RNG.integers(-(2**62), 2**62, N),
    "unsigned": RNG.integers(0, 2**64 - 1, N, dtype=np.uint64),
    "flag": RNG.random(N) < 0.2,
}


@pytest.mark.parametrize("name", COLUMNS)
def test_the_device_counts_what_the_cpu_counts(name: str) -> None:
    values = COLUMNS[name]
    one = ColumnProfile.of(name, pl.Series(values).dtype)
    one.update(pl.Series(values))
    two = profile_device({name: values})[name]
    for count in ("type", "rows", "missing", "infinite", "zeros", "negatives", "low", "high"):
        assert getattr(two, count) == getattr(one, count), count
    assert two.moments.to_list() == pytest.approx(one.moments.to_list(), rel=1e-9, abs=1e-6)
    assert two.values.exact == one.values.exact
    assert two.values.distinct() == one.values.distinct()
    assert two.values.top(5) == one.values.top(5)
    if one.moments.count:
        ordered = np.sort(values[np.isfinite(values)].astype(float))
        for rank in (0.01, 0.25, 0.5, 0.75, 0.99):
            found = two.quantile(rank)
            assert found is not None
            below, upto = (np.searchsorted(ordered, found, side=s) for s in ("left", "right"))
            assert below / len(ordered) - 0.01 <= rank <= upto / len(ordered) + 0.01


def test_parts_from_a_device_and_from_the_cpu_merge() -> None:
    values = COLUMNS["real"]
    whole = ColumnProfile.of("x", pl.Float64())
    whole.update(pl.Series(values))
    mixed = profile_device({"x": values[: N // 2]})["x"]
    part = ColumnProfile.of("x", pl.Float64())
    part.update(pl.Series(values[N // 2 :]))
    mixed.merge(part)
    update_on_device(mixed, values[:0])
    assert (mixed.rows, mixed.missing) == (whole.rows, whole.missing)
    assert mixed.moments.mean == pytest.approx(whole.moments.mean)
    assert mixed.values.distinct() == whole.values.distinct()


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.array(["a"]), np.array([1j])])
def test_arrays_that_are_no_columns_are_refused(values: np.ndarray) -> None:
    with pytest.raises(Invalid, match="no column of numbers"):
        profile_device({"x": values})

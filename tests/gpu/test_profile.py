"""A profile made on a GPU is the one made on the CPU; run with ``-s`` to see the times."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.profiling import ColumnProfile
from jupyter_mlops.profiling.gpu import profile_device

cupy = pytest.importorskip("cupy", reason="needs CuPy and a GPU", exc_type=ImportError)

ROWS = 20_000_000


@pytest.fixture(scope="module")
def columns() -> dict[str, np.ndarray[Any, Any]]:
    try:
        cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        pytest.skip(f"no GPU here: {error}")
    rng = np.random.default_rng(0)
    real = rng.lognormal(0, 2, ROWS)
    real[::17] = np.nan
    return {
        "real": real,
        "zeros": np.where(rng.random(ROWS) < 0.3, 0.0, rng.normal(size=ROWS)),
        "small": rng.integers(0, 15, ROWS),
        "large": rng.integers(-(2**62), 2**62, ROWS),
        "flag": rng.random(ROWS) < 0.2,
    }


def test_columns_on_a_gpu_have_the_profile_they_have_on_the_cpu(
    columns: dict[str, np.ndarray[Any, Any]],
) -> None:
    device = {name: cupy.asarray(values) for name, values in columns.items()}
    profile_device({name: values[:1000] for name, values in device.items()})
    cupy.cuda.Device().synchronize()
    started = time.perf_counter()
    there = profile_device(device)
    took = time.perf_counter() - started
    started = time.perf_counter()
    for name, values in columns.items():
        one = ColumnProfile.of(name, pl.Series(values[:1]).dtype)
        for start in range(0, ROWS, 131_072):
            one.update(pl.Series(values[start : start + 131_072]))
        two = there[name]
        for count in ("rows", "missing", "infinite", "zeros", "negatives", "low", "high"):
            assert getattr(two, count) == getattr(one, count), (name, count)
        assert two.moments.count == one.moments.count
        assert two.moments.mean == pytest.approx(one.moments.mean, rel=1e-9, abs=1e-6)
        assert two.values.distinct() == pytest.approx(one.values.distinct(), rel=0.001)
        if one.moments.count and not one.values.exact:
            ordered = np.sort(values[np.isfinite(values)])
            for rank in (0.01, 0.5, 0.99):
                place = np.searchsorted(ordered, two.quantile(rank)) / len(ordered)
                assert place == pytest.approx(rank, abs=0.01)
    home = time.perf_counter() - started
    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    print(f"\n{ROWS:,} × {len(columns)}: {name} {took:.2f} s, CPU {home:.2f} s")


def test_a_cudf_frame_is_profiled_with_its_texts_and_dates() -> None:
    cudf = pytest.importorskip("cudf", reason="needs cuDF", exc_type=ImportError)
    frame = pl.DataFrame(
        {"x": [1.5, None, 2.5], "k": ["a", "b", None], "n": [1, 2, 2], "f": [True, None, False]}
    )
    made = profile_device(cudf.from_pandas(frame.to_pandas()))
    for name in frame.columns:
        assert made[name].rows == 3
        assert made[name].missing == frame[name].null_count()
    assert made["x"].moments.mean == 2
    assert made["k"].values.counts == {"a": 1, "b": 1}

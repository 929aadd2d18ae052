"""Tables of thousands of columns are profiled in seconds, and say what was not looked at."""

from __future__ import annotations

import time

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.profiling import Profile, profile
from jupyter_mlops.views import mimebundle

ROWS, COLUMNS = 1000, 4000
SECONDS = 30.0


@pytest.fixture(scope="module")
def wide() -> tuple[Profile, float]:
    rng = np.random.default_rng(0)
    flags = rng.integers(0, 2, (ROWS, COLUMNS // 2)).astype(bool)
    made = {f"flag{i}": flags[:, i] for i in range(COLUMNS // 2)}
    made |= {f"x{i}": rng.normal(size=ROWS) for i in range(COLUMNS // 2)}
    # Planted far apart, where no window over neighbouring columns would find them.
    made["copy"] = made["flag7"]
    made["turned"] = np.where(made["flag11"], "no", "yes")
    made["late"] = made["x3"] + rng.normal(size=ROWS) > 0
    frame = pl.DataFrame(made)
    started = time.process_time()
    return profile(frame.lazy(), target="late"), time.process_time() - started


def test_thousands_of_columns_take_seconds(wide: tuple[Profile, float]) -> None:
    made, seconds = wide
    assert len(made.columns) == COLUMNS + 3
    # Two by two, the flags alone would be two million pairs.
    assert seconds < SECONDS


def test_copies_are_found_among_all_columns(wide: tuple[Profile, float]) -> None:
    told = {one.column: one.columns for one in wide[0].advice if one.finding == "duplicate column"}
    assert told == {"copy": ("copy", "flag7"), "turned": ("turned", "flag11")}


def test_the_view_says_what_was_looked_at_and_stays_small(wide: tuple[Profile, float]) -> None:
    bundle = mimebundle(wide[0])
    assert "48 of 4,003 for what goes together" in bundle["text/html"]
    assert "400 of 2,000 numeric ones" in bundle["text/html"]
    assert len(str(bundle)) < 200_000
    assert len(bundle["text/plain"].splitlines()) <= 15


def test_a_table_of_ordinary_width_says_nothing_of_that() -> None:
    made = profile(pl.LazyFrame({f"x{i}": np.arange(200) % (i + 2) for i in range(20)}))
    assert "only some" not in mimebundle(made)["text/html"]

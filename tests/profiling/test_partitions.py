"""Parts of a table are profiled where they are, and their merge is the profile of the whole."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from jupyter_mlops.profiling import profile, profile_by, profile_dask, profile_parquet
from jupyter_mlops.workspace import Invalid, MLOpsError

ROWS = 40_000


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    rng = np.random.default_rng(0)
    start = datetime(2026, 1, 1)
    return pl.DataFrame(
        {
            "at": [start + timedelta(seconds=i) for i in range(ROWS)],
            "x": rng.normal(size=ROWS),
            "k": rng.choice(["a", "b", None], ROWS),
            "name": [f"name {i}" for i in range(ROWS)],
            "y": rng.random(ROWS) < 0.3,
        }
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as made:
        yield made


def test_a_dask_cluster_makes_the_profile_one_process_makes(
    table: pl.DataFrame, cluster: Any, tmp_path: Path
) -> None:
    table.write_parquet(tmp_path / "t.parquet", row_group_size=4000)
    made = profile_parquet(
        [str(tmp_path / "t.parquet")], target="y", rows=8000, cluster=cluster.scheduler_address
    )
    whole = profile(table.lazy(), target="y")
    assert made.sample is not None
    assert whole.sample is not None
    assert made.sample.equals(whole.sample)
    assert made.content == whole.content
    for name, column in whole.columns.items():
        other = made.columns[name]
        assert (other.rows, other.missing, other.low) == (column.rows, column.missing, column.low)
        assert other.times == column.times
        assert other.values.distinct() == pytest.approx(column.values.distinct(), rel=0.02)
    assert made.analysis is not None
    assert made.analysis.task == "binary"


def test_a_dask_frame_is_profiled_by_partition(table: pl.DataFrame) -> None:
    dd = pytest.importorskip("dask.dataframe")
    frame = dd.from_pandas(table.to_pandas(), npartitions=5)
    made = profile(frame)
    assert made.rows == ROWS
    assert made.columns["k"].missing == table["k"].null_count()
    assert made.columns["x"].moments.mean == pytest.approx(table["x"].mean())
    assert made.distinct_rows == pytest.approx(ROWS, rel=0.02)


def test_partitions_whose_columns_differ_are_profiled_as_far_as_they_agree() -> None:
    import dask

    parts = [pd.DataFrame({"x": [1, 2], "y": [1.5, 2.5]}), pd.DataFrame({"x": ["a"], "y": [3.5]})]
    made = profile_dask([dask.delayed(part) for part in parts])
    assert "type changed between parts" in made.columns["x"].fault
    assert made.columns["y"].moments.mean == 2.5


@pytest.mark.parametrize("given", [[], "flights", [1, 2]])
def test_what_is_not_of_dask_is_refused(given: Any) -> None:
    with pytest.raises(Invalid):
        profile_dask(given)


def test_a_cluster_that_is_not_there_is_said_in_a_sentence(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_mlops.profiling.partitions.WAIT", 0.5)
    table[:10].write_parquet(tmp_path / "t.parquet")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(MLOpsError, match="can't be reached"):
            profile_parquet([str(tmp_path / "t.parquet")], cluster=address)


def test_traffic_is_profiled_by_the_hour_and_the_hours_merge(table: pl.DataFrame) -> None:
    gaps = table.with_columns(pl.when(pl.col("x") < 3).then(pl.col("at")).alias("at"))
    hours = profile_by(gaps.lazy(), "at")
    assert list(hours) == [datetime(2026, 1, 1, hour) for hour in range(12)]
    truth = gaps.drop_nulls("at").group_by(pl.col("at").dt.truncate("1h")).len().sort("at")
    assert [one.rows for one in hours.values()] == truth["len"].to_list()
    first, *others = hours.values()
    day = first.merge(*others)
    whole = profile(gaps.drop_nulls("at").lazy())
    assert day.rows == whole.rows
    assert day.columns["at"].times == whole.columns["at"].times
    assert day.columns["x"].moments.mean == pytest.approx(whole.columns["x"].moments.mean)
    assert day.columns["name"].values.distinct() == pytest.approx(whole.rows, rel=0.02)


@pytest.mark.parametrize(
    ("time", "every", "says"),
    [("x", "1h", "holds no times"), ("at", "soon", "no length"), ("at", "1s", "longer periods")],
)
def test_periods_that_make_no_sense_are_refused(
    table: pl.DataFrame, time: str, every: str, says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        profile_by(table.lazy(), time, every=every)

"""A traffic log on disk, as compaction leaves it: closed Parquet files of a few minutes each."""

from __future__ import annotations

import datetime as dt
import io
import json

import numpy as np
import polars as pl
import pyarrow.parquet as pq

from jupyter_mlops.serving.compaction import COLD

START = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)


def logged(rows: pl.DataFrame, times: list[dt.datetime], name: str, version="1", share=1.0):
    """Rows of a model's columns as the log holds them."""
    n = rows.height
    return pl.DataFrame(
        {
            "prediction_id": [f"{name}-{i}" for i in range(n)],
            "request_id": ["r"] * n,
            "at": times,
            "event_time": times,
            "key": pl.Series([None] * n, dtype=pl.String),
            "version": [version] * n,
            "share": [share] * n,
            "prediction": [0.5] * n,
        },
        schema_overrides={
            "event_time": pl.Datetime("us", "UTC"),
            "at": pl.Datetime("us", "UTC"),
        },
    ).hstack(rows.rename({one: f"in.{one}" for one in rows.columns}))


def evenly(start: dt.datetime, hours: float, n: int) -> list[dt.datetime]:
    """Times spread over some hours, the last before their end."""
    step = hours * 3600e6 / max(1, n)
    return [start + dt.timedelta(microseconds=int((i + 0.5) * step)) for i in range(n)]


def write(ws, endpoint: str, name: str, rows: pl.DataFrame, hidden: tuple[str, ...] = ()) -> str:
    """Put a closed file into an endpoint's log."""
    table = rows.to_arrow()
    table = table.replace_schema_metadata({"hidden": json.dumps(list(hidden))})
    content = io.BytesIO()
    pq.write_table(table, content, compression="zstd")
    key = f"{endpoint}/{COLD}/{name}.parquet"
    ws.traffic.write_bytes(key, content.getvalue())
    return key


def wide(rng: np.random.Generator, n: int, moved: float = 0.0) -> pl.DataFrame:
    """Numbers, ties, gaps and categories, few and many; `moved` shifts the first."""
    return pl.DataFrame(
        {
            "normal": rng.normal(moved, 1, n),
            "wide": rng.lognormal(size=n),
            "ties": np.where(rng.random(n) < 0.7, 0.0, rng.exponential(size=n)),
            "gaps": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "hour": rng.integers(0, 24, n),
            "few": rng.choice(["a", "b", "c"], n),
            "many": np.minimum(rng.zipf(1.4, n), 50_000).astype(str),
            "id": rng.integers(0, 10**9, n).astype(str),
        }
    )

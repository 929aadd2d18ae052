from __future__ import annotations

import datetime as dt

import numpy as np
import polars as pl
import pytest

from jupyter_mlops.data import resolve
from jupyter_mlops.workspace import Workspace

START = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)


@pytest.fixture
def ws(tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_MLOPS_WORKSPACE", str(tmp_path))
    return Workspace.open(tmp_path)


class Service:
    """A model's year, as the rooms below would hand it to monitoring."""

    def __init__(self, seed: int = 3) -> None:
        self.rng = np.random.default_rng(seed)

    def rows(self, n: int, shift: float = 0.0, slope: float = 1.0) -> pl.DataFrame:
        """Features, and a truth whose odds rise by `slope` with x."""
        x = self.rng.normal(shift, 1, n)
        late = self.rng.random(n) < 1 / (1 + np.exp(-slope * x))
        carrier = np.array(["AA", "UA", "B6"])[self.rng.integers(0, 3, n)]
        return pl.DataFrame({"x": x, "carrier": carrier, "truth": late})

    def training(self, ws, n=4000):
        return resolve(ws, self.rows(n).drop("truth"))

    def traffic(self, rows: pl.DataFrame, start=START, days=30, version="1") -> pl.DataFrame:
        n = rows.height
        seconds = np.sort(self.rng.integers(0, days * 86_400, n))
        probability = 1 / (1 + np.exp(-rows["x"].to_numpy()))
        return pl.DataFrame(
            {
                "prediction_id": [f"{start:%m}-{i}" for i in range(n)],
                "request_id": ["r"] * n,
                "at": [dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * n,
                "event_time": [start + dt.timedelta(seconds=int(s)) for s in seconds],
                "key": [None] * n,
                "version": [version] * n,
                "prediction": probability > 0.5,
                "probability": probability,
                "in.x": rows["x"],
                "in.carrier": rows["carrier"],
            },
            schema_overrides={
                "event_time": pl.Datetime("us", "UTC"),
                "at": pl.Datetime("us", "UTC"),
                "key": pl.String,
            },
        )

    def feedback(self, traffic: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
        return traffic.select("prediction_id", at=pl.col("event_time")).with_columns(
            truth=rows["truth"]
        )

    def validation(self, n=4000) -> pl.DataFrame:
        rows = self.rows(n)
        probability = 1 / (1 + np.exp(-rows["x"].to_numpy()))
        days = [dt.date(2013, 2, 1) + dt.timedelta(i % 28) for i in range(n)]
        return pl.DataFrame(
            {
                "truth": rows["truth"],
                "prediction": probability > 0.5,
                "probability": probability,
                "day": days,
            }
        )


@pytest.fixture
def service():
    return Service()

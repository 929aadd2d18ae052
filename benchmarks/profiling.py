"""CPU seconds and peak memory of a full profile, against reading the data and against peers.

Usage: ``python benchmarks/profiling.py [--rows 1000000] [--wide] [--peers]``

Each figure is taken in a process of its own, which imports first and is measured from then on;
memory is the process's peak. Peers that aren't installed are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BATCH = 131_072


def make_table(path: Path, rows: int, columns: int = 20) -> None:
    """Write numbers, categories, dates, text and gaps, in row groups, without holding them all."""
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    cities = np.array([f"city {i}" for i in range(50)])
    words = np.array(["late", "rain", "gate", "crew", "fog", "fuel", "bag", "door", "snow", "ice"])
    weights = 1 / np.arange(1, 51)
    writer = None
    for start in range(0, rows, BATCH):
        n = min(BATCH, rows - start)
        kinds: list[Callable[[int], pl.Series]] = [
            lambda n: pl.Series(rng.normal(size=n)),
            lambda n: pl.Series(rng.lognormal(3, 1.5, n)),
            lambda n: pl.Series(rng.integers(0, 15, n)),
            lambda n: pl.Series(rng.integers(0, 100_000, n)),
            lambda n: pl.Series(np.where(rng.random(n) < 0.3, 0.0, rng.normal(size=n))),
            lambda n: pl.Series(rng.choice(cities, n, p=weights / weights.sum())),
            lambda n: pl.Series(rng.choice(["A", "B", "C"], n)),
            lambda n: pl.Series(rng.random(n) < 0.2),
            lambda n: pl.Series(rng.integers(1_356_998_400, 1_388_534_400, n) * 1_000_000).cast(
                pl.Datetime("us")
            ),
            lambda n: pl.Series([" ".join(w) for w in rng.choice(words, (n, 6))]),
        ]
        made = {}
        for i in range(columns):
            values = kinds[i % len(kinds)](n)
            gaps = pl.Series(rng.random(n) < (0.05 if i % 3 == 0 else 0))
            made[f"c{i}"] = pl.select(pl.when(~gaps).then(values)).to_series()
        table = pl.DataFrame(made).to_arrow()
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table)
    assert writer is not None
    writer.close()


def read(path: str) -> object:
    """The floor: every column decoded, batch by batch."""
    import pyarrow.parquet as pq

    def run() -> int:
        return sum(b.num_rows for b in pq.ParquetFile(path).iter_batches(BATCH))

    return run


def ours(path: str) -> object:
    """Our profile, with its view."""
    import polars as pl

    from jupyter_mlops.profiling import profile
    from jupyter_mlops.views import mimebundle

    return lambda: mimebundle(profile(pl.scan_parquet(path)))


def digest(path: str) -> object:
    """Our content digest."""
    import polars as pl

    from jupyter_mlops.data import digest

    return lambda: digest(pl.scan_parquet(path))


def polars_describe(path: str) -> object:
    """Counts, mean, deviation and three quantiles: no distinct, no top values, no histogram."""
    import polars as pl

    return lambda: pl.scan_parquet(path).describe()


def pandas_describe(path: str) -> object:
    """pandas' summary with distinct and the top value of texts."""
    import pandas as pd

    return lambda: pd.read_parquet(path).describe(include="all")


def skrub(path: str) -> object:
    """skrub's TableReport without plots and associations."""
    import pandas as pd
    from skrub import TableReport

    return lambda: TableReport(
        pd.read_parquet(path), max_plot_columns=0, max_association_columns=0
    ).html()


def duckdb(path: str) -> object:
    """DuckDB's SUMMARIZE: approximate distinct and three quantiles."""
    import duckdb

    return lambda: duckdb.sql(f"SUMMARIZE SELECT * FROM '{path}'").fetchall()


def evidently(path: str) -> object:
    """Evidently's DataSummaryPreset."""
    os.environ["DO_NOT_TRACK"] = "1"
    import pandas as pd
    from evidently import Report
    from evidently.presets import DataSummaryPreset

    return lambda: Report([DataSummaryPreset()]).run(pd.read_parquet(path), None).dict()


WAYS = {
    "read": read,
    "ours": ours,
    "digest": digest,
    "polars describe": polars_describe,
    "pandas describe": pandas_describe,
    "skrub": skrub,
    "duckdb": duckdb,
    "evidently": evidently,
}
PEERS = {"skrub", "duckdb", "evidently"}


def child(name: str, path: str) -> None:
    """Measure one way in this process."""
    run = WAYS[name](path)
    cpu, wall = time.process_time(), time.perf_counter()
    run()  # type: ignore[operator]
    print(
        json.dumps(
            {
                "cpu": time.process_time() - cpu,
                "wall": time.perf_counter() - wall,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def measure(name: str, path: Path, times: int) -> dict[str, float]:
    """The least CPU of several processes; the others waited for somebody else."""
    found = []
    for _ in range(times):
        line = [sys.executable, __file__, "--child", name, str(path)]
        out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        found.append(json.loads(out.splitlines()[-1]))
    return min(found, key=lambda one: one["cpu"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--peers", action="store_true", help="also the slow ones")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("NAME", "PATH"))
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        make_table(path, given.rows, given.columns)
        size = path.stat().st_size / 1e6
        print(f"{given.rows:,} × {given.columns}, {size:.0f} MB of Parquet")
        print(f"{'':18}{'CPU s':>8}{'wall s':>8}{'peak MB':>9}{'× reading':>11}")
        floor = None
        for name in WAYS:
            slow = name in PEERS
            if slow and (not given.peers or not importlib.util.find_spec(name)):
                continue
            one = measure(name, path, 1 if slow else given.times)
            floor = floor or one["cpu"]
            ratio = one["cpu"] / floor
            print(
                f"{name:18}{one['cpu']:8.2f}{one['wall']:8.2f}{one['peak']:9.0f}{ratio:11.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

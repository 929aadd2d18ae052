"""CPU seconds and peak memory of a full profile, against reading the data and against peers.

Usage: ``python benchmarks/profiling.py [--rows 1000000] [--columns 20] [--peers PYTHON]``, and
``--parts`` or ``--dask`` for the profile of a table in parts.

Each figure is taken in a process of its own, which imports first and is measured from then on;
memory is the process's peak, imports included. skrub, Evidently and ydata-profiling are peers of
another environment, whose Python ``--peers`` names::

    uv venv /tmp/peers
    uv pip install --python /tmp/peers/bin/python skrub evidently ydata-profiling "setuptools<81" \\
        pyarrow "pandas<3"
"""

from __future__ import annotations

import argparse
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

    def run() -> None:
        for _ in pq.ParquetFile(path).iter_batches(BATCH):
            pass

    return run


def ours(path: str) -> object:
    """Our profile, with its view."""
    import polars as pl

    from jupyter_mlops.profiling import profile
    from jupyter_mlops.views import mimebundle

    # What is imported on first use.
    mimebundle(profile(pl.LazyFrame({"x": [1.5, 2.5], "s": ["a", "b"]})))

    def size() -> int:
        """Make both, and say how many bytes the largest rendering has."""
        bundle = mimebundle(profile(pl.scan_parquet(path)))
        return max(len(str(shown).encode()) for shown in bundle.values())

    return size


def digest(path: str) -> object:
    """Our content digest."""
    import polars as pl

    from jupyter_mlops.data import digest

    digest(pl.LazyFrame({"s": ["a"]}))
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
    """skrub's TableReport as it comes; it leaves plots and associations out beyond 30 columns."""
    import pandas as pd
    from skrub import TableReport

    return lambda: TableReport(pd.read_parquet(path), verbose=0).html()


def duckdb_select(path: str) -> object:
    """DuckDB computing in one SELECT what a profile holds of each column by itself.

    No texts' patterns, periods of time, associations, rows' digest or sample, which ours has.
    """
    import duckdb

    names = duckdb.sql(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
    ranks = "[0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999]"
    asked = ["count(*)"]
    for name, kind, *_ in names:
        asked += [f"count({name})", f"approx_count_distinct({name})", f"approx_top_k({name}, 10)"]
        if kind == "VARCHAR":
            of = f"length({name})"
            asked += [f"min({of})", f"max({of})", f"avg({of})", f"stddev_samp({of})"]
            asked += [f"count_if({of} = 0)", f"approx_quantile({of}, {ranks})"]
            continue
        asked += [f"min({name})", f"max({name})"]
        if kind != "BOOLEAN":
            asked.append(f"approx_quantile({name}, {ranks})")
        if kind in {"DOUBLE", "BIGINT"}:
            made = ("avg", "stddev_samp", "skewness", "kurtosis")
            asked += [f"{one}({name})" for one in made]
            asked += [f"count_if({name} = 0)", f"count_if({name} < 0)"]
    query = f"SELECT {', '.join(asked)} FROM '{path}'"
    return lambda: duckdb.sql(query).fetchall()


def ydata(path: str) -> object:
    """ydata-profiling's minimal report as HTML."""
    import pandas as pd
    from ydata_profiling import ProfileReport

    def run() -> None:
        ProfileReport(pd.read_parquet(path), minimal=True, progress_bar=False).to_html()

    return run


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
    "duckdb summarize": duckdb,
    "duckdb select": duckdb_select,
    "skrub": skrub,
    "evidently": evidently,
    "ydata minimal": ydata,
}
#: From the environment that --peers names.
PEERS = {"skrub", "evidently", "ydata minimal"}


def child(name: str, path: str) -> None:
    """Measure one way in this process."""
    run = WAYS[name](path)
    cpu, wall = time.process_time(), time.perf_counter()
    told = run()  # type: ignore[operator]
    print(
        json.dumps(
            ({"view": told} if isinstance(told, int) else {})
            | {
                "cpu": time.process_time() - cpu,
                "wall": time.perf_counter() - wall,
                "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


def parts(rows: int) -> None:
    """What merging 64 parts does to counts, quantiles and distinct, against one pass."""
    import numpy as np
    import polars as pl

    from jupyter_mlops.profiling import profile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        make_table(path, rows)
        frame = pl.read_parquet(path)
    whole = profile(frame.lazy())
    made = [profile(part.lazy()) for part in frame.iter_slices(-(-rows // 64))]
    cpu = time.process_time()
    merged = made[0].merge(*made[1:])
    cpu = time.process_time() - cpu
    unequal, rank_error, distinct_error = 0, 0.0, 0.0
    for name, one in whole.columns.items():
        two = merged.columns[name]
        for count in ("rows", "missing", "zeros", "negatives", "low", "high"):
            unequal += getattr(one, count) != getattr(two, count)
        values = frame[name].drop_nulls()
        truth = values.n_unique()
        distinct_error = max(distinct_error, abs(two.values.distinct() / truth - 1))
        if one.numeric or one.temporal:
            physical = values.to_physical().cast(pl.Float64).to_numpy()
            ordered = np.sort(physical / (1e6 if one.temporal else 1))
            for rank in np.linspace(0.01, 0.99, 99):
                found = two.quantile(rank)
                below, upto = (np.searchsorted(ordered, found, s) for s in ("left", "right"))
                gap = max(below / len(ordered) - rank, rank - upto / len(ordered), 0.0)
                rank_error = max(rank_error, gap)
    print(
        f"{len(made)} parts of {rows:,} rows against one pass: {unequal} counts differ, ranks off"
    )
    print(
        f"by {rank_error:.2%} at most, distinct by {distinct_error:.2%}; merged in {cpu:.2f} CPU s"
    )


def dask(rows: int) -> None:
    """Two Dask workers of one thread each against one process of one thread."""
    from multiprocessing import get_context

    from distributed import Client, LocalCluster

    from jupyter_mlops.profiling import profile_parquet

    # Before anything imports polars, here and in each process that is started.
    os.environ["POLARS_MAX_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        make_table(path, rows)
        with get_context("spawn").Pool(1) as pool:
            alone = pool.apply(_alone, [str(path)])
        with (
            LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
            Client(cluster) as client,
        ):
            client.run(_warm)
            started = time.perf_counter()
            profile_parquet([str(path)], cluster=client)
            both = time.perf_counter() - started
    print(f"{rows:,} rows: one process {alone:.1f} s, two Dask workers {both:.1f} s")
    print(f"{alone / both:.2f} times as fast")


def _alone(path: str) -> float:
    import polars as pl

    from jupyter_mlops.profiling.engine import scan
    from jupyter_mlops.profiling.profiles import finished

    _warm()
    started = time.perf_counter()
    finished(scan(pl.scan_parquet(path), threads=1))
    return time.perf_counter() - started


def _warm() -> None:
    import polars as pl

    from jupyter_mlops.profiling import profile

    profile(pl.LazyFrame({"x": [1.5, 2.5], "s": ["a", "b"]}))


def measure(name: str, path: Path, times: int, python: str) -> dict[str, float]:
    """The least CPU of several processes; the others waited for somebody else."""
    found = []
    for _ in range(times):
        line = [python, __file__, "--child", name, str(path)]
        out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        found.append(json.loads(out.splitlines()[-1]))
    return min(found, key=lambda one: one["cpu"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--peers", metavar="PYTHON", help="one that has the slow peers")
    parser.add_argument("--parts", action="store_true", help="merge 64 parts instead")
    parser.add_argument("--dask", action="store_true", help="two workers against one process")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("NAME", "PATH"))
    given = parser.parse_args()
    if given.child:
        child(*given.child)
        return
    if given.parts or given.dask:
        (parts if given.parts else dask)(given.rows)
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
            if slow and not given.peers:
                continue
            one = measure(
                name, path, 1 if slow else given.times, given.peers if slow else sys.executable
            )
            floor = floor or one["cpu"]
            ratio = one["cpu"] / floor
            print(
                f"{name:18}{one['cpu']:8.2f}{one['wall']:8.2f}{one['peak']:9.0f}{ratio:11.1f}"
                + (f"  view {one['view'] / 1000:.0f} kB" if "view" in one else ""),
                flush=True,
            )


if __name__ == "__main__":
    main()

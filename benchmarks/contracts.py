"""Rows a second of checking a table against its contract, beside pandera on the same schema.

Usage: ``python benchmarks/contracts.py [--rows 1000000] [--alarms]``

The table is the one of `benchmarks/profiling.py`: numbers, categories, dates, text and gaps. CPU
seconds are the least of several runs in one process, after a first that isn't counted; pandera
validates the frame in memory with the schema that the contract is exported to, which has the
same rules. ``--alarms`` draws tables of one population again and again, and counts those that
the contract of the first refuses, and those that pandera's inferred schema would.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from jupyter_mlops.profiling import profile
from jupyter_mlops.profiling.contracts import check, infer
from jupyter_mlops.profiling.contracts.pandera import to_pandera
from profiling import make_table


def least(run: Callable[[], object], times: int) -> tuple[float, float]:
    """CPU and wall seconds, the least of several runs each."""
    run()
    cpu, wall = [], []
    for _ in range(times):
        started = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - started[0])
        wall.append(time.perf_counter() - started[1])
    return min(cpu), min(wall)


def speed(rows: int, times: int) -> None:
    """Print the table of times."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.parquet"
        make_table(path, rows, 20)
        scanned = pl.scan_parquet(path)
        started = time.process_time()
        contract = infer(profile(scanned), scanned)
        print(f"learnt in {time.process_time() - started:.2f} CPU s, profile included")
        print(f"{len(contract.text()):,} bytes for {len(contract.columns)} columns")
        frame = scanned.collect()
        schema = to_pandera(contract)
        assert check(contract, frame).ok
        schema.validate(frame, lazy=True)
        found = {
            "check, in memory": least(lambda: check(contract, frame), times),
            "check, from Parquet": least(lambda: check(contract, scanned), times),
            "pandera, in memory": least(lambda: schema.validate(frame, lazy=True), times),
        }
    first = found["check, in memory"][0]
    print(f"{'':22}{'CPU s':>8}{'wall s':>8}{'rows/CPU s':>13}{'× ours':>8}")
    for name, (cpu, wall) in found.items():
        print(f"{name:22}{cpu:8.3f}{wall:8.3f}{rows / cpu:13,.0f}{cpu / first:8.1f}")


def drawn(seed: int, rows: int) -> pl.DataFrame:
    """A table of a population of twelve columns."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {f"normal {n}": rng.normal(size=rows) for n in range(4)}
    columns |= {f"income {n}": rng.lognormal(10, 1.2, rows) for n in range(3)}
    columns |= {f"count {n}": rng.poisson(3, rows) for n in range(3)}
    columns["city"] = rng.choice([f"city {n}" for n in range(40)], rows)
    columns["gaps"] = pl.Series(np.where(rng.random(rows) < 0.05, None, rng.random(rows)))
    return pl.DataFrame(columns)


def alarms(tables: int, rows: int) -> None:
    """Print how many honest tables are refused."""
    import pandera.errors
    import pandera.pandas as pandas_schema

    refused = {"ours": 0, "pandera's inferred schema": 0}
    for seed in range(tables):
        first, second = drawn(2 * seed, rows), drawn(2 * seed + 1, rows)
        contract = infer(profile(first.lazy()), first.lazy())
        refused["ours"] += bool(check(contract, second).violations)
        theirs = pandas_schema.infer_schema(first.to_pandas())
        try:
            theirs.validate(second.to_pandas(), lazy=True)
        except pandera.errors.SchemaErrors:
            refused["pandera's inferred schema"] += 1
    for name, count in refused.items():
        print(f"{name}: {count} of {tables} honest tables of {rows:,} rows refused")


def main() -> None:
    """Print the figures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--alarms", action="store_true")
    given = parser.parse_args()
    os.environ.setdefault("DO_NOT_TRACK", "1")
    speed(given.rows, given.times)
    if given.alarms:
        alarms(50, 10_000)


if __name__ == "__main__":
    main()

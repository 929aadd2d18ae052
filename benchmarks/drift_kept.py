"""Drift from the profiles that are kept of a traffic log: any 30 days, and the map of a year.

Usage: ``python benchmarks/drift_kept.py [--rows 1000000] [--profile]``

Two logs of twenty columns (heavy tails, ties, gaps, rare and many categories) are written as
closed files and profiled: 45 days with so many rows in any 30 of them, and 52 weeks with so many
rows in all. Each figure is the CPU time of all threads from a log that is just opened, its index
and profiles on disk, to the verdicts; the training data's profile is kept too. The same weeks are
then read row by row, for the time and for the verdicts.
"""

from __future__ import annotations

import argparse
import cProfile
import io
import os
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

START = datetime(2013, 1, 7, tzinfo=UTC)  # a Monday
#: Closed files of a day.
FILES = 4


def columns(rng: Any, rows: int) -> Any:
    """Twenty columns, the first of which drifts where `moved` says so."""
    import numpy as np
    import polars as pl

    numbers = {f"normal{n}": rng.normal(size=rows) for n in range(6)}
    heavy = {f"heavy{n}": rng.lognormal(8, 1.2, rows) for n in range(3)}
    return pl.DataFrame(
        {
            **numbers,
            **heavy,
            "ties": np.where(rng.random(rows) < 0.7, 0.0, rng.exponential(size=rows)),
            "gaps": np.where(rng.random(rows) < 0.1, np.nan, rng.normal(size=rows)),
            "hour": rng.integers(0, 24, rows),
            "age": rng.integers(18, 90, rows),
            "orders": rng.poisson(3, rows),
            "share": rng.beta(2, 5, rows),
            "few": rng.choice(["a", "b", "c"], rows),
            "segment": rng.choice(["A", "B", "C", "D"], rows),
            "country": np.minimum(rng.zipf(1.5, rows), 60).astype(str),
            "many": np.minimum(rng.zipf(1.4, rows), 50_000).astype(str),
            "flag": rng.random(rows) < 0.3,
        }
    )


def log_of(ws: Any, endpoint: str, days: int, a_day: int) -> float:
    """Write a log of so many days and profile it; the CPU time of the latter."""
    import numpy as np
    import polars as pl
    import pyarrow.parquet as pq

    from jupyter_mlops.monitoring import bring_up_to_date

    for at in range(days * FILES):
        rng = np.random.default_rng([at, days])
        n = a_day // FILES
        since = START + at * timedelta(days=1) / FILES
        frame = columns(rng, n)
        if at >= days * FILES * 3 // 4:
            frame = frame.with_columns(normal0=pl.col("normal0") + 0.5)
        # In four hours of a day: profiles of hours are made, and aren't read here.
        step = 3_600_000_000 // n
        times = pl.Series(np.arange(n) * step, dtype=pl.Int64).cast(pl.Duration("us")) + since
        times = times.cast(pl.Datetime("us", "UTC"))
        rows = pl.DataFrame(
            {
                "prediction_id": [f"{at}-{i}" for i in range(n)],
                "request_id": ["r"] * n,
                "event_time": times,
                "at": times,
                "version": ["1"] * n,
                "share": [1.0] * n,
                "prediction": rng.random(n),
            }
        ).hstack(frame.rename({name: f"in.{name}" for name in frame.columns}))
        content = io.BytesIO()
        pq.write_table(rows.to_arrow(), content, compression="zstd")
        ws.traffic.write_bytes(f"{endpoint}/log/{at:05}.parquet", content.getvalue())
    before = time.process_time()
    bring_up_to_date(ws, endpoint)
    return time.process_time() - before


def timed(what: Callable[[], Any], profile: bool, repeats: int = 7) -> tuple[float, float, Any]:
    """Median CPU and wall seconds of some runs after one that warms up, and what came out."""
    found = what()
    if profile:
        running = cProfile.Profile()
        running.runcall(what)
        pstats.Stats(running).sort_stats("tottime").print_stats(35)
    cpu, wall = [], []
    for _ in range(repeats):
        began = time.process_time(), time.perf_counter()
        what()
        cpu.append(time.process_time() - began[0])
        wall.append(time.perf_counter() - began[1])
    return statistics.median(cpu), statistics.median(wall), found


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--folder", default="")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(given.folder or temporary)
        os.environ["JUPYTER_MLOPS_WORKSPACE"] = str(folder)
        measure(folder, given.rows, given.profile)
    return 0


def measure(folder: Path, rows: int, profile: bool) -> None:
    import numpy as np
    import polars as pl

    from jupyter_mlops import data
    from jupyter_mlops.monitoring import KeptLog, Limits, Window
    from jupyter_mlops.monitoring.battery import run_battery
    from jupyter_mlops.monitoring.comparing import from_profiles
    from jupyter_mlops.monitoring.driftmap import drift_map
    from jupyter_mlops.workspace import Workspace

    ws = Workspace.open(folder)
    if not ws.traffic.list("month/log"):
        made = log_of(ws, "month", 45, rows // 30)
        print(f"45 days of {rows // 30:,} rows profiled: {made:.1f} CPU s", flush=True)
        made = log_of(ws, "year", 364, rows // 364)
        print(f"364 days of {rows // 364:,} rows profiled: {made:.1f} CPU s", flush=True)
        data.add(ws, "training", columns(np.random.default_rng(0), 100_000))
    training = data.resolve(ws, "training")
    names = columns(np.random.default_rng(0), 1).columns
    traffic = pl.LazyFrame({"event_time": [], "prediction_id": []})

    def month(first: int) -> Any:
        window = Window(START + timedelta(days=first), START + timedelta(days=first + 30))
        log = KeptLog(ws, "month")
        read = from_profiles(ws, training, log, traffic, names, window, "1")
        assert read is not None
        judged, _ = run_battery(read.reference, read.current, read.kinds, Limits(), jointly=False)
        return read.current.rows, [one.name for one in judged if one.verdict == "drifted"]

    for first in (3, 7, 14):
        cpu, wall, found = timed(lambda first=first: month(first), profile)
        print(
            f"30 days from day {first}: {1000 * cpu:.0f} ms CPU, {1000 * wall:.0f} ms, "
            f"{found[0]:,} rows, drifted: {', '.join(found[1]) or 'none'}",
            flush=True,
        )

    def scanned() -> pl.LazyFrame:
        keys = [ws.traffic.local(key) for key in sorted(ws.traffic.list("year/log"))]
        return pl.scan_parquet(keys)

    def year(kept: bool) -> Any:
        log = KeptLog(ws, "year") if kept else None
        return drift_map(training, scanned, endpoint="year", features=names, log=log)

    levels = {}
    for kept in (True, False):
        cpu, wall, found = timed(lambda kept=kept: year(kept), profile and kept, 3 if kept else 1)
        levels[kept] = [{n: f.verdict for n, f in w.features.items()} for w in found.windows]
        print(f"map of {len(found.windows)} weeks from {found.source}: {cpu:.2f} s CPU, "
              f"{wall:.2f} s", flush=True)  # fmt: skip
    pairs = [(a[n], b[n]) for a, b in zip(levels[True], levels[False], strict=True) for n in a]
    print(f"{sum(a == b for a, b in pairs):,} of {len(pairs):,} verdicts alike")


if __name__ == "__main__":
    sys.exit(main())

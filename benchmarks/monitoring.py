"""Drift checks against Evidently's DataDriftPreset: false alarms, finds, CPU time, memory.

Usage: ``python benchmarks/monitoring.py [--rows 20000] [--checks 20] [--alarms-only]``

Both judge the same frames in the same run. Tables are drawn twice from one distribution
(15 columns: heavy tails, ties, gaps, rare and many categories), so every flag is a
false alarm; then with seven planted changes. CPU time and peak memory are taken in a
process of its own for each, imports left out; Evidently's with and without the page.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import warnings
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

PLANTED = ("normal", "lognormal", "gaps", "cat5", "rare", "ties", "hour")


def tables(seed: int, rows: int, *, planted: bool):
    import numpy as np
    import polars as pl

    from tests.monitoring.tables import awkward

    rng = np.random.default_rng(seed)
    # Identifiers are left out: Evidently draws each of them.
    before, after = (awkward(rng, rows).drop("id") for _ in range(2))
    if planted:
        letters = after["cat5"].to_numpy()
        after = after.with_columns(
            normal=pl.Series(rng.normal(0.5, 1, rows)),
            lognormal=pl.Series(rng.lognormal(0, 1.6, rows)),
            gaps=pl.Series(np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows))),
            cat5=pl.Series(np.where(rng.random(rows) < 0.25, "a", letters)),
            rare=pl.Series(np.where(rng.random(rows) < 0.08, "z", "y")),
            ties=pl.Series(np.where(rng.random(rows) < 0.6, 0, rng.exponential(size=rows))),
            hour=pl.Series(rng.integers(9, 24, rows)),
        )
    return before, after


def ours(before, after) -> set[str]:
    from jupyter_mlops.monitoring import compare_features

    found = compare_features(before, after, before.columns)
    return {one.name for one in found if one.verdict in ("drifted", "watch")}


def evidently(before, after, page: str | None = None) -> set[str]:
    import polars as pl
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numbers = [n for n, t in before.schema.items() if t.is_numeric()]
    words = [n for n in before.columns if n not in numbers]
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
    frames = [
        side.with_columns(pl.col(words).cast(pl.String)).to_pandas() for side in (before, after)
    ]
    for frame in frames:
        frame[words] = frame[words].astype(object)
    sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = Report([DataDriftPreset(columns=before.columns)], include_tests=True)
        run = report.run(sides[1], sides[0])
        if page:
            run.save_html(page)
    return {
        test["metric_config"]["params"]["column"]
        for test in run.dict()["tests"]
        if "column" in test["metric_config"]["params"] and str(test["status"]).endswith("FAIL")
    }


def alarms(checks: int) -> None:
    print(f"{'rows':>7} {'checks':>6}  {'':14} {'ours':>8} {'Evidently':>10}")
    for rows in (500, 1_000, 5_000, 20_000):
        count = max(3, checks * 500 // max(500, rows // 4))
        sums = {"any": [0, 0], "columns": [0, 0], "found": [0, 0]}
        for seed in range(count):
            same, moved = tables(seed, rows, planted=False), tables(seed, rows, planted=True)
            for at, judge in enumerate((ours, evidently)):
                flagged = judge(*same)
                sums["any"][at] += bool(flagged)
                sums["columns"][at] += len(flagged)
                sums["found"][at] += len(judge(*moved) & set(PLANTED))
        for label, key, by in (
            ("any alarm", "any", count),
            ("alarms/column", "columns", count * 15),
            ("finds", "found", count * len(PLANTED)),
        ):
            a, b = (value / by for value in sums[key])
            print(f"{rows:>7} {count:>6}  {label:14} {a:>8.3f} {b:>10.3f}", flush=True)


def measured(name: str, rows: int) -> None:
    """Run one judge and print its figures as JSON; this is a child process."""
    sides = tables(0, rows, planted=True)
    judges = {
        "ours": ours,
        "Evidently": evidently,
        "Evidently with page": lambda a, b: evidently(a, b, "/dev/null"),
    }
    judge = judges[name]
    judge(*(side.head(300) for side in sides))  # imports, first compilation
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, wall = time.process_time(), time.perf_counter()
    judge(*sides)
    print(
        json.dumps(
            {
                "cpu_s": time.process_time() - cpu,
                "wall_s": time.perf_counter() - wall,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                "more_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024,
            }
        )
    )


def speed(rows: int) -> None:
    print(f"\n{rows:,} × 15 against {rows:,} × 15")
    print(f"{'':20} {'CPU s':>8} {'wall s':>8} {'peak MB':>8} {'ratio of CPU':>13}")
    base = None
    for name in ("ours", "Evidently", "Evidently with page"):
        command = [sys.executable, __file__, "--child", name, "--rows", str(rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found = json.loads(done.stdout.splitlines()[-1])
        base = base or found["cpu_s"]
        print(
            f"{name:20} {found['cpu_s']:>8.2f} {found['wall_s']:>8.2f} {found['peak_mb']:>8.0f} "
            f"{found['cpu_s'] / base:>13.1f}",
            flush=True,
        )


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--checks", type=int, default=20)
    parser.add_argument("--alarms-only", action="store_true")
    parser.add_argument("--child", default="")
    given = parser.parse_args()
    if given.child:
        measured(given.child, given.rows)
        return 0
    alarms(given.checks)
    if not given.alarms_only:
        speed(given.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

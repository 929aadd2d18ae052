"""Drift checks against Evidently's DataDriftPreset: false alarms, finds, CPU time, memory.

Usage: ``python benchmarks/monitoring.py [--rows 20000] [--checks 20] [--alarms-only]``
or, for changes of the loss and performance without truth, ``--concept [--streams 40]``

Both judge the same frames in the same run. Tables are drawn twice from one distribution
(15 columns: heavy tails, ties, gaps, rare and many categories), so every flag is a
false alarm; then with seven planted changes. CPU time and peak memory are taken in a
process of its own for each, imports left out; Evidently's with and without the page.

Beside it: ``drift_million.py`` (long tables from Parquet, and reports of them), ``drift_power.py``
(null streams, planted changes) and ``drift_real.py`` (real streams with known changes).
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


def changes(streams: int) -> None:
    """False alarms, delays, and the series that come with river."""
    import numpy as np
    from river.drift import datasets

    from jupyter_mlops.monitoring.changes import DETECTORS, find_changes, nominate

    def stream(kind: str, seed: int):
        rng = np.random.default_rng(seed)
        if kind == "errors 10%":
            return (rng.random(6000) < 0.1).astype(float), None
        if kind == "log-normal":
            return rng.lognormal(0, 1.5, 6000), None
        day = np.repeat(np.arange(60), 100)
        return rng.exponential(0.5, 6000) * np.exp(rng.normal(0, 0.4, 60))[day], day

    print(f"\n{'no change, 6,000 rows':24} {'detector':14} {'nominated':>10} {'alarms':>8}")
    for kind in ("errors 10%", "log-normal", "days differ"):
        for detector in DETECTORS:
            # A thousand times slower: enough streams to see a rate out of bounds.
            count = streams if detector != "kswin" else max(3, streams // 10)
            raw = alarms = 0
            for seed in range(count):
                losses, days = stream(kind, seed)
                raw += next(nominate(losses, detector), None) is not None
                alarms += bool(find_changes(losses, days=days, detector=detector))
            print(f"{kind:24} {detector:14} {raw:>6}/{count:<3} {alarms:>4}/{count:<3}", flush=True)
    print(f"\n{'errors 10% to':24} {'detector':14} {'found':>8} {'delay':>8} {'date off':>9}")
    for rate in (0.13, 0.2, 0.4):
        for detector in DETECTORS:
            count = streams if detector != "kswin" else max(3, streams // 10)
            found = []
            for seed in range(count):
                rng = np.random.default_rng(seed)
                losses = np.r_[rng.random(3000) < 0.1, rng.random(3000) < rate].astype(float)
                found += find_changes(losses, detector=detector)[:1]
            delay = np.median([one.seen_row - 3000 for one in found]) if found else np.nan
            off = np.median([abs(one.began_row - 3000) for one in found]) if found else np.nan
            label = f"{len(found)}/{count}"
            print(f"{rate:<24.0%} {detector:14} {label:>8} {delay:>8.0f} {off:>9.0f}", flush=True)
    print(f"\n{'river (rows)':28} {'detector':14} began (seen; rows to the nearest mark)")
    for name in datasets.__all__:
        series = getattr(datasets, name)()
        answers = [one for _, one in series]
        values = [next(iter(one.values())) if isinstance(one, dict) else one for one in answers]
        losses = np.array(values, dtype=float)
        # Brent's marks count every so manyth row only, so they say nothing of these.
        marks = {at for points in series.annotations.values() for at in points}
        for detector in DETECTORS:
            told = [
                f"{one.began_row} ({one.seen_row}"
                + (
                    f"; {min(abs(one.began_row - at) for at in marks)})"
                    if losses.size < 5000
                    else ")"
                )
                for one in find_changes(losses, detector=detector)
            ]
            head = f"{name} ({losses.size:,})"
            print(f"{head:28} {detector:14} {', '.join(told) or 'none'}", flush=True)


def estimates_covered(validations: int) -> None:
    """How often performance estimated without truth held once the truth came."""
    import numpy as np

    from jupyter_mlops.monitoring import Expectation, measure
    from jupyter_mlops.monitoring.expected import covers
    from tests.monitoring.test_expected import answers

    cases = {
        "stationary": ({}, {}),
        "inputs moved by 0.7": ({}, {"shift": 0.7}),
        "overconfident model": ({"slope": 2.0}, {"slope": 2.0, "shift": -0.5}),
        "days that differ": ({"day_effect": 0.5}, {"day_effect": 0.5}),
        "concept turned": ({}, {"concept": -1.0}),
    }
    print(f"\n{'windows of 500 rows':24} {'log-loss':>10} {'AUC':>10} {'accuracy':>10}  held")
    for label, (validated, served) in cases.items():
        held: dict[str, list[bool]] = {}
        for seed in range(validations):
            rng = np.random.default_rng(seed)
            told = Expectation(answers(rng, 2000, **validated), "binary", ["0", "1"])
            for _ in range(5):
                window = answers(rng, 500, days=7, **served)
                came = measure(window, "binary")
                for one in told.of(window):
                    held.setdefault(one.name, []).append(covers(one, came[one.name]))
        shares = [sum(held[n]) / len(held[n]) for n in ("log_loss", "auc", "accuracy")]
        print(f"{label:24} " + " ".join(f"{one:>10.1%}" for one in shares), flush=True)


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--checks", type=int, default=20)
    parser.add_argument("--alarms-only", action="store_true")
    parser.add_argument("--concept", action="store_true")
    parser.add_argument("--streams", type=int, default=40)
    parser.add_argument("--child", default="")
    given = parser.parse_args()
    if given.child:
        measured(given.child, given.rows)
        return 0
    if given.concept:
        changes(given.streams)
        estimates_covered(max(4, given.streams // 2))
        return 0
    alarms(given.checks)
    if not given.alarms_only:
        speed(given.rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())

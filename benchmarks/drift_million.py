"""Drift of long tables from Parquet: ours, Evidently's preset, and its report of our sketches.

Usage: ``python benchmarks/drift_million.py [--rows 1000000] [--folder FOLDER]``

Twenty columns (heavy tails, ties, gaps, rare and many categories), eight of which change. Each
program runs in a process of its own, which imports, warms up on 300 rows, and is then measured
from the Parquet files to its verdicts: wall and CPU time of all threads, and the process's
largest memory, imports included. Where both know a statistic (Wasserstein over the reference's
standard deviation, Jensen-Shannon distance of categories), its values are compared on the same
bins.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

SIDES = ("before", "after")


def write(folder: Path, rows: int) -> None:
    """Write the two tables."""
    import numpy as np
    import polars as pl

    from monitoring import tables

    rng = np.random.default_rng(1)
    for name, side, step in zip(SIDES, tables(0, rows, planted=True), (0, 1), strict=True):
        more = side.with_columns(
            age=pl.Series(rng.integers(18 + step, 90, rows)),
            income=pl.Series(np.where(rng.random(rows) < 0.05, np.nan, rng.lognormal(10, 1, rows))),
            orders=pl.Series(rng.poisson(3, rows)),
            segment=pl.Series(rng.choice(["A", "B", "C", "D"], rows)),
            country=pl.Series(np.minimum(rng.zipf(1.4 + 0.2 * step, rows), 60).astype(str)),
        )
        more.write_parquet(folder / f"{name}.parquet", row_group_size=131_072)


def ours(folder: Path) -> dict[str, object]:
    import polars as pl

    from jupyter_mlops.monitoring import compare_features

    before, after = (
        pl.scan_parquet(folder / f"{side}.parquet").collect(engine="streaming") for side in SIDES
    )
    found = compare_features(before, after, before.columns)
    return {"flagged": [one.name for one in found if one.verdict in ("drifted", "watch")]}


def theirs(folder: Path) -> dict[str, object]:
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    frames = [pd.read_parquet(folder / f"{side}.parquet") for side in SIDES]
    numbers = list(frames[0].select_dtypes("number").columns)
    words = [name for name in frames[0].columns if name not in numbers]
    for frame in frames:
        frame[words] = frame[words].astype(str).astype(object)
    definition = DataDefinition(numerical_columns=numbers, categorical_columns=words)
    sides = [Dataset.from_pandas(frame, data_definition=definition) for frame in frames]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Report([DataDriftPreset(columns=[*numbers, *words])], include_tests=True).run(
            sides[1], sides[0]
        )
    page = folder / "evidently.html"
    run.save_html(str(page))
    told = run.dict()
    return {
        "flagged": [
            test["metric_config"]["params"]["column"]
            for test in told["tests"]
            if "column" in test["metric_config"]["params"] and str(test["status"]).endswith("FAIL")
        ],
        "page_mb": page.stat().st_size / 1e6,
        "scores": {
            one["config"]["column"]: [one["config"]["method"], float(one["value"])]
            for one in told["metrics"]
            if "column" in one["config"]
        },
    }


def report(folder: Path, *, kept: bool = False) -> dict[str, object]:
    """Evidently's page of our verdicts, both sides read into sketches (or read before)."""
    import polars as pl

    from jupyter_mlops.monitoring import compare_features, evidently_report
    from jupyter_mlops.monitoring.drawing import sketched

    frames = [pl.scan_parquet(folder / f"{side}.parquet") for side in SIDES]
    # The verdicts are those of the check, which was made before.
    few = [frame.head(50_000).collect() for frame in frames]
    features = compare_features(*few, few[0].columns)
    kinds = {one.name: one.kind for one in features}
    started = time.perf_counter(), cpu()
    sides = [sketched(frame, kinds) for frame in frames]
    if kept:
        started = time.perf_counter(), cpu()
    page = evidently_report.draw(*sides, features, "benchmark")
    wall, used = (
        now - then for now, then in zip((time.perf_counter(), cpu()), started, strict=True)
    )
    return {"page_mb": len(page.html) / 1e6, "wall_s": wall, "cpu_s": used}


def from_sketches(folder: Path) -> dict[str, object]:
    return report(folder, kept=True)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


PROGRAMS = {
    "ours": ours,
    "Evidently, with its page": theirs,
    "page of ours, by sketching": report,
    "page of ours, of sketches": from_sketches,
}


def child(name: str, folder: Path) -> None:
    """Run one program and print its figures as JSON."""
    with tempfile.TemporaryDirectory() as small:
        import polars as pl

        for side in SIDES:
            few = pl.scan_parquet(folder / f"{side}.parquet").head(300).collect()
            few.write_parquet(Path(small) / f"{side}.parquet")
        PROGRAMS[name](Path(small))
    started = time.perf_counter(), cpu()
    found = PROGRAMS[name](folder)
    taken = {"wall_s": time.perf_counter() - started[0], "cpu_s": cpu() - started[1]}
    taken["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(taken | found))


def agreed(folder: Path, scores: dict[str, list]) -> tuple[int, float]:
    """How many of Evidently's scores are ours too, and the largest difference."""
    import numpy as np
    import polars as pl

    from jupyter_mlops.monitoring import statistics
    from jupyter_mlops.monitoring.columns import read_categories, read_numbers

    worst, compared = 0.0, 0
    for name, (method, score) in scores.items():
        sides = [
            pl.read_parquet(folder / f"{side}.parquet", columns=[name])[name] for side in SIDES
        ]
        if "Wasserstein" in method:
            moved = statistics.wasserstein(*(read_numbers(side) for side in sides))[0]
            mine = moved / max(float(sides[0].fill_nan(None).std(ddof=0)), 0.001)
        else:
            counted = [read_categories(side).counts for side in sides]
            keys = sorted(set(counted[0]) | set(counted[1]))
            rows = [[side.get(key, 0) for key in keys] for side in counted]
            mine = float(np.sqrt(statistics.jensen_shannon(*rows)))
        worst, compared = max(worst, abs(mine - score)), compared + 1
    return compared, worst


def measured(name: str, folder: Path) -> dict:
    command = [sys.executable, __file__, "--child", name, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", default="")
    parser.add_argument("--child", default="")
    given = parser.parse_args()
    if given.child:
        child(given.child, Path(given.folder))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write(folder, given.rows)
        print(f"{given.rows:,} × 20 against {given.rows:,} × 20, from Parquet")
        print(f"{'':28} {'wall s':>8} {'CPU s':>8} {'peak MB':>8} {'page MB':>8}")
        found = {}
        for name in PROGRAMS:
            found[name] = one = measured(name, folder)
            page = f"{one['page_mb']:.1f}" if "page_mb" in one else ""
            print(
                f"{name:28} {one['wall_s']:>8.2f} {one['cpu_s']:>8.2f} "
                f"{one['peak_mb']:>8.0f} {page:>8}",
                flush=True,
            )
        a, b = found["ours"], found["Evidently, with its page"]
        print(f"CPU: 1/{b['cpu_s'] / a['cpu_s']:.0f} of Evidently's; peak memory: "
              f"1/{b['peak_mb'] / a['peak_mb']:.1f}")  # fmt: skip
        compared, worst = agreed(folder, b["scores"])
        print(f"{compared} scores on shared bins, largest difference {worst:.1e}")
        both = set(a["flagged"]), set(b["flagged"])
        print(f"flagged by both: {len(both[0] & both[1])}; by ours alone: "
              f"{', '.join(sorted(both[0] - both[1])) or 'none'}; by Evidently alone: "
              f"{', '.join(sorted(both[1] - both[0])) or 'none'}")  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main())

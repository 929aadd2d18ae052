"""Faults found and false alarms raised: advice on planted faults and on real tables.

Usage: ``python benchmarks/advice.py [--seeds 3] [--rows 3000] [--verbose]``

The faults and the real tables are those of ``tests/profiling``. Peers, where they are installed:
ydata-profiling's alerts and Evidently's data quality tests as they come, which are counted as
finding a fault when they say anything new about the column it was planted into. What a person
would call a true finding of a real table is listed in ``tests/profiling/test_planted.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent))
Finder = Callable[["pd.DataFrame", "str | None"], set[tuple[str, str]]]


def ours(frame: pd.DataFrame, target: str | None) -> set[tuple[str, str]]:
    """Findings of the profile as (column, finding); those of weight only, notes as well marked."""
    import polars as pl

    from jupyter_mlops.profiling import profile

    made = profile(pl.from_pandas(frame).lazy(), target=target)
    return {(one.column, one.finding) for one in made.advice}


def ydata(frame: pd.DataFrame, target: str | None) -> set[tuple[str, str]]:
    """Alerts of ydata-profiling's minimal report with duplicates and correlations on."""
    from ydata_profiling import ProfileReport

    report = ProfileReport(frame, progress_bar=False, interactions=None)
    alerts = report.get_description().alerts
    return {(one.column_name or "(rows)", one.alert_type.name) for one in alerts}


def evidently(frame: pd.DataFrame, target: str | None) -> set[tuple[str, str]]:
    """Failed tests of Evidently's DataSummaryPreset with its own conditions."""
    os.environ["DO_NOT_TRACK"] = "1"
    from evidently import Dataset, Report
    from evidently.presets import DataSummaryPreset

    report = Report([DataSummaryPreset()], include_tests=True)
    done = report.run(Dataset.from_pandas(frame), None).dict()
    return {
        (str(test.get("metric_config", {}).get("params", {}).get("column", "(rows)")), test["name"])
        for test in done["tests"]
        if test["status"] in {"FAIL", "WARNING"}
    }


FINDERS: dict[str, tuple[Finder, str]] = {
    "ours": (ours, "jupyter_mlops"),
    "ydata": (ydata, "ydata_profiling"),
    "evidently": (evidently, "evidently"),
}


def recall(name: str, find: Finder, seeds: int, rows: int, verbose: bool) -> None:
    """How many planted faults are named, and what that costs."""
    import numpy as np

    from tests.profiling.faults import FAULTS, TARGET, orders

    found = total = 0
    started = time.process_time()
    for seed in range(seeds):
        base = orders(100 + seed, rows)
        usual = find(base, TARGET)
        for fault in FAULTS:
            frame = fault.plant(base.copy(), np.random.default_rng(seed))
            try:
                said = find(frame, fault.target)
            except Exception as error:
                # A peer that can't read a table has found nothing in it, and says so.
                print(f"    {name} failed on {fault.name}: {error!r:.80}")
                said = set()
            if name == "ours":
                hit = (fault.column, fault.finding) in said
            else:
                hit = any(column == fault.column for column, _ in said - usual)
            found, total = found + hit, total + 1
            if verbose and not hit:
                print(f"    missed: {fault.name} (seed {seed})")
    spent = time.process_time() - started
    print(
        f"{name:10} {found:4} of {total} planted faults named ({100 * found / total:5.1f} %), "
        f"{1000 * spent / total:6.0f} ms CPU a table",
        flush=True,
    )


def alarms(verbose: bool) -> None:
    """Findings of weight on real tables that a person would not agree with."""
    import polars as pl

    from jupyter_mlops.profiling import profile
    from tests.profiling.clean import TABLES
    from tests.profiling.test_planted import TRUE

    wrong = said = notes = 0
    for name, load in TABLES.items():
        frame, target = load()
        assert isinstance(frame, pl.DataFrame)
        made = profile(frame.lazy(), target=target)
        weight = {(one.column, one.finding) for one in made.advice if one.severity != "note"}
        notes += len(made.advice) - len(weight)
        odd = weight - set(TRUE.get(name, {}))
        wrong, said = wrong + len(odd), said + len(weight)
        if verbose and odd:
            print(f"    {name}: {sorted(odd)}")
    print(
        f"{len(TABLES)} real tables: {said} findings of weight, {wrong} of them false "
        f"({wrong / len(TABLES):.2f} a table); {notes} notes"
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=3000)
    parser.add_argument("--only", choices=list(FINDERS))
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, (find, package) in FINDERS.items():
        if given.only not in (None, name) or not importlib.util.find_spec(package):
            continue
        seeds = given.seeds if name == "ours" else 1
        recall(name, find, seeds, given.rows, given.verbose)
    if given.only in (None, "ours"):
        alarms(given.verbose)


if __name__ == "__main__":
    main()

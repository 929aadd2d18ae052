"""Drift of real streams: series with changes that people marked, and a year of flights.

Usage: ``python benchmarks/drift_real.py``

Of river's series the first rows up to the first change that people marked are the reference, of
which the first four fifths are compared with the last fifth (nothing has changed there) and with
windows of that length from then on. Printed are the alarms before, the first window with an alarm
and the rows from the marked change to its end; for Evidently's preset as it comes and for ours.
The rows of a series follow each other, so that neither's rate of false alarms is promised.

Flights: every month from March on against January and February, and each half of these against
the other. What is known: the seasons (temperature, dew point), and holidays.
"""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

os.environ["DO_NOT_TRACK"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

FEATURES = (
    "carrier",
    "origin",
    "sched_dep_time",
    "distance",
    "temp",
    "dewp",
    "humid",
    "wind_speed",
)


def ours(before, now) -> list[str] | None:
    """What we flag; None where the rows are too few to say."""
    from jupyter_mlops.monitoring import compare_features

    found = compare_features(before, now, before.columns)
    if all(one.verdict == "not enough data" for one in found):
        return None
    return [one.name for one in found if one.verdict in ("drifted", "watch")]


def theirs(before, now) -> list[str]:
    """What Evidently's default tests flag; of numbers and categories alike."""
    from evidently import ColumnType
    from evidently.legacy.calculations.stattests.registry import get_stattest

    flagged = []
    for name in before.columns:
        number = before[name].dtype.is_numeric()
        kind = ColumnType.Numerical if number else ColumnType.Categorical
        sides = [one[name].drop_nulls().to_pandas() for one in (before, now)]
        if number:
            sides = [side.dropna() for side in sides]
        if get_stattest(*sides, kind, None)(*sides, kind, None).drifted:
            flagged.append(name)
    return flagged


def series() -> None:
    """Print alarms and delays of river's series."""
    import polars as pl
    from river.drift import datasets

    print(
        f"{'river (rows; window)':32} {'marked':>7} {'':10} {'before':>7} {'first alarm after':>18}"
    )
    for name in datasets.__all__:
        source = getattr(datasets, name)()
        told = [one for _, one in source]
        table = pl.DataFrame(
            [one if isinstance(one, dict) else {"value": one} for one in told]
        ).cast(pl.Float64, strict=False)
        # Brent's marks count every so manyth row only, so they say nothing of these.
        marks = sorted({int(at) for points in source.annotations.values() for at in points})
        # The first change that leaves enough rows to know what was before it.
        mark = next((at for at in marks if at >= 100), None)
        if mark is None or table.height > 5000:
            print(f"{name} ({table.height:,}): no mark that can be used")
            continue
        window = mark // 5
        before, same = table[: mark - window], table[mark - window : mark]
        starts = range(mark, table.height - window + 1, window)
        head, at = f"{name} ({table.height:,}; {window})", f"{mark:,}"
        for label, judge in (("ours, by window", ours), ("Evidently, by window", theirs)):
            early = judge(before, same)
            first = next((at + window for at in starts if judge(before, table[at:][:window])), None)
            told = "too few rows" if early is None else "alarm" if early else "quiet"
            line(head, at, label, told, first, mark)
            head = at = ""
        found = [one for name in table.columns for one in changes(table[name])]
        seen = [one for one in found if one >= mark]
        line("", "", "ours, row by row", "alarm" if len(seen) < len(found) else "quiet",
             min(seen, default=None), mark)  # fmt: skip


def changes(column) -> list[int]:
    """The rows at which our change detection had seen a change of a series' level."""
    from jupyter_mlops.monitoring import find_changes

    return [one.seen_row for one in find_changes(column.drop_nulls().to_numpy())]


def line(head: str, at: str, label: str, early: str, first: int | None, mark: int) -> None:
    after = "none" if first is None else f"{first - mark:,} rows"
    print(f"{head:32} {at:>7} {label:22} {early:>12} {after:>18}", flush=True)


def flights() -> None:
    """Print what is flagged in each month of flights."""
    import polars as pl

    from retraining import flights as every

    table = every().with_columns(month=pl.col("event_time").dt.strftime("%Y-%m"))
    winter = table.filter(pl.col("month").is_in(["2013-01", "2013-02"])).select(FEATURES)
    halves = winter.sample(fraction=1, shuffle=True, seed=1)
    middle = halves.height // 2
    print(f"\n{'flights (rows)':24} {'flagged by us':58} by Evidently")
    row = ("winter, by chance", halves[:middle], halves[middle:])
    months = [f"2013-{month:02}" for month in range(3, 13)]
    rows = [
        row,
        *((one, winter, table.filter(pl.col("month") == one).select(FEATURES)) for one in months),
    ]
    for label, before, now in rows:
        told = [", ".join(judge(before, now)) or "none" for judge in (ours, theirs)]
        print(f"{f'{label} ({now.height:,})':24} {told[0]:58} {told[1]}", flush=True)


def main() -> int:
    """Run as a program."""
    warnings.simplefilter("ignore")
    series()
    flights()
    return 0


if __name__ == "__main__":
    sys.exit(main())

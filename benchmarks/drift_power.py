"""False alarms where nothing changed, and what is found where something did.

Usage: ``python benchmarks/drift_power.py [--streams 200] [--windows 40] [--nannyml PYTHON]``

Nothing changed: so many streams of each sort, each a reference and a window with sizes drawn
from 10 to 1,000,000 rows. A stream is an alarm if any of its columns is flagged. The stated rate
is that of `Limits`; the alarms should lie within the binomial interval of it.

Planted changes: windows of 1,000 rows against a reference of 5,000 (six columns: numbers that
correlate, heavy tails, five categories, a flag, gaps), each sort of change in five sizes. A method
gives each column of each window a score. Whatever the method's own limits, its alarm here is the
largest of its scores, each in standard deviations of what it is where nothing changed, above what
5 % of the windows where nothing changed exceed: all methods have the same rate of false alarms.
Ours as it comes is beside them, with its own limits, which also ask whether a change is large.

The delay is that of a mean that moves away by 0.02 standard deviations a window.

The peer NannyML needs a Python of its own::

    uv venv /tmp/nannyml
    uv pip install --python /tmp/nannyml/bin/python nannyml "pandas<3" "numpy<2.3" statsmodels
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["DO_NOT_TRACK"] = os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
sys.path.insert(0, str(Path(__file__).parents[1]))

ROWS, REFERENCE, NULLS, RATE = 1000, 5000, 400, 0.05
RAMP, STREAMS = 40, 20
COLUMNS = ("a", "b", "tail", "letter", "flag", "gaps")
SIZES = {
    "mean": (0.05, 0.1, 0.15, 0.2, 0.3),
    "variance": (1.05, 1.1, 1.2, 1.3, 1.5),
    "shape": (0.3, 0.5, 0.6, 0.7, 0.85),
    "one category": (0.02, 0.04, 0.06, 0.08, 0.12),
    "correlation only": (0.5, 0.4, 0.2, 0.0, -0.3),
    "missingness": (0.06, 0.07, 0.09, 0.12, 0.2),
}


def rows(rng, n: int, change: str = "", size: float = 0.0):
    """A table of `COLUMNS`, with one change."""
    import numpy as np
    import polars as pl

    tie = size if change == "correlation only" else 0.6
    a = rng.normal(size=n)
    if change == "shape":
        # Two humps with the mean and the variance of before; b takes a little of it on.
        a = size * rng.choice([-1, 1], n) + np.sqrt(1 - size**2) * a
    b = tie * a + np.sqrt(1 - tie**2) * rng.normal(size=n)
    if change == "mean":
        a = a + size
    elif change == "variance":
        a = a * size
    share = size if change == "missingness" else 0.05
    letter = rng.choice(list("uvwxy"), n)
    if change == "one category":
        letter = np.where(rng.random(n) < size / 0.8, "u", letter)
    return pl.DataFrame(
        {
            "a": a,
            "b": b,
            "tail": rng.lognormal(0, 1.5, n),
            "letter": letter,
            "flag": (rng.random(n) < 0.1).astype(float),
            "gaps": pl.Series(np.where(rng.random(n) < share, np.nan, rng.normal(size=n))),
        }
    )


def our_scores(before, now) -> tuple[list[float], bool]:
    """Minus the logarithm of a check's p-value, and whether we would raise an alarm."""
    import numpy as np

    from jupyter_mlops.monitoring import Limits, compare_features
    from jupyter_mlops.monitoring.battery import JOINT
    from jupyter_mlops.monitoring.joint import compare_jointly

    found = compare_features(before, now, before.columns)
    flagged = any(one.verdict in ("drifted", "watch") for one in found)
    kinds = {one.name: one.kind for one in found}
    # Samples of equal size: of a larger reference the classifier learns nothing more.
    joint = compare_jointly(before.head(2 * now.height), now, kinds, Limits())
    flagged = flagged or joint.verdict in ("drifted", "watch")
    # A check shares its false alarms out like this.
    p_value = min(min(one.p_value for one in found) / (1 - JOINT), joint.p_value / JOINT)
    return [float(-np.log10(max(p_value, 1e-300)))], flagged


def evidently_scores(before, now, numbers: str | None, words: str | None) -> list[float]:
    """Scores of its tests by column, as its presets take them; larger is more alarming."""
    import numpy as np
    from evidently import ColumnType
    from evidently.legacy.calculations.stattests.registry import get_stattest

    scores = []
    for name in before.columns:
        number = before[name].dtype.is_numeric()
        kind = ColumnType.Numerical if number else ColumnType.Categorical
        sides = [
            (one[name].fill_nan(None) if number else one[name]).drop_nulls().to_pandas()
            for one in (before, now)
        ]
        method = numbers if number else words
        found = get_stattest(*sides, kind, method)(*sides, kind, None)
        p_value = method in ("ks", "chisquare")
        score = float(found.drift_score)
        scores.append(float(-np.log10(max(score, 1e-300))) if p_value else score)
    return scores


def nannyml_scores(folder: Path, python: str) -> dict[str, list[list[float]]]:
    """The scores of all windows by NannyML, from a process of its own."""
    command = [python, __file__, "--child", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def child(folder: Path) -> None:
    """Print NannyML's scores as JSON: of single columns, and of these and of rows as a whole."""
    import nannyml as nml
    import pandas as pd

    warnings.simplefilter("ignore")
    before, now = (pd.read_parquet(folder / f"{side}.parquet") for side in ("before", "now"))
    names, filled = list(COLUMNS), before["gaps"].mean()
    one = nml.UnivariateDriftCalculator(
        column_names=names,
        continuous_methods=["jensen_shannon"],
        categorical_methods=["jensen_shannon"],
        chunk_size=ROWS,
    )
    gaps = nml.MissingValuesCalculator(column_names=["gaps"], chunk_size=ROWS)
    whole = nml.DataReconstructionDriftCalculator(column_names=names, chunk_size=ROWS)
    tables: dict[str, pd.DataFrame] = {}
    for name, made, fill in (("one", one, False), ("gaps", gaps, False), ("whole", whole, True)):
        sides = [side.fillna({"gaps": filled}) if fill else side for side in (before, now)]
        made.fit(sides[0])
        tables[name] = made.calculate(sides[1]).filter(period="analysis").to_df()
    single = [tables["one"][name, "jensen_shannon", "value"].to_numpy() for name in names]
    missing = tables["gaps"]["gaps", "value"].to_numpy()
    rebuilt = tables["whole"]["reconstruction_error", "value"].to_numpy()
    away = abs(rebuilt - rebuilt[:NULLS].mean())
    print(
        json.dumps(
            {
                "NannyML univariate": [list(map(float, row)) for row in zip(*single, strict=True)],
                "NannyML, all three": [
                    list(map(float, row)) for row in zip(*single, missing, away, strict=True)
                ],
            }
        )
    )


def windows(count: int):
    """The reference and every window: null ones, then each change in each size, then ramps."""
    import numpy as np

    rng = np.random.default_rng(2013)
    before = rows(rng, REFERENCE)
    made = [rows(rng, ROWS) for _ in range(NULLS)]
    for change, sizes in SIZES.items():
        made += [rows(rng, ROWS, change, size) for size in sizes for _ in range(count)]
    for _ in range(STREAMS):
        made += [rows(rng, ROWS, "mean", 0.02 * (step + 1)) for step in range(RAMP)]
    return before, made


def largest(scores):
    """The largest score of each window in standard deviations of the null windows' scores."""
    import numpy as np

    table = np.asarray(scores, float)
    null = table[:NULLS]
    return ((table - null.mean(axis=0)) / np.maximum(null.std(axis=0), 1e-12)).max(axis=1)


def power(count: int, nannyml: str) -> None:
    """Print the power of each method for each change, and the delay."""
    import numpy as np
    import polars as pl

    before, made = windows(count)
    scored: dict[str, list[list[float]]] = {"ours, by p-value": []}
    flagged = []
    for one in made:
        scores, flag = our_scores(before, one)
        scored["ours, by p-value"].append(scores)
        flagged.append(flag)
    for label, methods in (
        ("Evidently as it comes", (None, None)),
        ("Evidently, K-S and χ²", ("ks", "chisquare")),
        ("Evidently, PSI", ("psi", "psi")),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scored[label] = [evidently_scores(before, one, *methods) for one in made]
    if nannyml:
        with tempfile.TemporaryDirectory() as folder:
            before.write_parquet(Path(folder) / "before.parquet")
            pl.concat(made).write_parquet(Path(folder) / "now.parquet")
            scored |= nannyml_scores(Path(folder), nannyml)
    alarms = {"ours as it comes": np.asarray(flagged)}
    for label, scores in scored.items():
        top = largest(scores)
        alarms[label] = top > np.quantile(top[:NULLS], 1 - RATE, method="higher")
    print(f"\n{'windows flagged':24} " + " ".join(f"{label:>22}" for label in alarms))
    line = " ".join(f"{one[:NULLS].mean():>22.1%}" for one in alarms.values())
    print(f"{f'nothing changed ({NULLS})':24} {line}")
    start = NULLS
    for change, sizes in SIZES.items():
        for size in sizes:
            line = " ".join(
                f"{one[start : start + count].mean():>22.0%}" for one in alarms.values()
            )
            print(f"{f'{change} {size:g}':24} {line}")
            start += count
    delays = []
    for one in alarms.values():
        ramps = one[start:].reshape(STREAMS, RAMP)
        delays.append(np.median(np.where(ramps.any(axis=1), ramps.argmax(axis=1) + 1, np.inf)))
    print(f"{'slow trend, windows':24} " + " ".join(f"{one:>22g}" for one in delays), flush=True)


def null_table(sort: str, rng, n: int):
    """Rows of a stream in which nothing ever changes."""
    import numpy as np
    import polars as pl

    if sort == "heavy ties":
        return {
            "mostly 0": np.where(rng.random(n) < 0.9, 0, rng.exponential(size=n)),
            "rounded": np.round(rng.normal(size=n), 1),
            "hour": rng.integers(0, 24, n),
            "constant": np.ones(n),
        }
    if sort == "rare categories":
        return {
            "one in 500": np.where(rng.random(n) < 0.002, "x", "y"),
            "Zipf": np.minimum(rng.zipf(1.5, n), 5000).astype(str),
            "500 alike": rng.integers(0, 500, n).astype(str),
            "20,000 alike": rng.integers(0, 20_000, n).astype(str),
        }
    if sort == "autocorrelated":
        from scipy.signal import lfilter

        noise = rng.normal(size=(2, n + 500))
        runs = np.repeat(rng.choice(list("abc"), n // 5 + 1), 5)[:n]
        return {
            "φ = 0.5": lfilter([1], [1, -0.5], noise[0])[500:],
            "φ = 0.9": lfilter([1], [1, -0.9], noise[1])[500:],
            "runs of 5": pl.Series(runs),
        }
    return {
        "normal": rng.normal(size=n),
        "heavy tail": rng.standard_cauchy(n),
        "gaps": np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n)),
        "letter": rng.choice(list("abcde"), n),
    }


def nulls(streams: int) -> None:
    """Print the alarms of streams in which nothing changes, beside what may be expected."""
    import numpy as np
    import polars as pl
    from scipy import stats

    from jupyter_mlops.monitoring import Limits, compare_features

    alpha = Limits().alpha
    low, high = stats.binom.interval(0.95, streams, alpha)
    print(f"stated: {alpha:.0%} of the checks at most; 95 % interval of {streams}: "
          f"{low:.0f} to {high:.0f}")  # fmt: skip
    print(f"{'nothing changed':18} {'streams':>8} {'alarms':>8} {'p < alpha':>10} {'too few':>8}")
    for sort in ("independent", "heavy ties", "rare categories", "autocorrelated"):
        alarms = significant = few = 0
        for seed in range(streams):
            rng = np.random.default_rng(seed)
            n, m = np.exp(rng.uniform(np.log(10), np.log(1_000_000), 2)).astype(int)
            # The whole stream at once, so that what goes on goes on from one side to the other.
            stream = pl.DataFrame(null_table(sort, rng, n + m))
            found = compare_features(stream[:n], stream[n:], stream.columns)
            alarms += any(one.verdict in ("drifted", "watch") for one in found)
            significant += min(one.p_value for one in found) <= alpha
            few += all(one.verdict == "not enough data" for one in found)
        print(f"{sort:18} {streams:>8} {alarms:>8} {significant:>10} {few:>8}", flush=True)


def main() -> int:
    """Run as a program."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--nannyml", default="")
    parser.add_argument("--only", choices=("nulls", "power"))
    parser.add_argument("--child", default="")
    given = parser.parse_args()
    if given.child:
        child(Path(given.child))
        return 0
    if given.only != "power":
        nulls(given.streams)
    if given.only != "nulls":
        power(given.windows, given.nannyml)
    return 0


if __name__ == "__main__":
    sys.exit(main())

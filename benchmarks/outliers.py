"""How strange rows are, on the path of requests: cost of a row, and what is found.

Usage: ``python benchmarks/outliers.py [--rows 20000] [--batch 64]``

The peer is scikit-learn's IsolationForest (100 trees, its defaults) on the same numbers, which
is also PyOD's `IForest`, and PyOD's ECOD where PyOD is installed. All are fitted to the same
rows, and score the same batches in the same run; a threshold takes one training row in a
thousand. Planted are values far out in one column, rare words, and pairs of columns that don't
go together though each value alone is usual.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

NUMBERS, RATE = 12, 0.001


def table(rows: int, seed: int) -> Any:
    """Numbers by four hidden causes, lopsided ones, codes, words and holes."""
    import numpy as np
    import polars as pl

    mixed = np.random.default_rng(0).normal(size=(4, NUMBERS))
    rng = np.random.default_rng(seed)
    causes = rng.normal(size=(rows, 4))
    found = {f"x{n}": causes @ mixed[:, n] + 0.4 * rng.normal(size=rows) for n in range(NUMBERS)}
    found["income"] = np.exp(rng.normal(10, 1, rows))
    found["delay"] = rng.standard_t(3, rows)
    found["hole"] = np.where(rng.random(rows) < 0.1, np.nan, rng.gamma(2, 1, rows))
    found["month"] = rng.integers(1, 13, rows).astype(float)
    words = {
        "carrier": rng.choice(["AA", "UA", "DL", "B6"], rows, p=[0.5, 0.3, 0.15, 0.05]),
        "town": rng.choice([f"town {n}" for n in range(300)], rows),
    }
    return pl.DataFrame(found | words)


def planted(rows: int, seed: int) -> dict[str, Any]:
    """Tables of which each row is strange, by how."""
    import polars as pl

    usual = table(rows, seed)
    pair = pl.col("x0").sort()
    return {
        "far in one column": usual.with_columns(income=pl.col("income") * 1000),
        "new word": usual.with_columns(carrier=pl.lit("ZZ")),
        # The value of a row of another rank: usual alone.
        "columns that don't go together": usual.with_columns(
            x0=pair.gather(pl.col("x0").rank("ordinal", descending=True).cast(pl.UInt32) - 1),
            x1=pl.col("x1").sort().gather(
                pl.col("x1").rank("ordinal", descending=True).cast(pl.UInt32) - 1
            ),
        ),
    }  # fmt: skip


def coded(frame: Any) -> Any:
    """Words as numbers and holes as zeros, for those that know numbers alone."""
    import polars as pl

    return frame.with_columns(
        pl.col("carrier").replace_strict({"AA": 0, "UA": 1, "DL": 2, "B6": 3}, default=9),
        pl.col("town").str.strip_prefix("town ").cast(pl.Float64),
        pl.col("hole").fill_nan(0.0),
    ).to_numpy()


def microseconds(score: Any, batch: Any, rows: int) -> tuple[float, float]:
    """Of a row: median and 99th percentile over 300 batches."""
    import numpy as np

    times = []
    for _ in range(300):
        began = time.perf_counter()
        score(batch)
        times.append(time.perf_counter() - began)
    return tuple(1e6 * np.quantile(times, [0.5, 0.99]) / rows)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=64)
    told = parser.parse_args()

    import numpy as np
    from sklearn.ensemble import IsolationForest

    from jupyter_mlops.models.outliers import THRESHOLD
    from jupyter_mlops.models.outliers.files import as_bytes
    from jupyter_mlops.models.outliers.fitting import arrays, fit

    train, fresh = table(told.rows, 1), table(100_000, 2)
    strange = planted(5_000, 3)
    began = time.perf_counter()
    scorer = fit(train)
    ours = time.perf_counter() - began
    size = len(as_bytes(scorer))
    peers: dict[str, Any] = {"IsolationForest": IsolationForest(random_state=0)}
    try:
        from pyod.models.ecod import ECOD

        peers["PyOD ECOD"] = ECOD()
    except ImportError:
        print("PyOD isn't installed: left out")
    print(f"{train.width} columns, {train.height:,} training rows, batches of {told.batch}\n")
    print("| scorer | fit s | us/row median | us/row p99 | outliers of usual rows |", end=" ")
    print(" | ".join(strange), "|")
    print("|" + "---|" * (5 + len(strange)))
    batch = arrays(fresh.head(told.batch))
    cost = microseconds(scorer, batch, told.batch)
    rates = [
        float((scorer(arrays(frame)).p <= THRESHOLD).mean()) for frame in (fresh, *strange.values())
    ]
    _row(f"ours ({size / 1000:.0f} kB)", ours, cost, rates)
    for name, peer in peers.items():
        known = coded(train)
        began = time.perf_counter()
        peer.fit(known)
        seconds = time.perf_counter() - began
        score = peer.score_samples if name == "IsolationForest" else peer.decision_function
        sign = 1 if name == "IsolationForest" else -1
        limit = np.quantile(sign * score(known), RATE)
        cost = microseconds(score, coded(fresh.head(told.batch)), told.batch)
        rates = [
            float((sign * score(coded(frame)) <= limit).mean())
            for frame in (fresh, *strange.values())
        ]
        _row(name, seconds, cost, rates)


def _row(name: str, fit: float, cost: tuple[float, float], rates: list[float]) -> None:
    told = " | ".join(f"{rate:.1%}" for rate in rates[1:])
    print(f"| {name} | {fit:.2f} | {cost[0]:.1f} | {cost[1]:.1f} | {rates[0]:.3%} | {told} |")


if __name__ == "__main__":
    main()

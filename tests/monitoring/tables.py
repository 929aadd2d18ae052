"""An awkward table that can be drawn again and again from one distribution."""

from __future__ import annotations

import numpy as np
import polars as pl


def awkward(rng: np.random.Generator, n: int) -> pl.DataFrame:
    """Rows with heavy tails, ties, gaps, rare categories and identifiers."""
    return pl.DataFrame(
        {
            "normal": rng.normal(size=n),
            "lognormal": rng.lognormal(size=n),
            "cauchy": rng.standard_cauchy(n),
            "ties": np.where(rng.random(n) < 0.9, 0, rng.exponential(size=n)),
            "rounded": np.round(rng.normal(size=n), 1),
            "hour": rng.integers(5, 24, n),
            "few": np.searchsorted([0.7, 0.99], rng.random(n)),
            "gaps": pl.Series(np.where(rng.random(n) < 0.05, np.nan, rng.normal(size=n))),
            "constant": np.ones(n),
            "binary": rng.random(n) < 0.02,
            "rare": np.where(rng.random(n) < 0.006, "x", "y"),
            "cat5": np.array(list("abcde"))[rng.integers(0, 5, n)],
            "cat50": rng.integers(0, 50, n).astype(str),
            "cat500": rng.integers(0, 500, n).astype(str),
            "tail": np.minimum(rng.zipf(1.5, n), 5000).astype(str),
            "id": rng.integers(0, 10**9, n).astype(str),
        }
    )

"""In which rows the loss is higher than in the others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl
from scipy import stats

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS, Floats
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.spread import Days

__all__ = ["Segment", "Segments", "by_segment"]

PARTS = 5
# A number with more values than these is cut into fifths.
MOST_VALUES = 20


@dataclass(frozen=True)
class Segment:
    """Rows that share a value, beside all others.

    Attributes
    ----------
    name : str
    rows : int
        Rows with truth.
    loss, others : float
        Mean loss in it and outside it.
    effect, low, high : float
        Their difference with its interval.
    p_value : float
        Adjusted over all segments (Benjamini-Hochberg).
    verdict : {"worse", "better", "alike"}
    """

    name: str
    rows: int
    loss: float
    others: float
    effect: float
    low: float
    high: float
    p_value: float
    verdict: Literal["worse", "better", "alike"]


@dataclass(frozen=True)
class Segments:
    """The segments of a column, the worst first.

    Attributes
    ----------
    column : str
    loss : str
        What is compared.
    items : list of Segment
        Those with enough rows.
    small, small_rows : int
        Segments with too few rows to judge, and their rows.
    fewest : int
        Rows that it takes.
    """

    column: str
    loss: str
    items: list[Segment]
    small: int
    small_rows: int
    fewest: int


def by_segment(
    values: pl.Series,
    losses: Floats,
    days: Days | None = None,
    *,
    loss: str = "loss",
    limits: Limits | None = None,
) -> Segments:
    """Compare the loss of each segment with that of all other rows.

    Parameters
    ----------
    values : polars.Series, length n
        What rows are grouped by; numbers with many values are cut into fifths.
    losses : array of shape (n,)
    days : array of shape (n,), optional
        With 8 days or more the intervals take each day as one block.
    loss : str
        What the losses are called.
    limits : Limits, optional
        Its `alpha` bounds the share of false ones among those called worse or better.

    Examples
    --------
    >>> import numpy as np, polars as pl
    >>> wrong = np.r_[np.zeros(400), np.tile([0.0, 1.0], 200)]
    >>> found = by_segment(pl.Series("carrier", ["AA"] * 400 + ["UA"] * 400), wrong)
    >>> [(one.name, one.verdict) for one in found.items]
    [('UA', 'worse'), ('AA', 'better')]
    """
    limits = limits or Limits()
    names = cut(values)
    counts = names.value_counts().sort("count", descending=True)
    known = dict(counts.iter_rows())
    fewest = limits.fewest_truths
    large = [one for one, rows in known.items() if fewest <= rows <= losses.size - fewest]
    made = [_compare((names == one).to_numpy(), losses, days, limits) for one in large]
    adjusted = statistics.benjamini_hochberg([one[-1] for one in made])
    items = []
    for name, (inside, outside, low, high, _), p in zip(large, made, adjusted, strict=True):
        verdict: Literal["worse", "better", "alike"] = "alike"
        if p <= limits.alpha:
            verdict = "worse" if inside > outside else "better"
        effect = inside - outside
        items.append(Segment(name, known[name], inside, outside, effect, low, high, p, verdict))
    small = {one: rows for one, rows in known.items() if rows < fewest}
    order = sorted(items, key=lambda one: (one.verdict == "alike" and one.effect > 0, -one.effect))
    order.sort(key=lambda one: ("worse", "alike", "better").index(one.verdict))
    return Segments(values.name, loss, order, len(small), sum(small.values()), fewest)


def cut(values: pl.Series) -> pl.Series:
    """Names of segments: values as text, numbers with many values by fifths."""
    if values.dtype.is_numeric() and values.drop_nulls().n_unique() > MOST_VALUES:
        ends = [values.quantile(part / PARTS) for part in range(1, PARTS)]
        edges = sorted({float(one) for one in ends if one is not None and math.isfinite(one)})
        numbers = values.cast(pl.Float64).fill_nan(None)
        return numbers.cut(edges).cast(pl.String).fill_null("missing")
    return values.cast(pl.String).fill_null("missing")


def _compare(
    inside: np.ndarray[tuple[int], np.dtype[np.bool_]],
    losses: Floats,
    days: Days | None,
    limits: Limits,
) -> tuple[float, float, float, float, float]:
    first, rest = float(losses[inside].mean()), float(losses[~inside].mean())
    pull = np.where(inside, (losses - first) / inside.sum(), -(losses - rest) / (~inside).sum())
    freedom = math.inf
    if days is not None and np.unique(days).size >= FEWEST_BLOCKS:
        blocks = np.unique(days, return_inverse=True)[1]
        pull = np.bincount(blocks, weights=pull)
        freedom = pull.size - 1.0
        pull = pull * math.sqrt(pull.size / freedom)
    error, effect = math.sqrt(float(np.sum(pull**2))), first - rest
    reach = float(stats.t.isf((1 - limits.confidence) / 2, freedom)) * error
    chance = 2 * float(stats.t.sf(abs(effect) / error, freedom)) if error > 0 else 1.0
    return first, rest, effect - reach, effect + reach, chance

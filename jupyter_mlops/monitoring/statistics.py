"""Distances between two samples, their noise floors and their tests.

Everything here is a pure function of counts or of sorted values, so that a
number can be checked by hand or against another package. Distances come with
the value they take when *nothing* changed (the noise floor): at 500 rows two
halves of the same table already differ by a PSI of 0.04, and a limit that
ignores this alarms on noise.

Sources
-------
PSI and its sampling distribution: Yurdakul, "Statistical Properties of the
Population Stability Index" (2018). False-discovery rate: Benjamini and
Hochberg (1995). Normal scores: van der Waerden (1952) for the location, Klotz (1962) for the
scale. One p-value from several that depend on each other: Liu and Xie, "Cauchy Combination
Test" (2020). The floor of the Wasserstein distance follows from
``sqrt(n)(F_n - F)`` being asymptotically normal with variance ``F(1 - F)``.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import stats

from jupyter_mlops.monitoring import merging
from jupyter_mlops.monitoring.columns import NumberColumn

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]
#: Quantiles at which normal scores are read.
SCORES = 64


def psi(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Population stability index of two vectors of bin counts or shares.

    Parameters
    ----------
    reference, current : array of shape (K,)
        Counts or shares of the same K bins. Each is normalised to sum 1.

    Returns
    -------
    float
        ``sum((q - p) * ln(q / p))`` in nats; infinite where a bin is empty on
        one side only. Bins empty on both sides count nothing.

    Examples
    --------
    >>> round(psi([50, 50], [60, 40]), 4)
    0.0405
    """
    p, q = _shares(reference, current)
    if np.any((p == 0) != (q == 0)):
        return math.inf
    kept = p > 0
    p, q = p[kept], q[kept]
    return float(np.sum((q - p) * np.log(q / p)))


def jensen_shannon(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """Jensen-Shannon divergence (nats, between 0 and ln 2) of two count vectors.

    Finite with empty bins, unlike :func:`psi`; for small differences
    ``8 * jensen_shannon`` equals the PSI to second order.
    """
    p, q = _shares(reference, current)
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        left = np.where(p > 0, p * np.log(p / middle), 0.0)
        right = np.where(q > 0, q * np.log(q / middle), 0.0)
    return float(max(0.0, (left.sum() + right.sum()) / 2))


def psi_floor(bins: int, reference_rows: int, current_rows: int) -> float:
    """Mean PSI of two samples of one distribution: ``(K - 1)(1/n + 1/m)``.

    Parameters
    ----------
    bins : int
        Number K of bins that hold anything.
    reference_rows, current_rows : int
        Sample sizes n and m.
    """
    if reference_rows <= 0 or current_rows <= 0:
        return math.inf
    return max(0, bins - 1) * (1 / reference_rows + 1 / current_rows)


def rows_needed(bins: int, reference_rows: int, largest_floor: float) -> int:
    """Rows the current window needs so that the noise floor is at most `largest_floor`.

    When the reference is itself too small for any window, the size that both
    sides would need is returned.
    """
    spare = largest_floor - max(0, bins - 1) / max(1, reference_rows)
    if spare <= 0.1 * largest_floor:
        return math.ceil(2 * max(0, bins - 1) / largest_floor)
    return max(2, math.ceil(max(0, bins - 1) / spare))


def chi2_two_samples(reference: npt.ArrayLike, current: npt.ArrayLike) -> float:
    """p-value of the 2 x K contingency test that both samples share one distribution.

    Both rows are treated as samples (testing the current counts against the
    reference shares as if these were exact rejects far too often). Bins whose
    expected count is below 5 on the smaller side are pooled, smallest first.
    """
    table = np.vstack([np.asarray(reference, float), np.asarray(current, float)])
    sizes = table.sum(axis=1)
    if np.any(sizes == 0):
        return 1.0
    table = table[:, np.argsort(table.sum(axis=0), kind="stable")]
    smaller = sizes.min() / sizes.sum()
    expected = table.sum(axis=0) * smaller
    pooled = int(np.searchsorted(expected, 5.0))
    while 0 < pooled < expected.size and expected[:pooled].sum() < 5.0:
        pooled += 1
    if pooled:
        table = np.column_stack([table[:, :pooled].sum(axis=1), table[:, pooled:]])
    if table.shape[1] < 2:
        return 1.0
    expected_table = np.outer(sizes, table.sum(axis=0)) / sizes.sum()
    statistic = float(np.sum((table - expected_table) ** 2 / expected_table))
    return float(stats.chi2.sf(statistic, table.shape[1] - 1))


def kolmogorov_smirnov(
    reference: Floats | NumberColumn, current: Floats | NumberColumn, alike: float = 1.0
) -> tuple[float, float]:
    """Kolmogorov-Smirnov distance of two *sorted* samples and its asymptotic p-value.

    With ties the p-value is too large, never too small. Where `alike` rows say as much as one,
    as `dependence.repeats` tells, there are so many times fewer.
    """
    reference, current = _column(reference), _column(current)
    distance = distances(reference, current).largest
    return distance, chance_of_gap(distance, reference.present, current.present, alike)


def chance_of_gap(distance: float, n: int, m: int, alike: float = 1.0) -> float:
    """Chance of so large a Kolmogorov-Smirnov distance of n and m rows when nothing changed."""
    if n == 0 or m == 0:
        return 1.0
    return float(stats.kstwobign.sf(distance * math.sqrt(n * m / (n + m) / alike)))


def normal_scores(
    reference: NumberColumn, current: NumberColumn, alike: float = 1.0
) -> tuple[float, float]:
    """Two-sided p-values that the location, and that the scale, is the same.

    Tests by normal scores of the ranks, read at 64 quantiles of the reference: of two normal
    samples they find as small a shift as Student's test does, and tails can't mislead them.

    Parameters
    ----------
    reference, current : NumberColumn
    alike : float
        As of :func:`kolmogorov_smirnov`.
    """
    n, m = reference.present, current.present
    if n == 0 or m == 0:
        return 1.0, 1.0
    points = np.unique(reference.quantiles(np.arange(1, SCORES) / SCORES))
    sides = [
        np.diff(np.concatenate([[0], side.upto(points), [side.present]]))
        for side in (reference, current)
    ]
    pooled = (sides[0] + sides[1]) / (n + m)
    score = stats.norm.ppf(np.clip(np.cumsum(pooled) - pooled / 2, 1e-9, 1 - 1e-9))
    found = []
    for one in (score, (score - pooled @ score) ** 2):
        variance = float(pooled @ one**2 - (pooled @ one) ** 2)
        if variance <= 0:
            found.append(1.0)
            continue
        moved = float(sides[1] @ one / m - sides[0] @ one / n)
        z = moved / math.sqrt(variance * (1 / n + 1 / m) * alike)
        found.append(float(2 * stats.norm.sf(abs(z))))
    return found[0], found[1]


def together(p_values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """One p-value from several of the same rows, whatever they share (Cauchy combination).

    Parameters
    ----------
    p_values : sequence of float
    weights : sequence of float of the same length, optional
        How much each counts; all alike when left out.

    Examples
    --------
    >>> round(together([0.01, 0.01]), 4)
    0.01
    >>> round(together([0.001, 0.5, 0.9]), 4)
    0.003
    """
    # A test that can't say more than 1 must not outweigh one that is sure.
    kept = np.clip(np.asarray(p_values, float), 1e-300, 0.95)
    # For the smallest the tangent is 1 / (π p) to all digits, where its argument is not.
    small = kept < 1e-10
    terms = np.where(
        small, 1 / (math.pi * kept), np.tan((0.5 - np.where(small, 0.5, kept)) * math.pi)
    )
    return float(stats.cauchy.sf(np.average(terms, weights=weights)))


def wasserstein(
    reference: Floats | NumberColumn, current: Floats | NumberColumn
) -> tuple[float, float]:
    """First Wasserstein distance of two *sorted* samples and its noise floor.

    Parameters
    ----------
    reference, current : sorted arrays of shape (n,) and (m,), or columns
        Finite values in the unit of the column.

    Returns
    -------
    (float, float)
        Distance ``∫ |F - G| dx`` and the mean it has when nothing changed,
        ``sqrt(2/π (1/n + 1/m)) ∫ sqrt(H (1 - H)) dx`` with H the pooled
        distribution function, both in the unit of the column.
    """
    found = distances(reference, current)
    if not math.isfinite(found.moved + found.noise):
        raise ValueError("infinite values have no distance; clip them first")
    return found.moved, found.noise


class Distances(NamedTuple):
    """How far two distribution functions lie apart.

    Attributes
    ----------
    largest : float
        Their largest difference (Kolmogorov-Smirnov).
    moved, noise : float
        As :func:`wasserstein` returns them; infinite or NaN where a value is infinite.
    """

    largest: float
    moved: float
    noise: float


def distances(
    reference: Floats | NumberColumn,
    current: Floats | NumberColumn,
    within: tuple[float, float] = (-math.inf, math.inf),
) -> Distances:
    """All distances of two *sorted* samples in one pass.

    Parameters
    ----------
    reference, current : sorted arrays of shape (n,) and (m,), or columns
    within : (float, float)
        For `moved` and `noise`, values outside count as the nearer end.
    """
    reference, current = _column(reference), _column(current)
    n, m = reference.present, current.present
    if n == 0 or m == 0:
        return Distances(0.0, 0.0, 0.0)
    sides = (reference.values, current.values, reference.counts, current.counts)
    largest = moved = noise = 0.0
    last: tuple[float, float, float] | None = None
    for points, left, right in merging.pieces(*sides):
        gaps = left / n
        gaps -= right / m
        np.abs(gaps, out=gaps)
        # Within a run of equal values the distribution functions don't stand still.
        ends = points[1:] > points[:-1]
        largest = max(largest, gaps[-1], np.max(gaps[:-1], where=ends, initial=0.0))
        pooled = (left + right) / (n + m)
        pooled *= 1 - pooled
        np.sqrt(pooled, out=pooled)
        kept = np.clip(points, *within)
        # Where two values are equal the width is 0, so that their counts don't matter.
        with np.errstate(invalid="ignore"):
            widths = np.diff(kept)
            if last is not None:
                width = float(kept[0]) - last[0]
                moved += last[1] * width
                noise += last[2] * width
            moved += float(gaps[:-1] @ widths)
            noise += float(pooled[:-1] @ widths)
        last = float(kept[-1]), float(gaps[-1]), float(pooled[-1])
    return Distances(float(largest), moved, math.sqrt(2 / math.pi * (1 / n + 1 / m)) * noise)


def robust_scale(reference: Floats | NumberColumn) -> float:
    """Interquartile range of a sorted sample; its 5-95 % range where that is 0; else 0.

    A standard deviation would let one outlier in the reference hide any shift.
    """
    reference = _column(reference)
    if reference.present == 0:
        return 0.0
    q05, q25, q75, q95 = reference.quantiles([0.05, 0.25, 0.75, 0.95]).tolist()
    return float((q75 - q25) or (q95 - q05))


def two_shares(count_a: int, rows_a: int, count_b: int, rows_b: int) -> float:
    """Two-sided p-value that two counts of rows come from one share.

    Fisher's exact test below 100 hits in total, the pooled z-test above.
    """
    if rows_a == 0 or rows_b == 0:
        return 1.0
    hits, misses = count_a + count_b, rows_a + rows_b - count_a - count_b
    if hits == 0 or misses == 0:
        return 1.0
    if min(hits, misses) < 100:
        table = [[count_a, rows_a - count_a], [count_b, rows_b - count_b]]
        return float(stats.fisher_exact(table).pvalue)
    pooled = hits / (rows_a + rows_b)
    difference = count_b / rows_b - count_a / rows_a
    z = difference / math.sqrt(pooled * (1 - pooled) * (1 / rows_a + 1 / rows_b))
    return float(2 * stats.norm.sf(abs(z)))


def unseen_mass(reference: Mapping[str, int], current: Mapping[str, int]) -> tuple[float, float]:
    """Rows of the current sample whose category the reference never held.

    When nothing changed, which of the pooled rows are "the reference" is chance
    alone: a category with c pooled rows lies wholly in the current sample with
    probability at most ``(m / (n + m)) ** c``. Expectation and tail follow from
    this, so an identifier column, where every value is new, is no alarm.

    Parameters
    ----------
    reference, current : mapping of str to int
        Rows by category, missing values left out; n and m rows in total.

    Returns
    -------
    (float, float)
        Share of current rows in unseen categories beyond the expected share, and
        a Chernoff bound of the one-sided p-value (exact for a single category).
    """
    n, m = sum(reference.values()), sum(current.values())
    if n == 0 or m == 0:
        return 0.0, 1.0
    new = sum(count for value, count in current.items() if value not in reference)
    pooled = Counter(current)
    pooled.update(reference)
    sizes_of, categories_of = np.unique(
        np.fromiter(pooled.values(), np.int64, len(pooled)), return_counts=True
    )
    sizes, categories = sizes_of.astype(float), categories_of.astype(float)
    log_chance = sizes * math.log(m / (n + m))
    expected = float(np.sum(categories * sizes * np.exp(log_chance)))
    if new <= expected:
        return 0.0, 1.0
    # A category with more rows than were new must not have been among them: its chance is
    # added by itself, so that the tilt below needs to carry the small ones alone.
    large = sizes > new
    chance_of_large = float(np.sum(categories[large] * np.exp(log_chance[large])))
    sizes, categories, log_chance = sizes[~large], categories[~large], log_chance[~large]
    tilts = np.geomspace(1e-3 / sizes.max(), 50.0, 400)[:, None]
    terms = categories * np.logaddexp(np.log1p(-np.exp(log_chance)), log_chance + tilts * sizes)
    bound = float(np.min(terms.sum(axis=1) - tilts[:, 0] * new))
    return (new - expected) / m, min(1.0, math.exp(min(0.0, bound)) + chance_of_large)


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the false-discovery rate over all of them.

    Examples
    --------
    >>> benjamini_hochberg([0.01, 0.04, 0.03])
    [0.03, 0.04, 0.04]
    """
    if not p_values:
        return []
    return [float(p) for p in stats.false_discovery_control(np.clip(p_values, 0, 1), method="bh")]


def _column(sample: Floats | NumberColumn) -> NumberColumn:
    return sample if isinstance(sample, NumberColumn) else NumberColumn(sample, 0)


def _shares(reference: npt.ArrayLike, current: npt.ArrayLike) -> tuple[Floats, Floats]:
    p, q = np.asarray(reference, float), np.asarray(current, float)
    if p.shape != q.shape:
        raise ValueError(f"the two count vectors have {p.size} and {q.size} bins")
    if p.sum() <= 0 or q.sum() <= 0:
        raise ValueError("a sample without rows has no distribution")
    return p / p.sum(), q / q.sum()

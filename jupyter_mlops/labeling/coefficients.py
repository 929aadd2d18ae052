"""Agreement beyond chance, each with a bootstrap interval over items.

Sources: Cohen 1960 and 1968 (weights); Fleiss 1971; Krippendorff, Computing Krippendorff's
Alpha-Reliability, 2011; Efron and Tibshirani 1993, chapter 13 (percentile interval).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["Estimate", "Level", "alpha", "cohen", "fleiss", "mean", "wilson"]

Level = Literal["nominal", "ordinal", "interval"]
Floats = npt.NDArray[np.float64]
RESAMPLES = 500
# Many items need fewer resamples for an interval as steady, and memory has an end.
_MOST_DRAWN, _FEWEST_RESAMPLES = 5_000_000, 50
_CHUNK = 2000
# Two-sided 95 %.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, and how many items or cases it rests on.

    `value` is None where it isn't defined: with fewer than two answers to an item, or when
    everybody always said the same and chance would agree as well.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def alpha(
    ratings: npt.ArrayLike, level: Level = "nominal", groups: npt.ArrayLike | None = None
) -> Estimate:
    r"""Krippendorff's alpha: :math:`1 - D_o / D_e`, for any number of people and gaps.

    Parameters
    ----------
    ratings : array of shape (units, people)
        Numbers; NaN where a person said nothing. For nominal data any codes will do.
    level : {"nominal", "ordinal", "interval"}
        How far apart two values are: different or not, by the values between them, or by
        the square of their difference.
    groups : array of shape (units,), optional
        The item of each unit, where an item has many (tokens, frames): the interval then
        draws items, since what is in one item isn't independent.

    Returns
    -------
    Estimate
        Its `n` counts the items with two values or more.

    Examples
    --------
    >>> round(alpha([[1, 1], [2, 2], [3, 3], [3, 4]]).value, 3)
    0.696
    """
    table = np.asarray(ratings, float)
    values, counts = _counts(table)
    used = counts.sum(axis=1) >= 2
    counts = counts[used]
    items = np.arange(len(table)) if groups is None else np.asarray(groups)
    _, items = np.unique(items[used], return_inverse=True)
    number = int(items.max()) + 1 if len(items) else 0
    if not number:
        return Estimate(None, None, None, 0)
    pairs = counts.sum(axis=1) - 1
    marginals = np.zeros((number, len(values)))
    np.add.at(marginals, items, counts)
    drawn = _draws(number)
    totals = drawn @ marginals
    if level == "nominal":
        unlike = (counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)) / pairs
        observed = drawn @ np.bincount(items, unlike, number)
        expected = totals.sum(axis=1) ** 2 - (totals**2).sum(axis=1)
    else:
        together = _together(drawn, items, counts / np.sqrt(pairs)[:, None])
        apart = _distances(values, totals, level)
        observed = (together * apart).sum(axis=(1, 2))
        expected = np.einsum("bi,bij,bj->b", totals, apart, totals)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 1 - observed * (totals.sum(axis=1) - 1) / expected
    return _estimate(found, number)


def fleiss(ratings: npt.ArrayLike) -> Estimate:
    r"""Fleiss' kappa, :math:`(\bar P - \bar P_e) / (1 - \bar P_e)`.

    Parameters
    ----------
    ratings : array of shape (items, people)
        Codes; NaN where a person said nothing. It needs equally many for each item, so items
        with another number of answers than most have are left out.

    Returns
    -------
    Estimate
    """
    _, counts = _counts(np.asarray(ratings, float))
    sizes = counts.sum(axis=1)
    sizes_of_two = sizes[sizes >= 2].astype(int)
    if not len(sizes_of_two):
        return Estimate(None, None, None, 0)
    size = int(np.bincount(sizes_of_two).argmax())
    counts = counts[sizes == size]
    drawn = _draws(len(counts))
    agreed = ((counts**2).sum(axis=1) - size) / (size * (size - 1))
    observed = drawn @ agreed / len(counts)
    shares = drawn @ counts / (len(counts) * size)
    chance = (shares**2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _estimate((observed - chance) / (1 - chance), len(counts))


def cohen(a: npt.ArrayLike, b: npt.ArrayLike, weights: Literal["", "quadratic"] = "") -> Estimate:
    r"""Cohen's kappa of two people, :math:`1 - \sum w o / \sum w e`.

    Parameters
    ----------
    a, b : array of shape (items,)
        What each said, as numbers; NaN where one said nothing.
    weights : {"", "quadratic"}
        Quadratic weights make a large difference count more than a small one.

    Returns
    -------
    Estimate

    Examples
    --------
    >>> round(cohen([0, 0, 1, 1], [0, 1, 1, 1]).value, 3)
    0.5
    """
    first, second = np.asarray(a, float), np.asarray(b, float)
    both = ~(np.isnan(first) | np.isnan(second))
    values, codes = np.unique(np.concatenate([first[both], second[both]]), return_inverse=True)
    size, number = len(values), int(both.sum())
    if not number:
        return Estimate(None, None, None, 0)
    cells = codes[:number] * size + codes[number:]
    cost = (values[:, None] - values[None]) ** 2 if weights else 1.0 - np.eye(size)
    drawn = _draws(number)
    found = np.full(len(drawn), np.nan)
    for turn, draw in enumerate(drawn):
        table = np.bincount(cells, draw, size * size).reshape(size, size) / number
        chance = table.sum(axis=1)[:, None] * table.sum(axis=0)[None]
        if (expected := float((cost * chance).sum())) > 0:
            found[turn] = 1 - float((cost * table).sum()) / expected
    return _estimate(found, number)


def mean(values: npt.ArrayLike) -> Estimate:
    """The mean of one value an item, with its bootstrap interval."""
    found = np.asarray(values, float)
    if not len(found):
        return Estimate(None, None, None, 0)
    return _estimate(_draws(len(found)) @ found / len(found), len(found))


def wilson(right: int, n: int) -> Estimate:
    """A share with Wilson's score interval (1927), which holds for few cases and near 0 or 1.

    Examples
    --------
    >>> found = wilson(9, 10)
    >>> round(found.low, 3), round(found.high, 3)
    (0.596, 0.982)
    """
    if n < 1:
        return Estimate(None, None, None, 0)
    share, spread = right / n, _Z**2 / n
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return Estimate(share, max(0.0, middle - half), min(1.0, middle + half), n)


def _counts(table: Floats) -> tuple[Floats, Floats]:
    """The values there are, and how many people gave each of them to each unit."""
    given = ~np.isnan(table)
    values, codes = np.unique(table[given], return_inverse=True)
    counts = np.zeros((len(table), len(values)))
    np.add.at(counts, (np.nonzero(given)[0], codes), 1)
    return values, counts


def _draws(number: int) -> Floats:
    """How often each item is in each resample; the first has each item once.

    The seed is fixed: the same labels have the same interval.
    """
    chance = np.random.default_rng(20260)
    resamples = min(RESAMPLES, max(_FEWEST_RESAMPLES, _MOST_DRAWN // number))
    drawn = np.empty((resamples + 1, number))
    drawn[0] = 1
    for turn in range(1, resamples + 1):
        drawn[turn] = np.bincount(chance.integers(0, number, number), minlength=number)
    return drawn


def _together(drawn: Floats, items: npt.NDArray[np.int64], counts: Floats) -> Floats:
    """Coincidence matrices: how often two values were given to the same unit, by resample."""
    size = counts.shape[1]
    found = np.zeros((len(drawn), size * size))
    for start in range(0, len(counts), _CHUNK):
        part = counts[start : start + _CHUNK]
        pairs = (part[:, :, None] * part[:, None]).reshape(len(part), -1)
        found += drawn[:, items[start : start + _CHUNK]] @ pairs
    return found.reshape(len(drawn), size, size)


def _distances(values: Floats, totals: Floats, level: Level) -> Floats:
    """How far apart two values are, squared; for ordinal data that depends on all answers."""
    if level == "interval":
        return np.broadcast_to(
            (values[:, None] - values[None]) ** 2, (len(totals), *2 * values.shape)
        )
    # Half of a value's answers lie below it: the distance is what lies between two middles.
    middles = np.cumsum(totals, axis=1) - totals / 2
    return np.asarray((middles[:, :, None] - middles[:, None]) ** 2)


def _estimate(found: Floats, number: int) -> Estimate:
    if not math.isfinite(found[0]):
        return Estimate(None, None, None, number)
    known = found[1:][np.isfinite(found[1:])]
    if number < 2 or not len(known):
        return Estimate(float(found[0]), None, None, number)
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(float(found[0]), float(low), float(high), number)

"""Which items to label next: the strategies of active learning.

A strategy scores a pool of unlabelled items; the highest are labelled first. Anything with
``score(pool) -> array`` is one, so those of other libraries take a few lines to plug in.

Sources: Settles, Active Learning Literature Survey, 2009 (margin, entropy, least
confidence); Zhdanov, Diverse mini-batch Active Learning, 2019 (margin and k-means).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["DEFAULT", "STRATEGIES", "Pool", "Strategy", "strategy", "suspicion"]

Floats = npt.NDArray[np.float64]
DEFAULT = "margin-kmeans"
# Clusters are made of this many times the batch, the least certain ones.
_PRESELECTED = 10


@dataclass(frozen=True)
class Pool:
    """What there is to choose from.

    Attributes
    ----------
    vectors : numpy.ndarray of shape (items, features)
    probabilities : numpy.ndarray of shape (items, classes), optional
        What a model says; None before there is one.
    counts : numpy.ndarray of shape (classes,)
        How many labels each class has.
    batch : int
        How many items are labelled before the next ranking.
    known : numpy.ndarray of shape (labelled, features)
        The labelled items' vectors.
    codes : numpy.ndarray of shape (labelled,)
        The labelled items' classes, as numbers.
    chance : numpy.random.Generator
    """

    vectors: Floats
    probabilities: Floats | None
    counts: npt.NDArray[np.int64]
    batch: int = 10
    known: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    codes: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    chance: np.random.Generator = field(default_factory=np.random.default_rng)

    def __len__(self) -> int:
        return len(self.vectors)


@runtime_checkable
class Strategy(Protocol):
    """Scores a pool; the highest are labelled first."""

    def score(self, pool: Pool) -> npt.ArrayLike:
        """One number an item, shape (items,)."""


@dataclass(frozen=True)
class _Scored:
    """A strategy that is a function."""

    score: Callable[[Pool], Floats]


def strategy(wanted: str | Any) -> Strategy:
    """A strategy by its name, or the object itself if it can score.

    Raises
    ------
    Invalid
        There is no such strategy.

    Examples
    --------
    >>> pool = Pool(np.zeros((2, 1)), np.array([[0.9, 0.1], [0.6, 0.4]]), np.array([1, 1]))
    >>> strategy("margin").score(pool).argmax()
    np.int64(1)
    """
    if isinstance(wanted, str) and wanted in STRATEGIES:
        return _Scored(STRATEGIES[wanted])
    if not isinstance(wanted, str) and isinstance(wanted, Strategy):
        return wanted
    raise Invalid(
        f"items can't be chosen by {wanted!r}",
        f"the strategies are {', '.join(STRATEGIES)}, or an object with score(pool)",
        closest(wanted, STRATEGIES) if isinstance(wanted, str) else "",
        code="E-LABEL-115",
    )


def suspicion(
    probabilities: Floats, codes: npt.NDArray[np.int64]
) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """How likely each label is wrong, and whether it most likely is.

    The score is one minus the probability that a model, which hasn't seen the item, gives the
    label. A label is most likely wrong when the model gives another class at least the mean
    probability it has where it is the label (Northcutt et al., Confident Learning, 2021).

    Parameters
    ----------
    probabilities : array of shape (items, classes)
        Out of sample: from a model that wasn't trained on the item.
    codes : array of shape (items,)
        The labels.

    Returns
    -------
    tuple of arrays of shape (items,)
    """
    rows = np.arange(len(codes))
    own = probabilities[rows, codes]
    classes = probabilities.shape[1]
    counts = np.bincount(codes, minlength=classes)
    sums = np.bincount(codes, own, classes)
    bars = np.divide(sums, counts, out=np.full(classes, np.inf), where=counts > 0)
    reached = np.where(probabilities >= bars, probabilities, -1.0)
    best = reached.argmax(axis=1)
    return 1 - own, (best != codes) & (reached[rows, best] >= 0)


def _random(pool: Pool) -> Floats:
    return pool.chance.random(len(pool))


def _margin(pool: Pool) -> Floats:
    if pool.probabilities is None:
        return _random(pool)
    top = np.partition(pool.probabilities, -2, axis=1)
    return np.asarray(top[:, -2] - top[:, -1])


def _entropy(pool: Pool) -> Floats:
    if pool.probabilities is None:
        return _random(pool)
    sure = np.clip(pool.probabilities, 1e-12, 1)
    return np.asarray(-(sure * np.log(sure)).sum(axis=1))


def _least_confident(pool: Pool) -> Floats:
    if pool.probabilities is None:
        return _random(pool)
    return np.asarray(1 - pool.probabilities.max(axis=1))


def _rarest(pool: Pool) -> Floats:
    """The classes with the fewest labels, where the model expects them."""
    if pool.probabilities is None:
        return _random(pool)
    rarity = 1 / (pool.counts + 1)
    return np.asarray(pool.probabilities @ rarity)


def _margin_kmeans(pool: Pool) -> Floats:
    """Uncertain items that differ: the least certain are clustered, one taken from each.

    Without a model the clusters are those of the whole pool: a batch that covers it.
    """
    order = np.argsort(-_margin(pool), kind="stable")
    if pool.probabilities is None:
        order = pool.chance.permutation(len(pool))
        candidates = order
    else:
        candidates = order[: _PRESELECTED * pool.batch]
    chosen = _spread(pool, candidates)
    scores = np.empty(len(pool))
    scores[order] = -np.arange(len(pool), dtype=float)
    # The chosen come before all others, which keep their order.
    scores[chosen] = len(pool) - np.arange(len(chosen), dtype=float)
    return scores


def _spread(pool: Pool, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For each of a batch of clusters the candidate nearest to its middle, large ones first."""
    from sklearn.cluster import KMeans

    points = pool.vectors[candidates]
    distinct = len(np.unique(points, axis=0))
    count = min(pool.batch, distinct)
    if count < 2:
        return candidates[: pool.batch]
    weights = None
    if pool.probabilities is not None:
        # Zhdanov weighs by informativeness: an item with a small margin counts more.
        weights = np.maximum(1 + _margin(pool)[candidates], 1e-6)
    seed = int(pool.chance.integers(2**31))
    means = KMeans(count, n_init=1, random_state=seed).fit(points, sample_weight=weights)
    distance = means.transform(points)
    sizes = np.bincount(means.labels_, minlength=count)
    picked: list[int] = []
    for cluster in np.argsort(-sizes, kind="stable"):
        nearest = np.argsort(distance[:, cluster], kind="stable")
        picked.append(next(int(one) for one in nearest if int(one) not in picked))
    return candidates[picked]


STRATEGIES: dict[str, Callable[[Pool], Floats]] = {
    "margin-kmeans": _margin_kmeans,
    "margin": _margin,
    "entropy": _entropy,
    "least-confident": _least_confident,
    "rarest": _rarest,
    "random": _random,
}

"""The best of many trials looks better than it is: its value without that luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from jupyter_mlops.experiments.losses import Numbers
from jupyter_mlops.workspace import Invalid

__all__ = ["FEWEST", "Corrected", "by_luck", "corrected"]

#: Independent rows below which nothing is corrected.
FEWEST: Final = 10
#: Bootstrap rounds at a time.
_BATCH: Final = 32
#: The share of rows that a bootstrap leaves out: 1/e.
_OUT: Final = float(np.exp(-1))


@dataclass(frozen=True)
class Corrected:
    """The winner's value on rows it wasn't chosen by.

    Attributes
    ----------
    value : float
        In the losses' unit.
    low, high : float
        The interval; approximate, as losses of folds whose models share rows aren't independent.
    optimism : float
        How much better the winner looked than `value`; not below 0 but by chance.
    naive : float
        How the winner looked.
    winner : int
        Its place among the trials.
    """

    value: float
    low: float
    high: float
    optimism: float
    naive: float
    winner: int


def corrected(
    losses: Numbers,
    *,
    maximize: bool = False,
    groups: Any = None,
    seed: int = 0,
    rounds: int = 500,
    level: float = 0.95,
) -> Corrected:
    """Correct the value of the best trial for having been the best of many.

    Bootstrap bias correction (BBC) [1]_: each round draws rows with replacement, chooses the best
    trial by them, and scores it on the rows that weren't drawn. The mean over rounds is the value;
    the interval is the rounds' percentiles, drawn together by the factor by which the mean of
    the left-out 1/e of rows scatters more than the mean of all rows would.

    Parameters
    ----------
    losses : ndarray, shape (trials, rows)
        Out-of-fold or held-out losses; the same rows for each trial.
    maximize : bool
        More is better.
    groups : array, shape (rows,), optional
        Rows that belong together are drawn together.
    seed : int
    rounds : int
    level : float

    Raises
    ------
    Invalid
        Too few rows, numbers that aren't finite, or shapes that don't fit.

    References
    ----------
    .. [1] Tsamardinos, Greasidou, Borboudakis, Bootstrapping the out-of-sample predictions for
       efficient and accurate cross-validation, Machine Learning 107, 2018.
    """
    sums, counts = _units(np.asarray(losses, dtype=np.float64), groups)
    sign = -1.0 if maximize else 1.0
    units = len(counts)
    rng = np.random.default_rng(seed)
    scores: list[Numbers] = []
    while sum(map(len, scores)) < rounds:
        drawn = rng.multinomial(units, np.full(units, 1 / units), size=_BATCH).astype(np.float64)
        chosen = np.argmin(sign * (sums @ drawn.T) / (drawn @ counts), axis=0)
        out = drawn == 0
        rest = out @ counts
        some = rest > 0
        scores.append(((sums[chosen] * out).sum(axis=1)[some]) / rest[some])
    found = np.concatenate(scores)[:rounds]
    value = float(found.mean())
    ends = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    # A mean of the share 1/e of n rows, drawn without replacement, has the variance
    # s^2 / n x (1 - 1/e) / (1/e); the mean of all rows has s^2 / n.
    low, high = value + (ends - value) / np.sqrt((1 - _OUT) / _OUT)
    means = sums.sum(axis=1) / counts.sum()
    winner = int(np.argmin(sign * means))
    naive = float(means[winner])
    return Corrected(value, float(low), float(high), sign * (value - naive), naive, winner)


def _units(losses: Numbers, groups: Any) -> tuple[Numbers, Numbers]:
    """Sums of losses by unit of drawing, shape (trials, units), and rows in each."""
    if losses.ndim != 2 or not losses.shape[0]:
        raise Invalid(
            f"losses have the shape {losses.shape}",
            fix="give one row of losses for each trial",
            code="E-SEARCH-050",
        )
    if not np.isfinite(losses).all():
        raise Invalid(
            "some losses are no finite numbers",
            "their mean wouldn't be one either",
            "leave those trials out",
            code="E-SEARCH-051",
        )
    counts = np.ones(losses.shape[1])
    if groups is not None:
        names, places = np.unique(np.asarray(groups), return_inverse=True)
        if len(places) != losses.shape[1]:
            raise Invalid(
                f"there are {len(places)} groups for {losses.shape[1]} rows",
                fix="give the group of each row",
                code="E-SEARCH-053",
            )
        counts = np.bincount(places, minlength=len(names)).astype(np.float64)
        losses = np.stack([np.bincount(places, one, minlength=len(names)) for one in losses])
    if len(counts) < FEWEST:
        raise Invalid(
            f"{len(counts)} independent rows are too few to correct by",
            fix=f"give at least {FEWEST}",
            code="E-SEARCH-052",
        )
    return losses, counts


def by_luck(trials: int, standard_error: float) -> float:
    """How much better than the rest the best of equal trials would look.

    Where one number a trial is all that is known, nothing can be corrected; but when the standard
    error of that number is known, this tells which lead means nothing. It is the expected
    largest of independent normal errors, so an upper bound where trials share rows.

    Parameters
    ----------
    trials : int
    standard_error : float
        Of one trial's value.

    Examples
    --------
    >>> round(by_luck(64, 0.01), 4)
    0.0239
    """
    from scipy import stats
    from scipy.integrate import quad

    if trials < 2:
        return 0.0

    def density(x: float) -> float:
        value: float = x * trials * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1)
        return value

    return float(quad(density, -10, 10, limit=200)[0]) * standard_error

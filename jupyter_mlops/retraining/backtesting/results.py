"""What a back-test found: each policy's promotions, cost and loss, with intervals over seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl
from scipy import stats

from jupyter_mlops.retraining.backtesting.playing import Played, Step
from jupyter_mlops.workspace import Result

__all__ = ["Backtest", "Curve", "Outcome", "Spread", "curves", "summarize"]

_CONFIDENCE = 0.95
_PARTS = 24


@dataclass(frozen=True)
class Spread:
    """A mean over seeds, with its interval; the same three times where there is one seed."""

    mean: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Student's interval of a mean."""
        found = np.asarray(values, dtype=np.float64)
        mean = float(found.mean())
        if len(found) < 2:
            return cls(mean, mean, mean)
        reach = float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(found) - 1))
        reach *= float(found.std(ddof=1)) / math.sqrt(len(found))
        return cls(mean, mean - reach, mean + reach)


@dataclass(frozen=True)
class Outcome:
    """What came of one policy.

    Attributes
    ----------
    name, terms : str
    trainings, promotions, cpu_seconds, loss : Spread
    regret : Spread
        Loss above that of the best policy of the same seed.
    kept : Spread or None
        Its gain over never training, as a share of the gain of training and promoting at each
        look; None where that gains nothing.
    fruitless : Spread
        Trainings whose model wasn't promoted.
    steps : tuple of Step
        The looks of the first seed.
    """

    name: str
    terms: str
    trainings: Spread
    promotions: Spread
    cpu_seconds: Spread
    loss: Spread
    regret: Spread
    kept: Spread | None
    fruitless: Spread
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Curve:
    """A policy's mean loss in each part of the past.

    Attributes
    ----------
    name : str
    starts : tuple of datetime, length N
        When each part begins; all are equally long.
    losses : tuple of float or None, length N
        None where no rows came.
    """

    name: str
    starts: tuple[datetime, ...]
    losses: tuple[float | None, ...]


@dataclass(frozen=True)
class Backtest(Result):
    """Policies beside each other on the same past.

    Attributes
    ----------
    model, endpoint : str
    loss : str
        The loss that counts, such as ``log_loss``.
    outcomes : tuple of Outcome
        The smallest loss first.
    rows, seeds : int
    share : float
        Of the rows in each seed.
    first, last : datetime
    notes : tuple of str
    curves : tuple of Curve
        Each policy's loss over time, of the first seed.
    """

    model: str
    endpoint: str
    loss: str
    outcomes: tuple[Outcome, ...]
    rows: int
    seeds: int
    share: float
    first: datetime
    last: datetime
    seconds: float
    notes: tuple[str, ...] = ()
    curves: tuple[Curve, ...] = ()

    def __getitem__(self, name: str) -> Outcome:
        return next(one for one in self.outcomes if one.name == name)


def summarize(played: Sequence[Played], terms: dict[str, str]) -> tuple[Outcome, ...]:
    """Put the seeds of each policy together.

    Parameters
    ----------
    played : sequence of Played
        ``never`` and ``always`` among them.
    terms : dict of str to str
        What each policy says, in words.
    """
    by_name: dict[str, dict[int, Played]] = {}
    for one in played:
        by_name.setdefault(one.name, {})[one.seed] = one
    seeds = sorted(next(iter(by_name.values())))
    best = {seed: min(each[seed].loss for each in by_name.values()) for seed in seeds}
    made = [_outcome(name, each, by_name, best, terms[name]) for name, each in by_name.items()]
    return tuple(sorted(made, key=lambda one: one.loss.mean))


def curves(played: Sequence[Played], times: pl.Series) -> tuple[Curve, ...]:
    """The losses of the first seed over time, in parts of equal length.

    Parameters
    ----------
    played : sequence of Played
    times : polars.Series of datetime, shape (rows,)
        Of the rows that the first seed was played on.
    """
    at = times.dt.epoch("us").to_numpy()
    first, last = int(at.min()), int(at.max())
    width = max(1, (last - first) // _PARTS + 1)
    part = (at - first) // width
    counts = np.bincount(part, minlength=_PARTS)
    starts = tuple(
        datetime.fromtimestamp((first + one * width) / 1e6, UTC) for one in range(len(counts))
    )
    found = []
    for one in played:
        if one.seed == 0:
            sums = np.bincount(part, weights=one.losses, minlength=_PARTS)
            means = [float(s / c) if c else None for s, c in zip(sums, counts, strict=True)]
            found.append(Curve(one.name, starts, tuple(means)))
    return tuple(found)


def _outcome(
    name: str,
    each: dict[int, Played],
    by_name: dict[str, dict[int, Played]],
    best: dict[int, float],
    terms: str,
) -> Outcome:
    seeds = sorted(each)
    kept = None
    never, always = by_name.get("never"), by_name.get("always")
    if never and always:
        gains = [never[seed].loss - always[seed].loss for seed in seeds]
        if min(gains) > 0:
            kept = Spread.of(
                [
                    (never[seed].loss - each[seed].loss) / gain
                    for seed, gain in zip(seeds, gains, strict=True)
                ]
            )
    ordered = [each[seed] for seed in seeds]
    return Outcome(
        name,
        terms,
        Spread.of([one.trainings for one in ordered]),
        Spread.of([one.promotions for one in ordered]),
        Spread.of([one.cpu_seconds for one in ordered]),
        Spread.of([one.loss for one in ordered]),
        Spread.of([one.loss - best[one.seed] for one in ordered]),
        kept,
        Spread.of([one.trainings - one.promotions for one in ordered]),
        ordered[0].steps,
    )

"""When the loss changed: detectors over the rows in the order of their events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, get_args

import numpy as np

from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS, Floats
from jupyter_mlops.monitoring.spread import Days, Spread
from jupyter_mlops.workspace import Unavailable

__all__ = ["DETECTORS", "Change", "Detector", "find_changes", "nominate"]

Detector = Literal["adwin", "page-hinkley", "kswin"]
DETECTORS: tuple[Detector, ...] = get_args(Detector)

#: How often a stream without any change may be said to have one.
ALPHA = 0.01
FEWEST_ROWS = 100
# A side of a change with fewer rows has no mean to speak of.
SHORTEST = 30
# One strange day or two are no change; luck of days is skewed, which so few don't average out.
FEWEST_DAYS = 3
# KSWIN sorts its window at every row, a thousand times the work of the others.
MOST_FOR_KSWIN = 2_000


@dataclass(frozen=True)
class Change:
    """A change of the mean loss.

    Attributes
    ----------
    detector : str
    began, seen : datetime or None
        When the loss changed, as the rows tell it afterwards, and when the detector said so.
    began_row, seen_row : int
        The same as numbers of rows with truth in event order.
    before, after : float
        Mean loss since the change before it, and until the next one.
    low, high : float
        Interval of the difference, which holds for all the changes that might have been found.
    p_value : float
        Of the difference, times the number of places where a change might have been.
    """

    detector: Detector
    began: datetime | None
    seen: datetime | None
    began_row: int
    seen_row: int
    before: float
    after: float
    low: float
    high: float
    p_value: float

    @property
    def delay(self) -> int:
        """Rows with truth between the change and its detection."""
        return self.seen_row - self.began_row

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers; times as they are."""
        return asdict(self)


def find_changes(
    losses: Floats,
    times: Sequence[datetime] | None = None,
    days: Days | None = None,
    *,
    reference: Floats | None = None,
    detector: Detector = "adwin",
    alpha: float = ALPHA,
) -> list[Change]:
    """Find where the mean loss changed.

    Parameters
    ----------
    losses : array of shape (n,)
        The loss of each row, in the order of the events.
    times : sequence of datetime, length n, optional
    days : array of shape (n,), optional
        Rows of one day share their luck: where there are 8 days or more, a change must be
        greater than what days differ by, and have 3 days on either side.
    reference : array, optional
        Losses at validation, to scale by; default: the first tenth of the rows.
    detector : {"adwin", "page-hinkley", "kswin"}
    alpha : float
        Bound on how often a stream of unchanged loss is said to have changed.

    Returns
    -------
    list of Change
        In order.

    Raises
    ------
    Unavailable
        ``E-MONITORING-021``: the library of the detectors isn't installed.

    Notes
    -----
    The detector (river's) nominates: it says that there was a change, and when it could be known.
    Where it began is the split of the rows up to there that leaves the least squares. Then each
    is tested, the strongest first and one more at a time: means before and after, the variance of
    days and rows pooled over the stretches without a change, times the number of days (or rows)
    at which it could have been. So the false-alarm rate is bounded whatever the detector's is.
    References: Bifet and Gavaldà 2007 (ADWIN); Page 1954; Raab et al. 2020
    (KSWIN).

    Examples
    --------
    >>> import numpy as np
    >>> late = np.r_[np.zeros(500), np.ones(500)]
    >>> [one.began_row for one in find_changes(late)]
    [500]
    """
    if losses.size < FEWEST_ROWS:
        return []
    found: dict[int, int] = {}
    start = 0
    for seen in nominate(losses, detector, reference):
        began = _split(losses, start, seen)
        if began is not None and began not in found:
            found[began] = seen
            start = began
    taken: list[int] = []
    waiting = [one for one in found if _apart(one, [0, losses.size], days)]
    while waiting:
        # One more at a time: many splits at once would explain away what days differ by.
        chances = {}
        for one in waiting:
            tried = _tested(losses, days, [*taken, one], found, alpha)
            chances[one] = next(each.p_value for each in tried if each.began_row == one)
        best = min(waiting, key=lambda one: chances[one])
        if chances[best] > alpha:
            break
        taken.append(best)
        waiting = [one for one in waiting if _apart(one, [best], days)]
    if not taken:
        return []
    tested = _tested(losses, days, taken, found, alpha)
    return [_timed(replace(one, detector=detector), times) for one in tested]


def nominate(losses: Floats, detector: Detector, reference: Floats | None = None) -> Iterator[int]:
    """Rows at which a detector says that something before them changed."""
    scaled, step = _scaled(losses, detector, reference), 1
    if detector == "kswin":
        step = -(-losses.size // MOST_FOR_KSWIN)
        scaled = scaled[::step]
    watcher = _detector(detector, scaled.size)
    for row, value in enumerate(scaled.tolist()):
        watcher.update(value)
        if watcher.drift_detected:
            yield min(losses.size, (row + 1) * step)


def _detector(name: Detector, rows: int) -> Any:
    try:
        from river import drift
    except ImportError as error:
        raise Unavailable(
            "changes of the loss can't be looked for",
            "their detectors are river's, which isn't installed",
            "pip install 'jupyter-mlops[drift]'",
            code="E-MONITORING-021",
        ) from error
    if name == "adwin":
        return drift.ADWIN()
    if name == "page-hinkley":
        # In standard deviations: shifts below a tenth are let pass.
        return drift.PageHinkley(delta=0.1, threshold=50.0)
    return drift.KSWIN(alpha=ALPHA / rows, window_size=400, stat_size=100, seed=0)


def _scaled(losses: Floats, detector: Detector, reference: Floats | None) -> Floats:
    """ADWIN's bound holds for values from 0 to 1; Page-Hinkley's limits are in deviations."""
    if reference is None or reference.size < FEWEST_ROWS:
        reference = losses[: max(FEWEST_ROWS, losses.size // 10)]
    low, high = (float(one) for one in np.quantile(reference, [0.005, 0.995]))
    if high <= low:
        low, high = float(losses.min()), float(losses.max())
    if high <= low:
        return np.zeros_like(losses)
    # A few far-off losses are no change of the mean.
    kept = np.clip(losses, low, high)
    if detector == "page-hinkley":
        within = np.clip(reference, low, high)
        return (kept - float(within.mean())) / (float(within.std()) or high - low)
    return (kept - low) / (high - low)


def _split(losses: Floats, start: int, end: int) -> int | None:
    """The row of the best split in two means; None for too few rows."""
    part = losses[start:end]
    if part.size < 2:
        return None
    at = np.arange(1, part.size)
    sums = np.cumsum(part)[:-1]
    gap = sums / at - (part.sum() - sums) / (part.size - at)
    return start + 1 + int(np.argmax(gap**2 * at * (part.size - at)))


def _apart(row: int, edges: list[int], days: Days | None) -> bool:
    """Whether enough rows, and days where those count, lie between a split and the edges."""
    if any(abs(row - edge) < SHORTEST for edge in edges):
        return False
    if days is None or np.unique(days).size < FEWEST_BLOCKS:
        return True
    parts = [days[min(row, edge) : max(row, edge)] for edge in edges]
    return all(np.unique(part).size >= FEWEST_DAYS for part in parts)


def _tested(
    losses: Floats, days: Days | None, begins: list[int], seen: dict[int, int], alpha: float
) -> list[Change]:
    edges = [0, *sorted(begins), losses.size]
    parts = [slice(a, b) for a, b in pairwise(edges)]
    residuals = np.concatenate([losses[one] - losses[one].mean() for one in parts])
    spread = Spread.of(residuals, days)
    places = np.unique(days).size if days is not None and np.isfinite(spread.freedom) else None
    places = places or losses.size
    reach = spread.quantile(alpha / 2 / places)
    made = []
    for left, right in pairwise(parts):
        gap = float(losses[right].mean() - losses[left].mean())
        error = (_variance(spread, left, days) + _variance(spread, right, days)) ** 0.5
        chance = 2 * spread.tail(abs(gap) / error) if error > 0 else float(gap == 0)
        made.append(
            Change(
                detector="adwin",
                began=None,
                seen=None,
                began_row=right.start,
                seen_row=seen[right.start],
                before=float(losses[left].mean()),
                after=float(losses[right].mean()),
                low=gap - reach * error,
                high=gap + reach * error,
                p_value=min(1.0, chance * places),
            )
        )
    return made


def _variance(spread: Spread, part: slice, days: Days | None) -> float:
    return spread.of_mean(part.stop - part.start, days[part] if days is not None else None)


def _timed(one: Change, times: Sequence[datetime] | None) -> Change:
    if times is None:
        return one
    seen = times[min(one.seen_row, len(times)) - 1]
    return replace(one, began=times[one.began_row], seen=seen)

"""When things happened: how many in each period, where nothing did, and how fresh the latest is."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = ["PERIODS", "Gap", "Times"]

#: Lengths of periods in seconds, each a multiple of the one before, so that periods nest.
PERIODS: Final = tuple(
    [1, 60, 3600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400]
    + [364 * 86_400 * 100**i for i in range(1, 6)]
)
_NAMES: Final = ("second", "minute", "hour", "day", "week", "four weeks", "year")
LIMIT: Final = 1024
_DENSE: Final = 1 << 17

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Gap:
    """A stretch without any value: seconds since 1970."""

    start: float
    end: float

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.end - self.start


@dataclass
class Times:
    """Counts, first and last value of each period that has any; two of them merge exactly.

    Periods are as short as they can be with no more than `LIMIT` of them in use, which is the
    same whatever the order of the values: gaps longer than a period are exact.

    Examples
    --------
    >>> made = Times()
    >>> made.update(np.array([0.0, 10.0, 500.0]))
    >>> made.gaps(1)
    [Gap(start=10.0, end=500.0)]
    """

    level: int = 0
    periods: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    first: Floats = field(default_factory=lambda: np.zeros(0))
    last: Floats = field(default_factory=lambda: np.zeros(0))

    @property
    def period(self) -> int:
        """The length of a period in seconds."""
        return int(PERIODS[self.level])

    @property
    def period_name(self) -> str:
        """What a period is called."""
        return (
            _NAMES[self.level] if self.level < len(_NAMES) else f"{self.period // 31449600} years"
        )

    def update(self, seconds: Floats) -> None:
        """Add finite times, in any order, in seconds since 1970."""
        if not seconds.size:
            return
        level = self.level
        while True:
            places = np.floor(seconds / PERIODS[level]).astype(np.int64)
            low, span = int(places.min()), int(places.max()) - int(places.min()) + 1
            if span <= _DENSE:
                break
            used = np.unique(places)
            if len(used) <= LIMIT or level == len(PERIODS) - 1:
                break
            level += 1
        if span <= _DENSE:
            places -= low
            counts = np.bincount(places, minlength=span)
            first, last = np.full(span, np.inf), np.full(span, -np.inf)
            np.minimum.at(first, places, seconds)
            np.maximum.at(last, places, seconds)
            kept = np.flatnonzero(counts)
            part = Times(level, kept + low, counts[kept], first[kept], last[kept])
        else:
            ordered = np.sort(seconds)
            places = np.floor(ordered / PERIODS[level]).astype(np.int64)
            starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
            ends = np.append(starts[1:], len(ordered))
            part = Times(level, places[starts], ends - starts, ordered[starts], ordered[ends - 1])
        self.merge(part)

    def merge(self, other: Times) -> None:
        """Add the values another has seen."""
        if not other.counts.size:
            return
        level = max(self.level, other.level)
        mine, theirs = self._places(level), other._places(level)
        self._take(
            level,
            np.concatenate([mine, theirs]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.first, other.first]),
            np.concatenate([self.last, other.last]),
        )
        while len(self.periods) > LIMIT and self.level < len(PERIODS) - 1:
            level = self.level + 1
            self._take(level, self._places(level), self.counts, self.first, self.last)

    def gaps(self, number: int = 3) -> list[Gap]:
        """The longest stretches without a value, the longest first.

        Stretches shorter than a period are not known.
        """
        if len(self.periods) < 2:
            return []
        lengths = self.first[1:] - self.last[:-1]
        longest = np.argsort(-lengths, kind="stable")[:number]
        found = [Gap(float(self.last[i]), float(self.first[i + 1])) for i in longest]
        return [gap for gap in found if gap.seconds > 0]

    @property
    def coverage(self) -> float:
        """The share of the periods from the first to the last that have a value."""
        if not self.periods.size:
            return 0.0
        return len(self.periods) / float(self.periods[-1] - self.periods[0] + 1)

    @property
    def latest(self) -> float | None:
        """The latest time, in seconds since 1970."""
        return float(self.last[-1]) if self.last.size else None

    def age(self, now: datetime | None = None) -> float | None:
        """Seconds from the latest time until now: how fresh the data is."""
        when = (now or datetime.now(UTC)).timestamp()
        return None if self.latest is None else when - self.latest

    def to_dict(self) -> dict[str, Any]:
        """The state as JSON."""
        arrays = ("periods", "counts", "first", "last")
        return {"level": self.level, **{name: getattr(self, name).tolist() for name in arrays}}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Times:
        """The state back from JSON."""
        return cls(
            state["level"],
            np.array(state["periods"], dtype=np.int64),
            np.array(state["counts"], dtype=np.int64),
            np.array(state["first"], dtype=np.float64),
            np.array(state["last"], dtype=np.float64),
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Times) and self.to_dict() == other.to_dict()

    def _places(self, level: int) -> npt.NDArray[np.int64]:
        places: npt.NDArray[np.int64] = self.periods // (PERIODS[level] // self.period)
        return places

    def _take(
        self,
        level: int,
        places: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        first: Floats,
        last: Floats,
    ) -> None:
        order = np.argsort(places, kind="stable")
        places = places[order]
        starts = np.flatnonzero(np.concatenate([[True], places[1:] != places[:-1]]))
        self.level, self.periods = level, places[starts]
        self.counts = np.add.reduceat(counts[order], starts)
        self.first = np.minimum.reduceat(first[order], starts)
        self.last = np.maximum.reduceat(last[order], starts)

"""Messages, how many to ask for at once, and what is noted of those that were read."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple

from jupyter_mlops.data.sources.streams.windows import Span

__all__ = ["Message", "Pace", "Reading"]


class Message(NamedTuple):
    """One message as the broker gave it; its time in microseconds since 1970."""

    partition: int
    offset: int | str
    time: int | None
    key: bytes | None
    payload: bytes | None


class Pace:
    """How many messages to ask for, so that a batch of large ones still fits into memory.

    Examples
    --------
    >>> pace = Pace()
    >>> pace.saw([b"x" * 1_000_000])
    >>> pace.take
    4
    """

    def __init__(self, most: int = 1000, size: int = 4 << 20) -> None:
        self.take = 64
        self._most = most
        self._size = size

    def saw(self, payloads: list[bytes | None]) -> None:
        """Take note of a batch."""
        mean = sum(len(p or b"") for p in payloads) / max(len(payloads), 1)
        self.take = int(min(self._most, max(1, self._size // max(mean, 1))))


@dataclass
class Reading:
    """What was read of a stream: for each partition the offsets, and how many messages."""

    ranges: dict[int, tuple[str, str]] = field(default_factory=dict)
    counts: dict[int, int] = field(default_factory=dict)
    first: int | None = None
    last: int | None = None
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def see(self, batch: list[Message]) -> None:
        """Count messages and note the span of their times."""
        for message in batch:
            self.counts[message.partition] = self.counts.get(message.partition, 0) + 1
        times = [message.time for message in batch if message.time is not None]
        if times:
            low, high = min(times), max(times)
            self.first = low if self.first is None else min(self.first, low)
            self.last = high if self.last is None else max(self.last, high)

    def spans(self) -> list[Span]:
        """The offsets of every partition, those too of which nothing was taken."""
        return [
            Span(partition, first, last, self.counts.get(partition, 0))
            for partition, (first, last) in sorted(self.ranges.items())
        ]

"""What flows: records of a source, documents for a sink, and the positions of both."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

__all__ = [
    "Batch",
    "Document",
    "Marks",
    "Record",
    "Sink",
    "Source",
    "advance",
    "beyond",
    "later",
    "order",
]

Marks = dict[str, str]
"""For each partition the position up to which everything is done."""
_NUMBER = re.compile(r"\d+")


class Record(NamedTuple):
    """One record as a source gives it.

    Attributes
    ----------
    partition : str
        Within which positions are ordered: a number, or a file's name.
    mark : str
        Its position, see `order`.
    place : str
        Its position as people read it: topic/0/12, stream/1526-3, flights.ndjson:120.
    key : str or None
    payload : bytes, dict or None
        What it holds; None when the source has lost it.
    texts : bool
        Whether all values are text, whatever they mean.
    """

    partition: str
    mark: str
    place: str
    key: str | None
    payload: bytes | dict[str, Any] | None
    texts: bool = False


class Document(NamedTuple):
    """One thing to write: an answer or a dead letter, and which record it belongs to."""

    partition: str
    mark: str
    key: str | None
    body: dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """What became of records that were read together.

    Attributes
    ----------
    answers, letters : list of Document
    marks : dict
        Up to where the source was read.
    """

    answers: list[Document]
    letters: list[Document]
    marks: Marks


class Source(Protocol):
    """Where records come from. All methods are called by one thread."""

    #: Names the source in what a sink keeps; holds no secret.
    identity: str

    @property
    def ended(self) -> bool:
        """Whether nothing can come any more."""

    def open(self, marks: Marks | None) -> None:
        """Connect, and go to after `marks`, or to after what was committed last."""

    def read(self, count: int, wait: float) -> list[Record]:
        """What is there, `count` at most; waits so many seconds for the first.

        Raises
        ------
        Unavailable
            It is away; may be asked again.
        """

    def commit(self, marks: Marks) -> None:
        """Remember that everything up to there is done."""

    def lag(self) -> int | None:
        """How many records wait, if the source can tell."""

    def close(self) -> None:
        """End the connection."""


class Sink(Protocol):
    """Where documents go. All methods are called by one thread."""

    #: ``exactly once`` or ``at least once``.
    guarantee: str
    #: Seconds over which what is ready is gathered into one write.
    gather: float
    #: Whether a write commits to the source too.
    commits: bool

    def open(self, source: str) -> Marks | None:
        """Connect; say what was written before, None when that isn't kept here.

        Raises
        ------
        Conflict
            What is there was written from another source.
        """

    def write(self, documents: list[Document], marks: Marks) -> None:
        """Write, durably; what was written before isn't written again where it is kept.

        Raises
        ------
        Unavailable
            It is away; may be asked again with the same.
        """

    def close(self) -> None:
        """End the connection."""


def order(mark: str) -> tuple[int, ...]:
    """What positions of one partition are compared by.

    Examples
    --------
    >>> order("1526919030474-55") < order("1526919030474-120")
    True
    """
    return tuple(map(int, _NUMBER.findall(mark)))


def beyond(marks: Marks, one: Record | Document) -> bool:
    """Whether a record comes after what is done."""
    done = marks.get(one.partition)
    return done is None or order(one.mark) > order(done)


def later(one: Marks, other: Marks) -> Marks:
    """For each partition the later position of two.

    Examples
    --------
    >>> later({"0": "4", "1": "2"}, {"0": "10"})
    {'0': '10', '1': '2'}
    """
    found = dict(one)
    for partition, mark in other.items():
        if partition not in found or order(mark) > order(found[partition]):
            found[partition] = mark
    return found


def advance(marks: Marks, read: Iterable[Record | Document]) -> Marks:
    """The positions after so many more in their order.

    Examples
    --------
    >>> advance({"0": "4"}, [Record("0", "5", "t/0/5", None, b"")])
    {'0': '5'}
    """
    return marks | {one.partition: one.mark for one in read}

"""Labels outside the store: items, what was said of them, and what a file says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["Act", "Entry", "Given", "LabelSet", "Prediction", "Reading"]


@dataclass(frozen=True)
class Act:
    """What one person said of one item.

    Parameters
    ----------
    value : JSON value
        In the shape that the task's answer has; None of a skip.
    person : str
        Who said it; empty when a file doesn't tell.
    at : datetime, optional
        When, aware.
    skipped : bool
        Whether the item was skipped instead of labelled.
    reason : str
        Why it was skipped.
    active_ms : int, optional
        Milliseconds somebody was busy with it.
    guideline : str
        The version of the guideline that was shown; empty without one.
    """

    value: Any
    person: str = ""
    at: datetime | None = None
    skipped: bool = False
    reason: str = ""
    active_ms: int | None = None
    guideline: str = ""


@dataclass(frozen=True)
class Prediction:
    """What a model said of an item, and how sure it was (0 to 1)."""

    value: Any
    model: str = ""
    score: float | None = None


@dataclass(frozen=True)
class Entry:
    """An item, and what was said of it.

    Parameters
    ----------
    item : int
        Its number in the task, from 0.
    digest : str
        SHA-256 of its content, in hexadecimal digits.
    name : str
        A path with ``/`` and without ``..`` that no other item of the task has, with or
        without its ending; see `naming.unique_names`.
    key : str, optional
        The row's name in the data.
    text : str, optional
        The text, of a text.
    media : str
        The media type.
    content : str
        Where the file is, below the workspace's folder; empty when the data carried it.
    width, height : int
        Pixels of an image or a film; 0 when nobody looked.
    rate, frames : float, int
        Frames a second and frames of a film; 0 when nobody looked.
    standing : Act, optional
        What counts: a label or a skip.
    opinions : tuple of Act
        The last word of each person, the standing one among them.
    predictions : tuple of Prediction
        What models said.
    history : tuple of dict
        Every decision as JSON, in the order in which they were stored.
    suggestion : dict
        What a model or a rule proposes for it now.
    audit : int
        From 1 when it was drawn at random to measure a model by.
    """

    item: int
    digest: str
    name: str
    key: str | None = None
    text: str | None = None
    media: str = ""
    content: str = ""
    width: int = 0
    height: int = 0
    rate: float = 0.0
    frames: int = 0
    standing: Act | None = None
    opinions: tuple[Act, ...] = ()
    predictions: tuple[Prediction, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    suggestion: Mapping[str, Any] = field(default_factory=dict)
    audit: int = 0

    @property
    def labelled(self) -> bool:
        return self.standing is not None and not self.standing.skipped

    @property
    def value(self) -> Any:
        """The label that stands; None when there is none."""
        return None if self.standing is None else self.standing.value


@dataclass(frozen=True)
class LabelSet:
    """The labels of a task, apart from the store.

    Parameters
    ----------
    task : str
        What the task is called.
    kind : str
        What an item is: image, text, audio, video, row or pair.
    answer : str
        What is said of one: class, classes, boxes, spans, and so on.
    classes : tuple of str
        The labels to choose from, in the task's order.
    entries : tuple of Entry
        Items in the order of their numbers.
    scale : tuple of (int, int)
        The least and the greatest rating.
    data, data_digest : str
        The data that the items are of.
    charter : dict
        The task's rules, guidelines and roles as JSON; see `charter.charter_of`.
    withheld : int
        Items that are left out because whoever looks has still to label them.
    """

    task: str
    kind: str
    answer: str
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    scale: tuple[int, int] = (1, 5)
    data: str | None = None
    data_digest: str = ""
    charter: Mapping[str, Any] = field(default_factory=dict)
    withheld: int = 0

    def labelled(self) -> Iterator[Entry]:
        """The items that have a label, in order."""
        return (one for one in self.entries if one.labelled)

    def decided(self) -> Iterator[Entry]:
        """The items that have a label or were skipped, in order."""
        return (one for one in self.entries if one.standing is not None)


@dataclass(frozen=True)
class Given:
    """What a file says of an item.

    `place` names the file and the line. `decision` is a decision as it was stored, in files
    that keep those.
    """

    item: int
    act: Act
    place: str
    decision: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reading:
    """What a file says, and what of it can't be kept, in sentences.

    `head` is what it says of its task, in files that do; `waiting` are suggestions and audit
    numbers by item.
    """

    given: tuple[Given, ...]
    notes: tuple[str, ...] = field(default=())
    head: Mapping[str, Any] | None = None
    waiting: Mapping[int, tuple[Mapping[str, Any], int]] = field(default_factory=dict)

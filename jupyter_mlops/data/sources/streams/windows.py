"""Which messages of a stream: the last so many, those of the last so long, or given offsets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["DEFAULT_COUNT", "Span", "Window", "continue_from", "in_words"]

DEFAULT_COUNT: Final = 10_000
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
# Redis's ids are two numbers, time and place, so a range of them has three dashes.
_SPAN: Final = re.compile(r"(\d+):(?:(\d+-\d+)-(\d+-\d+)|(\d+)-(-?\d+))(?:/(\d+))?")
_POSITION: Final = re.compile(r"(\d+):(\d+-\d+|-?\d+)")


@dataclass(frozen=True)
class Span:
    """The offsets of one partition, both ends included.

    Attributes
    ----------
    partition : int
        0 where the system has no partitions.
    first, last : str
        Numbers, or Redis's ids. `last` lies before `first` where nothing was taken.
    count : int, optional
        How many messages were between them; fewer are there after some were deleted.
    """

    partition: int
    first: str
    last: str
    count: int | None = None

    def __str__(self) -> str:
        count = "" if self.count is None else f"/{self.count}"
        return f"{self.partition}:{self.first}-{self.last}{count}"


@dataclass(frozen=True)
class Window:
    """What to take of a stream; exactly one of its parts is set, or none for all of it.

    Examples
    --------
    >>> Window.parse("5000").count
    5000
    >>> Window.parse("10m").seconds
    600
    >>> str(Window.parse("offsets:0:120-560,1:0-88").spans[1])
    '1:0-88'
    """

    text: str
    count: int | None = None
    seconds: int | None = None
    spans: tuple[Span, ...] = ()
    after: Mapping[int, str] | None = None

    @classmethod
    def parse(cls, text: str | None) -> Window:
        """Read a window as a person writes it.

        Raises
        ------
        Invalid
            It is none.
        """
        text = f"{DEFAULT_COUNT}" if text is None else text.strip()
        number = text.replace(",", "").replace("_", "")
        if re.fullmatch(r"[1-9]\d{0,17}", number):
            return cls(text, count=int(number))
        lasting = re.fullmatch(r"([1-9]\d{0,8})\s*([smhdw])", text)
        if lasting:
            return cls(text, seconds=int(lasting[1]) * _SECONDS[lasting[2]])
        if text == "all":
            return cls(text)
        kind, _, rest = text.partition(":")
        if kind == "offsets":
            spans = _spans(rest)
            if spans:
                return cls(text, spans=spans)
        if kind == "after":
            found = [_POSITION.fullmatch(part.strip()) for part in rest.split(",")]
            if all(found):
                return cls(text, after={int(m[1]): m[2] for m in found if m})
        raise Invalid(
            f"{text!r} is no window of a stream",
            fix="write 5000 for the last messages, 10m, 2h or 7d for the latest by time, all, "
            "after:DATASET for what came since, or offsets:0:120-560",
            code="E-STREAM-001",
        )


def continue_from(provenance: Mapping[str, Any], uri: str | None = None) -> str:
    """The window of everything after the messages that a dataset was made of.

    Parameters
    ----------
    provenance : mapping
        What `Source.provenance` said when the dataset was added.
    uri : str, optional
        The stream to go on with; it must be called as the one before.

    Raises
    ------
    Invalid
        The dataset wasn't read from a stream, or from another one.

    Examples
    --------
    >>> continue_from({"offsets": "0:120-560/441,1:0-88/89"})
    'after:0:560,1:88'
    """
    spans = _spans(str(provenance.get("offsets", "")))
    if not spans:
        raise Invalid(
            "there is nothing to go on from",
            "the dataset wasn't read from a stream",
            "give the window as a number of messages or a time",
            code="E-STREAM-002",
        )
    stream = str(provenance.get("stream", ""))
    if uri is not None and stream and not _names(uri, stream):
        raise Invalid(
            f"{uri} is not the stream to go on with",
            f"the offsets are those of {stream}",
            "name the same stream, or give the window as a number of messages or a time",
            code="E-STREAM-003",
        )
    return "after:" + ",".join(f"{span.partition}:{span.last}" for span in spans)


def in_words(window: Window) -> str:
    """How a sentence calls the window.

    Examples
    --------
    >>> in_words(Window.parse("10m"))
    'of the last 10m'
    """
    if window.seconds is not None:
        return f"of the last {window.text}"
    if window.after is not None:
        return "after those that were taken before"
    return "between those offsets" if window.spans else "at all"


def _names(uri: str, stream: str) -> bool:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(uri)
    return stream == f"{parts.scheme.replace('rediss', 'redis')}:{unquote(parts.path).lstrip('/')}"


def _spans(text: str) -> tuple[Span, ...]:
    text = text.strip()
    if text.startswith("{"):
        try:
            given = json.loads(text)
            text = ",".join(
                f"{partition}:{first}-{last}" + "".join(f"/{count}" for count in rest)
                for partition, (first, last, *rest) in given.items()
            )
        except (ValueError, TypeError, AttributeError):
            return ()
    found = [_SPAN.fullmatch(part.strip()) for part in text.split(",")]
    if not all(found):
        return ()
    return tuple(
        Span(int(m[1]), m[2] or m[4], m[3] or m[5], int(m[6]) if m[6] else None) for m in found if m
    )

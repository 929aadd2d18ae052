"""Spans of event time that a person asks for: ``2013-04``, ``30d``, a date, a time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jupyter_mlops.workspace.errors import Invalid

_UNITS = {
    "s": "seconds",
    "min": "minutes",
    "h": "hours",
    "d": "days",
    "w": "weeks",
}
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d|w)")
_MONTH = re.compile(r"(\d{4})(?:-(\d{2}))?")


@dataclass(frozen=True)
class Window:
    """From `since` on, up to but without `until`; None is open."""

    since: datetime | None = None
    until: datetime | None = None

    def __str__(self) -> str:
        if self.since is None and self.until is None:
            return "all traffic"
        return f"{_short(self.since) or 'the start'} to {_short(self.until) or 'now'}"

    def moved(self, by: timedelta) -> Window:
        """The window so much later, or earlier."""
        return Window(
            None if self.since is None else self.since + by,
            None if self.until is None else self.until + by,
        )

    @classmethod
    def parse(cls, since: str | None, until: str | None, length: str | None = None) -> Window:
        """Read a window from what a person wrote.

        Parameters
        ----------
        since, until : str or None
            ISO dates or times (UTC unless they say otherwise), a month such as
            ``2013-04`` or a year. `until` is exclusive, as written: until ``2013-04`` ends
            with March.
        length : str or None
            ``30d``, ``12h``, ``90min``: counted back from `until`, or onward from
            `since`.

        Raises
        ------
        Invalid
            ``E-MONITORING-002`` for a time or length that can't be read, all three
            at once, or a window that ends before it starts.
        """
        start, end = _time(since), _time(until)
        if length is not None:
            span = parse_length(length)
            if start is not None and end is not None:
                raise Invalid(
                    "since, until and window together say the same thing twice",
                    fix="leave one of them out",
                    code="E-MONITORING-002",
                )
            if start is not None:
                end = start + span
            elif end is not None:
                start = end - span
        if start is not None and end is not None and start >= end:
            raise Invalid(
                f"the window ends ({end:%Y-%m-%d %H:%M}) before it starts ({start:%Y-%m-%d %H:%M})",
                fix="swap since and until; until is exclusive",
                code="E-MONITORING-002",
            )
        return cls(start, end)


def parse_length(text: str) -> timedelta:
    """Read a length of time such as ``30d``.

    Examples
    --------
    >>> parse_length("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    match = _LENGTH.fullmatch(text.strip())
    if match is None or float(match[1]) == 0:
        raise Invalid(
            f"{text!r} is no length of time",
            fix="write a number and s, min, h, d or w, such as 30d",
            code="E-MONITORING-002",
        )
    return timedelta(**{_UNITS[match[2]]: float(match[1])})


def parse_span(text: str) -> Window:
    """Read a year, a month or a day as the window that it is.

    Examples
    --------
    >>> str(parse_span("2013-02"))
    '2013-02-01 to 2013-03-01'
    """
    start = _time(text)
    assert start is not None
    month = _MONTH.fullmatch(text.strip())
    if month is None:
        if start.time() != datetime.min.time():
            raise Invalid(
                f"{text!r} is a moment and no span of time",
                fix="write a day, a month, a year, or two times as 2013-03-01..2013-03-15",
                code="E-MONITORING-002",
            )
        return Window(start, start + timedelta(days=1))
    if month[2]:
        return Window(start, (start + timedelta(days=32)).replace(day=1))
    return Window(start, start.replace(year=start.year + 1))


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    month = _MONTH.fullmatch(text.strip())
    try:
        if month:
            return datetime(int(month[1]), int(month[2] or 1), 1, tzinfo=UTC)
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Invalid(
            f"{text!r} is no time",
            fix="write a date (2013-04-01), a month (2013-04) or a time (2013-04-01T12:00)",
            code="E-MONITORING-002",
        ) from None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _short(time: datetime | None) -> str:
    if time is None:
        return ""
    return f"{time:%Y-%m-%d}" if time.time() == datetime.min.time() else f"{time:%Y-%m-%d %H:%M}"

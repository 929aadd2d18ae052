"""A column's figures as a person reads them: numbers to some digits, and times."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from typing import Final

__all__ = ["number_text", "time_text"]

#: From here on thousands are separated; up to there numbers are written out.
_SEPARATED: Final = 10_000
_READ: Final = 1e15


def number_text(value: float, digits: int, *, separated: bool) -> str:
    """A number to so many significant digits, whole ones in full.

    Parameters
    ----------
    value : float
    digits : int
        Of a number that isn't whole.
    separated : bool
        Whether thousands are separated, from 10,000 on.

    Examples
    --------
    >>> number_text(1402260.5, 5, separated=True), number_text(0.25, 5, separated=True)
    ('1,402,260', '0.25')
    """
    if not math.isfinite(value):
        return f"{value:g}"
    size = abs(round(value))
    # Of so many digits as a large float has most would be made up.
    if isinstance(value, float) and (
        size >= _READ or (not value.is_integer() and size < 10 ** (digits - 1))
    ):
        return f"{value:.{digits}g}"
    return f"{round(value):,}" if separated and size >= _SEPARATED else str(round(value))


def time_text(seconds: float, kind: str) -> str:
    """A moment to the minute, or the day where `kind` is ``date``.

    Parameters
    ----------
    seconds : float
        Since 1970, in UTC.

    Examples
    --------
    >>> time_text(86_400.0, "date"), time_text(90_000.0, "datetime")
    ('1970-01-02', '1970-01-02 01:00')
    """
    if not math.isfinite(seconds):
        return "–"
    try:
        when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=round(seconds))
    except OverflowError:
        return f"{seconds:.3g} s"
    if kind == "date":
        return date(when.year, when.month, when.day).isoformat()
    return when.strftime("%Y-%m-%d %H:%M")

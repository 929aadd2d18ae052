"""Lengths of time as people write them: ``30s``, ``10m``, ``1h``, ``7d``."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["span"]

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def span(text: str, noun: str) -> timedelta:
    """Read a length of time.

    Raises
    ------
    Invalid
        It is none.

    Examples
    --------
    >>> span("90m", "a gap")
    datetime.timedelta(seconds=5400)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw])", text.strip())
    if found is None:
        raise Invalid(
            f"{text!r} can't be {noun}", fix="write it like 30s, 10m, 1h or 7d", code="E-DATA-090"
        )
    return timedelta(**{_UNITS[found[2]]: float(found[1])})

"""The numbers among what a cell calls its metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

__all__ = ["numbers_of"]


def numbers_of(found: Mapping[Any, Any]) -> tuple[dict[str, float], list[str]]:
    """The finite numbers of a dict of metrics, and a sentence for each that is none."""
    numbers: dict[str, float] = {}
    notes = []
    for key, value in found.items():
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if math.isfinite(number):
            numbers[str(key)[:250]] = number
        else:
            notes.append(f"The metric {key!r} is {str(value)[:40]}, which is no number; left out.")
    return numbers, notes

"""What a cell calls its metrics: the numbers among them, and the one that it is judged by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

from jupyter_mlops.workspace import Invalid

__all__ = ["ROWS", "by_row", "goal_of", "lacking", "numbers_of"]

#: What a cell's own values by row are called, beside the losses that have a name.
ROWS: Final = "rows"


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


def by_row(value: Any) -> bool:
    """Whether a metric is given as an array of numbers, one for each held-out row."""
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return getattr(value, "ndim", 0) == 1 and kind in {"f", "i", "u", "b"} and len(value) > 1


def goal_of(metric: str, value: Any) -> float:
    """The number that a trial is judged by.

    Raises
    ------
    Invalid
        It was never set, or is no finite number.
    """
    if value is None:
        raise Invalid(
            f"the cell never set `{metric}`", fix=f"end it with `{metric} = …`", code="E-TRIAL-002"
        )
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Invalid(
            f"`{metric}` is a {type(value).__name__}, which is no number",
            fix="set it to one number, such as a mean",
            code="E-TRIAL-003",
        ) from None
    if not math.isfinite(number):
        raise Invalid(
            f"`{metric}` is {number}",
            "such a trial can't be compared",
            "look for missing values and divisions by zero, or set the worst value there is",
            code="E-TRIAL-004",
        )
    return number


def lacking(metric: str, returned: Mapping[str, Any]) -> Invalid:
    """What is wrong with a function that returns no value of a metric."""
    return Invalid(
        f"the function returns no `{metric}`",
        f"it returns {', '.join(sorted(returned)[:10])}" if returned else "it returns nothing",
        "return the number, or a dict with it",
        code="E-TRIAL-005",
    )

"""What changed in the columns themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import polars as pl

__all__ = ["schema_changes"]

_GROUPS: Final = {
    "number": ("Int", "UInt", "Float", "Decimal"),
    "text": ("String", "Categorical", "Enum"),
    "boolean": ("Boolean",),
    "time": ("Date", "Time", "Duration"),
    "list": ("List", "Array"),
}


def schema_changes(
    reference: Mapping[str, str], traffic: Mapping[str, str], features: Sequence[str] | None
) -> list[str]:
    """Say which columns came, went, or hold values of another kind.

    Parameters
    ----------
    reference, traffic : mapping of str to str
        The types of all columns of both sides, as polars writes them.
    features : sequence of str, optional
        The model's; what else either side has is no change then.

    Examples
    --------
    >>> schema_changes({"x": "Float64"}, {"x": "String", "y": "Int64"}, None)
    ["'x' was a number and comes as text", "'y' is new: the reference has no such column"]
    """
    found = []
    for name, kind in traffic.items():
        if name not in reference:
            if features is None:
                found.append(f"{name!r} is new: the reference has no such column")
            continue
        was, now = _group(reference[name]), _group(kind)
        # A column that never held a value has no type yet.
        if was != now and str(pl.Null) not in (reference[name], kind):
            found.append(f"{name!r} was {_an(was)} and comes as {_an(now)}")
    return found


def _group(kind: str) -> str:
    return next(
        (group for group, starts in _GROUPS.items() if kind.startswith(starts)), kind.lower()
    )


def _an(group: str) -> str:
    return group if group == "text" else f"a {group}"

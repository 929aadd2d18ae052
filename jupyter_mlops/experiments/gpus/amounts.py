"""Amounts of memory as a person writes them."""

from __future__ import annotations

import re
from typing import Final

from jupyter_mlops.workspace import Invalid

__all__ = ["bytes_of"]

_UNITS: Final = "KMGT"


def bytes_of(text: int | str | None) -> int:
    """Read ``8GB``, ``8GiB`` or a number of bytes; None is 0.

    Raises
    ------
    Invalid
        It is no amount of memory.

    Examples
    --------
    >>> bytes_of("8GB"), bytes_of("1KiB"), bytes_of(None)
    (8000000000, 1024, 0)
    """
    if text is None or isinstance(text, int):
        return text or 0
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(i?)B?\s*", text, re.IGNORECASE)
    if found is None:
        raise Invalid(f"{text!r} is no amount of memory", fix="write 8GB", code="E-GPU-007")
    number, unit, binary = found.groups()
    power = _UNITS.index(unit.upper()) + 1 if unit else 0
    return int(float(number) * float(1024 if binary else 1000) ** power)

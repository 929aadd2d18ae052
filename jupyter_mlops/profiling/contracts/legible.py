"""Whether what a contract's rules say can be used at all: patterns that compile, times that are."""

from __future__ import annotations

import re
from datetime import datetime, time
from functools import lru_cache
from typing import TYPE_CHECKING

from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from jupyter_mlops.profiling.contracts.model import Terms

__all__ = ["legible"]


def legible(column: str, terms: Terms) -> None:
    """Refuse a pattern or bound that no check could use, before the contract is kept.

    Raises
    ------
    Invalid
        Says which, and how it is written.

    Examples
    --------
    >>> legible("age", terms)  # doctest: +SKIP
    """
    if terms.pattern is not None:
        fault = _fault(terms.pattern.regex)
        if fault:
            raise Invalid(
                f"the pattern of column {column!r} can't be used: {terms.pattern.regex!r}",
                fault,
                "write a regular expression without look-around and back-references; "
                "a backslash makes [ ( * + ? . mean themselves",
                code="E-CONTRACT-007",
            )
    if terms.bounds is None:
        return
    for end in (terms.bounds.lo, terms.bounds.hi):
        if isinstance(end, str) and not _is_time(end):
            raise Invalid(
                f"column {column!r} can't be bounded by {end!r}: it is no time",
                fix="write it like 2024-01-31, 2024-01-31T06:00 or 06:00",
                code="E-CONTRACT-008",
            )


@lru_cache(maxsize=1024)
def _fault(regex: str) -> str:
    """Why a pattern can't be used; nothing when it can."""
    import polars as pl

    try:
        # Endpoints look at requests with Python's own, tables are checked with Rust's.
        re.compile(regex)
        pl.select(pl.lit("").str.contains(regex, strict=True))
    except re.error as error:
        return str(error)
    except pl.exceptions.PolarsError as error:
        said = [line for line in str(error).splitlines() if line.startswith("error: ")]
        return said[0].removeprefix("error: ") if said else "it is no regular expression here"
    return ""


def _is_time(value: str) -> bool:
    for read in (datetime.fromisoformat, time.fromisoformat):
        try:
            read(value)
        except ValueError:
            continue
        return True
    return False

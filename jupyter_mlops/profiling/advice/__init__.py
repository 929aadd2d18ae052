"""What to do before training: each finding with its evidence and code that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.columns import tidy
from jupyter_mlops.profiling.advice.copies import duplicates, redundant, repeated_rows
from jupyter_mlops.profiling.advice.finding import Advice
from jupyter_mlops.profiling.advice.gaps import gaps, together
from jupyter_mlops.profiling.advice.labels import labels, leaks
from jupyter_mlops.profiling.advice.personal import personal
from jupyter_mlops.profiling.advice.placeholders import placeholders
from jupyter_mlops.profiling.advice.spelling import spelling
from jupyter_mlops.profiling.advice.spread import impossible, spread
from jupyter_mlops.profiling.advice.times import times
from jupyter_mlops.profiling.advice.units import wrong_units
from jupyter_mlops.profiling.advice.words import worded

if TYPE_CHECKING:
    from jupyter_mlops.profiling.profiles import Profile

__all__ = ["Advice", "advise"]

_ORDER: Final = {"likely": 0, "check": 1, "note": 2}
#: A column with one of these is told nothing else.
_FINAL: Final = {"constant", "empty"}


def advise(profile: Profile) -> list[Advice]:
    """Derive advice from a profile, the most pressing first.

    Each rule states what it rests on, and speaks only above the noise of that. Rules about whole
    rows, pairs of columns and texts look at the profile's sample of at most 20,000 rows.

    Parameters
    ----------
    profile : Profile
        One that still has its sample; without it, only what counts alone tell is found.

    Returns
    -------
    list of Advice

    Examples
    --------
    >>> import polars as pl
    >>> from jupyter_mlops.profiling import profile
    >>> frame = pl.LazyFrame({"x": [1, 1], "y": [1, 2]})
    >>> [(one.column, one.finding) for one in advise(profile(frame))]
    [('x', 'constant')]
    """
    case = Case(profile)
    found = [*labels(case), *leaks(case)]
    copies = {one.column: one for one in duplicates(case)}
    settled = {one.column for one in found if one.finding == "leakage"}
    found += [one for one in copies.values() if one.column not in settled]
    settled |= set(copies)
    for name in case.columns:
        if name == case.target:
            continue
        if name not in settled:
            told = list(_column(case, name))
            found += told
            if _FINAL & {one.finding for one in told}:
                settled.add(name)
    found += personal(case)
    found += together(case)
    found += redundant(case, settled)
    found += repeated_rows(case)
    found += times(case)
    return sorted(found, key=lambda one: _ORDER[one.severity])


def _column(case: Case, name: str) -> list[Advice]:
    column = case.columns[name]
    found = list(tidy(case, name))
    if column.semantic in _FINAL:
        return found
    found += gaps(case, name)
    found += worded(case, name)
    if name not in case.held:
        return found + list(spread(case, name))
    held = list(placeholders(case, name))
    found += held
    found += spelling(case, name)
    scaled = [] if held else list(wrong_units(case, name))
    found += scaled
    if not held and not scaled:
        # A marker or another unit is why such values lie far away; one finding is enough.
        found += spread(case, name)
    found += impossible(case, name, {one.finding for one in held})
    return found

"""A table period by period: what each holds, and where it departs from the whole."""

from __future__ import annotations

import math
import time as clock
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.comparing import distance
from jupyter_mlops.profiling.engine import Scan
from jupyter_mlops.profiling.partitions import scan_by
from jupyter_mlops.profiling.profiles import Profile, finished
from jupyter_mlops.workspace.errors import Invalid
from jupyter_mlops.workspace.results import Result

__all__ = ["Period", "Periods", "by_period"]

#: Rows kept of each period: a thousand periods are in memory at once.
_SAMPLE: Final = 5_000
_NAMED: Final = 3
#: How often, over all periods and columns, one may be named that departs only by chance.
_ALPHA: Final = 0.01
_NUMBER_PARTS: Final = 11
_WORD_PARTS: Final = 52


@dataclass(frozen=True)
class Period:
    """One period of a table.

    Attributes
    ----------
    start : datetime
    rows : int
    missing_share : float
        Of all its values.
    apart : dict of str to float
        The columns that differ most from the whole, by more than chance explains: total
        variation distance, 0 when spread alike and 1 when nothing is shared.
    """

    start: datetime
    rows: int
    missing_share: float
    apart: dict[str, float]


@dataclass(frozen=True)
class Periods(Result):
    """A table period by period, and the profile that the periods merge to.

    Attributes
    ----------
    whole : Profile
    every : str
        The length of a period.
    periods : list of Period
        Those that have rows, in order.
    source : str or None
        The reference of what was profiled.
    window : str
        How much of the newest time was looked at; empty for all.
    """

    whole: Profile
    every: str
    periods: list[Period]
    source: str | None = None
    window: str = ""


def by_period(
    table: Table,
    *,
    every: str = "1h",
    target: str | None = None,
    columns: list[str] | None = None,
    window: str = "",
) -> Periods:
    """Profile a table by the time of its rows, each period by itself and all merged.

    The merged profile counts exactly as one pass over the table; its quantiles are within 1 % of
    rank. Rows without a time belong to no period and are left out.

    Parameters
    ----------
    table : Table
        One whose column of times is known.
    every : str
        The length of a period: ``1h``, ``1d``, ``1w``, ``1mo``.
    target : str, optional
        The column to predict.
    columns : list of str, optional
        The columns to profile; all when left out.
    window : str
        What part of the table this is, as a person asked for it.

    Returns
    -------
    Periods

    Raises
    ------
    Invalid
        No column of times is known, no row has a time, or the length can't be understood.

    Examples
    --------
    >>> by_period(resolve(ws, "flights"), every="1w").periods[0].rows  # doctest: +SKIP
    6099
    """
    if table.time is None:
        raise Invalid(
            f"{table.label} has no periods",
            "no column of times is known of it",
            "name one when it is added: %mlops data add NAME URI --time COLUMN",
            code="E-PROFILE-062",
        )
    started = clock.perf_counter()
    scans = scan_by(
        table.scan(), table.time, every=every, target=target, columns=columns, sample=_SAMPLE
    )
    if not scans:
        raise Invalid(
            f"no row of {table.label} has a time",
            f"{table.time!r} is missing everywhere",
            code="E-PROFILE-063",
        )
    whole = _merged(table, list(scans.values()), target)
    tests = len(scans) * max(1, len(whole.columns))
    periods = [_period(when, one, whole, tests) for when, one in scans.items()]
    made = finished(whole, started)
    made.label, made.data_ref = table.label, table.ref
    made.digest = made.content or ""
    source = table.ref or next(iter(table.inputs), None)
    return Periods(made, every, periods, source, window)


def _merged(table: Table, scans: list[Scan], target: str | None) -> Scan:
    whole = Scan.of(pl.Schema(scans[0].types), target)
    whole.sample.size = scans[0].sample.size
    whole.key, whole.time = (
        name if name in whole.columns else None for name in (table.key, table.time)
    )
    for one in scans:
        whole.merge(one)
    return whole


def _period(when: datetime, seen: Scan, whole: Scan, tests: int) -> Period:
    cells = seen.rows * len(seen.columns)
    far = {
        name: distance(column, whole.columns[name])
        for name, column in seen.columns.items()
        if not column.fault and not whole.columns[name].fault
    }
    named = sorted(far, key=lambda name: -far[name])
    named = [name for name in named if far[name] > _chance(seen.columns[name], tests)][:_NAMED]
    missing = sum(column.missing for column in seen.columns.values())
    return Period(
        when, seen.rows, missing / cells if cells else 0.0, {name: far[name] for name in named}
    )


def _chance(column: ColumnProfile, tests: int) -> float:
    """How far rows drawn from the whole would be from it, but for one time in `_ALPHA`.

    Half the square root of parts over rows bounds what is expected (Cauchy-Schwarz); each row
    moves the distance by at most one over rows, which bounds the rest (McDiarmid).
    """
    parts = _NUMBER_PARTS if column.values.numeric else _WORD_PARTS
    parts = min(parts, column.values.distinct() + 2)
    expected = 0.5 * math.sqrt((parts - 1) / column.rows)
    return expected + math.sqrt(math.log(tests / _ALPHA) / (2 * column.rows))

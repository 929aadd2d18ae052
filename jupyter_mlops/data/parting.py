"""Which part of a split each row belongs to, told by what is in the row and not by its place.

Every row, key or group has a pseudo-random priority: a hash of its values and the seed. A part
is a range of priorities, so

* at random and by group, a row's part depends on nothing but the row: rows that are added later
  never move others, and equal rows or groups are never torn apart. Shares hold as closely as
  chance lets them;
* stratified, each class is cut where its sorted priorities reach the share. Shares hold within
  a row in every class; in return, when rows are added a cut may pass a few of the old ones;
* by time, equal times stay together and a cut given as a time never moves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.data.hashing import Hashes, hash_column, mix
from jupyter_mlops.data.rowhashes import BATCH, row_hashes
from jupyter_mlops.data.spans import span
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["Parting", "by_hash", "by_time", "stratified"]

LEFT_OUT: Final = 255
CLASSES: Final = 1000
_SEED: Final = np.uint64(0x6A09E667F3BCC909)
Places = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Parting:
    """The part of each row, in the order of the rows.

    Attributes
    ----------
    places : array of uint8
        The number of the part; `LEFT_OUT` for rows in none.
    cuts : list of str
        The times at which parts begin.
    classes : dict of str to list of int
        The rows of each class in each part.
    """

    places: Places
    cuts: list[str] = field(default_factory=list)
    classes: dict[str, list[int]] = field(default_factory=dict)


def by_hash(frame: pl.LazyFrame, columns: list[str], shares: list[float], seed: int) -> Parting:
    """Draw rows that agree in some columns together, at random."""
    edges = np.array(
        [min(int(end * 2**64), 2**64 - 1) for end in list(accumulate(shares))[:-1]],
        dtype=np.uint64,
    )
    places = [
        np.searchsorted(edges, _priorities(batch, seed), side="right").astype(np.uint8)
        for batch in _batches(frame, columns)
    ]
    return Parting(np.concatenate(places))


def stratified(
    frame: pl.LazyFrame, column: str, unit: list[str], shares: list[float], seed: int
) -> Parting:
    """Give each part its share of every class.

    Raises
    ------
    Invalid
        The column has too many different values to be classes.
    """
    found = frame.group_by(column).len().sort(column).head(CLASSES + 1)
    counted = found.collect(engine="streaming")
    if counted.height > CLASSES:
        raise Invalid(
            f"column {column!r} has more than {CLASSES:,} values to stratify by",
            fix="name a column with few classes, or make one with `data query`",
            code="E-DATA-082",
        )
    ids = hash_column(counted[column])
    order = np.argsort(ids)
    priorities, classes = [], []
    for batch in _batches(frame, list(dict.fromkeys([*unit, column]))):
        priorities.append(_priorities(batch.select(unit), seed))
        classes.append(order[np.searchsorted(ids[order], hash_column(batch[column]))])
    drawn, number = np.concatenate(priorities), np.concatenate(classes)
    places = np.zeros(len(drawn), dtype=np.uint8)
    counts = {}
    for at, name in enumerate(counted[column]):
        rows = np.flatnonzero(number == at)
        places[rows] = _cut(drawn[rows], shares)
        counts[_named(name)] = np.bincount(places[rows], minlength=len(shares)).tolist()
    return Parting(places, classes=counts)


def by_time(
    frame: pl.LazyFrame,
    column: str,
    shares: list[float],
    cuts: list[str],
    gap: str | None,
) -> Parting:
    """Cut at points in time, given or chosen so that parts come closest to their shares.

    Raises
    ------
    Invalid
        The column holds no times, lacks some, or the cuts or the gap can't be read.
    """
    dtype = frame.collect_schema()[column]
    if not isinstance(dtype, pl.Date | pl.Datetime):
        raise Invalid(
            f"column {column!r} can't split by time: it holds {logical_type(dtype)}",
            fix="name a column of dates or datetimes",
            code="E-DATA-085",
        )
    missing = frame.select(pl.col(column).null_count()).collect(engine="streaming").item()
    if missing:
        raise Invalid(
            f"{missing:,} rows have no {column!r} to split by",
            fix=f'add the others as a dataset first: --where "{column} IS NOT NULL"',
            code="E-DATA-086",
        )
    if cuts:
        points = [_point(text, column, dtype) for text in cuts]
        if sorted(set(points)) != points:
            raise Invalid(
                "the cuts must go from early to late",
                fix=f"write them in order: {', '.join(sorted(set(cuts)))}",
                code="E-DATA-087",
            )
    else:
        points = _quantiles(frame, column, shares)
    ends = np.array(points, dtype=np.int64)
    width = _width(gap, dtype)
    placed = []
    for batch in _batches(frame, [column]):
        times = batch[column].to_physical().cast(pl.Int64).to_numpy()
        places = np.searchsorted(ends, times, side="right")
        starts = np.concatenate([[np.iinfo(np.int64).min], ends + width])
        placed.append(np.where(times < starts[places], LEFT_OUT, places).astype(np.uint8))
    return Parting(np.concatenate(placed), cuts=_times(points, dtype))


def _batches(frame: pl.LazyFrame, columns: list[str]) -> Any:
    return frame.select(columns).collect_batches(chunk_size=BATCH, maintain_order=True)


def _priorities(batch: pl.DataFrame, seed: int) -> Hashes:
    salt = mix(np.array([seed], dtype=np.uint64) ^ _SEED)
    return mix(row_hashes(batch) ^ salt)


def _cut(drawn: Hashes, shares: list[float]) -> Places:
    """Cut a class where its sorted priorities reach the shares, never between equal ones."""
    ordered = np.sort(drawn)
    edges = []
    for end in list(accumulate(shares))[:-1]:
        place = round(len(ordered) * end)
        if place >= len(ordered):
            continue
        first, last = (int(np.searchsorted(ordered, ordered[place], side=s)) for s in _SIDES)
        # Copies of one row stand in the way: the cut goes to their nearer side.
        place = last if last - place < place - first else first
        edges.append(ordered[place] if place < len(ordered) else np.uint64(2**64 - 1))
    return np.searchsorted(np.array(edges, dtype=np.uint64), drawn, side="right").astype(np.uint8)


_SIDES: Final = ("left", "right")


def _quantiles(frame: pl.LazyFrame, column: str, shares: list[float]) -> list[int]:
    counted = frame.group_by(column).len().sort(column).collect(engine="streaming")
    times = counted[column].to_physical().cast(pl.Int64).to_numpy()
    before = np.concatenate([[0], np.cumsum(counted["len"].to_numpy())])[:-1]
    total = int(counted["len"].sum())
    ends = list(accumulate(shares))[:-1]
    return [int(times[np.argmin(np.abs(before - end * total))]) for end in ends]


def _point(text: str, column: str, dtype: pl.DataType) -> int:
    try:
        if isinstance(dtype, pl.Date):
            made: Any = date.fromisoformat(text)
        else:
            made = datetime.fromisoformat(text)
            zone = getattr(dtype, "time_zone", None)
            if zone is None and made.tzinfo is not None:
                raise ValueError("the column has no time zone")
            if zone is not None and made.tzinfo is None:
                made = pl.Series([made]).dt.replace_time_zone(zone)[0]
        physical: int = pl.Series([made], dtype=dtype).to_physical().cast(pl.Int64)[0]
        return physical
    except (ValueError, pl.exceptions.PolarsError) as error:
        raise Invalid(
            f"{text!r} is no time to cut {column!r} at",
            str(error).splitlines()[0],
            "write it like 2013-09-01 or 2013-09-01T06:00",
            code="E-DATA-088",
        ) from None


def _width(gap: str | None, dtype: pl.DataType) -> int:
    if gap is None:
        return 0
    length = span(gap, "a gap")
    if isinstance(dtype, pl.Date):
        if length % timedelta(days=1):
            raise Invalid(
                f"a gap of {gap} is no number of days",
                "the column holds dates",
                "write it like 1d",
                code="E-DATA-089",
            )
        return length.days
    unit = getattr(dtype, "time_unit", "us")
    return (length // timedelta(microseconds=1)) * {"ms": 1, "us": 1000, "ns": 10**6}[unit] // 1000


def _times(points: list[int], dtype: pl.DataType) -> list[str]:
    """Points in time as they are written."""
    physical = pl.Series(points, dtype=pl.Int32 if isinstance(dtype, pl.Date) else pl.Int64)
    return physical.cast(dtype).dt.to_string("iso:strict").to_list()


def _named(value: Any) -> str:
    return "(missing)" if value is None else str(value)

"""A window of a traffic log, read from the profiles that are kept of it.

Whole hours come from the profiles; what a window holds beyond them, and what isn't in a closed
file yet, is read row by row and profiled on the way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import polars as pl

from jupyter_mlops.monitoring.blocks import Block, merged_samples, profile_rows
from jupyter_mlops.monitoring.columns import Column
from jupyter_mlops.monitoring.condensed import restored
from jupyter_mlops.monitoring.hourly import Index, bring_up_to_date, load, parts_of
from jupyter_mlops.monitoring.logfiles import HOUR, hot_rows, read_files
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Workspace

__all__ = ["KeptLog", "Reading"]

#: Periods that a history is looked at in, at the most.
_HISTORY: Final = 400
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Reading:
    """A window of a log, profiled.

    Attributes
    ----------
    block : Block
        Of all versions.
    own : Block
        Of the version that was asked for; without a sample.
    profiles : int
        Kept profiles that were read.
    read : int
        Rows that had to be read besides.
    """

    block: Block
    own: Block
    profiles: int
    read: int


class KeptLog:
    """An endpoint's log as its kept profiles tell it; they are brought up to date first.

    Parameters
    ----------
    ws : Workspace
    endpoint : str
    """

    def __init__(self, ws: Workspace, endpoint: str) -> None:
        self.ws, self.endpoint = ws, endpoint
        # Hot before cold: a segment that is closed between the two looks is seen in either.
        hot = hot_rows(ws, endpoint)
        self.index: Index = bring_up_to_date(ws, endpoint)
        open_ones = [rows for name, rows in hot.items() if name not in self.index.files]
        self._hot = pl.concat(open_ones, how="diagonal_relaxed") if open_ones else pl.DataFrame()
        self._hours = self.index.hours

    def rows(self, window: Window) -> int:
        """About how many rows a window holds: its outer hours count whole."""
        since, until = _micros(window)
        inside = sum(rows for hour, rows in self._hours.items() if _touches(hour, since, until))
        return inside + _within(self._hot, since, until).height

    def newest(self) -> datetime | None:
        """The event time of the newest row, to the hour where it is in a closed file."""
        ends = self.ends(Window())
        return None if ends is None else ends[1]

    def ends(self, window: Window) -> tuple[datetime, datetime] | None:
        """Between which times a window has rows, to the hour where these are in closed files."""
        since, until = _micros(window)
        hours = [hour for hour in self._hours if _touches(hour, since, until)]
        found = [_EPOCH + timedelta(hours=hour) for hour in (*hours, *(one + 1 for one in hours))]
        open_ones = _within(self._hot, since, until)
        if open_ones.height:
            times: tuple[datetime, datetime] = open_ones.select(
                lo=pl.col("event_time").min(), hi=pl.col("event_time").max()
            ).row(0)
            # The end is exclusive, and the newest row belongs to the window.
            found += [times[0], times[1] + timedelta(microseconds=1)]
        if not found:
            return None
        first, last = min(found), max(found)
        return (
            first if window.since is None else max(first, window.since),
            last if window.until is None else min(last, window.until),
        )

    def read(self, window: Window, version: str | None = None, *, sampled: bool = True) -> Reading:
        """Profile a window, with a sample of its rows or without."""
        since, until = _micros(window)
        lo = min(self._hours, default=0) if since is None else -(-since // HOUR)
        hi = max(self._hours, default=-1) + 1 if until is None else until // HOUR
        tables: list[pl.DataFrame] = []
        samples: list[pl.DataFrame] = []
        count = 0
        if lo < hi:
            spans = [(since, lo * HOUR)] if since is not None and since < lo * HOUR else []
            spans += [(hi * HOUR, until)] if until is not None and hi * HOUR < until else []
            for kind, name, hours in parts_of(self.index, lo, hi):
                count += 1
                table = load(self.ws, self.endpoint, self.index, kind, name)
                if kind == "hours":
                    table = table.filter(pl.col("hour").is_in(hours)).drop("hour")
                tables.append(table)
                if not sampled:
                    continue
                rows = "span.rows" if kind == "span" else "day.rows"
                sample = load(self.ws, self.endpoint, self.index, rows, name)
                if kind == "hours":
                    at = pl.col("event_time").dt.epoch("us") // HOUR
                    sample = sample.filter(at.is_in(hours))
                samples.append(sample)
        else:
            start = lo * HOUR if since is None else since
            end = hi * HOUR if until is None else until
            spans = [(start, end)] if start < end else []
        edges = [self._edge(spans), _within(self._hot, since, until)]
        read = 0
        hidden: set[str] = set()
        if any(edge.height for edge in edges):
            hidden = {column for one in self.index.files.values() for column in one.hidden}
        for edge in edges:
            read += edge.height
            parts = edge.partition_by("version", as_dict=True) if edge.height else {}
            for (one,), part in parts.items():
                block = profile_rows(part, hidden)
                tables.append(block.table().with_columns(pl.lit(one, pl.String).alias("version")))
                if sampled:
                    samples.append(block.sample)
        if not tables:
            empty = Block(0, 0.0, (1.0, 1.0), None, None, {}, pl.DataFrame())
            return Reading(empty, empty, 0, 0)
        whole = pl.concat(tables, how="vertical")
        block = Block.of([whole.drop("version")], [merged_samples(samples)])
        own = block
        if version is not None:
            kept = whole.filter(pl.col("version") == version)
            answers = pl.col("column").is_in(["prediction", "probability"])
            own = Block.of([kept.filter(answers | (pl.col("kind") == "rows")).drop("version")])
        return Reading(block, own, count, read)

    def read_all(self, windows: Iterable[Window]) -> Block:
        """Profile several windows together."""
        blocks = [self.read(one).block for one in windows]
        return Block.of(
            [one.table() for one in blocks], [merged_samples(one.sample for one in blocks)]
        )

    def history(
        self, window: Window, names: list[str]
    ) -> list[tuple[datetime, Mapping[str, Column]]]:
        """These columns of a window by the hour, or by the day where it is long, in order."""
        since, until = _micros(window)
        lo = min(self._hours, default=0) if since is None else since // HOUR
        hi = max(self._hours, default=-1) + 1 if until is None else -(-until // HOUR)
        hourly = hi - lo <= 72
        days = [day for day in self.index.days if _overlaps(day, lo, hi)][-_HISTORY:]
        found: list[tuple[datetime, Mapping[str, Column]]] = []
        for day in days:
            kind = "hours" if hourly else "day"
            table = load(self.ws, self.endpoint, self.index, kind, day)
            table = table.filter(pl.col("column").is_in(names))
            if not hourly:
                start = datetime.fromisoformat(day).replace(tzinfo=UTC)
                found.append((start, restored(table)))
                continue
            for (hour,), part in table.partition_by("hour", as_dict=True).items():
                if lo <= int(hour) < hi:
                    found.append((_EPOCH + timedelta(hours=int(hour)), restored(part)))
        return sorted(found, key=lambda one: one[0])

    def _edge(self, spans: list[tuple[int, int]]) -> pl.DataFrame:
        if not spans:
            return pl.DataFrame()
        wanted = {
            hour
            for start, end in spans
            for hour in self._hours
            if (hour + 1) * HOUR > start and hour * HOUR < end
        }
        names = [name for name, one in self.index.files.items() if wanted & one.hours.keys()]
        return read_files(self.ws, self.endpoint, sorted(names), spans)


def _micros(window: Window) -> tuple[int | None, int | None]:
    since, until = (
        None if one is None else (one - _EPOCH) // timedelta(microseconds=1)
        for one in (window.since, window.until)
    )
    return since, until


def _within(rows: pl.DataFrame, since: int | None, until: int | None) -> pl.DataFrame:
    if not rows.height:
        return rows
    at = pl.col("event_time").dt.epoch("us")
    return rows.filter((at >= since) if since is not None else True).filter(
        (at < until) if until is not None else True
    )


def _touches(hour: int, since: int | None, until: int | None) -> bool:
    return (since is None or (hour + 1) * HOUR > since) and (until is None or hour * HOUR < until)


def _overlaps(day: str, lo: int, hi: int) -> bool:
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    first = int((start - _EPOCH) / timedelta(hours=1))
    return first < hi and first + 24 > lo

"""The profiles of a traffic log, kept by the hour, the day, the week and the month.

They stand beside the log and follow it. An index says which hours each closed file has rows of;
a day whose files are others than those its profile was made of is profiled again, whether a row
came late or the log's retention took a file away, and a profile that is missing is made again.
Which file it is in never matters: a day's profile is a function of its rows, the same bytes
wherever and however often it is made. Two processes that bring it up to date at once do the work
twice and write the same.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import orjson
import polars as pl
from sqlalchemy import select

from jupyter_mlops.monitoring.blocks import Block, merged_samples, profile_rows
from jupyter_mlops.monitoring.condensed import ENGINE
from jupyter_mlops.monitoring.logfiles import (
    HOUR,
    LogFile,
    files_of,
    in_order,
    look_at,
    read_alike,
    size_of,
)
from jupyter_mlops.serving.records import EndpointRecord
from jupyter_mlops.workspace import NotFound, Workspace

__all__ = [
    "FOLDER",
    "Index",
    "bring_all_up_to_date",
    "bring_up_to_date",
    "load",
    "parts_of",
    "worth_keeping",
]

FOLDER: Final = "profiles"
_INDEX: Final = "index.json.gz"
_DAY: Final = 24
#: Points of an hour's columns, which are only ever a small part of a window.
_OF_AN_HOUR: Final = 256
#: Bytes of closed files.
_LARGE: Final = 2_000_000
#: Rows that are in memory at once while profiles are made.
_TOGETHER: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Index:
    """Which profiles there are, and what they were made of.

    Attributes
    ----------
    files : dict of str to LogFile
        The closed files that have been looked at.
    days, spans : dict of str to str
        The mark of each profile, by ``2013-04-01``, and by ``2013-04`` and ``2013-W14``.
    """

    files: dict[str, LogFile] = field(default_factory=dict)
    days: dict[str, str] = field(default_factory=dict)
    spans: dict[str, str] = field(default_factory=dict)

    @property
    def hours(self) -> dict[int, int]:
        """Rows by the hour, counted from 1970."""
        found: dict[int, int] = defaultdict(int)
        for one in self.files.values():
            for hour, rows in one.hours.items():
                found[hour] += rows
        return found


def bring_up_to_date(ws: Workspace, endpoint: str) -> Index:
    """Profile what has changed in an endpoint's log since it was last looked at.

    Returns
    -------
    Index
        Of the closed files; what is still being written is in none.
    """
    index = _read_index(ws, endpoint)
    present = files_of(ws, endpoint)
    gone = index.files.keys() - set(present)
    fresh: dict[str, LogFile] = {}
    for name in present:
        if name not in index.files:
            try:
                fresh[name] = look_at(ws, endpoint, name)
            except NotFound:
                continue  # retention took it meanwhile
    if not gone and not fresh:
        return index
    touched = {_day_of(hour) for one in fresh.values() for hour in one.hours}
    touched |= {_day_of(hour) for name in gone for hour in index.files[name].hours}
    files = {name: one for name, one in index.files.items() if name not in gone} | fresh
    made = Index(files, dict(index.days), dict(index.spans))
    _make_days(ws, endpoint, made, touched)
    _make_spans(ws, endpoint, made, {span for day in touched for span in _spans_of(day)})
    content = orjson.dumps(_index_state(made), option=orjson.OPT_NON_STR_KEYS)
    ws.traffic.write_bytes(f"{endpoint}/{FOLDER}/{_INDEX}", gzip.compress(content, 1, mtime=0))
    _sweep(ws, endpoint, index, made)
    return made


def worth_keeping(ws: Workspace, endpoint: str) -> bool:
    """Whether an endpoint's log has profiles, or is so large that reading it takes longer."""
    if ws.traffic.exists(f"{endpoint}/{FOLDER}/{_INDEX}"):
        return True
    return size_of(ws, endpoint) >= _LARGE


def bring_all_up_to_date(ws: Workspace) -> int:
    """Bring up to date the profiles of all logs that are worth it; return how many logs."""
    done = 0
    with ws.read() as session:
        names = list(session.scalars(select(EndpointRecord.name)))
    for name in names:
        if worth_keeping(ws, name):
            bring_up_to_date(ws, name)
            done += 1
    return done


def parts_of(index: Index, since: int, until: int) -> list[tuple[str, str, list[int]]]:
    """The fewest profiles that together hold the hours from `since` up to `until`.

    Returns
    -------
    list of (str, str, list of int)
        ``"span"`` or ``"day"`` with its name and no hours, or ``"hours"`` with the day's name
        and the hours that are wanted of it; in the order of time.
    """
    whole = {day for day in index.days if _hours(day)[0] >= since and _hours(day)[1] <= until}
    parts: list[tuple[str, str, list[int]]] = []
    done: set[str] = set()
    held = _days_by_span(index)
    # Whole months first, and then the weeks that are left whole.
    for span in sorted(index.spans, key=lambda one: ("W" in one, one)):
        days = held[span] - done
        if days == held[span] and whole >= days and len(days) > 1:
            done |= days
            parts.append(("span", span, []))
    for day in index.days:
        first, end = _hours(day)
        if day in done or end <= since or first >= until:
            continue
        if day in whole:
            parts.append(("day", day, []))
        else:
            parts.append(("hours", day, list(range(max(first, since), min(end, until)))))
    return sorted(parts, key=lambda one: min(held[one[1]]) if one[0] == "span" else one[1])


def load(ws: Workspace, endpoint: str, index: Index, kind: str, name: str) -> pl.DataFrame:
    """The tables of a profile, of all versions: ``"span"``, ``"day"``, ``"hours"`` or the rows
    that are kept of them: ``"span.rows"``, ``"day.rows"``. One that is missing is made again.
    """
    mark = (index.spans if kind.startswith("span") else index.days)[name]
    key = _key(endpoint, name, mark, kind)
    try:
        return _open(ws, key)
    except NotFound:
        if name in index.days:
            _make_days(ws, endpoint, index, {name})
        else:
            _make_spans(ws, endpoint, index, {name})
        return _open(ws, _key(endpoint, name, mark, kind))


def _make_days(ws: Workspace, endpoint: str, index: Index, days: set[str]) -> None:
    """Profile these days, whose rows may lie in any files."""
    files: dict[str, list[str]] = {day: [] for day in sorted(days)}
    rows: dict[str, int] = dict.fromkeys(files, 0)
    for name in sorted(index.files):
        for hour, count in index.files[name].hours.items():
            day = _day_of(hour)
            if day in files:
                rows[day] += count
                if not files[day] or files[day][-1] != name:
                    files[day].append(name)
    for day in files:
        index.days.pop(day, None)
    for chunk in _chunks(files, rows):
        names = sorted({name for day in chunk for name in files[day]})
        spans = [(first * HOUR, end * HOUR) for first, end in map(_hours, chunk)]
        # A number that came as text one day is none the day before.
        parts: dict[str, list[pl.DataFrame]] = defaultdict(list)
        for found in read_alike(ws, endpoint, names, spans):
            for day, part in _by_day(found).items():
                parts[day].append(part)
        for day in chunk:
            hidden = sorted({one for name in files[day] for one in index.files[name].hidden})
            mark = _mark("day", files[day], hidden)
            _keep_day(ws, endpoint, day, mark, in_order(parts[day]), hidden)
            index.days[day] = mark
    index.days = dict(sorted(index.days.items()))


def _by_day(rows: pl.DataFrame) -> dict[str, pl.DataFrame]:
    days = rows.with_columns(pl.col("event_time").dt.strftime("%Y-%m-%d").alias("\0day"))
    parts = days.partition_by("\0day", as_dict=True, include_key=False, maintain_order=True)
    return {str(day): part for (day,), part in parts.items()}


def _keep_day(
    ws: Workspace, endpoint: str, day: str, mark: str, rows: pl.DataFrame, hidden: list[str]
) -> None:
    hour = pl.col("event_time").dt.epoch("us") // HOUR
    timed = rows.with_columns(hour.alias("\0hour"))
    tables = []
    for (at, version), part in sorted(
        timed.partition_by("\0hour", "version", as_dict=True, include_key=True).items(),
        key=lambda one: (one[0][0], str(one[0][1])),
    ):
        table = profile_rows(part.drop("\0hour"), hidden, _OF_AN_HOUR).table()
        tables.append(_labelled(table, version).with_columns(pl.lit(at, pl.Int64).alias("hour")))
    _write(ws, _key(endpoint, day, mark, "hours"), pl.concat(tables))
    parts = rows.partition_by("version", as_dict=True)
    whole = [
        _labelled(profile_rows(part, hidden).table(), version)
        for (version,), part in sorted(parts.items(), key=lambda one: str(one[0][0]))
    ]
    _write(ws, _key(endpoint, day, mark, "day"), pl.concat(whole))
    _write(ws, _key(endpoint, day, mark, "day.rows"), profile_rows(rows, hidden).sample)


def _make_spans(ws: Workspace, endpoint: str, index: Index, spans: set[str]) -> None:
    """Merge the days of these weeks and months."""
    held = _days_by_span(index)
    for span in sorted(spans):
        index.spans.pop(span, None)
        days = sorted(held.get(span, ()))
        if not days:
            continue
        tables = pl.concat([load(ws, endpoint, index, "day", day) for day in days])
        mark = _mark("span", [index.days[day] for day in days], [])
        whole = [
            _labelled(Block.of([part]).condensed().table(), version)
            for (version,), part in sorted(
                tables.partition_by("version", as_dict=True, include_key=False).items(),
                key=lambda one: str(one[0][0]),
            )
        ]
        _write(ws, _key(endpoint, span, mark, "span"), pl.concat(whole))
        rows = merged_samples(load(ws, endpoint, index, "day.rows", day) for day in days)
        _write(ws, _key(endpoint, span, mark, "span.rows"), rows)
        index.spans[span] = mark
    index.spans = dict(sorted(index.spans.items()))


@lru_cache(4096)
def _spans_of(day: str) -> tuple[str, str]:
    """The month and the week of a day."""
    year, week, _ = datetime.fromisoformat(day).isocalendar()
    return day[:7], f"{year}-W{week:02}"


def _days_by_span(index: Index) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for day in index.days:
        for span in _spans_of(day):
            found[span].add(day)
    return found


def _labelled(table: pl.DataFrame, version: object) -> pl.DataFrame:
    return table.with_columns(pl.lit(None if version is None else str(version)).alias("version"))


def _chunks(files: dict[str, list[str]], rows: dict[str, int]) -> Iterator[list[str]]:
    chunk: list[str] = []
    held = 0
    for day, names in files.items():
        if not names:
            continue
        if chunk and held + rows[day] > _TOGETHER:
            yield chunk
            chunk, held = [], 0
        chunk.append(day)
        held += rows[day]
    if chunk:
        yield chunk


def _mark(kind: str, made_of: Iterable[str], hidden: Iterable[str]) -> str:
    content = orjson.dumps([ENGINE, kind, list(made_of), list(hidden)])
    return hashlib.blake2b(content, digest_size=8).hexdigest()


def _key(endpoint: str, name: str, mark: str, kind: str) -> str:
    return f"{endpoint}/{FOLDER}/{name}-{mark}.{kind}.arrow"


def _write(ws: Workspace, key: str, table: pl.DataFrame) -> None:
    content = io.BytesIO()
    table.write_ipc(content, compression="zstd")
    ws.traffic.write_bytes(key, content.getvalue())


def _open(ws: Workspace, key: str) -> pl.DataFrame:
    return pl.read_ipc(ws.traffic.read_bytes(key))


def _sweep(ws: Workspace, endpoint: str, before: Index, now: Index) -> None:
    """Remove profiles of what the log held before."""
    for old, new, kinds in (
        (before.days, now.days, ("hours", "day", "day.rows")),
        (before.spans, now.spans, ("span", "span.rows")),
    ):
        for name, mark in old.items():
            if new.get(name) != mark:
                for kind in kinds:
                    ws.traffic.delete(_key(endpoint, name, mark, kind))


def _read_index(ws: Workspace, endpoint: str) -> Index:
    try:
        content = ws.traffic.read_bytes(f"{endpoint}/{FOLDER}/{_INDEX}")
        state = orjson.loads(gzip.decompress(content))
    except NotFound:
        return Index()
    if state["engine"] != ENGINE:
        # What another version kept is read by nobody any more.
        for key in ws.traffic.list(f"{endpoint}/{FOLDER}"):
            ws.traffic.delete(key)
        return Index()
    files = {name: LogFile.of(one) for name, one in state["files"].items()}
    return Index(files, state["days"], state["spans"])


def _index_state(index: Index) -> dict[str, Any]:
    return {
        "engine": ENGINE,
        "files": {name: one.to_dict() for name, one in index.files.items()},
        "days": index.days,
        "spans": index.spans,
    }


def _day_of(hour: int) -> str:
    return f"{_EPOCH + timedelta(hours=hour):%Y-%m-%d}"


@lru_cache(4096)
def _hours(day: str) -> tuple[int, int]:
    """The first hour of a day, and that after its last."""
    start = datetime.fromisoformat(day).replace(tzinfo=UTC)
    first = int((start - _EPOCH) / timedelta(hours=1))
    return first, first + _DAY

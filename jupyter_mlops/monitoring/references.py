"""What traffic is compared with: a table that is profiled once, or earlier traffic."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.columns import Column
from jupyter_mlops.monitoring.condensed import ENGINE, condense, restored, stored
from jupyter_mlops.monitoring.populations import Kind, Population, coerced, drawn, kinds_of
from jupyter_mlops.monitoring.windows import Window, parse_length, parse_span
from jupyter_mlops.workspace import Invalid, NotFound, Workspace

__all__ = ["TRAFFIC", "Earlier", "Season", "earlier_traffic", "population_of"]

Season = Literal["auto", "year", "week"]
#: How a reference begins that is earlier traffic.
TRAFFIC: Final = "traffic"
_FOLDER: Final = "drift/references"
#: So many of the window's rows an earlier time must have to stand for its season.
_ENOUGH: Final = 0.5
#: Weeks, so that each hour is compared with those of the same weekday.
_YEAR: Final = timedelta(weeks=52)
_WEEK: Final = timedelta(weeks=1)
_WEEKS: Final = 4
_LENGTH: Final = re.compile(r"\d")
_PARTS: Final = ("columns", "rows")
#: Columns that are in memory at once.
_TOGETHER: Final = 8


@dataclass(frozen=True)
class Earlier:
    """Earlier traffic as a reference.

    Attributes
    ----------
    windows : list of Window
    label : str
        ``traffic:2013-03-01..2013-04-01``, which `earlier_traffic` reads again.
    why : str
        How it was chosen, in words.
    """

    windows: list[Window]
    label: str
    why: str = ""


def earlier_traffic(
    text: str,
    window: Window,
    count: Callable[[Window], int],
    season: Season | None = None,
) -> Earlier:
    """Find the earlier traffic that a window is compared with.

    Parameters
    ----------
    text : str
        ``traffic:2013-03`` is a month, ``traffic:2013-03-01..2013-03-15`` a span,
        ``traffic:30d`` so much before the window; ``traffic`` leaves it to the season.
    window : Window
        Closed on both ends.
    count : callable
        Rows of a window.
    season : {"auto", "year", "week"}, optional
        The same weeks of the year before, or the same hours of the four weeks before. ``auto``,
        and ``traffic`` alone, take the year where it has half as many rows, else the weeks where
        these have, else as much time as the window has right before it.

    Raises
    ------
    Invalid
        ``E-MONITORING-080``: it can't be read, or says the time twice.
    NotFound
        ``E-MONITORING-081``: there is no such traffic.
    """
    assert window.since is not None
    assert window.until is not None
    said = text.removeprefix(TRAFFIC).removeprefix(":")
    if said and season is not None:
        raise Invalid(
            f"--against {text} and --season {season} both say what to compare with",
            fix="leave one of them out",
            code="E-MONITORING-080",
        )
    if said:
        return _told(said, window, count)
    length = window.until - window.since
    rows = max(1, count(window))
    tried = {
        "year": ([window.moved(-_YEAR)], "the same weeks of the year before"),
        "week": (_weeks(window), "the same hours of the weeks before"),
    }
    for name, (windows, why) in tried.items():
        if season not in (None, "auto", name):
            continue
        held = [one for one in windows if count(one)]
        found = sum(count(one) for one in held)
        if found and (found >= _ENOUGH * rows or season == name):
            return Earlier(held, _label(held), why)
        if season == name:
            raise NotFound(
                f"there is no traffic of {why}",
                fix="say another time with --against traffic:2013-03",
                code="E-MONITORING-081",
            )
    before = Window(window.since - length, window.since)
    if not count(before):
        raise _nothing(before)
    return Earlier([before], _label([before]), "as much time right before, for want of a season")


def _told(said: str, window: Window, count: Callable[[Window], int]) -> Earlier:
    assert window.since is not None
    windows = []
    for one in said.split(","):
        since, dots, until = one.partition("..")
        if dots:
            windows.append(Window.parse(since, until))
        elif one[-1:].isalpha() and _LENGTH.match(one):
            windows.append(Window(window.since - parse_length(one), window.since))
        else:
            windows.append(parse_span(one))
    held = [one for one in windows if count(one)]
    if not held:
        raise _nothing(windows[0])
    return Earlier(held, _label(held))


def _weeks(window: Window) -> list[Window]:
    assert window.since is not None
    assert window.until is not None
    step = -((window.until - window.since) // -_WEEK) * _WEEK
    return [window.moved(-at * step) for at in range(1, _WEEKS + 1)]


def _label(windows: Sequence[Window]) -> str:
    spans = [f"{_iso(one.since)}..{_iso(one.until)}" for one in windows]
    return f"{TRAFFIC}:{','.join(spans)}"


def _iso(time: datetime | None) -> str:
    assert time is not None
    text = time.isoformat().removesuffix("+00:00")
    return text.removesuffix("T00:00:00")


def _nothing(window: Window) -> NotFound:
    return NotFound(
        f"there is no traffic from {window} to compare with",
        fix="say another time with --against traffic:2013-03, or data",
        code="E-MONITORING-081",
    )


def population_of(
    ws: Workspace, table: Table, names: Sequence[str]
) -> tuple[Population, dict[str, Kind]]:
    """The columns of a table as a reference, and their kinds.

    A recorded dataset is read once: its columns, made small, and a sample of its rows are kept
    by its content, so that the same rows under another name are the same reference.
    """
    recorded = table.ref is not None and table.ref.startswith("data:")
    if not recorded:
        frame = table.scan().select(names).collect(engine="streaming")
        kinds = kinds_of(frame, names)
        return Population.of(frame, kinds), kinds
    key = f"{_FOLDER}/{table.digest}-{ENGINE}"
    try:
        counted, sample = (
            pl.read_ipc(ws.artifacts.read_bytes(f"{key}.{part}.arrow")) for part in _PARTS
        )
    except NotFound:
        counted, sample = _profiled(table)
        for part, made in zip(_PARTS, (counted, sample), strict=True):
            content = io.BytesIO()
            made.write_ipc(content, compression="lz4")
            ws.artifacts.write_bytes(f"{key}.{part}.arrow", content.getvalue())
    columns = restored(counted.filter(pl.col("column").is_in(list(names))).drop("rows"))
    kinds = kinds_of(sample, names)
    held: dict[str, Column] = {}
    for name, kind in kinds.items():
        if kind in ("number", "category") and name in columns:
            found = coerced(columns[name], kind)
            if found is not None:
                held[name] = found
    types = {name: str(sample.schema[name]) for name in names}
    rows = int(counted["rows"][0]) if counted.height else sample.height
    return Population(rows, held, sample.select(names), types), kinds


def _profiled(table: Table) -> tuple[pl.DataFrame, pl.DataFrame]:
    """All columns of a table made small, and a sample; a few columns are in memory at once."""
    source = table.scan()
    names = source.collect_schema().names()
    rows = int(source.select(pl.len()).collect().item())
    places = drawn(pl.DataFrame({"row": pl.int_range(rows, eager=True)}))["row"].sort()
    counted: dict[str, Column] = {}
    parts = []
    for at in range(0, len(names), _TOGETHER):
        frame = source.select(names[at : at + _TOGETHER]).collect(engine="streaming")
        parts.append(frame[places])
        kinds = kinds_of(frame, frame.columns)
        for name, kind in kinds.items():
            if kind in ("number", "category", "text"):
                simple: Kind = "number" if kind == "number" else "category"
                counted[name] = condense(
                    Population.of(frame.select(name), {name: simple}).columns[name]
                )
    table_of = stored(counted).with_columns(pl.lit(rows, pl.Int64).alias("rows"))
    return table_of, pl.concat(parts, how="horizontal")

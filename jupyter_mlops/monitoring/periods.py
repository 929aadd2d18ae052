"""A window of traffic, period by period, beside a reference: from kept profiles or from rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.blocks import Block
from jupyter_mlops.monitoring.comparing import as_kinds, comparable, named, shared_names
from jupyter_mlops.monitoring.populations import Kind, Population, drawn, kinds_of
from jupyter_mlops.monitoring.readings import KeptLog
from jupyter_mlops.monitoring.references import population_of
from jupyter_mlops.monitoring.sides import INPUT, log_column, read_sides, within
from jupyter_mlops.monitoring.windows import Window

__all__ = ["REFERENCE", "Periods", "period_of", "periods_kept", "periods_of_rows", "start_of"]

#: Rows of the reference that rows are held against; a sample of more is as good here.
REFERENCE: Final = 20_000
#: Rows of a sample that texts and embeddings are compared by, which takes a while each time.
_CONTENTS: Final = 1000
_SEED: Final = 20_131
_WEEK: Final = timedelta(weeks=1)
_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Periods:
    """A reference and what came in each period.

    Attributes
    ----------
    reference : Population
    kinds : dict of str to str
        Of the features that are compared.
    parts : dict of datetime to Population
        By the start of the period; those without rows are left out.
    notices : list of str
    source : str
        What was read, in words.
    """

    reference: Population
    kinds: dict[str, Kind]
    parts: dict[datetime, Population]
    notices: list[str]
    source: str


def period_of(span: timedelta) -> str:
    """A length as polars truncates times to it: whole weeks begin on Mondays."""
    if span % _WEEK == timedelta(0):
        return f"{span // _WEEK}w"
    return f"{span // timedelta(microseconds=1)}us"


def start_of(moment: datetime, span: timedelta) -> datetime:
    """When the period began that a moment is in."""
    found: datetime = pl.Series([moment]).dt.truncate(period_of(span)).item()
    return found


def periods_of_rows(
    reference: Table,
    traffic: pl.LazyFrame,
    features: Sequence[str] | None,
    window: Window,
    span: timedelta | None,
) -> Periods:
    """Read both sides row by row.

    Parameters
    ----------
    span : timedelta or None
        The length of a period; None: all of the window is one.

    Raises
    ------
    Invalid
        ``E-MONITORING-006``: the two sides share no feature that can be compared.
        ``E-MONITORING-011``: the reference has no rows.
    """
    sides = read_sides(reference, traffic, features, window)
    kinds, unread = comparable(kinds_of(sides.reference, sides.names), reference.label)
    notices = [*sides.notices, *unread]
    before, rows = sides.reference, sides.reference.height
    if rows > REFERENCE:
        before = before.sample(REFERENCE, seed=_SEED)
        notices.append(
            f"{REFERENCE:,} of the {rows:,} rows of {reference.label} were drawn to compare with"
        )
    time = log_column(sides.current, "event_time")
    assert time is not None
    moment = pl.col(time).cast(pl.Datetime("us", "UTC"))
    current = sides.current.drop_nulls(time).sort(time, maintain_order=True)
    if span is None:
        period = pl.lit(current[time].min()).cast(pl.Datetime("us", "UTC"))
    else:
        period = moment.dt.truncate(period_of(span))
    parts = current.with_columns(period.alias("\0period")).partition_by(
        "\0period", as_dict=True, include_key=False, maintain_order=True
    )
    found: dict[datetime, Population] = {}
    for (start,), part in parts.items():
        assert isinstance(start, datetime)
        found[start] = _smaller(Population.of(part, kinds), kinds)
    return Periods(
        _smaller(Population.of(before, kinds), kinds),
        kinds,
        found,
        notices,
        f"{sides.current.height:,} rows",
    )


def periods_kept(
    reference: Table,
    log: KeptLog,
    traffic: Callable[[], pl.LazyFrame],
    features: Sequence[str] | None,
    window: Window,
    span: timedelta | None,
) -> Periods | None:
    """Read both sides from kept profiles.

    Periods of which these don't tell enough are read row by row. None where they can't tell of
    the reference, or where the periods aren't whole hours.

    Raises
    ------
    Invalid
        As `periods_of_rows`.
    """
    ends = log.ends(window)
    if ends is None or (span is not None and span % _HOUR):
        return None
    blocks: dict[datetime, Block] = {}
    profiles = read = 0
    for start, part in _cut(ends, window, span):
        reading = log.read(part, sampled=False)
        if reading.block.rows:
            blocks[start] = reading.block
            profiles, read = profiles + reading.profiles, read + reading.read
    if not blocks:
        return None
    newest = named(log.read(Window(max(blocks), window.until)).block).types
    flat = {
        name.removeprefix(INPUT): None
        for block in blocks.values()
        for name in block.columns
        if name.startswith(INPUT)
    }
    inputs = [*newest, *(name for name in flat if name not in newest)]
    known = reference.scan().collect_schema().names()
    names, _, notices = shared_names(reference.label, known, inputs, features)
    before, kinds = population_of(log.ws, reference, names)
    if not before.rows:
        return None  # rows have a sentence for it
    kinds, unread = comparable(kinds, reference.label)
    whole = as_kinds(before, kinds)
    if whole is None:
        return None
    parts: dict[datetime, Population] = {}
    again: list[str] = []
    for start, part in _cut(ends, window, span):
        if start not in blocks:
            continue
        side = named(blocks[start])
        if _by_content(kinds):
            side = named(log.read(part).block)
        counted = as_kinds(side, kinds)
        if counted is None:
            counted = _of_rows(traffic(), kinds, part)
            read += counted.rows
            again.append(f"{start:%Y-%m-%d %H:%M}".removesuffix(" 00:00"))
        parts[start] = _smaller(counted, kinds)
    if again:
        notices.append(
            f"{len(again):,} of {len(parts):,} periods were read row by row, since their kept "
            f"profiles don't tell enough of every feature: {', '.join(again[:3])}"
            f"{' …' if len(again) > 3 else ''}"
        )
    source = f"{profiles:,} kept profiles and {read:,} rows"
    return Periods(_smaller(whole, kinds), kinds, parts, [*notices, *unread], source)


def _cut(
    ends: tuple[datetime, datetime], window: Window, span: timedelta | None
) -> list[tuple[datetime, Window]]:
    """The periods from the first to the last row, each as far as it is in the window."""
    if span is None:
        return [(ends[0], window)]
    start, found = start_of(ends[0], span), []
    while start < ends[1]:
        lo = start if window.since is None else max(start, window.since)
        hi = start + span if window.until is None else min(start + span, window.until)
        found.append((start, Window(lo, hi)))
        start += span
    return found


def _of_rows(traffic: pl.LazyFrame, kinds: Mapping[str, Kind], window: Window) -> Population:
    logged = traffic.collect_schema().names()
    rows = (
        within(traffic, window)
        .sort("event_time")
        .select(
            (pl.col(INPUT + name) if INPUT + name in logged else pl.lit(None)).alias(name)
            for name in kinds
        )
        .collect(engine="streaming")
    )
    return Population.of(rows, kinds)


def _by_content(kinds: Mapping[str, Kind]) -> bool:
    return any(kind in ("text", "embedding") for kind in kinds.values())


def _smaller(side: Population, kinds: Mapping[str, Kind]) -> Population:
    """The same with a smaller sample, and with none where nothing is compared by it."""
    if not _by_content(kinds):
        return Population(side.rows, side.columns, pl.DataFrame(), side.types)
    return Population(side.rows, side.columns, drawn(side.sample, _CONTENTS), side.types)

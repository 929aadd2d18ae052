"""The two sides of a check, read from rows or from kept profiles."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.monitoring.blocks import Block
from jupyter_mlops.monitoring.columns import Column
from jupyter_mlops.monitoring.populations import (
    Kind,
    Population,
    coerced,
    drawn,
    kinds_of,
    read_as,
)
from jupyter_mlops.monitoring.readings import KeptLog
from jupyter_mlops.monitoring.references import Earlier, population_of
from jupyter_mlops.monitoring.schema import schema_changes
from jupyter_mlops.monitoring.sides import INPUT, Sides, log_column, read_sides, within
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Invalid, Workspace

__all__ = [
    "Comparison",
    "as_kinds",
    "comparable",
    "from_profiles",
    "from_rows",
    "named",
    "own_answers",
    "shared_names",
]

ANSWERS: Final = ("prediction_id", "prediction", "probability", "event_time", "version")
_DAY: Final = timedelta(days=1)
#: Longer histories are looked at by the day.
_BY_HOUR: Final = timedelta(days=3)
_PERIODS: Final = 400

Period = tuple[datetime, Mapping[str, Column]]


@dataclass(frozen=True)
class Comparison:
    """Everything a check needs of its two sides.

    Attributes
    ----------
    reference, current : Population
    kinds : dict of str to str
        Of the features that are compared.
    missing, schema, notices : list of str
        Features that a side doesn't have; what changed in the columns; what to know besides.
    first, last : datetime or None
        Event times.
    answers : polars.DataFrame
        What was answered to the rows of ``current.sample``.
    own : callable
        Reads what was answered to all rows of the window, without their features.
    predicted : dict of str to Column
        The answers of the version that is judged, counted.
    others : int
        Rows that other versions answered.
    history : callable
        The named features by period, from before the window to its end.
    source : str
        What was read, in words.
    """

    reference: Population
    current: Population
    kinds: dict[str, Kind]
    missing: list[str]
    schema: list[str]
    notices: list[str]
    first: datetime | None
    last: datetime | None
    answers: pl.DataFrame
    own: Callable[[], pl.DataFrame]
    predicted: Mapping[str, Column] | None
    others: int
    history: Callable[[Sequence[str]], list[Period]]
    source: str


def from_rows(
    reference: Table,
    traffic: pl.LazyFrame,
    features: Sequence[str] | None,
    window: Window,
    version: str | None,
) -> Comparison:
    """Read both sides row by row.

    Raises
    ------
    Invalid
        ``E-MONITORING-006``: the two sides share no feature that can be compared.
        ``E-MONITORING-011``: the reference has no rows.
    """
    sides = read_sides(reference, traffic, features, window)
    kinds = kinds_of(sides.reference, sides.names)
    kinds, unread = comparable(kinds, reference.label)
    sample = drawn(sides.current)
    own, others = own_answers(sides.current, version)
    times = _times(sides.current)
    types = {name: str(kind) for name, kind in reference.scan().collect_schema().items()}

    def history(names: Sequence[str]) -> list[Period]:
        return _periods(traffic, names, kinds, times, window)

    return Comparison(
        reference=Population.of(sides.reference, kinds),
        current=Population.of(sides.current, kinds, sample),
        kinds=kinds,
        missing=sides.missing,
        schema=schema_changes(types, _inputs(traffic.collect_schema()), features),
        notices=[*sides.notices, *unread, *_shares_of(sides)],
        first=times[0],
        last=times[1],
        answers=_marked(own_answers(sample, None)[0], version),
        own=lambda: own,
        predicted=None,
        others=others,
        history=history,
        source=f"{sides.current.height:,} rows",
    )


def from_profiles(
    ws: Workspace,
    reference: Table | Earlier,
    log: KeptLog,
    traffic: pl.LazyFrame,
    features: Sequence[str] | None,
    window: Window,
    version: str | None,
) -> Comparison | None:
    """Read both sides from kept profiles; None where these don't tell enough of a column.

    Raises
    ------
    Invalid
        As `from_rows`.
    """
    reading = log.read(window, version)
    block = reading.block
    now = named(block)
    if isinstance(reference, Table):
        types = {name: str(kind) for name, kind in reference.scan().collect_schema().items()}
        names, missing, notices = shared_names(reference.label, types, now.types, features)
        before, kinds = population_of(ws, reference, names)
    else:
        before = named(log.read_all(reference.windows))
        types = dict(before.types)
        names, missing, notices = shared_names(reference.label, types, now.types, features)
        kinds = kinds_of(before.sample, names)
    if before.rows == 0:
        raise Invalid(
            f"the reference {reference.label} has no rows",
            fix="say another with --against",
            code="E-MONITORING-011",
        )
    kinds, unread = comparable(kinds, reference.label)
    sides = [as_kinds(side, kinds) for side in (before, now)]
    if sides[0] is None or sides[1] is None:
        return None
    others = block.rows - reading.own.rows

    def history(of: Sequence[str]) -> list[Period]:
        since = (
            None
            if block.first is None or block.last is None
            else (block.first - (block.last - block.first))
        )
        kept = log.history(Window(since, window.until), [INPUT + name for name in of])
        return [(start, _kept_kinds(columns, kinds)) for start, columns in kept]

    def own() -> pl.DataFrame:
        known = traffic.collect_schema().names()
        frame = within(traffic, window).select([one for one in ANSWERS if one in known])
        return own_answers(frame.collect(engine="streaming"), version)[0]

    sample = block.sample
    return Comparison(
        reference=sides[0],
        current=sides[1],
        kinds=kinds,
        missing=missing,
        schema=schema_changes(types, now.types, features),
        notices=[*notices, *unread, *sampling(*block.shares, block.rows, block.asked)],
        first=block.first,
        last=block.last,
        answers=_marked(own_answers(sample, None)[0], version),
        own=own,
        predicted=reading.own.columns,
        others=others,
        history=history,
        source=f"{reading.profiles:,} kept profiles and {reading.read:,} rows",
    )


def shared_names(
    label: str,
    known: Iterable[str],
    inputs: Iterable[str],
    features: Sequence[str] | None,
) -> tuple[list[str], list[str], list[str]]:
    """The features that both sides have, those a side lacks, and what is to be said of these.

    Raises
    ------
    Invalid
        ``E-MONITORING-006``: there is none.
    """
    known, inputs = list(known), list(inputs)
    wanted = list(features) if features else [name for name in inputs if name in known]
    names = [name for name in wanted if name in known and name in inputs]
    missing = [name for name in wanted if name not in names]
    notices = [f"feature {name!r} isn't in the traffic" for name in missing if name in known]
    notices += [f"the reference has no column {name!r}" for name in missing if name not in known]
    if not names:
        raise Invalid(
            f"the traffic and {label} have no feature in common",
            f"traffic has {', '.join(inputs[:8]) or 'no inputs'}; "
            f"the reference {', '.join(known[:8])}",
            "say the model's training data with --against",
            code="E-MONITORING-006",
        )
    return names, missing, notices


def own_answers(rows: pl.DataFrame, version: str | None) -> tuple[pl.DataFrame, int]:
    """What a version answered, under the log's own names, and the rows of others."""
    names = {found: name for name in ANSWERS if (found := log_column(rows, name))}
    own = rows.select(pl.col(found).alias(name) for found, name in names.items())
    if "event_time" in own.columns:
        own = own.with_columns(day=pl.col("event_time").dt.date())
    if version is None or "version" not in own.columns:
        return own, 0
    kept = own.filter(pl.col("version").cast(pl.String) == str(version))
    return kept, own.height - kept.height


def sampling(smallest: float, largest: float, rows: int, asked: float) -> list[str]:
    """Say of how many rows those of a sampled log are a part."""
    if smallest == largest == 1.0 or rows == 0:
        return []
    shares = [smallest] if smallest == largest else [smallest, largest]
    part = " to ".join(f"{100 * share:.4g}%" for share in shares)
    said = [f"{part} of the rows were logged: {rows:,} stand for about {asked:,.0f}"]
    if len(shares) > 1:
        said.append("the share changed within the window, and rows count alike all the same")
    return said


def _shares_of(sides: Sides) -> list[str]:
    name = log_column(sides.current, "share")
    if name is None or name in sides.names:
        return []  # no log tells it; a feature may be called so
    shares = sides.current[name].drop_nulls()
    if not len(shares):
        return []
    low, high = float(shares.min()), float(shares.max())  # type: ignore[arg-type]
    return sampling(low, high, sides.current.height, float((1 / shares).sum()))


def comparable(kinds: dict[str, Kind], label: str) -> tuple[dict[str, Kind], list[str]]:
    """Leave out what has no distribution here, and say so."""
    kept: dict[str, Kind] = {name: kind for name, kind in kinds.items() if kind != "other"}
    notices = [
        f"{name!r} can't be compared: its values are neither numbers, categories, texts nor vectors"
        for name in kinds
        if name not in kept
    ]
    if not kept:
        raise Invalid(
            f"the traffic and {label} have no feature that can be compared",
            "; ".join(notices),
            "derive numbers or categories from them",
            code="E-MONITORING-006",
        )
    return kept, notices


def _marked(answers: pl.DataFrame, version: str | None) -> pl.DataFrame:
    """Say of each answer whether the version that is judged gave it."""
    if version is None or "version" not in answers.columns:
        return answers.with_columns(own=pl.lit(True))
    same = pl.col("version").cast(pl.String) == str(version)
    return answers.with_columns(own=same.fill_null(False))


def _inputs(schema: pl.Schema) -> dict[str, str]:
    return {
        name.removeprefix(INPUT): str(kind)
        for name, kind in schema.items()
        if name.startswith(INPUT)
    }


def named(block: Block) -> Population:
    """The inputs of a block of the log, under their own names."""
    columns = {
        name.removeprefix(INPUT): column
        for name, column in block.columns.items()
        if name.startswith(INPUT)
    }
    inputs = {name: name.removeprefix(INPUT) for name in block.sample.columns if name[:3] == INPUT}
    sample = block.sample.select(list(inputs)).rename(inputs)
    return Population(block.rows, columns, sample, _inputs(block.sample.schema))


def as_kinds(side: Population, kinds: Mapping[str, Kind]) -> Population | None:
    """A side read as these kinds; None where its profile doesn't tell enough of a column."""
    columns = _kept_kinds(side.columns, kinds)
    counted = {name for name, kind in kinds.items() if kind in ("number", "category")}
    if counted - columns.keys():
        return None
    return Population(side.rows, columns, side.sample, side.types)


def _kept_kinds(columns: Mapping[str, Column], kinds: Mapping[str, Kind]) -> dict[str, Column]:
    named = {name.removeprefix(INPUT): column for name, column in columns.items()}
    found = {}
    for name, kind in kinds.items():
        if kind in ("number", "category") and name in named:
            column = coerced(named[name], kind)
            if column is not None:
                found[name] = column
    return found


def _periods(
    traffic: pl.LazyFrame,
    names: Sequence[str],
    kinds: Mapping[str, Kind],
    times: tuple[datetime | None, datetime | None],
    window: Window,
) -> list[Period]:
    """The features of the window and of as much time before it, by the hour, day or week."""
    first, last = times
    if first is None or last is None:
        return []
    span = last - first
    every = "1h" if span <= _BY_HOUR else "1d" if span <= _PERIODS / 2 * _DAY else "1w"
    rows = (
        within(traffic, Window(first - span, window.until))
        .select("event_time", *(pl.col(INPUT + name).alias("\0" + name) for name in names))
        .drop_nulls("event_time")
        .with_columns(pl.col("event_time").cast(pl.Datetime("us", "UTC")).dt.truncate(every))
        .sort("event_time")
        .collect(engine="streaming")
    )
    found: list[Period] = []
    for (start,), part in rows.partition_by("event_time", as_dict=True).items():
        assert isinstance(start, datetime)
        columns = {name: read_as(part["\0" + name].alias(name), kinds[name]) for name in names}
        found.append((start, columns))
    return found[-_PERIODS:]


def _times(current: pl.DataFrame) -> tuple[datetime | None, datetime | None]:
    name = log_column(current, "event_time")
    if name is None or current[name].null_count() == current.height:
        return None, None
    times = current[name].cast(pl.Datetime("us", "UTC"))
    return times.min(), times.max()  # type: ignore[return-value]

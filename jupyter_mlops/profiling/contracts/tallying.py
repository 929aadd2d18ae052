"""Counting, in one streaming pass, how many rows of a table break each rule of a contract."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final

import polars as pl

from jupyter_mlops.profiling.contracts.model import Contract, Key
from jupyter_mlops.profiling.contracts.rules import Probe, named, present, probes

__all__ = ["Tally", "tally"]

# Columns in one query: the plan of ten thousand takes longer than their rows.
_TOGETHER: Final = 1000


@dataclass
class Tally:
    """How many rows there are, and how many break each rule.

    Attributes
    ----------
    probes : list of Probe
    failing : list of int
        As many as `probes`.
    keys : list of Key
        Those whose columns are all there.
    repeats : list of (int, int)
        For each of `keys`: rows that repeat another's, and rows that have all its columns.
    newest : datetime or None
        The latest time in the column that freshness is about.
    """

    environment: str
    rows: int
    probes: list[Probe]
    failing: list[int]
    present: dict[str, int]
    keys: list[Key] = field(default_factory=list)
    repeats: list[tuple[int, int]] = field(default_factory=list)
    newest: datetime | date | None = None

    def base(self, probe: Probe) -> int:
        """Of how many rows the rule's share is one."""
        return self.rows if probe.rule == "null" else self.present[probe.column]


def tally(contract: Contract, frame: pl.LazyFrame, environment: str) -> Tally:
    """Count the rows of a table that break each rule.

    Parameters
    ----------
    contract : Contract
    frame : polars.LazyFrame
    environment : str

    Returns
    -------
    Tally
    """
    schema = frame.collect_schema()
    found = list(probes(contract, schema, environment))
    names = list(dict.fromkeys(one.column for one in found))
    whole = environment != "serving"
    keys = [one for one in contract.keys if whole and set(one.columns) <= set(schema)]
    fresh = contract.freshness.column if whole and contract.freshness else None
    if fresh is not None and (fresh not in schema or not schema[fresh].is_temporal()):
        fresh = None
    asked: list[pl.Expr] = [pl.len().cast(pl.Int64).alias("rows")]
    if fresh is not None:
        asked.append(_newest(fresh, schema[fresh]))
    for at, key in enumerate(keys):
        asked += _repeats(key, at)
    queries = [frame.select(asked)]
    place = {name: at for at, name in enumerate(names)}
    for start in range(0, len(names), _TOGETHER):
        part = set(names[start : start + _TOGETHER])
        expressions = [present(name, schema[name]).alias(f"p{place[name]}") for name in part]
        expressions += [
            one.failing.sum().alias(f"f{at}") for at, one in enumerate(found) if one.column in part
        ]
        queries.append(frame.select(expressions))
    if len(queries) == 2:
        # One pass when the columns fit one query, as they nearly always do.
        queries = [frame.select([*asked, *expressions])]
    answer: dict[str, Any] = {}
    for one in pl.collect_all(queries, engine="streaming"):
        answer |= one.row(0, named=True)
    return Tally(
        environment,
        answer["rows"],
        found,
        [int(answer[f"f{at}"] or 0) for at in range(len(found))],
        {name: int(answer[f"p{at}"]) for name, at in place.items()},
        keys,
        [
            (int(answer[f"k{at}"]) - int(answer[f"u{at}"]), int(answer[f"k{at}"]))
            for at in range(len(keys))
        ],
        answer.get("newest"),
    )


def _newest(name: str, dtype: pl.DataType) -> pl.Expr:
    column = named(name)
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        column = column.dt.convert_time_zone("UTC")
    return column.max().alias("newest")


def _repeats(key: Key, at: int) -> list[pl.Expr]:
    columns = [named(name) for name in key.columns]
    if len(columns) == 1:
        whole = columns[0].is_not_null()
        different = columns[0].drop_nulls().n_unique()
    else:
        whole = pl.all_horizontal([one.is_not_null() for one in columns])
        different = pl.struct(columns).filter(whole).n_unique()
    return [
        whole.sum().cast(pl.Int64).alias(f"k{at}"),
        different.cast(pl.Int64).alias(f"u{at}"),
    ]

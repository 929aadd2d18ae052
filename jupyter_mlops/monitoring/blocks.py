"""The profile of some of a log's rows: columns made small, rows counted, a sample kept.

A block is kept for each hour, day, week and month of each version, and blocks merge.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.monitoring.columns import (
    ALL,
    Column,
    is_number,
    read_categories,
    read_numbers,
)
from jupyter_mlops.monitoring.condensed import POINTS, SCHEMA, condense, restored, stored
from jupyter_mlops.monitoring.sides import INPUT

__all__ = ["LARGEST", "SAMPLE", "Block", "merged_samples", "profile_rows", "read_column"]

#: Rows kept of a block, for what needs whole rows.
SAMPLE: Final = 1000
#: And of blocks that were merged.
LARGEST: Final = 4000
_ROWS: Final = "\0rows"
_HASH: Final = "\0hash"
_LIMIT: Final = "\0limit"
_ANSWERS: Final = ("prediction", "probability")
_NESTED: Final = (pl.Struct, pl.Object)


@dataclass(frozen=True)
class Block:
    """What is known of some rows of a log.

    Attributes
    ----------
    rows : int
    asked : float
        Rows they stand for, where only a share of them was logged.
    shares : (float, float)
        The smallest and the largest share.
    first, last : datetime or None
        Event times.
    columns : dict of str to Column
        Of the log (``in.x``, ``prediction``), made small.
    sample : polars.DataFrame
        The rows whose ids have the lowest hashes, in the order of time; the samples of two blocks
        make one of both.
    """

    rows: int
    asked: float
    shares: tuple[float, float]
    first: datetime | None
    last: datetime | None
    columns: dict[str, Column]
    sample: pl.DataFrame

    def table(self) -> pl.DataFrame:
        """All but the sample, as a table that `of` reads."""
        times = [0.0 if one is None else one.timestamp() for one in (self.first, self.last)]
        about = {
            "column": _ROWS, "kind": "rows", "missing": 0, "known": ALL,
            "values": [self.asked, *self.shares, *times], "texts": None, "counts": [self.rows],
            "buckets": None, "repeats": 1.0, "gaps": 1.0,
        }  # fmt: skip
        return pl.concat([pl.DataFrame([about], schema=SCHEMA), stored(self.columns)])

    @classmethod
    def of(cls, tables: Iterable[pl.DataFrame], samples: Iterable[pl.DataFrame] = ()) -> Block:
        """The block of all rows of the blocks these tables and samples were made of."""
        table = pl.concat(tables)
        about = table.filter(pl.col("kind") == "rows")
        columns = restored(table.filter(pl.col("kind") != "rows"))
        if about.height == 0:
            return cls(0, 0.0, (1.0, 1.0), None, None, {}, pl.DataFrame())
        numbers = np.array(about["values"].to_list())
        return cls(
            int(about["counts"].list.first().sum()),
            float(numbers[:, 0].sum()),
            (float(numbers[:, 1].min()), float(numbers[:, 2].max())),
            datetime.fromtimestamp(numbers[:, 3].min(), UTC),
            datetime.fromtimestamp(numbers[:, 4].max(), UTC),
            columns,
            merged_samples(samples),
        )

    def condensed(self) -> Block:
        """The block with columns as small as those of an hour."""
        small = {name: condense(column) for name, column in self.columns.items()}
        return Block(self.rows, self.asked, self.shares, self.first, self.last, small, self.sample)


def profile_rows(rows: pl.DataFrame, hidden: Iterable[str] = (), points: int = POINTS) -> Block:
    """Make a block of rows of a log.

    Parameters
    ----------
    rows : polars.DataFrame
        With ``prediction_id``, ``event_time`` and ``share``.
    hidden : iterable of str
        The model's columns to leave out.
    points : int
        How small its columns are made.
    """
    unseen = {INPUT + name for name in hidden}
    names = [
        name
        for name, dtype in rows.schema.items()
        if (name in _ANSWERS or name.startswith(INPUT))
        and name not in unseen
        and not isinstance(dtype, _NESTED)
    ]
    flat = [one for one in names if not isinstance(rows.schema[one], (pl.List, pl.Array))]
    columns = {name: condense(read_column(rows[name]), points) for name in flat}
    hashes = pl.Series(_HASH, hash_column(rows["prediction_id"]), pl.UInt64)
    kept = rows.select("prediction_id", "event_time", "version", *names).with_columns(hashes)
    shares = rows["share"]
    return Block(
        rows.height,
        float((1 / shares).sum()),
        (_float(shares.min(), 1.0), _float(shares.max(), 1.0)),
        rows["event_time"].min(),  # type: ignore[arg-type]
        rows["event_time"].max(),  # type: ignore[arg-type]
        columns,
        _lowest(kept, ALL, SAMPLE),
    )


def read_column(series: pl.Series) -> Column:
    """A column as numbers or as categories, as its type says."""
    if is_number(series.dtype):
        return read_numbers(series)
    return read_categories(series)


def merged_samples(samples: Iterable[pl.DataFrame], most: int = LARGEST) -> pl.DataFrame:
    """One sample of all rows that the samples' blocks hold, of at most so many rows.

    Up to the lowest of their limits every row of every block is known; those beyond go.
    """
    held = [one for one in samples if one.height]
    if not held:
        return pl.DataFrame()
    limit = min(int(one[_LIMIT].min()) for one in held)  # type: ignore[arg-type]
    low = [one.filter(pl.col(_HASH) <= limit) for one in held]
    return _lowest(pl.concat(low, how="diagonal_relaxed"), limit, most)


def _lowest(rows: pl.DataFrame, limit: int, most: int) -> pl.DataFrame:
    kept = rows.sort(_HASH, "prediction_id").head(most)
    if kept.height < rows.height:
        limit = int(kept[_HASH].max())  # type: ignore[arg-type]
    # Neighbours stay neighbours, for tests of rows that resemble each other.
    return kept.sort("event_time", "prediction_id").with_columns(
        pl.lit(limit, pl.UInt64).alias(_LIMIT)
    )


def _float(value: Any, otherwise: float) -> float:
    return otherwise if value is None else float(value)

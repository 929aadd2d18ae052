"""One pass over a table: every column profiled as the batches stream by."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import polars as pl

from jupyter_mlops.data.sampling import RowSample
from jupyter_mlops.profiling.columns import ColumnProfile

__all__ = ["Scan", "scan"]

#: Rows kept for what needs whole rows: target analysis, duplicate columns, text patterns.
SAMPLE: Final = 20_000
_SAMPLE_CELLS: Final = 4_000_000
_BATCH_CELLS: Final = 4_000_000
_TEXT: Final = 300


@dataclass
class Scan:
    """What one pass has seen; two scans of the same columns merge."""

    columns: dict[str, ColumnProfile]
    target: str | None
    sample: RowSample
    rows: int = 0
    unlabelled: int = 0
    types: dict[str, pl.DataType] = field(default_factory=dict)

    @classmethod
    def of(cls, schema: pl.Schema, target: str | None) -> Scan:
        """An empty scan of a table with these columns."""
        size = max(1000, min(SAMPLE, _SAMPLE_CELLS // max(len(schema), 1)))
        columns = {name: ColumnProfile.of(name, dtype) for name, dtype in schema.items()}
        return cls(columns, target, RowSample(size), types=dict(schema))

    def update(self, batch: pl.DataFrame, pool: ThreadPoolExecutor | None = None) -> None:
        """Add the rows of a batch; the columns are independent and go to the pool's threads."""
        self.rows += batch.height
        unlabelled: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
        if self.target is not None:
            missing = _missing(batch[self.target])
            if missing.any():
                unlabelled = missing
                self.unlabelled += int(missing.sum())

        def one(name: str) -> None:
            column = batch[name]
            profile = self.columns[name]
            profile.update(column)
            if unlabelled is not None and (column.null_count() or column.dtype.is_float()):
                profile.unlabelled += int((_missing(column) & unlabelled).sum())

        if pool is None:
            for name in self.columns:
                one(name)
        else:
            list(pool.map(one, self.columns))
        self.sample.update(_shortened(batch))

    def merge(self, other: Scan) -> None:
        """Add the rows another scan has seen."""
        self.rows += other.rows
        self.unlabelled += other.unlabelled
        for name, column in other.columns.items():
            self.columns[name].merge(column)
        self.sample.merge(other.sample)


def scan(
    frame: pl.LazyFrame,
    target: str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Scan:
    """Read a table once, in streaming batches, and profile its columns on all cores.

    Parameters
    ----------
    frame : polars.LazyFrame
    target : str, optional
        The column to predict; what is missing together with it is counted.
    progress : callable, optional
        Called with the rows seen so far after each batch.

    Returns
    -------
    Scan
    """
    schema = frame.collect_schema()
    state = Scan.of(schema, target)
    size = int(np.clip(_BATCH_CELLS // max(len(schema), 1), 2048, 131_072))
    with ThreadPoolExecutor(max(1, min(os.cpu_count() or 1, 8))) as pool:
        for batch in frame.collect_batches(chunk_size=size):
            state.update(batch, pool)
            if progress is not None:
                progress(state.rows)
    return state


def _missing(column: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.is_null().to_numpy()


def _shortened(batch: pl.DataFrame) -> pl.DataFrame:
    """The batch without the weight of long texts, which the sample would carry along."""
    kinds = (pl.String, pl.Categorical, pl.Enum)
    texts = [name for name, dtype in batch.schema.items() if isinstance(dtype, kinds)]
    return batch.with_columns(pl.col(texts).cast(pl.String).str.slice(0, _TEXT))

"""Batches of a table's rows, as large as suits its width, without reading far ahead.

polars' streaming engine reads ahead of whoever takes its batches, the further the longer the
table, and keeps what it has read.  Where a table is nothing but local Parquet files, whole row
groups are asked for one after the other instead: memory then doesn't grow with the table.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

__all__ = ["batches", "row_groups"]

_CELLS: Final = 4_000_000
_ROWS: Final = 131_072
#: The first rows come alone, so that something is known at once.
_FIRST: Final = 16_384
#: A longer row group is read in parts, each of which costs more than its share.
_LARGE: Final = 4
#: Facts of column chunks that may be read again for each window, each about a microsecond.
_FACTS: Final = 5_000_000


def batches(
    frame: pl.LazyFrame, schema: pl.Schema, groups: list[int] | None = None
) -> Iterator[pl.DataFrame]:
    """The rows of a table in batches of a size that suits its width, the first one small.

    Parameters
    ----------
    frame : polars.LazyFrame
    schema : polars.Schema
    groups : list of int, optional
        What `row_groups` says of the frame.
    """
    size = int(np.clip(_CELLS // max(len(schema), 1), 2048, _ROWS))
    first = True
    for part in _parts(frame, len(schema), size, groups):
        if first and part.height > _FIRST:
            yield part[:_FIRST]
            part = part[_FIRST:]
        first = False
        for start in range(0, part.height, size):
            # A short rest costs less with the batch before it than alone.
            if part.height - start < 1.5 * size:
                yield part[start:]
                break
            yield part[start : start + size]


def row_groups(frame: pl.LazyFrame) -> list[int] | None:
    """The rows of each row group of a frame that is nothing but local Parquet files.

    Returns
    -------
    list of int or None
        None for any other frame, whose rows are counted only by reading it.
    """
    # The plan as polars shows it to other engines. It isn't promised to stay as it is, and
    # whatever isn't understood is read by streaming instead.
    try:
        node = frame._ldf.visit().view_current_node()
        if node.scan_type[0] != "parquet" or node.predicate is not None:
            return None
        options = node.file_options
        if options.n_rows is not None or options.deletion_files is not None:
            return None
        paths = [Path(path) for path in node.paths]
    except (AttributeError, TypeError, NotImplementedError, pl.exceptions.PolarsError):
        return None
    if not paths or not all(path.is_file() for path in paths):
        return None
    import pyarrow.parquet as pq

    found = []
    for path in paths:
        meta = pq.read_metadata(path)
        found += [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
    return found


def _parts(
    frame: pl.LazyFrame, width: int, size: int, groups: list[int] | None
) -> Iterator[pl.DataFrame]:
    windows = list(_windows(groups, size)) if groups else []
    if not windows or len(windows) * len(groups or []) * width > _FACTS:
        yield from frame.collect_batches(chunk_size=size)
        return
    for start, rows in windows:
        yield frame.slice(start, rows).collect()


def _windows(groups: list[int], size: int) -> Iterator[tuple[int, int]]:
    """Where to begin and how many rows to take: whole row groups, unless they are large."""
    start = rows = 0
    for group in groups:
        if rows and rows + group > _LARGE * size:
            yield start, rows
            start, rows = start + rows, 0
        rows += group
        while rows > _LARGE * size:
            yield start, _LARGE * size
            start, rows = start + _LARGE * size, rows - _LARGE * size
        if rows >= size:
            yield start, rows
            start, rows = start + rows, 0
    if rows:
        yield start, rows

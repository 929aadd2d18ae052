"""One pass over a table: every column profiled as the batches stream by."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, get_ident
from typing import Final

import numpy as np
import polars as pl

from jupyter_mlops.data.digest import Digest
from jupyter_mlops.data.hashing import Hashes, Words, words_of
from jupyter_mlops.data.sampling import RowSample
from jupyter_mlops.profiling.allocation import keep_freed
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.distinct import Distinct
from jupyter_mlops.profiling.interrupting import deferred
from jupyter_mlops.profiling.reading import batches, row_groups
from jupyter_mlops.profiling.values import EXACT
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["Scan", "scan"]

#: Rows kept for what needs whole rows: target analysis, associations, duplicate columns.
SAMPLE: Final = 20_000
_SAMPLE_CELLS: Final = 4_000_000
#: Values counted one by one over all columns: 10,000 columns of 1,024 would take gigabytes.
_COUNTED: Final = 1_000_000
_TEXT: Final = 300


@dataclass
class Scan:
    """What one pass has seen; two scans of the same columns merge.

    Attributes
    ----------
    columns : dict of str to ColumnProfile
    target : str or None
    key, time : str or None
        The columns declared to identify a row and to say when it happened.
    sample : RowSample
    rows, unlabelled : int
    types : dict of str to polars.DataType
    digest : Digest or None
        Of the rows seen; None for a part of a table whose columns changed.
    distinct : Distinct
        Of whole rows.
    complete : bool
        False when the pass was stopped before its end.
    """

    columns: dict[str, ColumnProfile]
    target: str | None
    sample: RowSample
    rows: int = 0
    unlabelled: int = 0
    types: dict[str, pl.DataType] = field(default_factory=dict)
    digest: Digest | None = None
    distinct: Distinct = field(default_factory=Distinct)
    complete: bool = True
    key: str | None = None
    time: str | None = None

    @classmethod
    def of(cls, schema: pl.Schema, target: str | None, start: int = 0) -> Scan:
        """An empty scan of a table with these columns, or of its part from row `start` on."""
        width = max(len(schema), 1)
        size = max(1000, min(SAMPLE, _SAMPLE_CELLS // width))
        limit = int(np.clip(_COUNTED // width, 100, EXACT))
        columns = {name: ColumnProfile.of(name, dtype, limit) for name, dtype in schema.items()}
        return cls(
            columns, target, RowSample(size, start), types=dict(schema), digest=Digest(schema)
        )

    def update(self, batch: pl.DataFrame, pool: ThreadPoolExecutor | None = None) -> None:
        """Add the rows of a batch; the columns are independent and go to the pool's threads."""
        if not batch.height:
            return
        self.rows += batch.height
        unlabelled: np.ndarray[tuple[int], np.dtype[np.bool_]] | None = None
        if self.target is not None:
            missing = _missing(batch[self.target])
            if missing.any():
                unlabelled = missing
                self.unlabelled += int(missing.sum())

        lanes: dict[int, list[Hashes]] = {}

        def one(name: str) -> None:
            column = batch[name]
            profile = self.columns[name]
            words = None
            if self.digest is not None:
                words = words_of(column)
                thread = get_ident()
                if thread not in lanes:
                    lanes[thread] = self.digest.blank(batch.height)
                self.digest.add(name, column, words, lanes[thread])
            _add(profile, column, words)
            if unlabelled is not None and (column.null_count() or column.dtype.is_float()):
                profile.unlabelled += int((_missing(column) & unlabelled).sum())

        if pool is None:
            for name in self.columns:
                one(name)
        else:
            list(pool.map(one, self.columns))
        if self.digest is not None:
            self.distinct.update(self.digest.close(list(lanes.values())))
        self.sample.update(batch, _shortened)

    def merge(self, other: Scan) -> None:
        """Add the rows another scan has seen.

        A column that only one of the two has, or whose type changed, is marked with a fault; the
        others are merged all the same.
        """
        changed = self.columns.keys() ^ other.columns.keys()
        for name in changed:
            known = self.columns.get(name) or other.columns[name]
            rows = self.rows + other.rows
            gone = ColumnProfile(name, known.type, rows, rows - known.present)
            gone.fail("it is not in every part of the table")
            self.columns[name] = gone
        for name in other.columns.keys() - changed:
            mine, theirs = self.columns[name], other.columns[name]
            try:
                mine.merge(theirs)
            except Invalid as error:
                mine.rows, mine.missing = mine.rows + theirs.rows, mine.missing + theirs.missing
                mine.fail(f"its type changed between parts: {error.what}")
        self.rows += other.rows
        self.unlabelled += other.unlabelled
        self.complete &= other.complete
        self.sample.merge(other.sample)
        self.distinct.merge(other.distinct)
        if self.digest is not None and other.digest is not None:
            if self.digest.types == other.digest.types:
                self.digest.merge(other.digest)
            else:
                self.digest = None
        else:
            self.digest = None


def scan(
    frame: pl.LazyFrame,
    target: str | None = None,
    progress: Callable[[Scan, int | None], None] | None = None,
    cancel: Event | None = None,
    *,
    start: int = 0,
    threads: int | None = None,
    key: str | None = None,
    time: str | None = None,
) -> Scan:
    """Read a table once, in streaming batches, and profile its columns on all cores.

    Parameters
    ----------
    frame : polars.LazyFrame
    target : str, optional
        The column to predict; what is missing together with it is counted.
    progress : callable, optional
        Called with the scan so far, after the first rows and then after each batch, and with the
        rows of the whole table where they are known beforehand.
    cancel : threading.Event, optional
        Stops the pass once set, as an interrupt does; the scan is then not `complete`.
    start : int
        The number of the first row, for a part of a table.
    threads : int, optional
        One for each core when left out.
    key, time : str, optional
        The columns declared to identify a row and to say when it happened.

    Returns
    -------
    Scan

    Raises
    ------
    KeyboardInterrupt
        There was an interrupt before any row had been seen, or a second one.
    """
    keep_freed()
    schema = frame.collect_schema()
    state = Scan.of(schema, target, start)
    state.key, state.time = key, time
    threads = threads or max(1, min(os.cpu_count() or 1, 8))
    # The pool goes down with the pass, whatever ends it.
    with ThreadPoolExecutor(threads, "profile") as pool, deferred(cancel) as stop:
        groups = row_groups(frame)
        total = sum(groups) if groups is not None else None
        source = batches(frame, schema, groups)
        while not stop.is_set():
            try:
                batch = next(source, None)
            except KeyboardInterrupt:
                # polars hands on what interrupted it while it was reading.
                stop.set()
                break
            if batch is None:
                return state
            state.update(batch, pool if threads > 1 else None)
            if progress is not None:
                progress(state, total)
    state.complete = False
    if not state.rows and cancel is None:
        raise KeyboardInterrupt
    return state


def _add(profile: ColumnProfile, column: pl.Series, words: Words | None) -> None:
    """Add a batch's values; a column that can't be profiled must not take the others along."""
    if profile.fault:
        profile.rows += len(column)
        profile.missing += column.null_count()
        return
    rows, missing = profile.rows + len(column), profile.missing + column.null_count()
    try:
        profile.update(column, words)
    except (Exception, pl.exceptions.PanicException) as error:
        profile.rows, profile.missing = rows, missing
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        profile.fail(f"values of type {column.dtype} could not be profiled: {reason}")


def _missing(column: pl.Series) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.is_null().to_numpy()


def _shortened(rows: pl.DataFrame) -> pl.DataFrame:
    """Rows without the weight of long texts, which the sample would carry along."""
    kinds = (pl.String, pl.Categorical, pl.Enum)
    texts = [name for name, dtype in rows.schema.items() if isinstance(dtype, kinds)]
    return rows.with_columns(pl.col(texts).cast(pl.String).str.slice(0, _TEXT))

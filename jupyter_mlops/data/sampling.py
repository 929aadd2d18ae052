"""Samples that are drawn in one pass, merge, and come out the same every time.

Each row gets a pseudo-random priority from its position; the rows with the `size` smallest
priorities are the sample (bottom-k sampling).  Every row has the same chance whatever the
size of the table, and the samples of two parts merge into a sample of the whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import Hashes, mix

BATCH = 131_072
_SALT = np.uint64(0xA0761D6478BD642F)


class RowSample:
    """A uniform sample without replacement, fed batch by batch.

    Parameters
    ----------
    size : int
        The most rows it keeps.
    start : int
        How many rows of the table come before the first of this part.

    Examples
    --------
    >>> rows = RowSample(2)
    >>> rows.update(pl.DataFrame({"x": range(10)}))
    >>> rows.frame().height
    2
    """

    def __init__(self, size: int, start: int = 0) -> None:
        self.size = size
        self.start = start
        self.seen = 0
        self._parts: list[pl.DataFrame] = []
        self._keys: list[Hashes] = []
        self._limit = np.uint64(2**64 - 1)

    def update(
        self,
        batch: pl.DataFrame,
        trim: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
    ) -> None:
        """Offer the rows of a batch; those that are drawn may be trimmed."""
        first = self.start + self.seen
        position = np.arange(first, first + batch.height, dtype=np.uint64)
        self.seen += batch.height
        keys = mix(position ^ _SALT)
        chosen = np.flatnonzero(keys <= self._limit)
        drawn = batch[chosen]
        self._keep(_detached(drawn if trim is None else trim(drawn)), keys[chosen])

    def merge(self, other: RowSample) -> None:
        """Become a sample of both tables."""
        self.seen += other.seen
        for part, keys in zip(other._parts, other._keys, strict=True):
            self._keep(part, keys)

    def frame(self) -> pl.DataFrame:
        """The sampled rows, in the order of the table."""
        self._shrink()
        return self._parts[0] if self._parts else pl.DataFrame()

    def _keep(self, part: pl.DataFrame, keys: Hashes) -> None:
        self._parts.append(part)
        self._keys.append(keys)
        if sum(len(k) for k in self._keys) > 2 * self.size:
            self._shrink()

    def _shrink(self) -> None:
        if not self._parts:
            return
        frame = pl.concat(self._parts, how="vertical_relaxed")
        keys = np.concatenate(self._keys)
        if len(keys) > self.size:
            kept = np.sort(np.argpartition(keys, self.size - 1)[: self.size])
            frame, keys = _detached(frame[kept]), keys[kept]
            self._limit = keys.max()
        self._parts, self._keys = [frame], [keys]


def _detached(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows without the batch they come from, whose texts would otherwise stay in memory."""
    texts = [name for name, dtype in rows.schema.items() if dtype in (pl.String, pl.Binary)]
    copied = [
        pl.Series(name, rows[name].to_arrow(compat_level=pl.CompatLevel.oldest())) for name in texts
    ]
    return rows.with_columns(copied)


def sample(frame: pl.LazyFrame, rows: int) -> pl.DataFrame:
    """Draw rows evenly from a whole table in one streaming pass.

    Parameters
    ----------
    frame : polars.LazyFrame
    rows : int
        How many; all of them when the table has fewer.

    Returns
    -------
    polars.DataFrame
        The same rows each time, in the order of the table.
    """
    kept = RowSample(rows)
    for batch in frame.collect_batches(chunk_size=BATCH):
        kept.update(batch)
    drawn = kept.frame()
    return drawn if drawn.width else frame.head(0).collect()

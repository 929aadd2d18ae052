"""Hashes of rows or keys: the same for equal values, whatever the file, library or machine."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Final

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import Hashes, hash_column, mix

__all__ = ["HASH", "REST", "hash_rows", "row_hashes"]

BATCH: Final = 131_072
#: The two columns of 64 bits that `hash_rows` gives.
HASH: Final = "hash"
REST: Final = "rest"


def row_hashes(batch: pl.DataFrame, lane: int = 0) -> Hashes:
    """Hash the rows of a batch over all its columns, whose order doesn't matter.

    Parameters
    ----------
    batch : polars.DataFrame
    lane : {0, 1}
        Two lanes are independent of each other.

    Examples
    --------
    >>> a = row_hashes(pl.DataFrame({"x": [1], "y": ["b"]}))
    >>> b = row_hashes(pl.DataFrame({"y": ["b"], "x": [1.0]}))
    >>> bool(a[0] == b[0])
    True
    """
    return _lanes(batch, [lane])[0]


def hash_rows(frame: pl.LazyFrame, columns: list[str]) -> Iterator[pl.DataFrame]:
    """The 128-bit hashes of rows over some columns, batch by batch in the order of the rows."""
    chosen = frame.select(columns)
    for batch in chosen.collect_batches(chunk_size=BATCH, maintain_order=True):
        first, second = _lanes(batch, [0, 1])
        yield pl.DataFrame({HASH: first, REST: second})


def _lanes(batch: pl.DataFrame, lanes: list[int]) -> list[Hashes]:
    totals = [np.zeros(batch.height, dtype=np.uint64) for _ in lanes]
    for name in batch.columns:
        values = hash_column(batch[name])
        keys = np.frombuffer(hashlib.blake2b(name.encode(), digest_size=16).digest(), dtype="<u8")
        for total, lane in zip(totals, lanes, strict=True):
            total += mix(values ^ keys[lane])
    return [mix(total) for total in totals]

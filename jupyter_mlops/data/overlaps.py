"""What two tables share: rows, or the keys that identify them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.data.rowhashes import BATCH, HASH, REST, hash_rows
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import NotFound, closest

__all__ = ["Overlap", "overlap"]

#: Rows by which the column is chosen that parts a table too large to be compared whole.
_LOOK: Final = 10_000


@dataclass(frozen=True)
class Overlap:
    """How much of two tables is the same.

    Attributes
    ----------
    by : list of str
        The columns that were compared.
    shared : int
        Distinct values of these columns that both tables hold.
    rows_a, rows_b : int
        Rows of either table that carry one of them.
    repeated : float
        The greater share of rows, in one table, that repeat another row of that table: as many
        meet in two tables by having few values.
    part : int
        One row in so many was compared, the same ones in both tables; all when it is 1.
    """

    by: list[str]
    shared: int
    rows_a: int
    rows_b: int
    repeated: float = 0.0
    part: int = 1


def overlap(
    a: Table, b: Table, by: list[str] | None = None, *, cells: int | None = None
) -> Overlap:
    """Count what two tables share, for example training and test data.

    Parameters
    ----------
    a, b : Table
    by : list of str, optional
        The columns that make rows the same; without it the key that both have, or all columns
        that both have. Missing values count as equal.
    cells : int, optional
        About how many values to compare at most; of larger tables one row in `part` is taken,
        by its content, so that rows which both have are taken or left in both.

    Raises
    ------
    NotFound
        A table lacks one of the columns.

    Examples
    --------
    >>> overlap(resolve(ws, "flights-train"), resolve(ws, "flights-test")).shared  # doctest: +SKIP
    0
    """
    columns = by or _columns(a, b)
    for table in (a, b):
        for name in columns:
            if name not in table.schema:
                raise NotFound(
                    f"{table.label} has no column {name!r} to compare by",
                    fix=closest(name, table.schema) or "name columns that both tables have",
                    code="E-DATA-080",
                )
    part, lead = 1, columns[0]
    if cells is not None:
        part = max(1, -(-(a.rows + b.rows) * len(columns) // cells))
    if part > 1:
        seen = b.scan().select(columns).head(_LOOK).collect()
        lead = max(columns, key=lambda name: len(np.unique(hash_column(seen[name]))))
    here, there = (
        pl.concat(list(_hashes(one.scan(), columns, lead, part))).group_by(HASH, REST).len()
        for one in (a, b)
    )
    both = here.join(there, on=[HASH, REST], suffix="_b")
    repeated = max(1 - one.height / max(1, int(one["len"].sum())) for one in (here, there))
    return Overlap(
        columns, both.height, int(both["len"].sum()), int(both["len_b"].sum()), repeated, part
    )


def _hashes(
    frame: pl.LazyFrame, columns: list[str], lead: str, part: int
) -> Iterator[pl.DataFrame]:
    if part == 1:
        yield from hash_rows(frame, columns)
        return
    yield pl.DataFrame(schema={HASH: pl.UInt64, REST: pl.UInt64})
    for batch in frame.select(columns).collect_batches(chunk_size=BATCH):
        kept = batch.filter(pl.Series(hash_column(batch[lead]) % np.uint64(part) == 0))
        yield from hash_rows(kept.lazy(), columns)


def _columns(a: Table, b: Table) -> list[str]:
    if a.key is not None and a.key == b.key:
        return [a.key]
    common = [name for name in a.schema if name in b.schema]
    if not common:
        raise NotFound(
            f"{a.label} and {b.label} have no column in common",
            fix="name the columns to compare by",
            code="E-DATA-081",
        )
    return common

"""What two tables share: rows, or the keys that identify them."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from jupyter_mlops.data.rowhashes import HASH, REST, hash_rows
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import NotFound, closest

__all__ = ["Overlap", "overlap"]


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
    """

    by: list[str]
    shared: int
    rows_a: int
    rows_b: int


def overlap(a: Table, b: Table, by: list[str] | None = None) -> Overlap:
    """Count what two tables share, for example training and test data.

    Parameters
    ----------
    a, b : Table
    by : list of str, optional
        The columns that make rows the same; without it the key that both have, or all columns
        that both have. Missing values count as equal.

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
    here, there = (
        pl.concat(list(hash_rows(one.scan(), columns))).group_by(HASH, REST).len() for one in (a, b)
    )
    both = here.join(there, on=[HASH, REST], suffix="_b")
    return Overlap(columns, both.height, int(both["len"].sum()), int(both["len_b"].sum()))


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

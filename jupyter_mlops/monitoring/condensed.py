"""Columns of any length made small, so that they can be kept, merged and compared.

A column with few values keeps all of them with their counts. Of more numbers a thousand points
stay, each standing for as many rows, and each value that fills a point by itself with its exact
count: a rank read from them is off by half a point at most, 0.05 % of the rows, and merging adds
nothing to that. (What many parts merge to is made small again, to two thousand points.) Of more
categories stay the frequent ones, all rows by hash bucket, and the values with the lowest hashes
with exact counts: which values those are doesn't depend on how often they occur, so what is new
among them is as it is among all.

The order of the rows is gone, and how many of them say as much as one is kept in its place.

Nothing here is drawn at random: the same rows give the same bytes on every machine.

Sources
-------
Equi-depth summaries: Munro and Paterson, "Selection and sorting with limited storage" (1980).
Coordinated samples: Cohen and Kaplan, "Summarizing data using bottom-k sketches" (2007).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.monitoring.alike import BLOCKS, CATEGORIES, together
from jupyter_mlops.monitoring.bins import TAIL_BUCKETS, bucket_of
from jupyter_mlops.monitoring.columns import (
    ALL,
    CategoryColumn,
    Column,
    NumberColumn,
    Rows,
    as_text,
)

__all__ = [
    "ENGINE",
    "POINTS",
    "as_categories",
    "as_numeric",
    "condense",
    "merge",
    "restored",
    "stored",
]

#: Raised when what is kept by an older version can't be taken for new.
ENGINE: Final = 2
POINTS: Final = 1024

#: One row a column.
SCHEMA: Final[dict[str, Any]] = {
    "column": pl.String,
    "kind": pl.String,
    "missing": pl.Int64,
    "values": pl.List(pl.Float64),
    "texts": pl.List(pl.String),
    "counts": pl.List(pl.Int64),
    "known": pl.UInt64,
    "buckets": pl.List(pl.Int64),
    "repeats": pl.Float64,
    "gaps": pl.Float64,
}


def condense(column: Column, points: int = POINTS) -> Column:
    """Make a column small; one that is small already stays as it is."""
    if isinstance(column, NumberColumn):
        return _fewer_numbers(column, points)
    return _fewer_categories(column, points)


def merge(columns: Sequence[Column]) -> Column:
    """The column of the rows of several columns of one kind, in the order of time."""
    if len(columns) == 1:
        return columns[0]
    missing = np.array([one.missing for one in columns])
    numbers = [one for one in columns if isinstance(one, NumberColumn)]
    if len(numbers) == len(columns):
        parts = [one.distinct() for one in numbers]
        values, counts = (np.concatenate(side) for side in zip(*parts, strict=True))
        sizes = np.array([one.size for one, _ in parts])
        return _merged_numbers(values, counts, sizes, missing, _resembling(columns))
    counted: dict[str, int] = {}
    known = ALL
    categories = [one for one in columns if isinstance(one, CategoryColumn)]
    for one in categories:
        known = min(known, one.known)
        for value, count in one.counts.items():
            counted[value] = counted.get(value, 0) + count
    frequent = sorted(counted, key=lambda value: (-counted[value], value))[:CATEGORIES]
    found = np.array([[one.counts.get(value, 0) for value in frequent] for one in categories])
    present = np.array([one.present for one in categories])
    alike = _alike_categories(found, present, missing, _resembling(columns))
    if known == ALL:
        return CategoryColumn(counted, int(missing.sum()), repeats=alike[0], gaps=alike[1])
    buckets = np.asarray(np.sum([_buckets(one) for one in categories], axis=0), np.int64)
    return CategoryColumn(counted, int(missing.sum()), known, buckets, *alike)


def as_categories(column: Column) -> CategoryColumn | None:
    """A column as categories; None for numbers that were too many to be kept one by one."""
    if isinstance(column, CategoryColumn):
        return column
    values, counts = column.distinct()
    if column.counts is not None and values.size >= POINTS // 2:
        return None
    counted: dict[str, int] = {}
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        text = as_text(value)
        counted[text] = counted.get(text, 0) + count
    return CategoryColumn(counted, column.missing, repeats=column.repeats, gaps=column.gaps)


def as_numeric(column: Column) -> NumberColumn | None:
    """A column as numbers; None for categories that were too many to be all kept."""
    if isinstance(column, NumberColumn):
        return column
    if column.known != ALL:
        return None
    texts = pl.Series(list(column.counts), dtype=pl.String)
    read = texts.cast(pl.Float64, strict=False).fill_nan(None)
    counts = np.fromiter(column.counts.values(), np.int64, len(column.counts))
    held = read.is_not_null().to_numpy()
    lost = int(counts[~held].sum())
    return NumberColumn(
        *_collected(read.drop_nulls().to_numpy(), counts[held], column.missing + lost),
        repeats=column.repeats,
        gaps=column.gaps,
    )


def stored(columns: Mapping[str, Column]) -> pl.DataFrame:
    """Columns as a table of one row each; `restored` reads it."""
    rows = []
    for name, column in columns.items():
        row: dict[str, Any] = {
            "column": name, "missing": column.missing, "known": ALL,
            "repeats": column.repeats, "gaps": column.gaps,
        }  # fmt: skip
        if isinstance(column, NumberColumn):
            values, counts = column.distinct()
            row |= {"kind": "number", "values": values.tolist(), "counts": counts.tolist()}
        else:
            row |= {
                "kind": "category",
                "texts": list(column.counts),
                "counts": list(column.counts.values()),
                "known": column.known,
                "buckets": None if column.buckets is None else column.buckets.tolist(),
            }
        rows.append(row)
    return pl.DataFrame(rows, schema=SCHEMA)


def restored(rows: pl.DataFrame) -> dict[str, Column]:
    """The columns of one or more tables that `stored` made, merged by name.

    A column that was numbers here and categories there becomes categories where all of its
    values are known, and is left out where they aren't.
    """
    # Blocks of one column side by side, and lists as flat arrays: no query for each column.
    table = _Table(rows.sort("column", maintain_order=True).rechunk())
    found: dict[str, Column] = {}
    for name, first, last in table.columns():
        kinds = set(table.kinds[first:last])
        if kinds == {"number"}:
            column: Column | None = table.numbers(first, last)
        elif kinds == {"category"}:
            column = table.categories(first, last)
        else:
            single = [table.one(at) for at in range(first, last)]
            read = [one for one in map(as_categories, single) if one is not None]
            column = merge(read) if len(read) == len(single) else None
        if column is not None:
            found[name] = column
    return found


class _Table:
    """What `stored` made, as flat arrays, the blocks of each column side by side."""

    def __init__(self, rows: pl.DataFrame) -> None:
        self.names = rows["column"].to_list()
        self.kinds = rows["kind"].to_list()
        self.known = rows["known"].to_list()
        self.missing = rows["missing"].to_numpy()
        self.resembling = rows["repeats"].to_numpy(), rows["gaps"].to_numpy()
        self.values, self.values_at = _flat(rows["values"])
        self.counts, self.counts_at = _flat(rows["counts"])
        self.texts, self.texts_at = _flat(rows["texts"])
        self.buckets, self.buckets_at = _flat(rows["buckets"])

    def columns(self) -> Iterator[tuple[str, int, int]]:
        """Each column with its first row and that after its last."""
        first = 0
        for name, part in itertools.groupby(self.names):
            last = first + sum(1 for _ in part)
            yield name, first, last
            first = last

    def one(self, at: int) -> Column:
        """A row as a column."""
        return self.numbers(at, at + 1) if self.kinds[at] == "number" else self._category(at)

    def numbers(self, first: int, last: int) -> NumberColumn:
        ends = self.values_at[first : last + 1]
        values = self.values[ends[0] : ends[-1]].to_numpy()
        counts = self._counts(first, last)
        missing, resembling = self._of(first, last)
        if last - first == 1:
            own = (float(one[0]) for one in resembling)
            return NumberColumn(values, int(missing[0]), counts, *own)
        merged = _merged_numbers(values, counts, np.diff(ends), missing, resembling)
        return _fewer_numbers(merged, 2 * POINTS)

    def categories(self, first: int, last: int) -> CategoryColumn:
        """Many small columns of categories as one small one, without a loop over their values."""
        if last - first == 1:
            return self._category(first)
        ends = self.texts_at[first : last + 1]
        coded = self.texts[ends[0] : ends[-1]].dictionary_encode()
        names = pl.Series(coded.dictionary, dtype=pl.String)
        codes = coded.indices.to_numpy()
        counts = self._counts(first, last)
        totals = np.bincount(codes, counts, len(names)).astype(np.int64)
        missing, resembling = self._of(first, last)
        blocks = np.repeat(np.arange(last - first), np.diff(ends))
        known = min(self.known[first:last])
        whole = known == ALL and len(names) <= POINTS
        if whole:
            present = np.bincount(blocks, counts, last - first).astype(np.int64)
        else:
            buckets = np.array([_buckets(self._category(at)) for at in range(first, last)])
            present = buckets.sum(axis=1)
        # The frequent ones; which of equals it is doesn't matter to how far blocks differ.
        frequent = np.argsort(-totals, kind="stable")[:CATEGORIES]
        place = np.full(len(names), -1)
        place[frequent] = np.arange(frequent.size)
        shown = place[codes] >= 0
        shares = np.zeros((last - first, max(1, frequent.size)))
        np.add.at(shares, (blocks[shown], place[codes[shown]]), counts[shown])
        alike = _alike_categories(shares, present, missing, resembling)
        gone = int(missing.sum())
        if len(names) > POINTS:
            pairs, known = _kept(names, totals, known, POINTS)
        else:
            pairs = dict(sorted(zip(names.to_list(), totals.tolist(), strict=True)))
        if whole:
            return CategoryColumn(pairs, gone, repeats=alike[0], gaps=alike[1])
        return CategoryColumn(pairs, gone, known, np.asarray(buckets.sum(0), np.int64), *alike)

    def _category(self, at: int) -> CategoryColumn:
        ends, of = self.texts_at, self.buckets_at
        texts = self.texts[ends[at] : ends[at + 1]].to_pylist()
        counted = dict(zip(texts, self._counts(at, at + 1).tolist(), strict=True))
        buckets = self.buckets[of[at] : of[at + 1]].to_numpy() if of[at] < of[at + 1] else None
        own = (float(one[at]) for one in self.resembling)
        return CategoryColumn(counted, int(self.missing[at]), self.known[at], buckets, *own)

    def _counts(self, first: int, last: int) -> Rows:
        found: Rows = self.counts[self.counts_at[first] : self.counts_at[last]].to_numpy()
        return found

    def _of(self, first: int, last: int) -> tuple[Any, tuple[Any, Any]]:
        repeats, gaps = self.resembling
        return self.missing[first:last], (repeats[first:last], gaps[first:last])


def _flat(lists: pl.Series) -> tuple[Any, Any]:
    """All values of some lists one after the other, and where each list begins and ends."""
    found = lists.to_arrow()
    return found.values, found.offsets.to_numpy()


def _fewer_numbers(column: NumberColumn, most: int) -> NumberColumn:
    values, counts = column.distinct()
    if values.size <= most:
        return NumberColumn(values, column.missing, counts, column.repeats, column.gaps)
    heavy = counts >= column.present / most
    rest = NumberColumn(values[~heavy], 0, counts[~heavy])
    ends = np.linspace(0, rest.present, most - int(heavy.sum()) + 1).round().astype(np.int64)
    ends = np.unique(ends)
    middles = (ends[:-1] + ends[1:] + 1) // 2
    points = rest.values[np.searchsorted(np.cumsum(rest.distinct()[1]), middles)]
    return NumberColumn(
        *_collected(
            np.concatenate([values[heavy], points]),
            np.concatenate([counts[heavy], np.diff(ends)]),
            column.missing,
        ),
        repeats=column.repeats,
        gaps=column.gaps,
    )


def _collected(values: Any, counts: Any, missing: int) -> tuple[Any, int, Rows]:
    """Values in order, each once, with the rows of all its occurrences."""
    order = np.argsort(values, kind="stable")
    values, counts = values[order], np.asarray(counts, np.int64)[order]
    if values.size == 0:
        return values.astype(float), missing, counts
    starts = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
    return values[starts], missing, np.add.reduceat(counts, starts)


def _fewer_categories(column: CategoryColumn, most: int) -> CategoryColumn:
    if len(column.counts) <= most:
        # In an order that has nothing to do with that of the rows.
        ordered = dict(sorted(column.counts.items()))
        return replace(column, counts=ordered)
    names = pl.Series(list(column.counts), dtype=pl.String)
    counts = np.fromiter(column.counts.values(), np.int64, len(names))
    kept, known = _kept(names, counts, column.known, most)
    return replace(column, counts=kept, known=known, buckets=_buckets(column))


def _kept(names: pl.Series, counts: Rows, known: int, most: int) -> tuple[dict[str, int], int]:
    """The frequent values and those of the lowest hashes, and up to which hash all are known."""
    hashes = hash_column(names)
    # By hash where counts are equal, so that the order of the rows says nothing.
    frequent = np.lexsort((hashes, -counts))[: most // 2]
    lowest = np.argsort(hashes, kind="stable")[: most // 2]
    known = min(known, int(hashes[lowest[-1]]))
    kept = np.union1d(frequent, lowest[hashes[lowest] <= np.uint64(known)])
    pairs = zip(names.gather(kept).to_list(), counts[kept].tolist(), strict=True)
    return dict(sorted(pairs)), known


def _merged_numbers(
    values: Any, counts: Any, sizes: Any, missing: Any, resembling: tuple[Any, Any]
) -> NumberColumn:
    """Columns of numbers, each of so many points, as one."""
    merged, gone, rows = _collected(values, counts, int(missing.sum()))
    held = np.flatnonzero(sizes)
    present = np.zeros(sizes.size, np.int64)
    if held.size:
        firsts = (np.cumsum(sizes) - sizes)[held]
        present[held] = np.add.reduceat(np.asarray(counts, np.int64), firsts)
    means, variance = None, 0.0
    if held.size >= BLOCKS:
        middle = np.cumsum(rows) - rows / 2
        ranks = middle[np.searchsorted(merged, values)]
        means = np.zeros(sizes.size)
        means[held] = np.add.reduceat(counts * ranks, firsts) / present[held]
        # Not as a product of vectors, for which threads are started that wait for each other.
        variance = float((rows * middle**2).sum() / rows.sum() - (rows.sum() / 2) ** 2)
    repeats = together(resembling[0], present, means, variance)
    return NumberColumn(merged, gone, rows, repeats, _gaps(present, missing, resembling[1]))


def _resembling(columns: Sequence[Column]) -> tuple[Any, Any]:
    """How far the rows of each column repeat each other, and so its gaps."""
    return np.array([one.repeats for one in columns]), np.array([one.gaps for one in columns])


def _alike_categories(
    found: Any, present: Any, missing: Any, resembling: tuple[Any, Any]
) -> tuple[float, float]:
    """Of columns of which so many rows have each of some categories: repeats and gaps."""
    shares = found / np.maximum(1, present)[:, None]
    whole = found.sum(axis=0) / max(1, int(present.sum()))
    repeats = together(resembling[0], present, shares, float((whole * (1 - whole)).sum()))
    return repeats, _gaps(present, missing, resembling[1])


def _gaps(present: Any, missing: Any, own: Any) -> float:
    rows = present + missing
    share = int(missing.sum()) / max(1, int(rows.sum()))
    return together(own, rows, missing / np.maximum(1, rows), share * (1 - share))


def _buckets(column: CategoryColumn) -> Rows:
    """All rows by the hash bucket of their value."""
    if column.buckets is not None:
        return column.buckets
    found = np.zeros(TAIL_BUCKETS, np.int64)
    for value, count in column.counts.items():
        found[bucket_of(value)] += count
    return found

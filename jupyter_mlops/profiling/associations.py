"""How columns go together, two by two, on a bounded sample of rows, with the error stated.

Numbers and times against each other: Pearson's and Spearman's correlation.  Categories against
each other: Cramér's V with Bergsma's (2013) bias correction, which is about 0 where there is
nothing.  A category against numbers: the correlation ratio η, corrected in the same spirit
(Kelley's ε²).  All over the rows where both have a value.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

if TYPE_CHECKING:
    from jupyter_mlops.profiling.columns import ColumnProfile

__all__ = ["Association", "Associations", "associate"]

ROWS: Final = 10_000
COLUMNS: Final = 48
#: Why a column that could be compared isn't.
CUT: Final = f"only {COLUMNS} columns are compared"
CATEGORIES: Final = 50
_MIN_ROWS: Final = 30
_KEPT: Final = 2000

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Association:
    """How two columns go together.

    Attributes
    ----------
    first, second : str
        The columns; for ``eta`` the category is the first.
    kind : {"pearson", "spearman", "cramer", "eta"}
    value : float
        −1 to 1 for correlations, 0 to 1 for the others.
    error : float
        Half the width of the 95 % confidence interval for correlations (Fisher's z); for the
        others what chance alone gives in 1 of 20 such samples: below it, there may be nothing.
    rows : int
        Sampled rows where both have a value.
    """

    first: str
    second: str
    kind: str
    value: float
    error: float
    rows: int

    @property
    def sure(self) -> bool:
        """Whether the value is beyond its error."""
        return abs(self.value) > self.error


@dataclass(frozen=True)
class Associations:
    """The associations of a table.

    Attributes
    ----------
    pairs : list of Association
        The strongest first; the 2,000 strongest of a wide table.
    rows : int
        Rows of the sample.
    columns : list of str
        The columns that were compared.
    left_out : dict of str to str
        The other columns and why.
    """

    pairs: list[Association] = field(default_factory=list)
    rows: int = 0
    columns: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def between(self, one: str, other: str, kind: str | None = None) -> Association | None:
        """What is known of two columns, in either order."""
        for pair in self.pairs:
            if {pair.first, pair.second} == {one, other} and kind in (None, pair.kind):
                return pair
        return None

    def of(self, column: str, number: int = 10) -> list[Association]:
        """The strongest associations of a column that are beyond their error."""
        mine = (p for p in self.pairs if column in (p.first, p.second) and p.sure)
        return [pair for pair, _ in zip(mine, range(number), strict=False)]

    def to_dict(self) -> dict[str, Any]:
        """The associations as JSON."""
        pairs = [list(asdict(one).values()) for one in self.pairs]
        return {**vars(self), "pairs": pairs}

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> Associations:
        """The associations back from JSON."""
        return cls(**{**state, "pairs": [Association(*one) for one in state["pairs"]]})


def associate(
    columns: Mapping[str, ColumnProfile], sample: pl.DataFrame, target: str | None = None
) -> Associations:
    """Compare columns two by two.

    Parameters
    ----------
    columns : mapping of str to ColumnProfile
    sample : polars.DataFrame
        Rows drawn evenly from the table; the first 10,000 of an even draw are used.
    target : str, optional
        Always among the columns that are compared.

    Returns
    -------
    Associations
        Of at most 48 columns: the target, then those with the fewest gaps, numbers and
        categories by turns.
    """
    if sample.height > ROWS:
        sample = sample[np.linspace(0, sample.height - 1, ROWS).astype(np.int64)]
    numbers, categories, left_out = _chosen(columns, sample, target)
    if sample.height < _MIN_ROWS:
        return Associations(rows=sample.height)
    values = {name: _numbers(sample[name]) for name in numbers}
    codes = {name: _codes(sample[name]) for name in categories}
    pairs = [*_correlations(values), *_ratios(codes, values), *_contingencies(codes)]
    pairs.sort(key=lambda pair: -abs(pair.value))
    chosen = set(numbers) | set(categories)
    named = [name for name in columns if name in chosen]
    return Associations(pairs[:_KEPT], sample.height, named, left_out)


def _chosen(
    columns: Mapping[str, ColumnProfile], sample: pl.DataFrame, target: str | None
) -> tuple[list[str], list[str], dict[str, str]]:
    numbers: list[str] = []
    categories: list[str] = []
    left_out: dict[str, str] = {}
    sampled = set(sample.columns)
    for name, column in columns.items():
        if name not in sampled or column.type.startswith(("list", "record", "bytes")):
            left_out[name] = "not a number, time or category"
        elif column.values.distinct() < 2:
            left_out[name] = "has no two different values"
        elif column.numeric or column.temporal:
            numbers.append(name)
        elif column.values.distinct() > CATEGORIES:
            left_out[name] = f"more than {CATEGORIES} categories"
        else:
            categories.append(name)

    def rank(name: str) -> tuple[bool, float]:
        return name != target, columns[name].missing_share

    numbers.sort(key=rank)
    categories.sort(key=rank)
    half = COLUMNS // 2
    of_numbers = max(half, COLUMNS - len(categories))
    of_categories = max(half, COLUMNS - len(numbers))
    for name in numbers[of_numbers:] + categories[of_categories:]:
        left_out[name] = CUT
    return numbers[:of_numbers], categories[:of_categories], left_out


def _numbers(values: pl.Series) -> Floats:
    """The numbers as floats, missing and infinite ones as NaN."""
    physical = values.to_physical() if values.dtype.is_temporal() else values
    numbers = physical.cast(pl.Float64).to_numpy().astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def _codes(values: pl.Series) -> Codes:
    """Categories as numbers from 0, missing as −1."""
    ranks = values.cast(pl.String).rank("dense").fill_null(0)
    return ranks.to_numpy().astype(np.int64) - 1


def _correlations(values: dict[str, Floats]) -> list[Association]:
    names = list(values)
    if len(names) < 2:
        return []
    plain = np.stack(list(values.values()), axis=1)
    ranks = pl.DataFrame(plain, schema=names, nan_to_null=True).select(pl.all().rank())
    found = []
    for kind, matrix in (("pearson", plain), ("spearman", ranks.to_numpy().astype(np.float64))):
        r, rows = _pairwise(matrix)
        for i, first in enumerate(names):
            for j in range(i + 1, len(names)):
                n = int(rows[i, j])
                if n < _MIN_ROWS or not math.isfinite(r[i, j]):
                    continue
                value = float(np.clip(r[i, j], -1, 1))
                # Spearman's coefficient has a slightly larger variance (Fieller et al. 1957).
                error = _half_width(value, n, 1.06 if kind == "spearman" else 1.0)
                found.append(Association(first, names[j], kind, round(value, 6), error, n))
    return found


def _pairwise(matrix: Floats) -> tuple[Floats, Floats]:
    """Correlations over the rows where both have a value, and how many those are."""
    with np.errstate(all="ignore"):
        present = np.isfinite(matrix).astype(np.float64)
        # Centred and scaled first, so that large numbers lose no digits in the sums.
        counts = np.maximum(present.sum(0), 1)
        x = np.where(present > 0, matrix, 0.0)
        x = np.where(present > 0, matrix - x.sum(0) / counts, 0.0)
        scale = np.sqrt((x * x).sum(0) / counts)
        x = x / np.where(scale > 0, scale, 1.0)
        rows = present.T @ present
        sums = x.T @ present
        squares = (x * x).T @ present
        cross = x.T @ x - sums * sums.T / rows
        spread = np.maximum(squares - sums * sums / rows, 0.0)
        # What is left of a constant by rounding isn't spread.
        spread[spread < 1e-9 * rows] = 0.0
        return cross / np.sqrt(spread * spread.T), rows


def _half_width(r: float, rows: int, factor: float) -> float:
    if rows <= 3:
        return 1.0
    z, reach = math.atanh(min(abs(r), 1 - 1e-12)), 1.96 * math.sqrt(factor / (rows - 3))
    return round((math.tanh(z + reach) - math.tanh(z - reach)) / 2, 6)


def _ratios(codes: dict[str, Codes], values: dict[str, Floats]) -> list[Association]:
    if not values or not codes:
        return []
    names = list(values)
    matrix = np.stack(list(values.values()), axis=1)
    present = np.isfinite(matrix)
    found = []
    with np.errstate(all="ignore"):
        x = np.where(present, matrix, 0.0)
        x = np.where(present, matrix - x.sum(0) / np.maximum(present.sum(0), 1), 0.0)
        squares = x * x
        for category, code in codes.items():
            # Rows by category, those without one left out.
            order = np.argsort(code, kind="stable")[int((code < 0).sum()) :]
            starts = np.flatnonzero(np.diff(code[order], prepend=-1))
            counts = np.add.reduceat(present[order].astype(np.int64), starts)
            sums = np.add.reduceat(x[order], starts)
            rows, total = counts.sum(0), sums.sum(0)
            groups = (counts > 0).sum(0)
            whole = squares[order].sum(0) - total**2 / rows
            between = np.where(counts > 0, sums**2 / counts, 0.0).sum(0) - total**2 / rows
            for place, name in enumerate(names):
                n, k = int(rows[place]), int(groups[place])
                if n < max(_MIN_ROWS, k + 2) or k < 2 or not whole[place] > 0:
                    continue
                share = float(np.clip(between[place] / whole[place], 0, 1))
                value = math.sqrt(max(0.0, 1 - (1 - share) * (n - 1) / (n - k)))
                found.append(
                    Association(category, name, "eta", round(value, 6), _floor(k - 1, n - 1), n)
                )
    return found


def _contingencies(codes: dict[str, Codes]) -> list[Association]:
    names = list(codes)
    found = []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = codes[first], codes[second]
            both = (a >= 0) & (b >= 0)
            n = int(both.sum())
            if n < _MIN_ROWS:
                continue
            width = int(b.max()) + 1
            cells = np.bincount(a[both] * width + b[both], minlength=(int(a.max()) + 1) * width)
            table = cells.reshape(-1, width).astype(np.float64)
            table = table[table.sum(1) > 0][:, table.sum(0) > 0]
            r, c = table.shape
            if min(r, c) < 2:
                continue
            expected = np.outer(table.sum(1), table.sum(0)) / n
            phi = float(((table - expected) ** 2 / expected).sum()) / n
            freedom = (r - 1) * (c - 1)
            corrected = max(0.0, phi - freedom / (n - 1))
            rows, columns = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
            smaller = min(rows, columns) - 1
            value = math.sqrt(corrected / smaller) if smaller > 0 else 0.0
            floor = _floor(freedom, (n - 1) * max(smaller, 1e-9))
            found.append(Association(first, second, "cramer", round(min(value, 1.0), 6), floor, n))
    return found


def _floor(freedom: int, scale: float) -> float:
    """What a χ² beyond its mean, 1 time in 20, makes of a corrected coefficient."""
    # Wilson and Hilferty's (1931) cube: as good as the exact quantile here, and needs no SciPy.
    limit = freedom * (1 - 2 / (9 * freedom) + 1.645 * math.sqrt(2 / (9 * freedom))) ** 3
    return round(math.sqrt(max(0.0, limit - freedom) / scale), 6)

"""Columns that say the same as another, and rows that occur twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.data.hashing import hash_column, mix
from jupyter_mlops.profiling.advice.case import PAIR_COLUMNS, Case
from jupyter_mlops.profiling.advice.finding import ROWS, Advice, drop, percent

__all__ = ["duplicates", "redundant", "repeated_rows"]

_MIN_ROWS: Final = 20
_LINEAR: Final = 0.9999
_REDUNDANT: Final = 0.98
_REPEATED: Final = 3


def duplicates(case: Case) -> Iterator[Advice]:
    """Columns equal to an earlier one: exactly, up to scale, or up to how values are coded."""
    if case.size < _MIN_ROWS:
        return
    seen: set[str] = set()
    for name, other in _equal(case).items():
        seen.add(name)
        yield _copy(name, other, case)
    for name, (other, slope, shift, exact) in _scaled(case, seen).items():
        seen.add(name)
        plus = f" {'+' if shift >= 0 else '-'} {abs(shift):.6g}" if shift else ""
        yield Advice(
            name,
            "duplicate column",
            "likely" if exact else "check",
            f"equals {slope:.6g} × {other!r}{plus}{'' if exact else ' but for rounding'} in all "
            f"of {case.pair_rows:,} rows looked at",
            "leave one of the two out",
            drop(name),
            (name, other),
        )
    for name, (other, kinds) in _recoded(case, seen).items():
        seen.add(name)
        yield Advice(
            name,
            "duplicate column",
            "check",
            f"each of its {kinds:,} values goes with one value of {other!r} and the other way "
            f"round, in all of {case.size:,} {'rows' if case.whole else 'sampled rows'}",
            "leave one of the two out: they differ only in how the values are written",
            drop(name),
            (name, other),
        )


def _equal(case: Case) -> dict[str, str]:
    """Columns that equal an earlier one in every sampled row and in all that was counted."""
    alike: dict[tuple[Any, ...], list[str]] = defaultdict(list)
    for name, column in case.columns.items():
        distinct = column.values.distinct()
        if distinct < 2 or name not in case.held:
            continue
        counts = (column.missing, column.zeros, column.negatives, distinct)
        alike[column.type, column.low, column.high, *counts].append(name)
    copies: dict[str, str] = {}
    for names in alike.values():
        if len(names) < 2:
            continue
        # By what is in them and not two by two: thousands of flags have the same counts.
        seen: dict[bytes, str] = {}
        for name in names:
            first = seen.setdefault(hash_column(case.sample[name]).tobytes(), name)
            if first != name:
                copies[name] = first
    return copies


def _copy(name: str, other: str, case: Case) -> Advice:
    if name in {case.target, case.key, case.time} and other != case.target:
        # The table's order makes no difference: the plain feature is what has to go.
        name, other = other, name
    what = "the target" if other == case.target else repr(other)
    return Advice(
        name,
        "leakage" if other == case.target else "duplicate column",
        "likely",
        f"equals {what} in all of {case.size:,} sampled rows, with the same counts over all rows",
        "leave one of the two out",
        drop(name),
        (name, other),
    )


def _matrix(case: Case, names: list[str], *, ranks: bool = False) -> npt.NDArray[np.float64]:
    """Standardised columns of the rows looked at, one a row; missing values count as the mean."""
    rows = case.pair_rows
    made = np.zeros((len(names), rows))
    for place, name in enumerate(names):
        values = case.numbers(name)[:rows] if case.whole else case.numbers(name)[-rows:]
        if ranks:
            values = pl.Series(values).fill_nan(None).rank().fill_null(np.nan).to_numpy()
        gaps = np.isnan(values)
        if gaps.all():
            continue
        values = np.where(gaps, np.nanmean(values), values)
        spread = values.std()
        if spread > 0:
            made[place] = (values - values.mean()) / spread
    return made


def _scaled(case: Case, known: set[str]) -> dict[str, tuple[str, float, float, bool]]:
    """Numeric columns that are a multiple of an earlier one, plus a constant."""
    names = [
        name
        for name in case.numeric
        if name not in known
        and case.columns[name].values.distinct() > 2
        and case.columns[name].semantic != "id"
    ][:PAIR_COLUMNS]
    if len(names) < 2 or case.size < 50:
        return {}
    matrix = _matrix(case, names)
    close = np.abs(np.triu(matrix @ matrix.T / matrix.shape[1], 1)) >= _LINEAR
    found: dict[str, tuple[str, float, float, bool]] = {}
    for i, j in np.argwhere(close):
        first, second = names[i], names[j]
        if second in found or first in found:
            continue
        x, y = case.numbers(first), case.numbers(second)
        both = ~np.isnan(x) & ~np.isnan(y)
        if not np.array_equal(np.isnan(x), np.isnan(y)) or both.sum() < 50:
            continue
        slope, shift = np.polyfit(x[both], y[both], 1)
        rest = np.abs(y[both] - slope * x[both] - shift).max()
        spread = float(y[both].std())
        if rest > 0.02 * spread:
            continue
        size = max(abs(float(y[both].mean())), spread)
        shift = 0.0 if abs(shift) < 1e-6 * size + 0.1 * rest else float(shift)
        found[second] = (first, float(slope), shift, bool(rest < 1e-6 * spread))
    return found


def _recoded(case: Case, known: set[str]) -> dict[str, tuple[str, int]]:
    """Columns of categories that map one to one onto an earlier one."""
    groups: dict[tuple[int, ...], list[str]] = defaultdict(list)
    for name, column in case.columns.items():
        distinct = column.values.distinct()
        if (
            name in known
            or name == case.target
            or name not in case.held
            or not column.values.exact
            or column.type.startswith(("list", "record"))
            or distinct < 2
            or distinct * 10 > case.size
        ):
            continue
        # Two values go together by accident where one of them is rare.
        least = min(column.values.counts.values())
        if distinct > 2 or least >= 20:
            # With equal counts only: thousands of columns may have as many categories.
            counts = sorted(column.values.counts.values())
            groups[distinct, column.missing, *counts].append(name)
    found: dict[str, tuple[str, int]] = {}
    for (distinct, *_), names in groups.items():
        if len(names) < 2:
            continue
        seen: dict[bytes, str] = {}
        for name in names:
            codes, kinds = _order_of_first(case.sample[name])
            if kinds < min(distinct, 2) + int(case.sample[name].null_count() > 0):
                continue
            first = seen.setdefault(codes.tobytes(), name)
            if first != name:
                found[name] = (first, distinct)
    return found


def _order_of_first(values: pl.Series) -> tuple[npt.NDArray[np.intp], int]:
    """Each value as its place among the different ones, by where these first occur.

    Columns that map one to one have the same places, so nothing is compared two by two.
    """
    _, first, codes = np.unique(hash_column(values), return_index=True, return_inverse=True)
    places = np.empty(len(first), dtype=np.intp)
    places[np.argsort(first)] = np.arange(len(first))
    return places[codes], len(first)


def redundant(case: Case, settled: set[str]) -> Iterator[Advice]:
    """Numeric columns that follow another closely, in value or in rank."""
    names = [
        name
        for name in case.numeric
        if name not in settled
        and case.columns[name].values.distinct() > 10
        and case.columns[name].semantic in {"number", "latitude", "longitude"}
        and case.columns[name].missing_share < 0.5
    ][:PAIR_COLUMNS]
    if len(names) < 2 or case.size < 100:
        return
    rows = case.pair_rows
    plain = _matrix(case, names)
    ranked = _matrix(case, names, ranks=True)
    by_value = np.triu(plain @ plain.T / rows, 1)
    by_rank = np.triu(ranked @ ranked.T / rows, 1)
    # A few far values make any two columns agree; the ranks must not contradict.
    by_value[np.abs(by_rank) < 0.9] = 0
    best = np.where(np.abs(by_value) >= np.abs(by_rank), by_value, by_rank)
    close = np.abs(best) >= _REDUNDANT
    for group in _groups(close):
        first, *others = (names[place] for place in group)
        some = best[np.ix_(group, group)]
        strongest = float(some.ravel()[np.argmax(np.abs(some))])
        error = 2 * (1 - strongest**2) / max(1.0, rows - 3) ** 0.5
        if len(others) == 1:
            i, j = group
            kind = "" if best[i, j] == by_value[i, j] else "rank "
            way = "follows" if strongest > 0 else "runs against"
            evidence = (
                f"{way} {first!r} with {kind}correlation {strongest:.3f} ± {error:.3f} "
                f"({rows:,} rows looked at)"
            )
        else:
            listed = ", ".join(repr(name)[:40] for name in others[1:6])
            more = f" and {len(others) - 6:,} more" if len(others) > 6 else ""
            evidence = (
                f"with {first!r}, {listed}{more} one of {len(group):,} columns that follow one "
                f"another with correlations of at least {_REDUNDANT} ({rows:,} rows looked at)"
            )
        yield Advice(
            others[0],
            "redundant",
            "note",
            evidence,
            "a linear model is steadier with one of them; trees don't mind",
            drop(*others),
            (*others, first),
        )


def _groups(close: npt.NDArray[np.bool_]) -> list[list[int]]:
    """Groups of columns in which each is close to at least one other, the first ones first."""
    # SciPy has this too, and takes longer to load than a profile of many tables takes.
    near = close | close.T
    found: list[list[int]] = []
    seen: set[int] = set()
    for first in range(len(near)):
        if first in seen:
            continue
        group, waiting = {first}, [first]
        while waiting:
            new = set(np.flatnonzero(near[waiting.pop()]).tolist()) - group
            group |= new
            waiting += new
        seen |= group
        if len(group) > 1:
            found.append(sorted(group))
    return found


def repeated_rows(case: Case) -> Iterator[Advice]:
    """Rows that occur more than once, beyond what values of few kinds do by accident.

    Rows that agree in all columns are compared with rows that agree in all but one: where many
    more agree once the most telling column is left out, equal rows are to be expected.
    """
    names = [name for name in case.sample.columns if case.columns[name].semantic != "empty"]
    keys = [name for name in names if case.columns[name].semantic == "id"]
    names = [name for name in names if name not in keys]
    if case.size < 50 or len(names) < 2 or not case.profile.rows:
        return
    parts = []
    for place, name in enumerate(names):
        salt = np.uint64((0x9E3779B97F4A7C15 * (2 * place + 1)) % 2**64)
        parts.append(mix(hash_column(case.sample[name]) ^ salt))
    # Rows without any content are equal for want of values, which is said of the columns.
    full = _filled(case, names)
    parts = [part[full] for part in parts]
    total = np.asarray(np.sum(parts, axis=0, dtype=np.uint64))
    extra = _extra(total)
    if extra < max(_REPEATED, 0.0005 * case.size):
        return
    if _expected(case, names) * 20 > extra:
        return
    telling = sorted(range(len(names)), key=lambda i: -case.columns[names[i]].values.distinct())
    loose = max(_extra(total - parts[place]) for place in telling[:8])
    dense = case.columns[names[telling[0]]].values.distinct() > 0.2 * case.profile.rows
    if not dense and (loose > 3 * extra or extra > 0.3 * case.size):
        return
    beside = f" beside {', '.join(map(repr, keys[:3]))}" if keys else ""
    where = case.of(extra)
    counted = getattr(case.profile, "distinct_rows", None)
    if not keys and counted is not None and not case.whole:
        where = f"about {max(0, case.profile.rows - counted):,} of {case.profile.rows:,} rows"
    elif not case.whole:
        where += "; the more rows, the more of them have their double in the table"
    code = "df = df.drop_duplicates()"
    if keys:
        code = (
            f"df = df.drop_duplicates(subset={names!r})"
            if len(names) <= 20
            else (f"df = df.drop_duplicates(subset=df.columns.difference({keys!r}))")
        )
    yield Advice(
        ROWS,
        "duplicate rows",
        "check",
        f"{where} repeat another row in every column{beside} "
        f"({percent(extra / case.size)} of those looked at)",
        "keep one of each, and split after that: a copy in both parts flatters the model",
        code,
    )


def _filled(case: Case, names: list[str]) -> npt.NDArray[np.bool_]:
    """Which rows of the sample have a value in any column that varies."""
    varying = [name for name in names if case.columns[name].semantic != "constant"]
    empty = np.ones(case.size, dtype=bool)
    for name in varying:
        values = case.sample[name]
        if values.dtype.is_float():
            values = values.fill_nan(None)
        empty &= values.is_null().to_numpy()
    return ~empty


def _extra(hashes: npt.NDArray[np.uint64]) -> int:
    return len(hashes) - len(np.unique(hashes))


def _expected(case: Case, names: list[str]) -> float:
    """How many pairs of rows would agree if the columns had nothing to do with each other."""
    chance = 1.0
    for name in names:
        counts = np.array(list(case.counts(name).values()), dtype=float)
        gaps = case.sample[name].null_count()
        counts = np.append(counts, gaps) / max(1.0, counts.sum() + gaps)
        chance *= float((counts**2).sum())
    return chance * case.size * (case.size - 1) / 2

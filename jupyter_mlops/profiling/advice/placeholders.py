"""Values that stand for a missing one: -999, 1900-01-01, "N/A", 0 where nothing is 0."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import numpy as np

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, Severity
from jupyter_mlops.profiling.vocabulary import NO_VALUE, WEAK_NO_VALUE

__all__ = ["placeholders"]

_MARKS: Final = (
    -9,
    -888,
    -8888,
    *(sign * int("9" * length) for length in range(2, 8) for sign in (-1, 1)),
    *(sign * int("7" * length) for length in range(3, 8) for sign in (-1, 1)),
)
_DAYS: Final = (
    "0001-01-01",
    "1753-01-01",
    "1899-12-30",
    "1899-12-31",
    "1900-01-01",
    "1970-01-01",
    "2099-12-31",
    "2100-01-01",
    "2999-12-31",
    "9999-12-31",
)
_AT_LEAST: Final = 3
_YEARS: Final = 5 * 365.25 * 86_400


def placeholders(case: Case, name: str) -> Iterator[Advice]:
    """What stands for no value in a column."""
    column = case.columns[name]
    if column.type == "text":
        yield from _words(case, name)
    elif column.temporal and column.semantic == "datetime":
        yield from _days(case, name)
    elif column.numeric and column.semantic in {"number", "latitude", "longitude"}:
        yield from _numbers(case, name)


def _words(case: Case, name: str) -> Iterator[Advice]:
    if case.columns[name].semantic in {"JSON in text", "text"}:
        return
    counts = {str(value): count for value, count in case.counts(name).items()}
    plain = {value: value.strip().lower() for value in counts}
    order = {str(value).lower() for value in case.columns[name].meaning.get("order", [])}
    strong = [v for v, word in plain.items() if word in NO_VALUE and word not in order]
    weak = [v for v, word in plain.items() if word in WEAK_NO_VALUE and word not in order]
    others = [value for value in counts if value not in strong and value not in weak]
    if not others:
        return
    codes = sum(len(value) == 2 and value.isalpha() and value.isupper() for value in others)
    if codes > 0.8 * len(others):
        # NA is Namibia, and North America, among codes of two letters.
        strong = [value for value in strong if value != "NA"]
    for found, severity in ((strong, "check"), (weak, "note")):
        if not found:
            continue
        level: Severity = "check" if severity == "check" else "note"
        total = sum(counts[value] for value in found)
        shown = ", ".join(repr(value) for value in sorted(found)[:5])
        lowered = sorted({plain[value] for value in found})
        yield Advice(
            name,
            "placeholder",
            level,
            f"{shown} in {case.of(total, name)}",
            "take it as missing",
            f"df[{name!r}] = df[{name!r}].mask(df[{name!r}].str.strip().str.lower()"
            f".isin({lowered!r}))",
        )


def _days(case: Case, name: str) -> Iterator[Advice]:
    seconds = case.present(name)
    if len(seconds) < 20:
        return
    for day in _DAYS:
        start = datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()
        mine = (seconds >= start) & (seconds < start + 86_400)
        count, others = int(mine.sum()), seconds[~mine]
        if count < 2 or len(others) < 10:
            continue
        near = min(abs(others.min() - start), abs(others.max() - start))
        inside = others.min() < start < others.max()
        if inside or near < max(_YEARS, 0.2 * float(np.ptp(others))):
            continue
        column = case.columns[name]
        yield Advice(
            name,
            "placeholder",
            "check",
            f"{day} in {case.of(count)}; all others lie between "
            f"{column.shown(others.min())} and {column.shown(others.max())}",
            "take it as missing",
            f"df[{name!r}] = df[{name!r}].mask(df[{name!r}].dt.strftime('%Y-%m-%d').eq({day!r}))",
        )


def _numbers(case: Case, name: str) -> Iterator[Advice]:
    values = case.present(name)
    if len(values) < 50:
        return
    unique, counts = np.unique(values, return_counts=True)
    if len(unique) < 8:
        return
    column = case.columns[name]
    marks = [float(m) for m in _MARKS if m in unique]
    for mark in [m for m in marks if _apart(m, unique, counts)]:
        count = int(counts[unique == mark][0])
        rest = unique[~np.isin(unique, marks)]
        yield _number(
            name,
            f"{column.shown(mark)} in {case.of(count)}; all others lie between "
            f"{column.shown(float(rest.min()))} and {column.shown(float(rest.max()))}",
            mark,
        )
    lowest = float(unique[0])
    if lowest == -1 and unique[1] >= 0 and len(unique) > 12 and counts[0] >= _AT_LEAST:
        yield _number(name, f"-1 in {case.of(int(counts[0]))}, and no other negative value", -1.0)
    if lowest == 0 and _zero_apart(unique, counts):
        yield _number(
            name,
            f"0 in {case.of(int(counts[0]))}; the smallest other value is "
            f"{column.shown(float(unique[1]))}, the next ones follow closely",
            0.0,
            # Where many values are 0, that is more often an amount of nothing than a gap.
            "check" if counts[0] <= 0.1 * counts.sum() else "note",
        )


def _number(name: str, evidence: str, mark: float, severity: Severity = "check") -> Advice:
    return Advice(
        name,
        "placeholder",
        severity,
        evidence,
        "take it as missing, unless it is a measured value",
        f"df[{name!r}] = df[{name!r}].mask(df[{name!r}] == {mark:g})",
    )


def _apart(
    mark: float, unique: np.ndarray[tuple[int], np.dtype[np.float64]], counts: np.ndarray
) -> bool:
    """Whether a marker lies beyond all other values, farther than a tail would reach."""
    count = int(counts[unique == mark][0])
    others = unique[~np.isin(unique, _MARKS)]
    if count < _AT_LEAST or len(others) < 5:
        return False
    low, high = float(others[0]), float(others[-1])
    if low <= mark <= high:
        return False
    gap = low - mark if mark < low else mark - high
    if gap > 0.5 * (high - low):
        return True
    # Nearer by, but far more frequent than the values beside it.
    side = counts[np.isin(unique, others)]
    beside = side[:10] if mark < low else side[-10:]
    steps = np.diff(others[:10] if mark < low else others[-10:])
    return bool(gap > 2 * np.median(steps) and count > 8 * beside.mean())


def _zero_apart(unique: np.ndarray[tuple[int], np.dtype[np.float64]], counts: np.ndarray) -> bool:
    """Whether 0 is cut off from the other values, which are otherwise dense at their low end."""
    if len(unique) < 25 or counts[0] < _AT_LEAST or counts[0] > 0.35 * counts.sum():
        return False
    rest, least = unique[1:], float(unique[1])
    middle = float(np.repeat(rest, counts[1:])[counts[1:].sum() // 2])
    step = float(np.median(np.diff(rest[:20])))
    return least > 10 * step and least > 0.2 * middle

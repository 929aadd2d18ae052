"""A part of a column written in another unit: metres among centimetres, °F among °C."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from jupyter_mlops.profiling.advice.case import Case, Floats
from jupyter_mlops.profiling.advice.finding import Advice

__all__ = ["wrong_units"]

#: Factors between units that people mix up; each also the other way round.
_FACTORS: Final = {
    10.0: "10",
    100.0: "100 (per cent and fractions, metres and centimetres)",
    1000.0: "1,000 (metres and kilometres, grams and kilograms)",
    1e6: "1,000,000",
    2.54: "2.54 (inches and centimetres)",
    2.20462: "2.2046 (pounds and kilograms)",
    3.28084: "3.2808 (feet and metres)",
    1.609344: "1.609 (miles and kilometres)",
    28.3495: "28.35 (ounces and grams)",
    60.0: "60 (seconds and minutes)",
    3600.0: "3,600 (seconds and hours)",
    12.0: "12 (inches and feet, months and years)",
}
_NEAR: Final = 0.06
_MIN_PART: Final = 8
_MIN_VALUES: Final = 200


def wrong_units(case: Case, name: str) -> Iterator[Advice]:
    """Two groups of values with nothing between them that become one by a change of unit.

    Both the middle and the whole spread of the smaller group must agree with those of the larger
    one after the change (Kolmogorov–Smirnov), so two honest groups of sizes are left alone.
    """
    if case.columns[name].semantic != "number":
        return
    values = case.present(name)
    if len(values) < _MIN_VALUES or len(np.unique(values[:2000])) < 30:
        return
    values = np.sort(values)
    positive = values[values > 0]
    found = None
    # Zero is zero in every unit.
    if (values < 0).mean() < 0.01 and len(positive) >= _MIN_VALUES:
        found = _scaled(positive)
    found = found or _fahrenheit(values)
    if found is None:
        return
    part, cut, below, what, line = found
    column = case.columns[name]
    side = "below" if below else "above"
    sign = "<" if below else ">"
    yield Advice(
        name,
        "wrong units",
        "check",
        f"{case.of(part)} lie {side} {column.shown(cut)} with a gap between, and are spread like "
        f"the others after a change by {what}",
        "bring them to one unit, after looking where they come from",
        f"other = df[{name!r}] {sign} {cut:.6g}\n"
        f"df[{name!r}] = df[{name!r}].where(~other, {line.format(x=f'df[{name!r}]')})",
    )


def _split(values: Floats) -> tuple[Floats, Floats, bool] | None:
    """The smaller and the larger group on the two sides of the widest gap, if there are two."""
    n = len(values)
    first, last = max(_MIN_PART, int(0.004 * n)), n - max(_MIN_PART, int(0.004 * n))
    gaps = np.diff(values)
    place = first + int(np.argmax(gaps[first - 1 : last])) - 1
    low, high = values[: place + 1], values[place + 1 :]
    if min(len(low), len(high)) > 0.45 * n:
        return None
    # A tail is full of gaps; between two units there is one, wider than any within the groups.
    # Their outermost values may stand alone.
    edge = max(1, n // 1000)
    within = [np.diff(low)[edge:-1], np.diff(high)[1:-edge]]
    if gaps[place] <= 2 * max((float(one.max()) for one in within if len(one)), default=0.0):
        return None
    return (low, high, True) if len(low) < len(high) else (high, low, False)


def _scaled(values: Floats) -> tuple[int, float, bool, str, str] | None:
    groups = _split(np.log(values))
    if groups is None:
        return None
    part, rest, below = groups
    ratio = float(np.median(rest) - np.median(part))
    size = abs(ratio)
    # The middle of a small group is uncertain by itself.
    blur = 2.5 * (float(np.std(part)) / len(part) ** 0.5 + float(np.std(rest)) / len(rest) ** 0.5)
    fits = [f for f in _FACTORS if abs(size - np.log(f)) < min(max(_NEAR, blur), 0.25)]
    if not fits:
        return None
    factor = min(fits, key=lambda f: abs(size - np.log(f)))
    moved = part + np.sign(ratio) * np.log(factor)
    if not _alike(moved, rest):
        return None
    cut = float(np.exp((part[-1] + rest[0]) / 2 if below else (rest[-1] + part[0]) / 2))
    line = f"{{x}} * {factor:g}" if ratio > 0 else f"{{x}} / {factor:g}"
    return len(part), cut, below, f"a factor of {_FACTORS[factor]}", line


def _fahrenheit(values: Floats) -> tuple[int, float, bool, str, str] | None:
    groups = _split(values)
    if groups is None:
        return None
    part, rest, below = groups
    cut = float((part[-1] + rest[0]) / 2 if below else (rest[-1] + part[0]) / 2)
    to_fahrenheit = part * 1.8 + 32 if below else (part - 32) / 1.8
    if not _alike(to_fahrenheit, rest):
        return None
    line = "{x} * 1.8 + 32" if below else "({x} - 32) / 1.8"
    return len(part), cut, below, "1.8 × + 32 (°C and °F)", line


def _alike(moved: Floats, rest: Floats) -> bool:
    """Whether two samples are spread alike, as far as their sizes can tell."""
    both = np.sort(np.concatenate([moved, rest]))
    a = np.searchsorted(np.sort(moved), both, side="right") / len(moved)
    b = np.searchsorted(np.sort(rest), both, side="right") / len(rest)
    # Eight values agree with nearly anything, so the limit has an end.
    limit = min(0.4, 1.8 * (1 / len(moved) + 1 / len(rest)) ** 0.5)
    return bool(np.abs(a - b).max() <= max(limit, 0.08))

"""How numbers are spread: outliers, skew, and values that can't be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, percent, transform
from jupyter_mlops.profiling.vocabulary import words_of_name

__all__ = ["impossible", "spread"]

_SKEWED: Final = 5.0
_FAR: Final = 30.0
_APART: Final = 10.0
_APART_IN_LOGS: Final = 2.5
_NEVER_NEGATIVE: Final = {
    "age",
    "price",
    "count",
    "quantity",
    "qty",
    "weight",
    "height",
    "width",
    "distance",
    "duration",
    "area",
    "population",
    "salary",
    "income",
    "size",
    "length",
    "mileage",
    "seats",
    "rooms",
}
_CHANGES: Final = {"change", "diff", "difference", "delta", "log", "z", "scaled", "std", "score"}
#: The largest honest value by the name of a quantity.
_MOST: Final = {"age": 125.0, "latitude": 90.0, "lat": 90.0, "longitude": 180.0, "lon": 180.0}


def spread(case: Case, name: str) -> Iterator[Advice]:
    """Values far from all others, or a long tail."""
    column = case.columns[name]
    low, high = column.low, column.high
    if column.semantic != "number" or low is None or high is None or column.moments.count < 100:
        return
    lower, first, last, upper = column.values.quantiles([0.005, 0.25, 0.75, 0.995])
    reach = last - first
    far = max((high - last), (first - low)) / reach if reach > 0 else 0.0
    middle = (first + last) / 2
    # A long tail thins out; what is wrong stands apart from the tail as well.
    apart = max(_ratio(high - middle, upper - middle), _ratio(middle - low, middle - lower))
    if lower > 0 and low > 0:
        # A long tail of positive values is short on the scale of their logarithms.
        a, b, c = math.log(low), math.log(middle), math.log(high)
        in_logs = max(_ratio(c - b, math.log(upper) - b), _ratio(b - a, b - math.log(lower)))
        apart = apart if in_logs > _APART_IN_LOGS else 0.0
    if far > _FAR and apart > _APART:
        side = high if high - last > first - low else low
        yield Advice(
            name,
            "outliers",
            "check",
            f"{column.shown(side)} lies {far:,.0f} times the middle half's width away; "
            f"99 % lie between {column.shown(lower)} and {column.shown(upper)}",
            "check the unit and the source, or cut at a quantile",
            f"df[{name!r}] = df[{name!r}].clip({lower:.6g}, {upper:.6g})",
        )
        return
    skew = column.moments.skewness
    if skew is not None and abs(skew) > _SKEWED and column.values.distinct() > 20:
        yield Advice(
            name,
            "skew",
            "note",
            f"skewness {skew:.1f}; median {column.shown(column.quantile(0.5))}, "
            f"maximum {column.shown(high)}",
            "for linear models, bring it to a normal shape; trees don't mind",
            transform("sklearn.preprocessing", "PowerTransformer", "PowerTransformer()", name),
        )


def impossible(case: Case, name: str, known: set[str]) -> Iterator[Advice]:
    """A few values beyond what the named quantity can be."""
    column = case.columns[name]
    if not column.numeric or column.low is None or column.high is None or "placeholder" in known:
        return
    words = set(words_of_name(name))
    share = column.negatives / max(1, column.present)
    if (
        words & _NEVER_NEGATIVE
        and not words & _CHANGES
        and 0 < share < 0.05
        and column.values.distinct() > 5
    ):
        yield Advice(
            name,
            "impossible values",
            "note",
            f"{column.negatives:,} of {column.present:,} values ({percent(share)}) are negative, "
            f"down to {column.shown(column.low)}",
            "ask what a negative one means, or take it as missing",
            f"df[{name!r}] = df[{name!r}].mask(df[{name!r}] < 0)",
        )
    most = next((_MOST[word] for word in sorted(words) if word in _MOST), None)
    if most is None or max(column.high, -column.low) <= most or column.values.distinct() < 6:
        return
    usual = column.quantile(0.98)
    if usual is not None and abs(usual) <= most:
        yield Advice(
            name,
            "impossible values",
            "check",
            f"values reach from {column.shown(column.low)} to {column.shown(column.high)}, "
            f"98 % are at most {column.shown(usual)}",
            f"take what lies beyond {most:g} as missing",
            f"df[{name!r}] = df[{name!r}].mask(df[{name!r}].abs() > {most:g})",
        )


def _ratio(whole: float, part: float) -> float:
    return whole / part if part > 0 else 0.0

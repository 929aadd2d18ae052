"""The same row as it was trained on and as it was served, value by value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

__all__ = ["SkewFeature", "compare_pairs"]

RELATIVE = 1e-6
ABSOLUTE = 1e-9
SKEWED = 0.01
SHOWN = 5
# A rule is told when so many of the differing rows follow it.
MOST = 0.95
FEWEST_FOR_RULE = 5


@dataclass(frozen=True)
class SkewFeature:
    """One feature over the rows that are on both sides.

    Attributes
    ----------
    name : str
    compared, differing : int
        Rows, and those in which the two values differ.
    missing_trained, missing_served : int
        Those of them in which only the training data, or only the traffic, has no value.
    rule : str
        What the differing rows have in common, such as ``served = 0.001 × trained``; may be empty.
    pairs : list of (str, str, str)
        Some differing rows: key, value trained on, value served.
    verdict : {"skewed", "watch", "same"}
        Skewed when 1 % of the rows or more differ, to watch when any does.
    """

    name: str
    compared: int
    differing: int
    missing_trained: int
    missing_served: int
    rule: str
    pairs: list[tuple[str, str, str]]
    verdict: Literal["skewed", "watch", "same"]

    @property
    def share(self) -> float:
        """Share of the rows that differ."""
        return self.differing / self.compared if self.compared else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> SkewFeature:
        """Read what `to_dict` wrote."""
        return cls(**{**stored, "pairs": [(a, b, c) for a, b, c in stored["pairs"]]})


def compare_pairs(name: str, keys: pl.Series, trained: pl.Series, served: pl.Series) -> SkewFeature:
    """Compare a feature's values row by row.

    Parameters
    ----------
    name : str
    keys, trained, served : polars.Series, length n
        Of the same rows in the same order. Numbers are the same within a millionth, which
        is more than single precision loses; times at the microsecond; NaN is a missing value.

    Examples
    --------
    >>> import polars as pl
    >>> keys = pl.Series([str(n) for n in range(10)])
    >>> metres = pl.Series([1000.0 * n for n in range(10)])
    >>> compare_pairs("distance", keys, metres, metres / 1000).rule
    'served = 0.001 × trained'
    """
    before, now = _alike(trained, served)
    rows = pl.DataFrame({"key": keys.cast(pl.String), "a": before, "b": now})
    # What can't be read in the type of the other side is there all the same, and differs.
    gone_a = trained.is_null() if not trained.dtype.is_float() else trained.fill_nan(None).is_null()
    gone_b = served.is_null() if not served.dtype.is_float() else served.fill_nan(None).is_null()
    if before.dtype == pl.Float64:
        near = (pl.col("a") - pl.col("b")).abs() <= ABSOLUTE + RELATIVE * pl.col("a").abs()
        same = rows.select(near | (pl.col("a") == pl.col("b"))).to_series().fill_null(False)
    else:
        same = (rows["a"] == rows["b"]).fill_null(False)
    differ = ~(same | (gone_a & gone_b))
    places = differ.arg_true().head(SHOWN)
    shown = [_text(one.gather(places)) for one in (rows["key"], trained, served)]
    count = int(differ.sum())
    verdict: Literal["skewed", "watch", "same"] = "watch" if count else "same"
    if count and count >= SKEWED * rows.height:
        verdict = "skewed"
    return SkewFeature(
        name=name,
        compared=rows.height,
        differing=count,
        missing_trained=int((gone_a & ~gone_b).sum()),
        missing_served=int((gone_b & ~gone_a).sum()),
        rule=_rule(rows.filter(differ), int((gone_b & ~gone_a).sum())),
        pairs=[(k or "", _said(a), _said(b)) for k, a, b in zip(*shown, strict=True)],
        verdict=verdict,
    )


def _text(values: pl.Series) -> pl.Series:
    if values.dtype.is_nested() or values.dtype == pl.Duration:
        texts = [None if one is None else str(one) for one in values.to_list()]
        return pl.Series(values.name, texts, pl.String)
    return values.cast(pl.String, strict=False)


def _lists(trained: pl.Series, served: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Lists and structures as text, the same where their numbers are."""
    before, now = [], []
    for a, b in zip(trained.to_list(), served.to_list(), strict=True):
        before.append(None if a is None else str(a))
        now.append(before[-1] if _near(a, b) else None if b is None else str(b))
    return pl.Series("a", before, pl.String), pl.Series("b", now, pl.String)


def _near(a: Any, b: Any) -> bool:
    if a is None or b is None:
        return False
    try:
        left, right = np.asarray(a, float), np.asarray(b, float)
    except (TypeError, ValueError):
        return bool(a == b)
    near = left.shape == right.shape and np.allclose(
        right, left, rtol=RELATIVE, atol=ABSOLUTE, equal_nan=True
    )
    return bool(near)


def _alike(trained: pl.Series, served: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Both sides in the type in which they can be compared."""
    kinds = (trained.dtype, served.dtype)
    if any(one.is_nested() for one in kinds):
        return _lists(trained, served)
    if any(one in (pl.Duration, pl.Time) for one in kinds):
        return _length(trained), _length(served)
    if any(one.is_temporal() for one in kinds):
        return _time(trained), _time(served)
    if any(one.is_numeric() or one == pl.Boolean for one in kinds):
        return _number(trained), _number(served)
    return trained.cast(pl.String, strict=False), served.cast(pl.String, strict=False)


def _number(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        lower = values.str.to_lowercase()
        values = lower.replace({"true": "1", "false": "0"})
    return values.cast(pl.Float64, strict=False).fill_nan(None)


def _length(values: pl.Series) -> pl.Series:
    """Lengths of time, and times of day, as numbers."""
    if values.dtype == pl.Duration:
        values = values.dt.total_microseconds()
    elif values.dtype == pl.Time:
        values = values.cast(pl.Int64)
    return _number(values)


def _time(values: pl.Series) -> pl.Series:
    if values.dtype == pl.String:
        values = values.str.to_datetime(time_unit="us", time_zone="UTC", strict=False)
    elif values.dtype.is_numeric():
        return pl.Series(values.name, [None] * len(values), pl.Datetime("us"))
    if isinstance(values.dtype, pl.Datetime) and values.dtype.time_zone:
        values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    return values.cast(pl.Datetime("us"), strict=False)


def _rule(differing: pl.DataFrame, missing_served: int) -> str:
    if differing.height < FEWEST_FOR_RULE:
        return ""
    if missing_served >= MOST * differing.height:
        return "missing when served"
    both = differing.drop_nulls(["a", "b"])
    if both.height < MOST * differing.height:
        return ""
    a, b = both["a"], both["b"]
    if a.dtype == pl.Float64:
        ratio, offset = (b / a).fill_nan(None).median(), (b - a).median()
        if isinstance(ratio, float) and ratio and _holds(b, a * ratio):
            return f"served = {ratio:.6g} × trained"
        if isinstance(offset, float) and _holds(b, a + offset):
            return f"served = trained {'+' if offset > 0 else '-'} {abs(offset):.6g}"
    elif a.dtype == pl.String:
        plain = a.str.strip_chars().str.to_lowercase() == b.str.strip_chars().str.to_lowercase()
        if plain.sum() >= MOST * both.height:
            return "differs in case or spaces only"
    elif isinstance(a.dtype, pl.Datetime):
        hours = ((b - a).dt.total_seconds() / 3600).median()
        if isinstance(hours, float) and hours and ((b - a).dt.total_seconds() / 3600 == hours).sum(
        ) >= MOST * both.height:  # fmt: skip
            return f"served = trained {hours:+g} h"
    return ""


def _holds(found: pl.Series, told: pl.Series) -> bool:
    near = (found - told).abs() <= ABSOLUTE + 1e-4 * told.abs()
    return int(near.sum()) >= MOST * len(found)


def _said(value: str | None) -> str:
    return "missing" if value is None else value[:60]

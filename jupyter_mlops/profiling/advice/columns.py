"""What a column can't teach: constants, ids, and values that aren't finite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jupyter_mlops.profiling.advice.case import Case
from jupyter_mlops.profiling.advice.finding import Advice, drop, percent

__all__ = ["tidy"]

_MIN_ROWS: Final = 200


def tidy(case: Case, name: str) -> Iterator[Advice]:
    """Empty, constant, nearly constant, infinite values, identifiers."""
    column = case.columns[name]
    distinct = column.values.distinct()
    if column.semantic == "empty":
        text = f"none of the {column.rows:,} rows has a value"
        yield Advice(name, "empty", "likely", text, "leave it out", drop(name))
        return
    if column.semantic == "constant":
        only = column.shown(next(iter(column.values.counts)))
        gaps = f", {column.missing:,} rows have none" if column.missing else ""
        gaps = ", one row has none" if column.missing == 1 else gaps
        text = f"every value is {only[:40]!r}{gaps}"
        yield Advice(name, "constant", "likely", text, "leave it out", drop(name))
        return
    if "nearly" in column.meaning and column.present >= _MIN_ROWS:
        value, count = column.values.top(1)[0]
        yield Advice(
            name,
            "near-constant",
            "note",
            f"{percent(count / column.present)} of the values are "
            f"{column.shown(value)[:40]!r}; {column.present - count:,} rows differ",
            "leave it out, unless the rare values are what matters",
            drop(name),
        )
    if column.infinite:
        yield Advice(
            name,
            "infinite values",
            "check",
            f"{column.infinite:,} values are infinite",
            "take them as missing",
            f"df[{name!r}] = df[{name!r}].replace([float('inf'), float('-inf')], float('nan'))",
        )
    if column.semantic == "id" and name != case.key:
        about = "" if column.values.exact else "about "
        yield Advice(
            name,
            "identifier",
            "likely",
            f"{about}{min(distinct, column.present):,} different values in {column.present:,} rows",
            "keep it as the key, not as a feature",
            f"df = df.set_index({name!r})",
        )

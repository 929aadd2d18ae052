"""A contract's rules as polars expressions: which rows of a table break each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

import polars as pl
from polars import selectors

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.profiling.contracts.model import Contract, Terms

__all__ = ["Probe", "absences", "misfit", "moment", "named", "present", "probes", "shaped"]

NUMBERS: Final = ("integer", "float", "decimal", "duration")
TIMES: Final = ("date", "datetime", "datetime UTC")


@dataclass(frozen=True)
class Probe:
    """One rule of one column: true in the rows that break it.

    Attributes
    ----------
    share : float
        Which share may break it: of all rows for ``null``, of those with a value for others.
    expected : str
        What a value should have been, for a person.
    """

    column: str
    rule: str
    failing: pl.Expr
    share: float
    expected: str

    @property
    def hard(self) -> bool:
        """Whether no row may break it."""
        return self.share == 0


def misfit(terms: Terms, dtype: pl.DataType) -> str:
    """Why a column of this type can't be what the contract expects; empty when it can.

    Widths don't matter, whole numbers may come as floats (pandas stores integers with gaps so) or
    decimals (databases compute them so); that they are whole is checked row by row. A column
    without any value has no type.
    """
    found = logical_type(dtype)
    wanted = terms.type
    numbers = {"integer", "float", "decimal"}
    if wanted == "date" and found == "datetime":
        return ""  # pandas knows no others
    if found == wanted or "empty" in (found, wanted) or {found, wanted} <= numbers:
        return ""
    return found


def probes(contract: Contract, schema: pl.Schema, environment: str) -> Iterator[Probe]:
    """The rules of all columns that are there and have the expected type."""
    absent = contract.absent(environment)
    for name, terms in contract.columns.items():
        if name not in schema or name in absent:
            continue
        dtype = schema[name]
        if not misfit(terms, dtype):
            yield from _of_column(name, terms, dtype)


def absences(contract: Contract, schema: pl.Schema, environment: str) -> list[str]:
    """Required columns that aren't there."""
    absent = contract.absent(environment)
    return [
        name
        for name, terms in contract.columns.items()
        if terms.required and name not in schema and name not in absent
    ]


def shaped(name: str, dtype: pl.DataType) -> pl.Expr:
    """A column whose missing values are null and whose kind of value has one type."""
    column = named(name)
    if dtype.is_float():
        return column.fill_nan(None)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return column.cast(pl.String)
    if dtype.is_decimal():
        return column.cast(pl.Float64)
    if isinstance(dtype, pl.Duration):
        return column.cast(pl.Duration("us")).to_physical().cast(pl.Float64) / 1e6
    if isinstance(dtype, pl.Datetime) and dtype.time_zone:
        return column.dt.convert_time_zone("UTC")
    return column


def present(name: str, dtype: pl.DataType) -> pl.Expr:
    """How many rows have a value."""
    return shaped(name, dtype).count() if dtype.is_float() else named(name).count()


def moment(value: str | float, dtype: pl.DataType) -> Any:
    """A bound as the column's own kind of value."""
    if not isinstance(value, str):
        # Polars has no integer beyond 128 bits, and a person may have written one.
        return value if abs(value) < 2**63 else float(value)
    if dtype == pl.Time:
        return time.fromisoformat(value)
    when = datetime.fromisoformat(value)
    if dtype == pl.Date:
        return date(when.year, when.month, when.day)
    zoned = isinstance(dtype, pl.Datetime) and bool(dtype.time_zone)
    if zoned:
        return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return when.replace(tzinfo=None)


def _of_column(name: str, terms: Terms, dtype: pl.DataType) -> Iterator[Probe]:
    column = shaped(name, dtype)
    if terms.null is not None and terms.null.max_fraction < 1:
        yield Probe(name, "null", column.is_null(), terms.null.max_fraction, "a value")
    if logical_type(dtype) == "empty":
        return
    if terms.type == "integer" and (dtype.is_float() or dtype.is_decimal()):
        # Of whole numbers none may be broken, however few have come as floats or decimals.
        yield Probe(name, "type", column != column.floor(), 0.0, "a whole number")
    bounds = terms.bounds
    if bounds is not None and (dtype.is_numeric() or dtype.is_temporal()):
        outside = []
        if bounds.lo is not None:
            outside.append(column < moment(bounds.lo, dtype))
        if bounds.hi is not None:
            outside.append(column > moment(bounds.hi, dtype))
        if outside:
            failing = outside[0] if len(outside) == 1 else outside[0] | outside[1]
            yield Probe(name, "bounds", failing, bounds.max_outside, _range(bounds.lo, bounds.hi))
    if terms.domain is not None and not dtype.is_temporal():
        yield Probe(
            name,
            "domain",
            ~column.is_in(_members(terms.domain.values, dtype)),
            terms.domain.max_outside,
            _some(terms.domain.values),
        )
    if logical_type(dtype) != "text":
        return
    if terms.length is not None:
        size = column.str.len_chars()
        low, high = terms.length.lo, terms.length.hi
        failing = size > high if low <= 0 else (size < low) | (size > high)
        expected = f"{low} to {high} characters" if low != high else f"{low} characters"
        yield Probe(name, "length", failing, terms.length.max_outside, expected)
    if terms.pattern is not None:
        yield Probe(
            name,
            "pattern",
            ~column.str.contains(terms.pattern.regex),
            terms.pattern.max_outside,
            terms.pattern.name or terms.pattern.regex,
        )


def _members(values: list[Any], dtype: pl.DataType) -> pl.Expr:
    """The allowed values as the column's type; those it can't hold are in no row of it."""
    kind = logical_type(dtype)
    if kind == "text":
        members = pl.Series([one for one in values if isinstance(one, str)], dtype=pl.String)
    elif kind == "boolean":
        members = pl.Series([one for one in values if isinstance(one, bool)], dtype=pl.Boolean)
    elif dtype.is_integer():
        whole = [int(one) for one in values if isinstance(one, int | float) and one == int(one)]
        members = pl.Series(whole, dtype=pl.Int128).cast(dtype, strict=False).drop_nulls()
    else:
        numbers = [float(one) for one in values if isinstance(one, int | float)]
        members = pl.Series(numbers, dtype=pl.Float64)
        members = members.cast(dtype) if dtype.is_float() else members
    return pl.lit(members.implode())


def named(name: str) -> pl.Expr:
    """A column by its very name: `polars.col` takes one in ^ and $ for a regular expression."""
    if name == "*" or (name.startswith("^") and name.endswith("$")):
        return selectors.by_name(name).as_expr()
    return pl.col(name)


def _range(lo: Any, hi: Any) -> str:
    if lo is None:
        return f"at most {hi}"
    return f"at least {lo}" if hi is None else f"{lo} to {hi}"


def _some(values: list[Any]) -> str:
    shown = ", ".join(str(one)[:30] for one in values[:6])
    return f"one of {shown}" + (f" and {len(values) - 6} more" if len(values) > 6 else "")

"""One schema for many files: what may differ between them, and what is refused.

Files of one table may differ in what loses nothing: an integer that became a wider one or a
float, a column that is empty in one file, text kept as categories.  Anything else, such as a
number that became text or a column that is missing, is refused with the file, the column and
both types, because reading on would be a guess about what the rows mean.
"""

from __future__ import annotations

import polars as pl

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["fitted", "one_schema"]


def one_schema(uri: str, schemas: dict[str, pl.Schema]) -> pl.Schema:
    """The schema that holds the rows of all files.

    Parameters
    ----------
    uri : str
        How the files are called together in messages.
    schemas : dict of str to polars.Schema
        By file, in order; the first one says the order of the columns.

    Raises
    ------
    Invalid
        A file has other columns, or a column's types don't fit.

    Examples
    --------
    >>> one_schema("x", {"a": pl.Schema({"n": pl.Int64()}), "b": pl.Schema({"n": pl.Float64()})})
    Schema({'n': Float64})
    """
    found = list(schemas.items())
    first_file, first = found[0]
    merged: dict[str, pl.DataType] = dict(first)
    told = dict.fromkeys(first, first_file)
    seen = [first]
    for file, schema in found[1:]:
        if schema in seen:
            continue
        seen.append(schema)
        missing = [name for name in first if name not in schema]
        extra = [name for name in schema if name not in first]
        if missing or extra:
            which, where = (missing[0], first_file) if missing else (extra[0], file)
            raise Invalid(
                f"the files of {uri} have different columns",
                f"{file} differs in {which!r} from {first_file}: "
                f"only {where} has it, as {logical_type(merged.get(which) or schema[which])}",
                "name files with the same columns and types",
                code="E-DATA-035",
            )
        for name, dtype in schema.items():
            wide = _wider(merged[name], dtype)
            if wide is None:
                raise Invalid(
                    f"the files of {uri} have different columns",
                    f"{file} differs in {name!r} from {told[name]}: it is "
                    f"{_apart(dtype, merged[name])}"[:400],
                    "bring the column to one type, or name files with the same columns and types",
                    code="E-DATA-035",
                )
            if wide != merged[name]:
                merged[name], told[name] = wide, file
    return pl.Schema(merged)


def fitted(frame: pl.LazyFrame, have: pl.Schema, want: pl.Schema) -> pl.LazyFrame:
    """Bring a file's columns into the order and the types of all."""
    if list(have.items()) == list(want.items()):
        return frame
    return frame.select(
        pl.col(name) if have[name] == dtype else pl.col(name).cast(dtype)
        for name, dtype in want.items()
    )


def _wider(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    """The type that holds both without loss; None when there is none."""
    if one == other:
        return one
    if one == pl.Null:
        return other
    if other == pl.Null:
        return one
    if one.is_numeric() and other.is_numeric():
        return _wider_number(one, other)
    texts = (pl.String, pl.Categorical, pl.Enum)
    if isinstance(one, texts) and isinstance(other, texts):
        return pl.String()
    if isinstance(one, pl.Datetime) and isinstance(other, pl.Datetime):
        if (one.time_zone is None) != (other.time_zone is None):
            return None
        units = ("ms", "us", "ns")
        finer = max(one.time_unit, other.time_unit, key=units.index)
        same = one.time_zone == other.time_zone
        return pl.Datetime(finer, one.time_zone if same else "UTC")
    if isinstance(one, pl.Duration) and isinstance(other, pl.Duration):
        return pl.Duration(max(one.time_unit, other.time_unit, key=("ms", "us", "ns").index))
    if isinstance(one, pl.List) and isinstance(other, pl.List):
        inner = _wider(one.inner, other.inner)  # type: ignore[arg-type]
        return None if inner is None else pl.List(inner)
    return None


def _wider_number(one: pl.DataType, other: pl.DataType) -> pl.DataType | None:
    if one.is_decimal() or other.is_decimal():
        if isinstance(one, pl.Decimal) and isinstance(other, pl.Decimal):
            scale = max(one.scale, other.scale)
            whole = max((one.precision or 38) - one.scale, (other.precision or 38) - other.scale)
            return pl.Decimal(whole + scale, scale) if whole + scale <= 38 else None
        return None
    if one.is_float() or other.is_float():
        small = (pl.Int8, pl.Int16, pl.UInt8, pl.UInt16)
        if all(t == pl.Float32 or t in small for t in (one, other)):
            return pl.Float32()
        return pl.Float64()
    empty = [pl.Series("x", [], dtype).to_frame() for dtype in (one, other)]
    found = pl.concat(empty, how="vertical_relaxed").schema["x"]
    # What holds signed and unsigned 64 bits is wider than files and other libraries know.
    return found if found.is_integer() and found not in (pl.Int128, pl.UInt128) else None


def _apart(one: pl.DataType, other: pl.DataType) -> str:
    """Two types in words, or as they are where words don't tell them apart."""
    words = logical_type(one), logical_type(other)
    if words[0] == words[1]:
        return f"{one}, not {other}"
    return f"{words[0]}, not {words[1]}"

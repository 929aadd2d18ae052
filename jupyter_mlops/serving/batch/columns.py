"""Columns of a table as the values that a request for them would hold."""

from __future__ import annotations

import base64
from typing import Any

import polars as pl

__all__ = ["values_of"]


def values_of(column: pl.Series, wanted: str) -> list[Any]:
    """The values of a column, as they are when a body of JSON has been decoded.

    Parameters
    ----------
    column : polars.Series, length n
    wanted : str
        The type that the model's signature names.

    Returns
    -------
    list, length n
        Times as ISO 8601 texts, bytes as base64, categories as texts.

    Examples
    --------
    >>> values_of(pl.Series(["2026-01-31"]).str.to_date(), "datetime")
    ['2026-01-31']
    """
    dtype = column.dtype
    if isinstance(dtype, pl.Categorical | pl.Enum):
        column = column.cast(pl.String)
    elif dtype.is_decimal():
        column = column.cast(pl.Float64)
    elif isinstance(dtype, pl.Datetime):
        zone = "%:z" if dtype.time_zone else ""
        column = column.dt.strftime(f"%Y-%m-%dT%H:%M:%S%.6f{zone}")
    elif dtype == pl.Date:
        column = column.dt.strftime("%Y-%m-%d")
    elif dtype == pl.Boolean and wanted in ("double", "float", "long", "integer"):
        column = column.cast(pl.Int8)
    elif dtype == pl.Binary:
        return [None if one is None else base64.b64encode(one).decode() for one in column]
    return column.to_list()

"""Tables as frames of other libraries: Dask's and cuDF's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.sources.files.faults import reading
from jupyter_mlops.workspace.errors import Unavailable

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd

    from jupyter_mlops.data.tables import Table

__all__ = ["to_cudf", "to_dask"]

_ROWS: Final = 500_000


def to_dask(table: Table, partitions: int | None = None) -> dd.DataFrame:
    """A table as a Dask frame whose parts are read when a worker needs them.

    All parts have the same NumPy types: an integer column that has a gap anywhere is a float
    column in all of them, as it is in the pandas frame of the whole.

    Parameters
    ----------
    table : Table
    partitions : int, optional

    Raises
    ------
    Unavailable
        Dask isn't installed.
    """
    try:
        import dask.dataframe as dd
    except ImportError:
        raise Unavailable(
            "a Dask frame can't be made",
            "Dask isn't installed",
            'pip install "dask[dataframe]"',
            code="E-DATA-065",
        ) from None
    count = max(1, partitions or -(-table.rows // _ROWS))
    size = max(1, -(-table.rows // count))
    frame = _without_gaps(table)
    meta = _pandas(frame.head(0).collect(), frame.collect_schema())
    schema = frame.collect_schema()
    read = partial(_part, frame, size, schema)
    return dd.from_map(read, range(count), meta=meta, label="jupyter-mlops")


def _without_gaps(table: Table) -> pl.LazyFrame:
    """The rows, with types that NumPy has for all values of a column."""
    frame = table.scan()
    schema = frame.collect_schema()
    whole = [name for name, dtype in schema.items() if dtype.is_integer()]
    with reading(table.label):
        counts = frame.select(pl.col(whole).null_count()).collect(engine="streaming")
    gaps = [name for name in whole if counts[name][0]]
    decimals = [name for name, dtype in schema.items() if dtype.is_decimal()]
    return frame.with_columns(pl.col(gaps + decimals).cast(pl.Float64))


def _part(frame: pl.LazyFrame, size: int, schema: pl.Schema, place: int) -> pd.DataFrame:
    return _pandas(frame.slice(place * size, size).collect(), schema)


def _pandas(frame: pl.DataFrame, schema: pl.Schema) -> pd.DataFrame:
    flags = {name: object for name, dtype in schema.items() if dtype == pl.Boolean}
    made = frame.to_pandas()
    # A part without gaps would have truth values where another has objects.
    return made.astype(flags) if flags else made


def to_cudf(table: Table) -> Any:
    """A table as a cuDF frame on the GPU.

    Raises
    ------
    Unavailable
        cuDF isn't installed, or there is no GPU.
    """
    try:
        import cudf
    except (ImportError, RuntimeError) as error:
        raise Unavailable(
            "a cuDF frame can't be made",
            str(error).strip().splitlines()[0],
            "on a machine with an NVIDIA GPU: pip install cudf-cu12",
            code="E-DATA-066",
        ) from None
    return cudf.DataFrame.from_arrow(table.arrow())

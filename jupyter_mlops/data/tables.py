"""A table as other rooms use it: rows to scan, a digest, and a reference when it is recorded."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

from jupyter_mlops.data.digest import logical_type
from jupyter_mlops.data.sources import Source
from jupyter_mlops.data.sources.files.faults import reading

if TYPE_CHECKING:
    import dask.dataframe as dd
    import pandas as pd
    import pyarrow as pa

__all__ = ["Table", "numpy_pandas"]


class Table:
    """Rows that can be read again and again.

    Parameters
    ----------
    source : Source
        Where the rows come from.
    ref : str, optional
        The reference of the recorded dataset version, for example ``data:flights@3``.
    inputs : list of str, optional
        References of the datasets it was made from; its own when it is one.

    Examples
    --------
    >>> table = Table(open_source("flights.parquet"))  # doctest: +SKIP
    >>> table.rows, table.digest[:8]                   # doctest: +SKIP
    (336776, 'c6c715ea')
    """

    def __init__(
        self, source: Source, ref: str | None = None, inputs: list[str] | None = None
    ) -> None:
        self.source = source
        self.ref = ref
        self.inputs = inputs or ([ref] if ref else [])
        self.key: str | None = None
        self.time: str | None = None

    @property
    def label(self) -> str:
        """How to call the table in a sentence."""
        return self.ref or self.source.uri

    @cached_property
    def digest(self) -> str:
        """The content digest; computed in one pass when it is first asked for."""
        with reading(self.label):
            return self.source.digest()

    @cached_property
    def rows(self) -> int:
        """How many rows there are."""
        with reading(self.label):
            return int(self.scan().select(pl.len()).collect(engine="streaming").item())

    @cached_property
    def schema(self) -> dict[str, str]:
        """Column names and their kinds: integer, float, text, boolean, date, datetime UTC…"""
        return {name: logical_type(dtype) for name, dtype in self.source.schema().items()}

    def scan(self) -> pl.LazyFrame:
        """The rows, lazily."""
        return self.source.scan()

    def pandas(self) -> pd.DataFrame:
        """The whole table as a pandas frame with NumPy dtypes."""
        return numpy_pandas(self.polars())

    def polars(self) -> pl.DataFrame:
        """The whole table as a polars frame; `scan` gives a lazy one."""
        with reading(self.label):
            return self.scan().collect()

    def arrow(self) -> pa.Table:
        """The whole table as an Arrow table."""
        return self.polars().to_arrow()

    def dask(self, partitions: int | None = None) -> dd.DataFrame:
        """The table as a Dask frame, read by its workers when they need it.

        Parameters
        ----------
        partitions : int, optional
            How many parts at the least; one for about 500,000 rows when not given.

        Raises
        ------
        Unavailable
            Dask isn't installed.
        """
        from jupyter_mlops.data.frames import to_dask

        return to_dask(self, partitions)

    def cudf(self) -> Any:
        """The whole table as a cuDF frame on the GPU.

        Raises
        ------
        Unavailable
            cuDF isn't installed, or there is no GPU.
        """
        from jupyter_mlops.data.frames import to_cudf

        return to_cudf(self)


def numpy_pandas(frame: pl.DataFrame) -> pd.DataFrame:
    """Turn a polars frame into a pandas frame with NumPy dtypes.

    Integers with gaps become floats and decimals become floats, as in a pandas frame read
    from CSV; scikit-learn and Evidently know no others.
    """
    decimals = [name for name, dtype in frame.schema.items() if dtype.is_decimal()]
    return frame.with_columns(pl.col(decimals).cast(pl.Float64)).to_pandas()

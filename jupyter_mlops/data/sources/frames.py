"""Data frames in memory, or spread over workers, as a source."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import polars as pl

from jupyter_mlops.data.sources.files.columnar import ParquetFiles
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.data.sources.scratch import ROW_GROUP, new_folder
from jupyter_mlops.workspace.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["FrameSource", "is_frame"]

#: By package and class, so that none of them need be imported to know its frames.
_FRAMES: Final = {
    ("pandas", "DataFrame"): "pandas",
    ("pyarrow", "Table"): "arrow",
    ("pyarrow", "RecordBatch"): "arrow",
    ("pyarrow", "RecordBatchReader"): "reader",
    ("pyarrow", "FileSystemDataset"): "dataset",
    ("pyarrow", "InMemoryDataset"): "dataset",
    ("pyarrow", "UnionDataset"): "dataset",
    ("dask", "DataFrame"): "dask",
    ("dask_expr", "DataFrame"): "dask",
    ("dask_cudf", "DataFrame"): "dask",
    ("cudf", "DataFrame"): "cudf",
}


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame of pandas, polars, Arrow, Dask or cuDF."""
    return isinstance(value, pl.DataFrame | pl.LazyFrame) or _kind(value) is not None


def _kind(value: Any) -> str | None:
    for cls in type(value).__mro__:
        found = _FRAMES.get(((cls.__module__ or "").partition(".")[0], cls.__name__))
        if found is not None:
            return found
    return None


class FrameSource(LazySource):
    """A frame of pandas, polars, Arrow, Dask or cuDF.

    Parameters
    ----------
    frame : frame
        A pandas or polars frame; an Arrow table, batch, reader or dataset; a Dask or cuDF
        frame.  A pandas index is kept as a column when it has a name, and left out otherwise.
        A reader and a Dask frame are read once, part by part, into a temporary copy.
    uri : str
        How the frame is called in records.

    Raises
    ------
    Invalid
        Two columns have one name, the columns have several levels, or a column mixes types.

    Examples
    --------
    >>> FrameSource(pl.DataFrame({"x": [1, 2]})).schema()
    Schema({'x': Int64})
    """

    def __init__(self, frame: Any, uri: str = "frame") -> None:
        self.uri = uri
        self._given = frame
        self._kind = _kind(frame)
        if self._kind not in {"dask", "reader"}:
            self._frame  # noqa: B018  what can't be kept shows at once

    def scan(self) -> pl.LazyFrame:
        """The rows, lazily."""
        return self._frame

    @cached_property
    def _frame(self) -> pl.LazyFrame:
        given, kind = self._given, self._kind
        if isinstance(given, pl.LazyFrame):
            return _portable(given)
        if isinstance(given, pl.DataFrame):
            return _portable(given.lazy())
        _check_names([str(name) for name in _names(given, kind)])
        if kind == "dataset":
            return _portable(_dataset(given))
        if kind in {"dask", "reader"}:
            return self._spooled().scan()
        if kind == "pandas":
            return _portable(_from_pandas(given).lazy())
        return _portable(_from_arrow(given.to_arrow() if kind == "cudf" else given).lazy())

    def _spooled(self) -> ParquetFiles:
        """A copy on disk, one part after the other: the whole may not fit into memory."""
        folder = new_folder()
        paths: list[Path] = []
        for part in _parts(self._given, self._kind):
            if part.height or not paths:
                paths.append(folder / f"{len(paths):06d}.parquet")
                part.write_parquet(paths[-1], row_group_size=ROW_GROUP, compression="lz4")
        self._given = None
        # Of a part without rows only the types count, and those are often not known.
        if len(paths) > 1 and not pl.scan_parquet(paths[0]).select(pl.len()).collect().item():
            del paths[0]
        return ParquetFiles(self.uri, paths)


def _names(frame: Any, kind: str | None) -> list[Any]:
    if kind in {"arrow", "reader", "dataset"}:
        return list(frame.schema.names)
    if getattr(frame.columns, "nlevels", 1) > 1:
        raise Invalid(
            "the frame's columns have several levels",
            f"for example {frame.columns[0]!r}",
            "join them first: frame.columns = ['_'.join(map(str, c)) for c in frame.columns]",
            code="E-DATA-043",
        )
    return list(frame.columns)


def _parts(frame: Any, kind: str | None) -> Iterator[pl.DataFrame]:
    if kind == "reader":
        empty = True
        for batch in frame:
            empty = False
            yield _portable(_from_arrow(batch).lazy()).collect()
        if empty:
            yield _portable(_from_arrow(frame.schema.empty_table()).lazy()).collect()
        return
    for place in range(frame.npartitions):
        part = frame.partitions[place].compute()
        made = _from_pandas(part) if _kind(part) == "pandas" else _from_arrow(part.to_arrow())
        yield _portable(made.lazy()).collect()


def _dataset(dataset: Any) -> pl.LazyFrame:
    """An Arrow dataset, read batch by batch and only the columns that are needed."""
    from polars.io.plugins import register_io_source

    def read(
        columns: list[str] | None, predicate: pl.Expr | None, limit: int | None, _: int | None
    ) -> Iterator[pl.DataFrame]:
        wanted = dataset.schema.names if columns is None else columns
        needed = dict.fromkeys(wanted)
        needed |= dict.fromkeys(predicate.meta.root_names() if predicate is not None else [])
        left = limit
        for batch in dataset.to_batches(columns=list(needed), batch_size=ROW_GROUP):
            frame = _from_arrow(batch)
            frame = (frame if predicate is None else frame.filter(predicate)).select(wanted)
            if left is not None:
                frame = frame.head(left)
                left -= frame.height
            yield frame
            if left == 0:
                return

    schema = _from_arrow(dataset.schema.empty_table()).schema
    return register_io_source(read, schema=schema, explain_name="dataset")


def _from_arrow(table: Any) -> pl.DataFrame:
    import pyarrow as pa

    # Polars knows what other packages' types are stored as, not what they mean.
    own = [f.name for f in table.schema if isinstance(f.type, pa.BaseExtensionType)]
    if own:
        whole = pa.Table.from_batches([table]) if isinstance(table, pa.RecordBatch) else table
        for name in own:
            place = whole.schema.get_field_index(name)
            chunks = [chunk.storage for chunk in whole.column(place).chunks]
            plain = pa.chunked_array(chunks, type=whole.schema.field(place).type.storage_type)
            whole = whole.set_column(place, name, plain)
        table = whole
    made: Any = pl.from_arrow(table)
    return made  # type: ignore[no-any-return]


def _from_pandas(frame: Any) -> pl.DataFrame:
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
        _check_names([str(name) for name in frame.columns])
    columns = []
    for place, name in enumerate(frame.columns):
        values = frame.iloc[:, place]
        _check_kind(str(name), values)
        try:
            columns.append(pl.Series(str(name), _series(values.reset_index(drop=True))))
        except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError, ImportError) as e:
            kinds = sorted({type(v).__name__ for v in values.dropna().head(1000)})
            raise Invalid(
                f"column {str(name)!r} can't be kept as a table column",
                f"it holds {', '.join(kinds) or values.dtype}",
                "give it one type, for example with .astype(str)",
                code="E-DATA-041",
            ) from e
    return pl.DataFrame(columns)


def _check_kind(name: str, values: Any) -> None:
    """Refuse what pandas alone has a type for, with the way to say what is meant."""
    kind = type(values.dtype).__name__
    ways = {
        "PeriodDtype": f"frame[{name!r}] = frame[{name!r}].dt.to_timestamp()",
        "IntervalDtype": "keep its ends as two columns: .array.left and .array.right",
    }
    if kind in ways or getattr(values.dtype, "kind", "") == "c":
        what = {"PeriodDtype": "periods", "IntervalDtype": "intervals"}.get(kind, "complex numbers")
        raise Invalid(
            f"column {name!r} can't be kept as a table column",
            f"it holds {what}",
            ways.get(kind, "keep the real and the imaginary part as two columns"),
            code="E-DATA-041",
        )


def _series(values: Any) -> pl.Series:
    kind = type(values.dtype).__name__
    if kind == "SparseDtype":
        values = values.sparse.to_dense()
    elif kind == "CategoricalDtype" and values.dtype.categories.dtype.kind in "biufM":
        # Categories that are numbers or times are numbers or times, as everywhere else.
        inner = values.dtype.categories.dtype
        gaps = values.isna().any() and inner.kind in "biu"
        values = values.astype(object if gaps else inner)
    if values.dtype == object and any(getattr(v, "ndim", 0) > 1 for v in values.head(100)):
        # Arrow takes arrays of one dimension only; pictures and the like become lists of lists.
        return pl.Series([v.tolist() if hasattr(v, "tolist") else v for v in values])
    made: pl.Series = pl.from_pandas(values)
    return made


def _check_names(names: list[str]) -> None:
    twice = (
        sorted({name for name in names if names.count(name) > 1})
        if len(set(names)) < len(names)
        else []
    )
    if twice:
        raise Invalid(
            f"two columns of the frame are called {twice[0]!r}",
            fix="give each column its own name",
            code="E-DATA-040",
        )


def _portable(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Bring types that Parquet has no room for into ones it has."""
    schema = frame.collect_schema()
    wide = [name for name, dtype in schema.items() if dtype in (pl.Int128, pl.UInt128)]
    opaque = [name for name, dtype in schema.items() if dtype == pl.Object]
    if opaque:
        raise Invalid(
            f"column {opaque[0]!r} holds Python objects",
            fix="give it a plain type, for example with .astype(str)",
            code="E-DATA-041",
        )
    return frame.with_columns(pl.col(wide).cast(pl.String)) if wide else frame

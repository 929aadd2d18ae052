"""Data frames in memory as a source."""

from __future__ import annotations

from typing import Any

import polars as pl

from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["FrameSource", "is_frame"]


def is_frame(value: Any) -> bool:
    """Whether a value is a data frame of pandas, polars or Arrow."""
    if isinstance(value, pl.DataFrame | pl.LazyFrame):
        return True
    origin = (type(value).__module__ or "").partition(".")[0]
    return (origin, type(value).__name__) in {
        ("pandas", "DataFrame"),
        ("pyarrow", "Table"),
        ("pyarrow", "RecordBatch"),
    }


class FrameSource(LazySource):
    """A frame of pandas, polars or Arrow.

    Parameters
    ----------
    frame : pandas.DataFrame, polars.DataFrame, polars.LazyFrame, pyarrow.Table
        A pandas index is kept as a column when it has a name, and left out otherwise.
    uri : str
        How the frame is called in records.

    Raises
    ------
    Invalid
        Two columns have one name, a name is no text, or a column mixes types.
    """

    def __init__(self, frame: Any, uri: str = "frame") -> None:
        self.uri = uri
        if isinstance(frame, pl.LazyFrame):
            self._frame = frame
        elif isinstance(frame, pl.DataFrame):
            self._frame = frame.lazy()
        else:
            self._frame = _convert(frame).lazy()
        self._frame = _portable(self._frame)

    def scan(self) -> pl.LazyFrame:
        """The rows, lazily."""
        return self._frame


def _convert(frame: Any) -> pl.DataFrame:
    if type(frame).__module__.startswith("pyarrow"):
        _check_names([str(name) for name in frame.schema.names])
        return pl.DataFrame(frame)
    if any(name is not None for name in frame.index.names):
        frame = frame.reset_index()
    _check_names([str(name) for name in frame.columns])
    columns = []
    for place, name in enumerate(frame.columns):
        values = frame.iloc[:, place]
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


def _series(values: Any) -> pl.Series:
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

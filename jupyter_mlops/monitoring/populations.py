"""One side of a comparison: its rows counted column by column, and a sample of whole rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import polars as pl

from jupyter_mlops.monitoring.columns import (
    Column,
    is_nested,
    is_number,
    read_categories,
    read_numbers,
)
from jupyter_mlops.monitoring.condensed import as_categories, as_numeric

__all__ = ["DRAWN", "Kind", "Population", "coerced", "drawn", "kind_of", "kinds_of", "read_as"]

Kind = Literal["number", "category", "text", "embedding", "other"]
#: Rows of a sample.
DRAWN: Final = 4000
#: A text says something in several words, and hardly any two say the same.
_WORDS: Final = 3
_DIFFERENT: Final = 0.5
_WORD: Final = re.compile(r"\w+")
_FEWEST_TEXTS: Final = 20


@dataclass(frozen=True)
class Population:
    """The rows of one side.

    Attributes
    ----------
    rows : int
    columns : dict of str to Column
        Numbers and categories, each counted over all rows.
    sample : polars.DataFrame
        Whole rows, drawn evenly, with all columns that are compared.
    types : dict of str to str
        The type of each column, as it is logged or recorded.
    """

    rows: int
    columns: Mapping[str, Column]
    sample: pl.DataFrame
    types: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        frame: pl.DataFrame,
        kinds: Mapping[str, Kind],
        sample: pl.DataFrame | None = None,
    ) -> Population:
        """Count the columns of a frame as these kinds; its sample may have been drawn already.

        Lists and structures where single values are expected count as missing.
        """
        types = {name: str(frame.schema[name]) for name in kinds}
        sample = drawn(frame) if sample is None else sample
        single = [name for name, kind in kinds.items() if kind in ("number", "category")]
        wrong = [name for name in single if is_nested(frame.schema[name])]
        frame, sample = (
            side.with_columns(pl.lit(None, pl.String).alias(name) for name in wrong)
            for side in (frame, sample)
        )
        columns = {name: read_as(frame[name], kinds[name]) for name in single}
        return cls(frame.height, columns, sample, types)


def drawn(frame: pl.DataFrame, size: int = DRAWN) -> pl.DataFrame:
    """Rows of a frame drawn evenly, the same ones each time."""
    if frame.height <= size:
        return frame
    return frame.sample(size, seed=0, shuffle=False)


def kind_of(column: pl.Series) -> Kind:
    """How a column is compared, as its type and a look at its values say."""
    dtype = column.dtype
    if isinstance(dtype, (pl.List, pl.Array)):
        inner = dtype.inner
        return "embedding" if inner is not None and inner.is_numeric() else "other"
    if is_nested(dtype) or dtype == pl.Binary:
        return "other"
    if is_number(dtype):
        return "number"
    if dtype == pl.String and _is_text(column.drop_nulls()):
        return "text"
    return "category"


def kinds_of(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, Kind]:
    """The kinds of a reference's columns; the other side is read as the same."""
    looked_at = drawn(frame, 1000)
    return {name: kind_of(looked_at[name]) for name in names}


def coerced(column: Column, kind: Kind) -> Column | None:
    """A column that was profiled by its own type, as the kind that the reference has.

    None where values that would have to be known one by one weren't kept.
    """
    if kind == "number":
        return as_numeric(column)
    return as_categories(column)


def read_as(column: pl.Series, kind: Kind) -> Column:
    """Count a column as numbers or as categories."""
    return read_numbers(column) if kind == "number" else read_categories(column)


def _is_text(values: pl.Series) -> bool:
    if len(values) < _FEWEST_TEXTS:
        return False
    if values.n_unique() < _DIFFERENT * len(values):
        return False
    words = [len(_WORD.findall(one)) for one in values.head(200).to_list()]
    return sum(words) / len(words) > _WORDS

"""CSV and TSV files read with types that hold for every row, not only for the first ones.

All fields are read as text, in one pass every column is tried against the types its first rows
suggest, and the narrowest type that fits **all** its values wins.  So a letter in row 300,000
makes a text column instead of an error, a column that starts with gaps still gets its type,
and codes with leading zeros ("00501") stay text.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import polars as pl

from jupyter_mlops.data.sources.files.faults import check_header, delimited_fault

if TYPE_CHECKING:
    from polars._typing import PolarsTemporalType

#: Fields that mean "no value".
MISSING: Final = ["", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "null", "NULL"]
HEAD: Final = 10_000

_DATE = r"^\d{4}-\d{2}-\d{2}"
_SHAPES: Final = (
    (_DATE + r"$", "%Y-%m-%d", pl.Date()),
    (_DATE + r" \d{2}:\d{2}$", "%Y-%m-%d %H:%M", pl.Datetime("us")),
    (_DATE + r"T\d{2}:\d{2}$", "%Y-%m-%dT%H:%M", pl.Datetime("us")),
    (_DATE + r" \d{2}:\d{2}:\d{2}(\.\d+)?$", "%Y-%m-%d %H:%M:%S%.f", pl.Datetime("us")),
    (_DATE + r"T\d{2}:\d{2}:\d{2}(\.\d+)?$", "%Y-%m-%dT%H:%M:%S%.f", pl.Datetime("us")),
    (
        _DATE + r"T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$",
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        pl.Datetime("us", "UTC"),
    ),
    (
        _DATE + r" \d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:?\d{2})$",
        "%Y-%m-%d %H:%M:%S%.f%#z",
        pl.Datetime("us", "UTC"),
    ),
)
_LEADING_ZERO = r"^[+-]?0\d"
# Codes with leading zeros, and numbers of so many digits that a float would change them.
_NO_FLOAT = r"^[+-]?(0\d+|\d{16,})$"


def _as_boolean(column: pl.Expr) -> pl.Expr:
    lower = column.str.to_lowercase()
    return pl.when(lower.is_in(["true", "false"])).then(lower == "true")


def _as_integer(column: pl.Expr) -> pl.Expr:
    return pl.when(~column.str.contains(_LEADING_ZERO)).then(column.cast(pl.Int64, strict=False))


def _as_float(column: pl.Expr) -> pl.Expr:
    return pl.when(~column.str.contains(_NO_FLOAT)).then(column.cast(pl.Float64, strict=False))


def _as_time(column: pl.Expr, shape: str, form: str, dtype: PolarsTemporalType) -> pl.Expr:
    return pl.when(column.str.contains(shape)).then(column.str.strptime(dtype, form, strict=False))


#: The typed readings of a text column, narrowest first.
_READINGS: Final[dict[str, Callable[[pl.Expr], pl.Expr]]] = {
    "boolean": _as_boolean,
    "integer": _as_integer,
    "float": _as_float,
    **{
        form: partial(_as_time, shape=shape, form=form, dtype=dtype)
        for shape, form, dtype in _SHAPES
    },
}


def _candidates(head: pl.DataFrame) -> dict[str, dict[str, pl.Expr]]:
    """The readings of each column that its first rows allow."""
    # One value of each column rules most readings out, for all columns in one go.
    firsts = {name: head[name].drop_nulls().head(1) for name in head.columns}
    filled = [name for name, first in firsts.items() if len(first)]
    trial = pl.DataFrame({"v": [firsts[name][0] for name in filled]}, schema={"v": pl.String})
    fits = trial.select(**{k: read(pl.col("v")).is_not_null() for k, read in _READINGS.items()})
    allowed = dict(zip(filled, fits.iter_rows(named=True), strict=True))
    candidates = {}
    for name in head.columns:
        column = pl.col(name)
        possible = allowed.get(name)
        readings = {k: r(column) for k, r in _READINGS.items() if possible is None or possible[k]}
        if possible is not None and readings:
            counts = {kind: reading.count() for kind, reading in readings.items()}
            held = head[name].to_frame().select(**counts).row(0, named=True)
            full = head.height - head[name].null_count()
            readings = {kind: r for kind, r in readings.items() if held[kind] == full}
        candidates[name] = readings
    return candidates


def read_delimited(paths: list[Path], shown: str, separator: str) -> pl.LazyFrame:
    """Read CSV files of one kind as a lazy frame with types that fit all rows.

    Parameters
    ----------
    paths : list of Path
        Files with the same header line.
    shown : str
        How the source is called in messages.
    separator : str
        One character.

    Raises
    ------
    Invalid
        The file is empty, isn't UTF-8, has a ragged line, an open quote or two columns of one
        name; the message says on which line.
    """
    header = check_header(paths, separator)
    try:
        texts = pl.scan_csv(
            paths,
            separator=separator,
            null_values=MISSING,
            infer_schema=False,
            glob=False,
        )
        found = texts.collect_schema().names()
        if len(found) == len(header) and found != header:
            # polars leaves doubled quotes in header names as they are.
            texts = texts.rename(dict(zip(found, header, strict=True)))
        return fit_types(texts)
    except pl.exceptions.PolarsError as error:
        raise delimited_fault(paths, shown, separator, error) from None


def fit_types(texts: pl.LazyFrame, names: list[str] | None = None) -> pl.LazyFrame:
    """Give text columns the narrowest type that holds all their values.

    Parameters
    ----------
    texts : polars.LazyFrame
        It is read twice when it is long.
    names : list of str, optional
        The columns to look at; all when not given.
    """
    head = texts.head(HEAD).collect()
    readings = _candidates(head.select(names or head.columns))
    # Text for certain needs no second look; everything else is tried on every row.
    tried = {name: kinds for name, kinds in readings.items() if kinds}
    rows = head.lazy() if head.height < HEAD else texts
    counts = (
        rows.select(
            *(pl.col(name).count().alias(f"{i}") for i, name in enumerate(tried)),
            *(
                reading.count().alias(f"{i} {kind}")
                for i, kinds in enumerate(tried.values())
                for kind, reading in kinds.items()
            ),
        )
        .collect(engine="streaming")
        .row(0, named=True)
        if tried
        else {}
    )
    typed = []
    for i, (name, kinds) in enumerate(tried.items()):
        full = counts[f"{i}"]
        fitting = [kind for kind in kinds if full and counts[f"{i} {kind}"] == full]
        if fitting:
            typed.append(kinds[fitting[0]].alias(name))
    return texts.with_columns(typed)


def separator(path: Path) -> str:
    """The mark between the fields of a CSV file: the most frequent one of its first line."""
    with path.open("rb") as file:
        line = file.readline(1 << 16).decode("utf-8", "replace")
    counts = {mark: line.count(mark) for mark in ",;\t|"}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ","

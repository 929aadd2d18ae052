"""CSV and TSV files read with types that hold for every row, not only for the first ones.

All fields are read as text, in one pass every column is tried against the types its first rows
suggest, and the narrowest type that fits **all** its values wins.  So a letter in row 300,000
makes a text column instead of an error, a column that starts with gaps still gets its type,
and codes with leading zeros ("00501") stay text.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from jupyter_mlops.data.sources.faults import check_header, delimited_fault

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


def _candidates(name: str, head: pl.Series) -> dict[str, pl.Expr]:
    """The typed readings of a text column that its first values allow, narrowest first."""
    column = pl.col(name)
    readings: dict[str, pl.Expr] = {
        "boolean": _as_boolean(column),
        "integer": pl.when(~column.str.contains(_LEADING_ZERO)).then(
            column.cast(pl.Int64, strict=False)
        ),
        "float": pl.when(~column.str.contains(_NO_FLOAT)).then(
            column.cast(pl.Float64, strict=False)
        ),
    }
    for shape, form, dtype in _SHAPES:
        readings[form] = pl.when(column.str.contains(shape)).then(
            column.str.strptime(dtype, form, strict=False)
        )
    if not head.count():
        return readings
    fits = head.to_frame().select(
        **{kind: (reading.count() == column.count()) for kind, reading in readings.items()}
    )
    return {kind: reading for kind, reading in readings.items() if fits[kind][0]}


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
        head = texts.head(HEAD).collect()
        readings = {name: _candidates(name, head[name]) for name in head.columns}
        # Text for certain needs no second look; everything else is tried on every row.
        tried = {name: kinds for name, kinds in readings.items() if kinds}
        counts = (
            texts.select(
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
    except pl.exceptions.PolarsError as error:
        raise delimited_fault(paths, shown, separator, error) from None
    typed = []
    for i, (name, kinds) in enumerate(tried.items()):
        full = counts[f"{i}"]
        fitting = [kind for kind in kinds if full and counts[f"{i} {kind}"] == full]
        if fitting:
            typed.append(kinds[fitting[0]].alias(name))
    return texts.with_columns(typed)

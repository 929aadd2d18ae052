"""The rows of a table as parts that can be read by themselves, whatever memory there is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import polars as pl

from jupyter_mlops.data import Table
from jupyter_mlops.data.sources.files.faults import reading
from jupyter_mlops.data.sources.scratch import new_folder, write
from jupyter_mlops.profiling.reading import row_groups
from jupyter_mlops.serving.modelfile import ModelFile
from jupyter_mlops.workspace import Invalid, MLOpsError, NotFound, Unavailable, closest

__all__ = ["RESERVED", "check_columns", "sliceable"]

#: The output's own columns.
RESERVED = ("row", "prediction", "probability", "model", "digest", "column", "reason", "code")


def check_columns(file: ModelFile, table: Table, keep: tuple[str, ...]) -> list[str]:
    """Which columns must be read.

    Raises
    ------
    Invalid
        The data lack a column that the model needs, or a kept one has a name of the output's.
    NotFound
        A column to be kept isn't there.
    """
    have = table.source.schema().names()
    for name in keep:
        if name not in have:
            raise NotFound(
                f"{table.label} has no column {name!r} to keep",
                f"its columns are {', '.join(have[:12])}{' …' if len(have) > 12 else ''}",
                closest(name, have),
                code="E-BATCH-041",
            )
        if name in RESERVED:
            raise Invalid(
                f"column {name!r} can't be kept",
                "the output has a column of that name",
                "rename it first, with `%%mlops data query`",
                code="E-BATCH-042",
            )
    names = [field.name for field in file.fields]
    if file.tensor and not set(names) <= set(have):
        given = [name for name in have if name not in keep]
        if len(given) != len(names):
            raise Invalid(
                f"the model takes {len(names):,} columns in their order, and {table.label} has "
                f"{len(given):,}",
                fix="select the columns, or name those that only go along with --keep",
                code="E-BATCH-043",
            )
        return have
    for field in file.fields:
        if field.required and field.name not in have:
            raise Invalid(
                f"{table.label} has no column {field.name!r}",
                "the model needs it",
                closest(field.name, have)
                or f"its columns are {', '.join(have[:20])}{' …' if len(have) > 20 else ''}",
                code="E-BATCH-040",
            )
    return list(dict.fromkeys([*(name for name in names if name in have), *keep]))


@contextmanager
def sliceable(table: Table, columns: list[str]) -> Iterator[pl.LazyFrame]:
    """The rows as local Parquet, of which any part is read without those before it.

    What isn't local Parquet already is written to a temporary copy, with these columns alone,
    without being in memory as a whole; it goes with the context.
    """
    with reading(table.label):
        frame = table.scan()
        if row_groups(frame) is not None:
            yield frame.select(columns)
            return
        folder = new_folder()
        try:
            target = folder / "rows.parquet"
            explain = partial(_unreadable, table.label)
            write(lambda: frame.select(columns), target, table.label, explain)
            yield pl.scan_parquet(target, glob=False)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _unreadable(label: str, error: Exception) -> MLOpsError:
    return Unavailable(
        f"{label} can't be read to its end",
        (str(error).strip().splitlines() or [type(error).__name__])[0],
        "check the data",
        code="E-BATCH-044",
    )

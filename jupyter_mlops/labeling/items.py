"""What there is to label: each row of a table as an item with a digest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from jupyter_mlops.labeling.kinds import Kind
from jupyter_mlops.labeling.reading import READERS, Item, Place, broken
from jupyter_mlops.labeling.signatures import media_type
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, NotFound, closest

__all__ = ["Item", "Kind", "Source", "media_type", "pick_columns", "read_items"]

# What a person can see is broken and skip; anything else about a row is an error at once.
_SKIPPABLE = {"E-LABEL-006", "E-LABEL-009"}
ALL = "*"  # the columns of a row, when none is named or their names are too long to keep


class Source(Protocol):
    """A table to label: what the data room hands over."""

    @property
    def ref(self) -> str | None: ...

    @property
    def digest(self) -> str: ...

    def scan(self) -> pl.LazyFrame: ...


def read_items(
    source: Source, kind: Kind, column: str | None, key: str | None, root: Path
) -> tuple[str, list[Item]]:
    """Read the items of a table.

    Parameters
    ----------
    source : Source
        The table.
    kind : {"image", "text", "audio", "video", "row", "pair"}
        What the column holds. Images are bytes, paths of files below `root`, or grids of
        pixels (lists of rows, grey or RGB); sounds and films are bytes or paths. A row shows
        several columns, a pair shows two beside each other.
    column, key : str, optional
        The column to show, which may be left out when only one fits (rows and pairs: names
        with commas between them), and the column that names a row.
    root : pathlib.Path
        The workspace's folder; files outside it are refused.

    Returns
    -------
    tuple of (str, list of Item)
        What was read, and an item a row, in the table's order. A file that is missing or
        can't be shown becomes an item that says so, as long as others can be labelled.

    Raises
    ------
    NotFound, Invalid
        The column isn't there, or a row can't be labelled; the error names the row.
    """
    scan = source.scan()
    schema = scan.collect_schema()
    chosen = pick_columns(schema, kind, column, key)
    if key is not None and key not in schema:
        raise _no_column(key, schema)
    frame = scan.select(list(dict.fromkeys([*chosen, *([key] if key else [])]))).collect()
    if not frame.height:
        raise Invalid("there is nothing to label", "the data has no rows", code="E-LABEL-002")
    keys: Iterable[Any] = frame[key] if key is not None else [None] * frame.height
    shown = ",".join(chosen)
    name = shown if len(shown) <= 255 else ALL
    read, found, first = READERS[kind], [], None
    for row, (values, named) in enumerate(zip(frame.select(chosen).iter_rows(), keys, strict=True)):
        place = Place(row, tuple(chosen), root)
        try:
            item = read(values, place)
        except MLOpsError as error:
            if error.code not in _SKIPPABLE:
                raise
            first = first or error
            item = broken(error, values)
        found.append(replace(item, key=None if named is None else str(named)))
    if first is not None and all(item.broken for item in found):
        raise first
    return name, found


def pick_columns(
    schema: pl.Schema, kind: Kind, column: str | None, key: str | None = None
) -> list[str]:
    """The columns to show: those named, else the only ones that fit the kind."""
    if kind in {"row", "pair"}:
        return _several(schema, kind, column, key)
    if column is not None:
        if column not in schema:
            raise _no_column(column, schema)
        return [column]
    texts = [name for name, dtype in schema.items() if dtype == pl.String]
    content = [name for name, dtype in schema.items() if dtype == pl.Binary]
    if kind == "image":
        content = [
            name
            for name, dtype in schema.items()
            if dtype == pl.Binary or isinstance(dtype, pl.List | pl.Array)
        ]
    fitting = texts if kind == "text" else content or texts
    if len(fitting) != 1:
        raise Invalid(
            f"which column holds the {kind} isn't clear",
            f"{', '.join(fitting)} could" if fitting else f"none holds {kind}s",
            "name it with --column",
            code="E-LABEL-003",
        )
    return fitting


def _several(schema: pl.Schema, kind: Kind, column: str | None, key: str | None) -> list[str]:
    if column is None or column == ALL:
        names = [name for name in schema if name != key or kind == "row"]
        if kind == "pair" and {"left", "right"} <= set(names):
            names = ["left", "right"]
    else:
        # A name that holds a comma is meant before a list of names is.
        names = [column] if column in schema else [one.strip() for one in column.split(",")]
        for name in names:
            if name not in schema:
                raise _no_column(name, schema)
    if kind == "pair" and len(names) != 2:
        raise Invalid(
            "which two columns are to be compared isn't clear",
            f"there are {len(names)}: {', '.join(names[:12])}",
            "name them as --column first,second",
            code="E-LABEL-202",
        )
    return names


def _no_column(name: str, schema: Iterable[str]) -> NotFound:
    known: Sequence[str] = list(schema)
    return NotFound(
        f"the data has no column {name!r}",
        f"it has {', '.join(known[:12])}{'…' if len(known) > 12 else ''}",
        closest(name, known),
        code="E-LABEL-010",
    )

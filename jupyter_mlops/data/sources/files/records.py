"""JSON files: one object a line, or an array of objects, with nested types."""

from __future__ import annotations

import glob
from pathlib import Path

import polars as pl

from jupyter_mlops.data.sources.files.faults import json_fault
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["read_json"]


def read_json(paths: list[Path], shown: str) -> pl.LazyFrame:
    """Read JSON files as a lazy frame with types that fit all records.

    A field that a record, or a whole file, lacks is missing there; one that holds numbers and
    text is text.

    Parameters
    ----------
    paths : list of Path
        Plain UTF-8; each holds one object a line, or one array of objects.
    shown : str
        How the source is called in messages.

    Raises
    ------
    Invalid
        A file is empty or no JSON; the message says on which line.
    """
    frames = []
    for path in paths:
        with path.open("rb") as file:
            start = file.read(1 << 16).lstrip()
        if not start:
            raise Invalid(f"{path.name} is empty", fix="check what wrote it", code="E-DATA-021")
        try:
            # Types must hold for every record, so all of them are looked at. Where lines are
            # scanned, polars takes the path for a pattern.
            frame = (
                pl.read_json(path, infer_schema_length=None).lazy()
                if start.startswith(b"[")
                else pl.scan_ndjson(glob.escape(str(path)), infer_schema_length=None)
            )
            frames.append(_with_room(frame))
        except pl.exceptions.PolarsError as error:
            raise json_fault([path], shown, error) from None
    return frames[0] if len(frames) == 1 else pl.concat(frames, how="diagonal_relaxed")


def _with_room(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Write records without any field as missing: Parquet has no room for them."""
    bare = [n for n, dtype in frame.collect_schema().items() if dtype == pl.Struct([])]
    return frame.with_columns(pl.lit(None).alias(name) for name in bare) if bare else frame

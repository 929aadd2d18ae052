"""Temporary copies: what had to be unpacked, parsed or fetched, until the process ends."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable, Hashable
from functools import cache
from pathlib import Path
from typing import Final

import polars as pl

from jupyter_mlops.data.sources.files.faults import disk_fault
from jupyter_mlops.workspace.errors import Unavailable
from jupyter_mlops.workspace.records import new_id

__all__ = ["ROW_GROUP", "new_folder", "no_room", "parsed", "write"]

ROW_GROUP: Final = 131_072
_PARSED: dict[Hashable, Path] = {}


@cache
def _home() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jupyter-mlops-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def new_folder() -> Path:
    """An empty folder that goes when the process ends."""
    folder = _home() / new_id()
    folder.mkdir()
    return folder


def parsed(mark: Hashable, parse: Callable[[Path], None]) -> pl.LazyFrame:
    """The rows that `parse` writes into a Parquet file, parsed once for each mark.

    Parameters
    ----------
    mark : hashable
        Says which content it is: paths with their sizes and times.
    parse : callable
        Writes a Parquet file to the path it is given.
    """
    found = _PARSED.get(mark)
    if found is None or not found.exists():
        target = _home() / f"{new_id()}.parquet"
        try:
            parse(target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        _PARSED[mark] = found = target
    return pl.scan_parquet(found, glob=False)


def write(
    frame: Callable[[], pl.LazyFrame],
    target: Path,
    shown: str,
    explain: Callable[[Exception], Exception],
) -> None:
    """Write rows as Parquet; a fault in them is explained, one of the disk is told.

    Raises
    ------
    Unavailable
        The disk is full.
    """
    try:
        frame().sink_parquet(target, row_group_size=ROW_GROUP, compression="lz4")
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = disk_fault(error)
        if not reason:
            raise explain(error) from None
        raise no_room(shown, target.parent, reason) from None


def no_room(shown: str, folder: Path, reason: str) -> Unavailable:
    """Tell that a temporary copy has no place."""
    return Unavailable(
        f"{shown} can't be unpacked into {folder}",
        reason,
        "free some disk space or point TMPDIR elsewhere",
        code="E-DATA-029",
    )

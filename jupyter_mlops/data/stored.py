"""The rows of datasets on disk: copied by digest, or left where they are and watched."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from jupyter_mlops.data.records import DatasetRecord
from jupyter_mlops.data.sources import Source
from jupyter_mlops.data.sources.files.faults import disk_fault, reading
from jupyter_mlops.data.sources.files.opening import ROW_GROUP, ParquetFiles
from jupyter_mlops.data.sources.objects.opening import ObjectParquet, reopen_objects
from jupyter_mlops.data.tables import Table
from jupyter_mlops.workspace.errors import Conflict, Invalid, NotFound, Unavailable
from jupyter_mlops.workspace.records import new_id

if TYPE_CHECKING:
    from jupyter_mlops.workspace import Workspace

__all__ = ["Stored", "keep", "reopen"]


@dataclass(frozen=True)
class Stored:
    """Where the rows of a version are, and what they are."""

    digest: str
    rows: int
    size: int
    schema: dict[str, str]
    location: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)


def keep(ws: Workspace, table: Table, where: str | None = None) -> Stored:
    """Copy a table's rows into the workspace, or note where they are when they are too large.

    The copy appears under its digest when it is complete; nothing shows of one that failed.
    `where` is the condition that picked the rows, to be named when it picked none.

    Raises
    ------
    Invalid
        A row can't be read or written as Parquet.
    Unavailable
        The disk is full or the artifacts can't be reached.
    """
    source = table.source
    if isinstance(source, ParquetFiles | ObjectParquet):
        with reading(table.label):
            size = source.size
            if size > ws.settings.copy_limit:
                # The marks come first: what changes after them shows when it is opened again.
                marks = source.marks()
                return Stored(table.digest, table.rows, size, table.schema, files=marks)
    local = ws.artifacts.is_local
    if local:
        _sweep(ws.artifacts.local("datasets/.draft").parent)
    with tempfile.TemporaryDirectory(prefix="jupyter-mlops-") as scratch:
        # A draft beside its final place can be renamed there; one on another disk can't.
        draft = (
            ws.artifacts.local(f"datasets/.{new_id()}.draft")
            if local
            else Path(scratch) / "draft.parquet"
        )
        try:
            _write(table.scan(), draft, table.label)
            kept = Table(ParquetFiles(table.label, [draft]))
            key = f"datasets/{kept.digest}.parquet"
            if not kept.rows:
                raise Invalid(
                    f"no row of {table.label} fulfils {where!r}"
                    if where
                    else f"{table.label} has columns but no rows",
                    fix="check the condition" if where else "check the query or program it is of",
                    code="E-DATA-051",
                )
            stored = Stored(kept.digest, kept.rows, draft.stat().st_size, table.schema, key)
            if not ws.artifacts.exists(key):
                if local:
                    _place(draft, ws.artifacts.local(key))
                else:
                    ws.artifacts.fs.put_file(str(draft), ws.artifacts.url(key))
        finally:
            draft.unlink(missing_ok=True)
    return stored


def _write(frame: pl.LazyFrame, draft: Path, label: str) -> None:
    try:
        frame.sink_parquet(draft, row_group_size=ROW_GROUP, compression="zstd", compression_level=1)
        with draft.open("rb") as file:
            os.fsync(file.fileno())
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = disk_fault(error)
        if reason:
            raise Unavailable(
                f"{label} can't be copied into the workspace",
                reason,
                f"check the disk of {draft.parent}",
                code="E-DATA-060",
            ) from None
        raise Invalid(
            f"{label} can't be kept as Parquet",
            str(error).strip().splitlines()[0],
            "give every column one plain type",
            code="E-DATA-061",
        ) from None


def _sweep(folder: Path) -> None:
    """Remove the drafts of processes that were killed; a living one is younger than a day."""
    for draft in folder.glob(".*.draft"):
        with suppress(FileNotFoundError):
            if time.time() - draft.stat().st_mtime > 86_400:
                draft.unlink()


def _place(draft: Path, final: Path) -> None:
    draft.replace(final)
    # The rename itself is durable only once the folder is.
    descriptor = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def reopen(ws: Workspace, record: DatasetRecord, ref: str) -> Source:
    """Open the rows of a recorded version.

    Raises
    ------
    NotFound
        The stored file is gone.
    Conflict
        A file that was too large to copy isn't what it was.
    """
    if not record.location:
        return _watched(ws, record, ref)
    if not ws.artifacts.exists(record.location):
        raise NotFound(
            f"the stored rows of {ref} are gone",
            f"{ws.artifacts.url(record.location)} doesn't exist",
            f"add the same content again from {record.source}",
            code="E-DATA-062",
        )
    local = ws.artifacts.is_local
    path = ws.artifacts.local(record.location) if local else _fetched(ws, record)
    return ParquetFiles(ref, [path])


def _fetched(ws: Workspace, record: DatasetRecord) -> Path:
    """A local copy of remote rows; the digest in its name makes it good for ever."""
    folder = Path(tempfile.gettempdir()) / f"jupyter-mlops-{os.getuid()}" / "datasets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / f"{record.digest}.parquet"
    if not path.exists():
        draft = path.with_name(f".{new_id()}.draft")
        with ws.artifacts.open(record.location) as remote, draft.open("wb") as copy:
            while block := remote.read(1 << 22):
                copy.write(block)
        draft.replace(path)
    return path


def _watched(ws: Workspace, record: DatasetRecord, ref: str) -> Source:
    try:
        source = _marked(ws, record, ref)
        same = source.marks() == record.files
    except (FileNotFoundError, NotFound) as error:
        missing = error.filename if isinstance(error, FileNotFoundError) else ""
        raise NotFound(
            f"the rows of {ref} are gone",
            f"{missing or _called(record.files[0])} doesn't exist any more, or a part of it; it "
            "was too large to be copied",
            "put it back or add it anew",
            code="E-DATA-063",
        ) from None
    if not same and source.digest() != record.digest:
        raise Conflict(
            f"the rows of {ref} have changed since it was added",
            f"{_called(record.files[0])} was too large to be copied and now holds other rows",
            "add it again for a new version",
            code="E-DATA-064",
        )
    return source


def _marked(ws: Workspace, record: DatasetRecord, ref: str) -> ParquetFiles | ObjectParquet:
    first = record.files[0]
    if "uri" in first:
        return reopen_objects(ref, record.files, ws.settings.allow_private_urls)
    paths = [Path(mark["path"]) for mark in record.files]
    return ParquetFiles(ref, paths, Path(first["root"]) if "root" in first else None)


def _called(mark: dict[str, Any]) -> str:
    return str(mark.get("path") or str(mark["uri"]).partition("?")[0])

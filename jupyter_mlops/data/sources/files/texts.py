"""CSV, TSV and JSON files as one source."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from jupyter_mlops.data.sources.files import delimited, records
from jupyter_mlops.data.sources.files.faults import delimited_fault, json_fault
from jupyter_mlops.data.sources.files.plain import plain
from jupyter_mlops.data.sources.opening import LazySource
from jupyter_mlops.data.sources.scratch import parsed, write
from jupyter_mlops.workspace.errors import NotFound

__all__ = ["TextFiles"]


class TextFiles(LazySource):
    """CSV, TSV or JSON files of one table.

    Text is parsed once, streaming, into a temporary Parquet file; from then on it is read like
    any Parquet.  So a fault in the last line shows at once, with its line, and not in the
    middle of somebody's computation.

    Parameters
    ----------
    uri : str
    paths : list of Path
    kind : {"csv", "tsv", "json lines"}
    encoding : str, optional
        Of the text; UTF-8 or what a byte-order mark says when not given.
    """

    def __init__(self, uri: str, paths: list[Path], kind: str, encoding: str | None = None) -> None:
        self.uri = uri
        self.paths = paths
        self.kind = kind
        self.encoding = encoding

    def scan(self) -> pl.LazyFrame:
        """The rows of all files, in the order of their names."""
        try:
            marks = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in self.paths)
        except FileNotFoundError as error:
            raise NotFound(
                f"{Path(error.filename).name} is gone",
                f"it was there when {self.uri} was opened",
                "read the files again when they are complete",
                code="E-DATA-039",
            ) from None
        return parsed((marks, self.kind, self.encoding), self._parse)

    def _parse(self, target: Path) -> None:
        paths = [plain(path, self.encoding) for path in self.paths]
        try:
            if self.kind == "json lines":
                write(
                    lambda: records.read_json(paths, self.uri),
                    target,
                    self.uri,
                    lambda e: json_fault(paths, self.uri, e),
                )
            else:
                mark = "\t" if self.kind == "tsv" else delimited.separator(paths[0])
                write(
                    lambda: delimited.read_delimited(paths, self.uri, mark),
                    target,
                    self.uri,
                    lambda e: delimited_fault(paths, self.uri, mark, e),
                )
        finally:
            for copy, original in zip(paths, self.paths, strict=True):
                if copy != original:
                    copy.unlink(missing_ok=True)

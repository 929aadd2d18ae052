"""Files: Parquet, CSV, TSV and JSON lines, alone, compressed, or many by a glob."""

from __future__ import annotations

import atexit
import difflib
import glob
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import polars as pl

from jupyter_mlops.data.sources.delimited import read_delimited
from jupyter_mlops.data.sources.faults import (
    check_packed,
    delimited_fault,
    disk_fault,
    json_lines_fault,
    open_bytes,
)
from jupyter_mlops.data.sources.opening import LazySource, Request, Source
from jupyter_mlops.workspace.errors import Invalid, NotFound, Unavailable
from jupyter_mlops.workspace.records import new_id

__all__ = ["ParquetFiles", "TextFiles", "open_files"]

_TEXT = {".csv": "csv", ".tsv": "tsv", ".tab": "tsv", ".txt": "csv"}
_JSON = {".jsonl": "json lines", ".ndjson": "json lines", ".json": "json lines"}
_PARQUET = {".parquet": "parquet", ".pq": "parquet"}
_FORMATS = {**_TEXT, **_JSON, **_PARQUET}
ROW_GROUP = 131_072


class ParquetFiles(LazySource):
    """Parquet files with one schema, read where they are."""

    def __init__(self, uri: str, paths: list[Path]) -> None:
        self.uri = uri
        self.paths = paths

    def scan(self) -> pl.LazyFrame:
        """The rows of all files, in the order of their names."""
        try:
            first = pl.read_parquet_schema(self.paths[0])
            for path in self.paths[1:]:
                other = pl.read_parquet_schema(path)
                if other != first:
                    raise self._differs(path, first, other)
            return pl.scan_parquet(self.paths, glob=False)
        except (pl.exceptions.PolarsError, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise Invalid(
                f"{self.uri} can't be read as Parquet", reason, "check the files", code="E-DATA-028"
            ) from None

    def _differs(
        self, path: Path, first: dict[str, pl.DataType], other: dict[str, pl.DataType]
    ) -> Invalid:
        lone = sorted(set(first) ^ set(other)) or [n for n in first if first[n] != other[n]]
        what = f"differs in {lone[0]!r}" if lone else "has them in another order"
        return Invalid(
            f"the files of {self.uri} have different columns",
            f"{path.name} {what} from {self.paths[0].name}",
            "name files with the same columns and types",
            code="E-DATA-035",
        )


class TextFiles(LazySource):
    """CSV, TSV or JSON lines.

    Text is parsed once, streaming, into a temporary Parquet file; from then on it is read like
    any Parquet.  So a fault in the last line shows at once, with its line, and not in the
    middle of somebody's computation.
    """

    def __init__(self, uri: str, paths: list[Path], kind: str) -> None:
        self.uri = uri
        self.paths = paths
        self.kind = kind

    def scan(self) -> pl.LazyFrame:
        """The rows of all files, in the order of their names."""
        marks = tuple((str(p), p.stat().st_mtime_ns, p.stat().st_size) for p in self.paths)
        if marks not in _PARSED or not _PARSED[marks].exists():
            _PARSED[marks] = self._parse()
        return pl.scan_parquet(_PARSED[marks], glob=False)

    def _parse(self) -> Path:
        paths = [_unpacked(path) for path in self.paths]
        check_packed(paths)
        target = _scratch() / f"{new_id()}.parquet"
        if self.kind == "json lines":
            self._write(
                lambda: _read_json(paths), target, lambda e: json_lines_fault(paths, self.uri, e)
            )
        else:
            separator = "\t" if self.kind == "tsv" else _separator(paths[0])
            self._write(
                lambda: read_delimited(paths, self.uri, separator),
                target,
                lambda e: delimited_fault(paths, self.uri, separator, e),
            )
        return target

    def _write(
        self,
        read: Callable[[], pl.LazyFrame],
        target: Path,
        explain: Callable[[Exception], Invalid],
    ) -> None:
        try:
            read().sink_parquet(target, row_group_size=ROW_GROUP, compression="lz4")
        except (pl.exceptions.PolarsError, OSError) as error:
            target.unlink(missing_ok=True)
            reason = disk_fault(error)
            if not reason:
                raise explain(error) from None
            raise Unavailable(
                f"{self.uri} can't be unpacked into {target.parent}",
                reason,
                "free some disk space or point TMPDIR elsewhere",
                code="E-DATA-029",
            ) from None


_PARSED: dict[tuple[tuple[str, int, int], ...], Path] = {}


@cache
def _scratch() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="jupyter-mlops-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def open_files(request: Request) -> Source:
    """Open a path, a ``file://`` URI, a glob or a folder of data files.

    Raises
    ------
    NotFound
        Nothing is there; names the closest file.
    Invalid
        The format is unknown, or the files have several.

    Examples
    --------
    >>> open_files(Request("data/*.parquet")).scan()  # doctest: +SKIP
    """
    request.refuse("query", "window")
    uri = where = request.uri
    if uri.startswith("file:"):
        where = url2pathname(urlsplit(uri).path)
    path = Path(where).expanduser()
    if path.is_file():
        paths = [path]
    elif path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.is_file() and _format(p))
    else:
        # pathlib's own glob takes no absolute pattern.
        found = glob.glob(str(path), recursive=True)  # noqa: PTH207
        paths = sorted(Path(p) for p in found if Path(p).is_file())
    if not paths:
        raise _not_found(path, uri)
    kinds = {_format(p) for p in paths}
    if "" in kinds:
        odd = next(p for p in paths if not _format(p))
        raise Invalid(
            f"{odd.name} is in no format that is read here",
            f"known endings are {', '.join(_FORMATS)}, also with .gz or .zip",
            "convert it, or read it yourself and pass the data frame as {frame}",
            code="E-DATA-030",
        )
    if len(kinds) > 1:
        raise Invalid(
            f"{uri} holds files of several formats",
            ", ".join(sorted(kinds)),
            "name one format, for example folder/*.parquet",
            code="E-DATA-031",
        )
    (kind,) = kinds
    return ParquetFiles(uri, paths) if kind == "parquet" else TextFiles(uri, paths, kind)


def _format(path: Path) -> str:
    endings = [s.lower() for s in path.suffixes]
    if endings and endings[-1] == ".gz":
        endings.pop()
    elif endings and endings[-1] == ".zip":
        endings = endings[:-1] if len(endings) > 1 and endings[-2] in _FORMATS else [".csv"]
    return _FORMATS.get(endings[-1], "") if endings else ""


def _unpacked(path: Path) -> Path:
    """The one file of a zip archive, unpacked; any other path as it is."""
    if path.suffix.lower() != ".zip":
        return path
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.infolist() if not m.is_dir() and m.file_size]
            members = [m for m in members if not m.filename.startswith("__MACOSX/")]
            if len(members) != 1:
                names = ", ".join(m.filename for m in members[:5]) or "nothing"
                raise Invalid(
                    f"{path.name} must hold one file",
                    f"it holds {names}",
                    "unpack it and name the file you mean",
                    code="E-DATA-032",
                )
            # The name inside the archive is only for messages: it never becomes a path.
            folder = _scratch() / new_id()
            folder.mkdir()
            target = folder / (Path(members[0].filename).name or "data.csv")
            with archive.open(members[0]) as packed, target.open("wb") as plain:
                shutil.copyfileobj(packed, plain, 1 << 20)
    except (zipfile.BadZipFile, EOFError, RuntimeError) as error:
        raise Invalid(
            f"{path.name} is a damaged or locked archive",
            str(error),
            "make it again",
            code="E-DATA-033",
        ) from None
    return target


def _separator(path: Path) -> str:
    with open_bytes(path) as file:
        line = file.readline(1 << 16).decode("utf-8", "replace")
    counts = {mark: line.count(mark) for mark in ",;\t|"}
    best = max(counts, key=lambda mark: counts[mark])
    return best if counts[best] else ","


def _read_json(paths: list[Path]) -> pl.LazyFrame:
    for path in paths:
        with open_bytes(path) as file:
            if not file.read(1 << 16).strip():
                raise Invalid(f"{path.name} is empty", fix="check what wrote it", code="E-DATA-021")
    with open_bytes(paths[0]) as file:
        array = file.read(64).lstrip().startswith(b"[")
    if array:
        return pl.concat([pl.read_json(p, infer_schema_length=None) for p in paths]).lazy()
    return pl.scan_ndjson(paths, infer_schema_length=10_000)


def _not_found(path: Path, uri: str) -> NotFound:
    folder = path.parent if path.parent.is_dir() else None
    names = sorted(p.name for p in folder.iterdir() if _format(p) or p.is_dir()) if folder else []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if folder is None:
        reason = f"the folder {path.parent} doesn't exist"
    else:
        listed = ", ".join(names[:5]) or "no data files"
        reason = f"{folder.resolve()} holds {listed}{' …' if len(names) > 5 else ''}"
    fix = f"did you mean {near[0]!r}?" if near else "check the path"
    return NotFound(f"there is no file {uri}", reason, fix, code="E-DATA-034")

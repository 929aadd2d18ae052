"""Files: tables, text, workbooks and media, alone, packed, or many by a folder or a glob."""

from __future__ import annotations

import difflib
import glob
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from jupyter_mlops.data.sources.files.columnar import ArrowFiles, ParquetFiles
from jupyter_mlops.data.sources.files.excel import ExcelFile
from jupyter_mlops.data.sources.files.formats import ENDINGS, format_of, hidden
from jupyter_mlops.data.sources.files.media import MediaFiles, entries_of
from jupyter_mlops.data.sources.files.plain import check_encoding
from jupyter_mlops.data.sources.files.texts import TextFiles
from jupyter_mlops.data.sources.opening import Request, Source
from jupyter_mlops.data.sources.scratch import ROW_GROUP
from jupyter_mlops.workspace.errors import Invalid, NotFound, Unavailable

__all__ = [
    "ROW_GROUP",
    "Found",
    "ParquetFiles",
    "TextFiles",
    "one_format",
    "open_files",
    "source_of",
]


_DATABASES = {"sqlite": (".sqlite", ".sqlite3", ".db"), "duckdb": (".duckdb", ".ddb")}


@dataclass(frozen=True)
class Found:
    """Files that belong together.

    Attributes
    ----------
    uri : str
        How a person called them.
    paths : list of Path
    root : Path
        The folder that was named, or the part of a glob before its first star.
    fragment : str
        What stood behind ``#``: the sheet of a workbook, or ``encoding=…`` of text.
    """

    uri: str
    paths: list[Path]
    root: Path
    fragment: str = ""


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
    >>> open_files(Request("data/*.parquet")).scan()             # doctest: +SKIP
    >>> open_files(Request("book.xlsx#Sheet 2")).scan()          # doctest: +SKIP
    >>> open_files(Request("old.csv#encoding=cp1252")).scan()    # doctest: +SKIP
    """
    request.refuse("query", "window")
    found = _find(request.uri)
    return source_of(found, one_format(found.uri, [p.name for p in found.paths]))


def source_of(found: Found, kind: str) -> Source:
    """The source that reads files of one format.

    Raises
    ------
    Invalid
        What stands behind ``#`` means nothing for that format.
    """
    uri, fragment = found.uri, found.fragment
    if kind == "excel":
        if len(found.paths) > 1:
            raise Invalid(
                f"{uri} means {len(found.paths)} workbooks",
                ", ".join(path.name for path in found.paths[:5]),
                "name one of them",
                code="E-FILE-001",
            )
        return ExcelFile(uri, found.paths[0], fragment or None)
    encoding = None
    if kind in {"csv", "tsv", "json lines"} and fragment.startswith("encoding="):
        encoding = check_encoding(fragment.partition("=")[2])
    elif fragment:
        raise Invalid(
            f"{uri} can't be read: '#{fragment}' means nothing for such files",
            "workbooks have sheets (book.xlsx#Sheet 2), text has an encoding "
            "(old.csv#encoding=cp1252)",
            "leave it out",
            code="E-FILE-002",
        )
    if kind == "parquet":
        return ParquetFiles(uri, found.paths, found.root)
    if kind == "arrow":
        return ArrowFiles(uri, found.paths, found.root)
    if kind == "media":
        return MediaFiles(uri, entries_of(found.paths, found.root), found.paths)
    return TextFiles(uri, found.paths, kind, encoding)


def one_format(uri: str, names: list[str]) -> str:
    """The format that all files have.

    Raises
    ------
    Invalid
        It is unknown, or there are several.
    """
    kinds = {format_of(name): name for name in names}
    if "" in kinds:
        raise Invalid(
            f"{kinds['']} is in no format that is read here",
            f"known endings are {', '.join(list(ENDINGS)[:15])} and those of pictures, sound and "
            "film; text also with .gz, .bz2, .zst or .zip",
            _instead(kinds[""]),
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
    return kind


def _instead(name: str) -> str:
    """What to do with a file that isn't read as it is."""
    ending = Path(name).suffix.lower()
    for scheme, endings in _DATABASES.items():
        if ending in endings:
            return f"name a table of it, as in {scheme}:///{name}#TABLE, if it is a database"
    return "convert it, or read it yourself and pass the data frame as {frame}"


def _find(uri: str) -> Found:
    where, fragment = uri, ""
    if uri.startswith("file:"):
        where = url2pathname(urlsplit(uri).path)
        fragment = unquote(urlsplit(uri).fragment)
    elif "#" in uri and not Path(uri).expanduser().exists():
        where, _, fragment = uri.rpartition("#")
        if not (format_of(where) or Path(where).expanduser().is_dir()):
            where, fragment = uri, ""
    path = Path(where).expanduser()
    if path.is_file():
        return Found(uri, [path], path.parent, fragment)
    if path.is_dir():
        root = path
        try:
            below = [(p, p.relative_to(path).as_posix()) for p in path.rglob("*") if p.is_file()]
        except OSError as error:
            raise Unavailable(
                f"the folder {uri} can't be read",
                f"{error.strerror}: {error.filename}",
                "name a folder or glob that holds the data alone, such as folder/*.parquet",
                code="E-FILE-010",
            ) from None
        paths = sorted(p for p, name in below if format_of(name) and not hidden(name))
    else:
        root = _named(path)
        pattern = Path(glob.escape(str(root))) / path.relative_to(root)
        # pathlib's own glob takes no absolute pattern.
        found = glob.glob(str(pattern), recursive=True)  # noqa: PTH207
        paths = sorted(Path(p) for p in found if Path(p).is_file())
    if not paths:
        raise _not_found(path, uri)
    return Found(uri, paths, root, fragment)


def _named(pattern: Path) -> Path:
    """The folder that a pattern begins with: what is there by that very name is meant by it."""
    root = pattern.parent
    while root != root.parent and not root.is_dir():
        root = root.parent
    return root


def _not_found(path: Path, uri: str) -> NotFound:
    folder = path.parent if path.parent.is_dir() else None
    names = (
        sorted(p.name for p in folder.iterdir() if format_of(p.name) or p.is_dir())
        if folder
        else []
    )
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.6)
    if folder is None:
        reason = f"the folder {path.parent} doesn't exist"
    else:
        listed = ", ".join(names[:5]) or "no data files"
        reason = f"{folder.resolve()} holds {listed}{' …' if len(names) > 5 else ''}"
    fix = f"did you mean {near[0]!r}?" if near else "check the path"
    return NotFound(f"there is no file {uri}", reason, fix, code="E-DATA-034")

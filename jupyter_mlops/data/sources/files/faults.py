"""Finds the line that makes a text file unreadable, once reading it has failed."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import polars as pl

from jupyter_mlops.workspace.errors import Invalid, NotFound, Unavailable


def disk_fault(error: Exception) -> str:
    """What the operating system said, when an error of polars comes from the disk; else empty."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    found = re.search(r"([\w ,]+) \(os error \d+\)", str(error))
    return found[1].strip() if found else ""


@contextmanager
def reading(shown: str) -> Iterator[None]:
    """Turn what polars says of files that vanish or break while they are read into a sentence.

    Raises
    ------
    NotFound
        A file has gone.
    Unavailable
        The disk or the rows can't be read to their end.
    """
    try:
        yield
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = disk_fault(error)
        if isinstance(error, FileNotFoundError) or reason.startswith("No such file"):
            raise NotFound(
                f"a file of {shown} went away while it was read",
                _first_line(error),
                "put it back, or add the data to the workspace while it is there",
                code="E-DATA-039",
            ) from None
        if not reason and not isinstance(error, pl.exceptions.ComputeError):
            raise
        raise Unavailable(
            f"{shown} can't be read to its end",
            reason or _first_line(error),
            "check the files and what writes them",
            code="E-DATA-042",
        ) from None


def check_header(paths: list[Path], separator: str) -> list[str]:
    """Read the first file's header; refuse empty files, other encodings and doubled names.

    Raises
    ------
    Invalid
        One of these; polars would rename the second column in silence.
    """
    first: list[str] = []
    for path in paths:
        with path.open("rb") as file:
            if not file.read(1 << 16).strip():
                raise Invalid(f"{path.name} is empty", fix="check what wrote it", code="E-DATA-021")
        csv.field_size_limit(1 << 30)
        header = next(csv.reader(_lines(path), delimiter=separator), [])
        check_names(header, path.name)
        first = first or header
        if header != first:
            odd = next((n for n in header if n not in first), None) or next(
                (n for n in first if n not in header), None
            )
            what = f"differs in {odd!r}" if odd is not None else "has them in another order"
            raise Invalid(
                f"the files {paths[0].name} and {path.name} have different columns",
                f"{path.name} {what} from {paths[0].name}",
                "name files with the same header line",
                code="E-DATA-035",
            )
    return first


def check_names(names: Sequence[str], shown: str) -> None:
    """Refuse two columns of one name, which most readers rename in silence.

    Raises
    ------
    Invalid
        There are two; says in which places.
    """
    seen: dict[str, int] = {}
    for place, name in enumerate(names, 1):
        if name in seen:
            raise Invalid(
                f"two columns of {shown} are called {name!r}",
                f"columns {seen[name]} and {place} of the header line",
                "give each column its own name",
                code="E-DATA-023",
            )
        seen[name] = place


def delimited_fault(paths: list[Path], shown: str, separator: str, error: Exception) -> Invalid:
    """Explain why CSV files can't be read, with the file and the line."""
    csv.field_size_limit(1 << 30)
    for path in paths:
        undecodable = _undecodable(path)
        if undecodable is not None:
            return undecodable
        found = _ragged(path, separator)
        if found:
            line, what, fix = found
            return Invalid(f"line {line} of {path.name} {what}", fix=fix, code="E-DATA-024")
    return Invalid(
        f"{shown} can't be read as CSV", _first_line(error), "check the file", code="E-DATA-025"
    )


def json_fault(paths: list[Path], shown: str, error: Exception) -> Invalid:
    """Explain why JSON can't be read, with the file and the line."""
    for path in paths:
        undecodable = _undecodable(path)
        if undecodable is not None:
            return undecodable
        with path.open("rb") as file:
            array = file.read(1 << 16).lstrip().startswith(b"[")
            file.seek(0)
            found = _array_fault(file.read()) if array else _lines_fault(file)
        if found:
            line, what, why, fix = found
            return Invalid(f"line {line} of {path.name} {what}", why, fix, code="E-DATA-026")
    return Invalid(
        f"{shown} can't be read as JSON",
        _first_line(error),
        "check that each field has one type",
        code="E-DATA-027",
    )


def _lines_fault(file: IO[bytes]) -> tuple[int, str, str, str] | None:
    fix = "write one JSON object a line"
    for number, raw in enumerate(file, 1):
        try:
            value = json.loads(raw) if raw.strip() else {}
        except ValueError as problem:
            return number, "is not JSON", str(problem), fix
        if not isinstance(value, dict):
            return number, "is no JSON object", "", fix
    return None


def _array_fault(text: bytes) -> tuple[int, str, str, str] | None:
    fix = "write an array of JSON objects"
    try:
        values = json.loads(text)
    except json.JSONDecodeError as problem:
        return problem.lineno, "is not JSON", str(problem), fix
    place = next((i for i, value in enumerate(values, 1) if not isinstance(value, dict)), None)
    if place is None:
        return None
    return 1, "starts an array that doesn't hold objects alone", f"see element {place}", fix


def _undecodable(path: Path) -> Invalid | None:
    """Where a text isn't UTF-8, and whether that is so throughout or encodings are mixed."""
    first: tuple[int, bytes, int] | None = None
    utf8 = 0
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            try:
                utf8 += not raw.isascii() and bool(raw.decode("utf-8"))
            except UnicodeDecodeError as error:
                first = first or (number, raw, error.start)
    if first is None:
        return None
    number, raw, start = first
    why = "other lines of it are UTF-8, so it mixes encodings" if utf8 else ""
    fix = (
        "mend that line, or write the file again in one encoding"
        if utf8
        else f"name the encoding it was written in, as in '{path.name}#encoding=cp1252', or "
        f"change it: iconv -f CP1252 -t UTF-8 {path.name}"
    )
    return Invalid(
        f"line {number} of {path.name} is not UTF-8 "
        f"(byte 0x{raw[start]:02x} at column {start + 1})",
        why,
        fix,
        code="E-DATA-024",
    )


def _lines(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        for raw in file:
            yield raw.decode("utf-8", "replace").removeprefix("\ufeff")


def _ragged(path: Path, separator: str) -> tuple[int, str, str] | None:
    """The first row with more fields than the header, or a quote that never closes."""
    reader = csv.reader(_lines(path), delimiter=separator, strict=True)
    width, start = 0, 1
    try:
        for row in reader:
            width = width or len(row)
            if len(row) > width:
                what = f"has {len(row)} fields where the header has {width}"
                return start, what, "quote fields that hold a separator, or mend the line"
            start = reader.line_num + 1
    except csv.Error as error:
        what = f"starts a row that can't be read ({error})"
        return start, what, "close or double the quotes of that row"
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]

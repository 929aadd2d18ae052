"""Finds the line that makes a text file unreadable, once reading it has failed."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from jupyter_mlops.workspace.errors import Invalid

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def open_bytes(path: Path) -> IO[bytes]:
    """Open a text file's bytes, unpacked."""
    if path.suffix == ".gz":
        return gzip.open(path, "rb")  # type: ignore[return-value]
    return path.open("rb")


def disk_fault(error: Exception) -> str:
    """What the operating system said, when an error of polars comes from the disk; else empty."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    found = re.search(r"([\w ,]+) \(os error \d+\)", str(error))
    return found[1].strip() if found else ""


def check_packed(paths: list[Path]) -> None:
    """Refuse files that can't be opened or unpacked at all.

    Raises
    ------
    Invalid
        The file can't be read, or isn't packed as its name says.
    """
    for path in paths:
        try:
            with open_bytes(path) as file:
                file.read(1)
        except (OSError, EOFError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise Invalid(
                f"{path.name} can't be read",
                reason,
                "check the file and your rights to it",
                code="E-DATA-020",
            ) from None


def check_header(paths: list[Path], separator: str) -> list[str]:
    """Read the first file's header; refuse empty files, other encodings and doubled names.

    Raises
    ------
    Invalid
        One of these; polars would rename the second column in silence.
    """
    headers = []
    for path in paths:
        with open_bytes(path) as file:
            start = file.read(2)
            rest = file.read(1 << 16)
        if not (start + rest).strip():
            raise Invalid(f"{path.name} is empty", fix="check what wrote it", code="E-DATA-021")
        if start in _UTF16:
            raise Invalid(
                f"{path.name} is UTF-16 text",
                fix="save it as UTF-8, for example with iconv -f UTF-16 -t UTF-8",
                code="E-DATA-022",
            )
        header = next(csv.reader(_lines(path), delimiter=separator), [])
        seen: dict[str, int] = {}
        for place, name in enumerate(header, 1):
            if name in seen:
                raise Invalid(
                    f"two columns of {path.name} are called {name!r}",
                    f"columns {seen[name]} and {place} of the header line",
                    "give each column its own name",
                    code="E-DATA-023",
                )
            seen[name] = place
        headers.append(header)
    return headers[0]


def delimited_fault(paths: list[Path], shown: str, separator: str, error: Exception) -> Invalid:
    """Explain why CSV files can't be read, with the file and the line."""
    csv.field_size_limit(1 << 30)
    for path in paths:
        found = _undecodable(path) or _ragged(path, separator)
        if found:
            line, what, fix = found
            return Invalid(f"line {line} of {path.name} {what}", fix=fix, code="E-DATA-024")
    return Invalid(
        f"{shown} can't be read as CSV", _first_line(error), "check the file", code="E-DATA-025"
    )


def json_lines_fault(paths: list[Path], shown: str, error: Exception) -> Invalid:
    """Explain why JSON lines can't be read, with the file and the line."""
    for path in paths:
        undecodable = _undecodable(path)
        if undecodable:
            line, what, fix = undecodable
            return Invalid(f"line {line} of {path.name} {what}", fix=fix, code="E-DATA-024")
        with open_bytes(path) as file:
            for number, raw in enumerate(file, 1):
                try:
                    value = json.loads(raw) if raw.strip() else {}
                except ValueError as problem:
                    return Invalid(
                        f"line {number} of {path.name} is not JSON",
                        str(problem),
                        "write one JSON object a line",
                        code="E-DATA-026",
                    )
                if not isinstance(value, dict):
                    return Invalid(
                        f"line {number} of {path.name} is no JSON object",
                        fix="write one JSON object a line",
                        code="E-DATA-026",
                    )
    return Invalid(
        f"{shown} can't be read as JSON lines",
        _first_line(error),
        "check that each field has one type",
        code="E-DATA-027",
    )


def _undecodable(path: Path) -> tuple[int, str, str] | None:
    with open_bytes(path) as file:
        for number, raw in enumerate(file, 1):
            try:
                raw.decode("utf-8")
            except UnicodeDecodeError as error:
                return (
                    number,
                    f"is not UTF-8 (byte 0x{raw[error.start]:02x} at column {error.start + 1})",
                    "save the file in one encoding, for example with iconv -f LATIN1 -t UTF-8",
                )
    return None


def _lines(path: Path) -> Iterator[str]:
    with open_bytes(path) as file:
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

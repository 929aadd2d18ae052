"""CSV as a request's body, as MLflow's scoring protocol takes it (RFC 4180, with a header)."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

from jupyter_mlops.serving.fields import Field
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.refusals import Refusal, quoted

__all__ = ["read_csv"]

_TRUTH = {"true": True, "false": False, "1": True, "0": False}
#: What tools write for a missing number, as pandas knows it; in a column of texts it is a text.
_HOLES = frozenset({"NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "#N/A"})


def read_csv(body: bytes, intake: Intake) -> Rows:
    """Check a table with a header line; an empty cell is a missing value.

    Raises
    ------
    Refusal
        It is no such table, or a value doesn't fit the signature.
    """
    try:
        lines = list(csv.reader(io.StringIO(body.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise Refusal(400, "E-SERVE-114", "the body is no CSV table in UTF-8") from None
    rows = [line for line in lines[1:] if line]
    names = lines[0] if lines else []
    if len(set(names)) != len(names):
        twice = next(name for i, name in enumerate(names) if name in names[:i])
        raise Refusal(400, "E-SERVE-108", f"column {quoted(twice)} is named twice")
    intake.limit(len(rows))
    for row, values in enumerate(rows):
        if len(values) != len(names):
            raise Refusal(
                400,
                "E-SERVE-106",
                f"row {row}: expected {len(names)} values, found {len(values)} values",
            )
    fields = {field.name: field for field in intake.fields}
    columns = zip(names, zip(*rows, strict=True), strict=True)
    table = {name: _values(cells, fields.get(name)) for name, cells in columns}
    return intake.columns(table, len(rows))


def _values(cells: tuple[str, ...], field: Field | None) -> list[Any]:
    if field is None:
        return [cell or None for cell in cells]
    read = _READ.get(field.type.name, str)
    values: list[Any] = []
    for row, cell in enumerate(cells):
        try:
            values.append(read(cell) if cell else None)
        except (ValueError, KeyError):
            raise Refusal(
                400,
                "E-SERVE-110",
                f"row {row}, column {quoted(field.name)}: expected {field.type.name}, "
                "found other text",
            ) from None
    return values


def _number(text: str) -> float | None:
    # Python alone takes 1_000 for a number.
    if "_" in text:
        raise ValueError
    return None if text.strip() in _HOLES else float(text)


def _whole(text: str) -> int | float | None:
    return int(text) if text.strip().lstrip("+-").isdecimal() else _number(text)


_READ: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: _TRUTH[text.strip().lower()],
    "integer": _whole,
    "long": _whole,
    "float": _number,
    "double": _number,
}

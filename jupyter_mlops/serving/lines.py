"""Newline-delimited JSON: an object a row in, an object a row out, in the same order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from jupyter_mlops.serving.asking import Reply, too_large
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.invocations import read_invocation
from jupyter_mlops.serving.refusals import Refusal

__all__ = ["LINES", "LineSplitter", "read_lines", "refused_line", "take_lines", "write_lines"]

LINES: Final = "application/x-ndjson"
#: Lines answered at once when a body is answered while it comes.
BLOCK: Final = 1000


class LineSplitter:
    """Cuts a body into blocks of whole lines, as its bytes come; empty lines are none.

    Parameters
    ----------
    limit : int
        Bytes of one line.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._pending = bytearray()

    def feed(self, piece: bytes) -> Iterator[list[bytes]]:
        """Take a piece; give the lines that are whole now.

        Raises
        ------
        Refusal
            A line is too long.
        """
        head, newline, tail = piece.rpartition(b"\n")
        if not newline:
            self._pending += piece
        else:
            whole = bytes(self._pending) + head
            self._pending = bytearray(tail)
            lines = [line for line in whole.split(b"\n") if line.strip()]
            for start in range(0, len(lines), BLOCK):
                yield lines[start : start + BLOCK]
        if len(self._pending) > self.limit:
            raise too_large(self.limit, "a line")

    def end(self) -> list[bytes]:
        """Return the last line, where no newline follows it."""
        return [bytes(self._pending)] if self._pending.strip() else []


def read_lines(body: bytes, intake: Intake) -> Rows:
    """Check rows that are a line each; empty lines are none.

    Raises
    ------
    Refusal
        A line is no JSON object, or a value doesn't fit the signature.
    """
    return take_lines([line for line in body.split(b"\n") if line.strip()], intake)


def take_lines(lines: Sequence[bytes], intake: Intake) -> Rows:
    """Check rows that are a line each.

    Raises
    ------
    Refusal
        A line is no JSON object, or a value doesn't fit the signature.
    """
    intake.limit(len(lines))
    records = []
    for row, line in enumerate(lines):
        try:
            records.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise Refusal(
                400, "E-SERVE-101", f"row {row}: the line is not JSON (column {error.colno})"
            ) from None
    return read_invocation({"dataframe_records": records}, intake)


def write_lines(reply: Reply) -> bytes:
    """Return the answer's lines."""
    answer = reply.outcome.answer
    columns: dict[str, list[Any]] = {"prediction": answer.prediction.tolist()}
    if answer.probability is not None:
        columns["probability"] = answer.probability.tolist()
    columns["prediction_id"] = list(reply.outcome.ids)
    columns["model_version"] = [reply.version.config.version] * reply.rows.count
    rows = zip(*columns.values(), strict=True)
    lines = [orjson.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    return b"\n".join(lines) + b"\n"


def refused_line(refusal: Refusal, row: int) -> bytes:
    """Return the line that stands where row number `row` would have been answered."""
    told = {"error": refusal.message, "code": refusal.code, "row": row}
    return orjson.dumps(told) + b"\n"

"""Newline-delimited JSON: an object a row in, an object a row out, in the same order."""

from __future__ import annotations

from typing import Any

import orjson

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.invocations import read_invocation
from jupyter_mlops.serving.refusals import Refusal

__all__ = ["LINES", "read_lines", "write_lines"]

LINES = "application/x-ndjson"


def read_lines(body: bytes, intake: Intake) -> Rows:
    """Check rows that are a line each; empty lines are none.

    Raises
    ------
    Refusal
        A line is no JSON object, or a value doesn't fit the signature.
    """
    records = []
    lines = [line for line in body.splitlines() if line.strip()]
    intake.limit(len(lines))
    for row, line in enumerate(lines):
        try:
            records.append(orjson.loads(line))
        except orjson.JSONDecodeError as error:
            raise Refusal(
                400, "E-SERVE-101", f"row {row}: the line is not JSON (column {error.colno})"
            ) from None
    return read_invocation({"dataframe_records": records}, intake)


def write_lines(outcome: Outcome) -> bytes:
    """Return the answer's lines."""
    columns: dict[str, list[Any]] = {"prediction": outcome.answer.prediction.tolist()}
    if outcome.answer.probability is not None:
        columns["probability"] = outcome.answer.probability.tolist()
    columns["prediction_id"] = outcome.ids
    rows = zip(*columns.values(), strict=True)
    lines = [orjson.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    return b"\n".join(lines) + b"\n"

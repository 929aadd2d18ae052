"""JSON in and out."""

from __future__ import annotations

import json
from typing import Any

import orjson

from jupyter_mlops.serving.refusals import Refusal


def read_json(body: bytes) -> Any:
    """Decode a JSON body.

    The strict parser goes first. `NaN` and `Infinity` are no JSON, but Python's own writer, and
    with it MLflow's client, sends them for missing numbers: such a body gets a second reading.

    Raises
    ------
    Refusal
        The body is not JSON; says where, never what.
    """
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if b"NaN" in body or b"Infinity" in body:
            try:
                return _whole_texts(json.loads(body.decode()), body)
            except (ValueError, RecursionError):
                pass
        raise Refusal(
            400,
            "E-SERVE-101",
            f"the body is not JSON (line {error.lineno}, column {error.colno})"
            if body
            else "the body is empty",
        ) from None


def _whole_texts(value: Any, body: bytes) -> Any:
    """Refuse halves of characters: Python takes them for text, and nothing can write them down.

    Raises
    ------
    UnicodeEncodeError
        There is one.
    """
    if b"\\ud" in body.lower():
        json.dumps(value, ensure_ascii=False).encode()
    return value


def write_json(value: Any) -> bytes:
    """Encode `value`; NumPy arrays of numbers and booleans are written without a detour."""
    return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)

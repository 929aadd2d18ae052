"""How the OpenAPI document tells of bodies: each content type, with the model's input example."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from jupyter_mlops.serving.arrowbody import ARROW
from jupyter_mlops.serving.fields import Field
from jupyter_mlops.serving.formats import CSV, JSON
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.lines import LINES
from jupyter_mlops.serving.shapes import is_composed
from jupyter_mlops.serving.tensors import TENSOR

__all__ = ["answers", "examples_of", "questions", "table_of", "tensors_of"]

Schema = dict[str, Any]
Table = tuple[list[str], list[list[Any]]]

_ROWS: Final = 3
_FLOWS: Final = (
    "A body without a length, or larger than the limit of a whole one, is answered while it comes."
)
_ARROW_TYPES: Final = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float",
    "double": "double",
    "string": "string",
    "binary": "binary",
    "datetime": "timestamp",
}


def questions(intake: Intake, schema: Schema, table: Table | None) -> Schema:
    """Return what `/invocations` takes, by content type.

    Parameters
    ----------
    intake : Intake
    schema : dict
        Of a JSON body.
    table : tuple, optional
        Columns and rows of the input example.
    """
    columns = ", ".join(
        f"{field.name} ({_ARROW_TYPES.get(field.type.name, field.type.name)})"
        for field in intake.fields[:50]
    )
    arrow = f"An Arrow IPC stream without compression; its columns: {columns}. {_FLOWS}"
    content: Schema = {
        JSON: {"schema": schema},
        CSV: {"schema": {"type": "string", "description": "With a line of columns' names first."}},
        LINES: {"schema": {"type": "string", "description": f"A JSON object a row. {_FLOWS}"}},
        ARROW: {"schema": {"type": "string", "format": "binary", "description": arrow}},
    }
    if any(field.type.name in ("tensor", "nested") for field in intake.fields):
        del content[CSV]
    if any(map(is_composed, intake.fields)):
        del content[ARROW]
    if table is not None:
        for media, example in examples_of(intake, table).items():
            if media in content:
                content[media]["example"] = example
    return content


def answers() -> Schema:
    """Return what `/invocations` answers, by content type."""
    lines = (
        "A JSON object a row: prediction, probability where there is one, prediction_id and "
        "model_version; or error, code and row, where rows are answered while they come."
    )
    arrow = "Columns prediction, probability, prediction_id and model_version."
    return {
        LINES: {"schema": {"type": "string", "description": lines}},
        ARROW: {"schema": {"type": "string", "format": "binary", "description": arrow}},
    }


def table_of(intake: Intake, example: Mapping[str, Any] | None) -> Table | None:
    """Return columns and the first rows of an input example in MLflow's serving form."""
    found = _table(intake, example or {})
    if found is None:
        return None
    names, rows = found
    rows = [list(row) for row in rows[:_ROWS]]
    given = {intake.key: "a key", intake.time: "2026-01-31T12:00:00Z"}
    for name, value in given.items():
        if name and name not in names:
            names = [*names, name]
            rows = [[*row, value] for row in rows]
    return names, rows


def _table(intake: Intake, example: Mapping[str, Any]) -> tuple[list[str], list[Any]] | None:
    split, inputs = example.get("dataframe_split"), example.get("inputs")
    if isinstance(split, dict) and isinstance(split.get("columns"), list):
        names, rows = [str(name) for name in split["columns"]], split["data"]
    elif isinstance(inputs, dict):
        names, rows = list(inputs), list(zip(*inputs.values(), strict=True))
    elif isinstance(inputs, list):
        names, rows = list(intake.names), inputs
    else:
        return None
    whole = all(isinstance(row, (list, tuple)) and len(row) == len(names) for row in rows)
    return (names, rows) if whole and rows else None


def examples_of(intake: Intake, table: Table) -> dict[str, Any]:
    """Return an example by content type, each of the same rows."""
    names, rows = table
    if intake.tensor:
        return {JSON: {"inputs": rows}}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([names, *rows])
    records = [dict(zip(names, row, strict=True)) for row in rows]
    return {
        JSON: {"dataframe_split": {"columns": names, "data": rows}},
        CSV: text.getvalue(),
        LINES: "".join(json.dumps(record) + "\n" for record in records),
    }


def tensors_of(intake: Intake, table: Table) -> dict[str, Any]:
    """Return an example of the Open Inference Protocol, of the same rows."""
    names, rows = table
    if intake.tensor:
        flat = [value for row in rows for value in row]
        kind = intake.fields[0].type.wire
        shape = [len(rows), len(names)]
        return {"inputs": [{"name": TENSOR, "shape": shape, "datatype": kind, "data": flat}]}
    fields = {field.name: field for field in intake.fields}
    columns: Sequence[Sequence[Any]] = list(zip(*rows, strict=True))
    return {
        "inputs": [
            _tensor_of(name, list(values), fields.get(name))
            for name, values in zip(names, columns, strict=True)
        ]
    }


def _tensor_of(name: str, values: list[Any], field: Field | None) -> dict[str, Any]:
    shape = [len(values)]
    if field is not None and field.type.name == "tensor":
        shape = list(np.shape(values))
    elif field is not None and field.type.name == "nested":
        values = [json.dumps(value) for value in values]
    datatype = "BYTES" if field is None else field.type.wire
    return {"name": name, "shape": shape, "datatype": datatype, "data": values}

"""The Open Inference Protocol, version 2, over HTTP, with Triton's binary tensor extension."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.fields import Array, Field
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.jsonbody import read_json, write_json
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.shapes import as_texts, take_tensor
from jupyter_mlops.serving.workers import Portrait

BINARY_HEADER = "inference-header-content-length"
TENSOR = "input"
_DIMENSIONS = 8

_DTYPES: dict[str, Any] = {
    "BOOL": np.dtype("?"),
    "INT8": np.dtype("<i1"),
    "INT16": np.dtype("<i2"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "UINT8": np.dtype("<u1"),
    "UINT16": np.dtype("<u2"),
    "UINT32": np.dtype("<u4"),
    "UINT64": np.dtype("<u8"),
    "FP16": np.dtype("<f2"),
    "FP32": np.dtype("<f4"),
    "FP64": np.dtype("<f8"),
}


class Question:
    """A decoded inference request.

    Attributes
    ----------
    id : str
        The caller's id, given back as it came; may be empty.
    rows : Rows
    outputs : dict of str to bool, optional
        Outputs asked for and whether as binary; None asks for all.
    binary : bool
        Whether outputs that say nothing are sent as binary.
    """

    def __init__(self, body: bytes, json_length: int | None, intake: Intake) -> None:
        head = body if json_length is None else body[:json_length]
        request = read_json(head)
        if type(request) is not dict or type(request.get("inputs")) is not list:
            raise Refusal(400, "E-SERVE-130", "send a JSON object with a list `inputs` of tensors")
        self.id = request["id"] if type(request.get("id")) is str else ""
        parameters = request.get("parameters")
        self.binary = type(parameters) is dict and parameters.get("binary_data_output") is True
        self.outputs = _asked(request.get("outputs"))
        tail = memoryview(body)[len(head) :]
        rows = _rows(request["inputs"], tail, intake)
        self.rows = intake.with_params(rows, parameters if type(parameters) is dict else None)


def _asked(outputs: Any) -> dict[str, bool] | None:
    if not outputs:
        return None
    asked = {}
    for output in outputs if type(outputs) is list else [None]:
        if type(output) is not dict or type(output.get("name")) is not str:
            raise Refusal(400, "E-SERVE-131", "`outputs` must be a list of objects with a `name`")
        parameters = output.get("parameters")
        asked[output["name"]] = type(parameters) is dict and parameters.get("binary_data") is True
    return asked


def _rows(inputs: Sequence[Any], tail: memoryview, intake: Intake) -> Rows:
    columns: dict[str, Sequence[Any] | Array] = {}
    count = -1
    at = 0
    fields = {field.name: field for field in intake.fields}
    for tensor in inputs:
        name, shape, datatype = _header(tensor)
        if name in columns:
            raise Refusal(400, "E-SERVE-108", f"input {quoted(name)} is named twice")
        if count >= 0 and shape[0] != count:
            raise Refusal(
                400, "E-SERVE-106", f"input {quoted(name)} holds {shape[0]} rows, others {count}"
            )
        count = shape[0]
        intake.limit(count)
        size = _binary_size(tensor, name)
        if size is not None:
            values: Any = _unpack(tail[at : at + size], size, name, shape, datatype)
            at += size
        else:
            values = _flat(tensor.get("data"), name, shape)
        if intake.tensor and len(inputs) == 1:
            return _matrix(values, shape, datatype, intake)
        field = intake.fields[0] if intake.unnamed else fields.get(name)
        if field is not None and field.type.name in ("tensor", "nested"):
            columns[field.name] = take_tensor(values, name, shape, datatype, field)
            continue
        if _elements(shape) != count:
            raise Refusal(
                400,
                "E-SERVE-133",
                f"input {quoted(name)}: expected shape [{count}] or [{count},1]",
            )
        if field is not None and datatype not in field.type.accepts:
            raise Refusal(
                400,
                "E-SERVE-110",
                f"column {quoted(name)}: expected {field.type.wire}, found {quoted(datatype)}",
            )
        columns[name if field is None else field.name] = values
    if count < 0:
        raise Refusal(400, "E-SERVE-103", "the request holds no inputs")
    if at != len(tail):
        raise Refusal(
            400, "E-SERVE-134", f"{len(tail) - at} bytes follow the tensors the JSON part names"
        )
    return _typed(columns, count, intake)


def _header(tensor: Any) -> tuple[str, list[int], str]:
    if type(tensor) is not dict or type(tensor.get("name")) is not str:
        raise Refusal(400, "E-SERVE-132", "each input must be an object with a `name`")
    name, shape, datatype = tensor["name"], tensor.get("shape"), tensor.get("datatype")
    if (
        type(shape) is not list
        or not 1 <= len(shape) <= _DIMENSIONS
        or not all(type(n) is int and 0 <= n < 2**31 for n in shape)
    ):
        raise Refusal(
            400, "E-SERVE-133", f"input {quoted(name)}: `shape` must be a list of whole numbers"
        )
    if datatype != "BYTES" and (type(datatype) is not str or datatype not in _DTYPES):
        raise Refusal(400, "E-SERVE-135", f"input {quoted(name)}: the datatype is unknown")
    return name, shape, datatype


def _elements(shape: Sequence[int]) -> int:
    return math.prod(shape)


def _binary_size(tensor: Mapping[str, Any], name: str) -> int | None:
    parameters = tensor.get("parameters")
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise Refusal(
            400, "E-SERVE-134", f"input {quoted(name)}: `binary_data_size` must be a whole number"
        )
    return size


def _unpack(
    data: memoryview, size: int, name: str, shape: Sequence[int], datatype: str
) -> Array | list[Any]:
    elements = _elements(shape)
    wrong = Refusal(
        400,
        "E-SERVE-134",
        f"input {quoted(name)}: its binary data does not hold {elements} {datatype} values",
    )
    if len(data) != size:
        raise wrong
    if datatype != "BYTES":
        dtype = _DTYPES[datatype]
        if size != elements * dtype.itemsize:
            raise wrong
        values = np.frombuffer(data, dtype=dtype)
        return values != 0 if datatype == "BOOL" else values
    texts: list[Any] = []
    at = 0
    while at + 4 <= size:
        (length,) = struct.unpack_from("<I", data, at)
        texts.append(bytes(data[at + 4 : at + 4 + length]))
        at += 4 + length
    if at != size or len(texts) != elements:
        raise wrong
    return texts


def _flat(data: Any, name: str, shape: Sequence[int]) -> list[Any]:
    if type(data) is not list:
        raise Refusal(400, "E-SERVE-132", f"input {quoted(name)}: `data` must be a list")
    for _ in shape[1:]:
        if not data or not all(type(row) is list for row in data):
            break
        data = [value for row in data for value in row]
    values: list[Any] = data
    if len(values) != _elements(shape):
        raise Refusal(
            400,
            "E-SERVE-133",
            f"input {quoted(name)}: shape says {_elements(shape)} values, found {len(values)}",
        )
    return values


def _matrix(values: Any, shape: Sequence[int], datatype: str, intake: Intake) -> Rows:
    width = len(intake.fields)
    if len(shape) != 2 or shape[1] != width:
        raise Refusal(400, "E-SERVE-133", f"expected one input of shape [-1,{width}]")
    kind = intake.fields[0].type
    if datatype not in kind.accepts:
        raise Refusal(400, "E-SERVE-110", f"expected {kind.wire}, found {quoted(datatype)}")
    if isinstance(values, np.ndarray):
        columns: dict[str, Any] = dict(
            zip(intake.names, values.reshape(shape[0], width).T, strict=True)
        )
    else:
        columns = {name: values[n::width] for n, name in enumerate(intake.names)}
    return _typed(columns, shape[0], intake)


def _typed(columns: dict[str, Any], count: int, intake: Intake) -> Rows:
    """Give binary columns their type here, and leave JSON values to the intake's checks."""
    table: dict[str, Sequence[Any]] = {}
    ready: dict[str, Array] = {}
    fields = {field.name: field for field in intake.fields}
    for name, values in columns.items():
        field = fields.get(name)
        if isinstance(values, np.ndarray):
            if field is not None and name not in (intake.key, intake.time):
                # A tensor, or values of JSON texts, has been taken already.
                taken = field.type.name in ("tensor", "nested")
                ready[name] = values if taken else values.astype(field.type.take([], name).dtype)
                table[name] = _UNREAD
                continue
            values = values.tolist()
        elif values and type(values[0]) is bytes:
            values = _texts(values, name, field)
        table[name] = values
    if not ready:
        return intake.columns(table, count)
    rest = Intake(
        [field for field in intake.fields if field.name not in ready],
        key=intake.key,
        time=intake.time,
        max_rows=intake.max_rows,
    ).columns({n: v for n, v in table.items() if v is not _UNREAD}, count)
    known = intake.known
    rows = Rows(
        count,
        {name: ready[name] if name in ready else rest.inputs[name] for name in intake.names},
        rest.keys,
        rest.times,
        tuple(name for name in columns if name not in known),
    )
    return intake.marked(rows, columns) if intake.exact else rows


_UNREAD: tuple[()] = ()


def _texts(values: Sequence[bytes], name: str, field: Field | None) -> list[Any]:
    if field is not None and field.type.name == "binary":
        import base64

        return [base64.b64encode(value).decode() for value in values]
    try:
        return [value.decode() for value in values]
    except UnicodeDecodeError:
        raise Refusal(
            400, "E-SERVE-112", f"column {quoted(name)}: the bytes are not UTF-8"
        ) from None


def write_answer(
    question: Question, outcome: Outcome, about: Mapping[str, str], request_id: str
) -> tuple[bytes, int | None]:
    """Encode the response.

    Returns
    -------
    body : bytes
    json_length : int or None
        Length of the JSON part when binary tensors follow it.
    """
    columns: dict[str, Any] = {"prediction": outcome.answer.prediction}
    if outcome.answer.probability is not None:
        columns["probability"] = outcome.answer.probability
    columns["prediction_id"] = outcome.ids
    asked = question.outputs or dict.fromkeys(columns, question.binary)
    unknown = next((name for name in asked if name not in columns), None)
    if unknown is not None:
        raise Refusal(
            400,
            "E-SERVE-131",
            f"there is no output {quoted(unknown)}: there are {', '.join(columns)}",
        )
    outputs = []
    blobs = []
    for name, binary in asked.items():
        values = columns[name]
        array = np.asarray(values) if name != "prediction_id" else np.asarray(values, dtype=object)
        if array.dtype.kind == "O" and not all(type(one) is str for one in array):
            array = as_texts(array)
        datatype = datatype_of(array)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if binary or question.binary:
            blob = _pack(array, datatype)
            tensor["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            tensor["data"] = array.ravel().tolist() if datatype == "BYTES" else array.ravel()
        outputs.append(tensor)
    answer = {
        "model_name": about["endpoint"],
        "model_version": about["version"],
        "id": question.id or request_id,
        "parameters": {
            "model": about["model"],
            "digest": about["digest"],
            "request_id": request_id,
        },
        "outputs": outputs,
    }
    head = write_json(answer)
    if not blobs:
        return head, None
    return b"".join([head, *blobs]), len(head)


def datatype_of(array: Array) -> str:
    """Return the V2 datatype of an array."""
    kind, size = array.dtype.kind, array.dtype.itemsize
    if kind == "b":
        return "BOOL"
    if kind in "iu":
        return f"{'U' if kind == 'u' else ''}INT{size * 8}"
    if kind == "f":
        return f"FP{size * 8}"
    return "BYTES"


def _pack(array: Array, datatype: str) -> bytes:
    if datatype != "BYTES":
        return np.ascontiguousarray(array).tobytes()
    texts = [str(value).encode() for value in array.ravel()]
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def describe(intake: Intake, portrait: Portrait, about: Mapping[str, str]) -> dict[str, Any]:
    """Return the V2 metadata of the served model."""
    if intake.tensor:
        inputs = [
            {
                "name": TENSOR,
                "datatype": intake.fields[0].type.wire,
                "shape": [-1, len(intake.fields)],
            }
        ]
    else:
        inputs = [
            {"name": f.name, "datatype": f.type.wire, "shape": [-1, *f.type.shape]}
            for f in intake.fields
        ]
        inputs += [
            {"name": name, "datatype": "BYTES", "shape": [-1]}
            for name in dict.fromkeys((intake.key, intake.time))
            if name and name not in intake.names
        ]
    labels = np.asarray(np.zeros(0) if portrait.labels is None else portrait.labels)
    datatype = {"boolean": "BOOL", "text": "BYTES", "json": "BYTES"}.get(
        portrait.answers, datatype_of(labels)
    )
    outputs = [{"name": "prediction", "datatype": datatype, "shape": [-1]}]
    if portrait.classes is not None:
        many = len(portrait.classes) != 2
        shape = [-1, len(portrait.classes)] if many else [-1]
        outputs.append({"name": "probability", "datatype": "FP64", "shape": shape})
    outputs.append({"name": "prediction_id", "datatype": "BYTES", "shape": [-1]})
    return {
        "name": about["endpoint"],
        "versions": [about["version"]],
        "platform": "mlflow" if intake.exact else "scikit-learn",
        "inputs": inputs,
        "outputs": outputs,
    }

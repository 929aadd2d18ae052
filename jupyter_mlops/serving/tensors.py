"""Tensors of the Open Inference Protocol, version 2, however they came: as rows and back."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.fields import Array, Field, dtype_of
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.shapes import as_texts, take_tensor
from jupyter_mlops.serving.workers import Portrait

__all__ = ["DTYPES", "Given", "datatype_of", "describe", "outputs", "pack", "rows_of", "unpack"]

TENSOR = "input"
_DIMENSIONS = 8

DTYPES: dict[str, Any] = {
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


@dataclass(frozen=True)
class Given:
    """An input tensor as a request names it.

    Attributes
    ----------
    name : str
    shape : sequence of int
        Whole numbers, the first of which is the number of rows.
    datatype : str
    data : object
    take : callable
        ``take(data, tensor)`` gives the values, flat: an array, a list of bytes, or a list as
        JSON has it. Called when all else is right.
    """

    name: str
    shape: Sequence[int]
    datatype: str
    data: Any
    take: Callable[[Any, Given], Any]

    def __post_init__(self) -> None:
        shape = self.shape
        whole = all(type(n) is int and 0 <= n < 2**31 for n in shape)
        if not 1 <= len(shape) <= _DIMENSIONS or not whole:
            raise Refusal(
                400,
                "E-SERVE-133",
                f"input {quoted(self.name)}: `shape` must be a list of whole numbers",
            )
        if self.datatype != "BYTES" and self.datatype not in DTYPES:
            raise Refusal(400, "E-SERVE-135", f"input {quoted(self.name)}: the datatype is unknown")

    @property
    def elements(self) -> int:
        """How many values the shape asks for."""
        return math.prod(self.shape)


def rows_of(tensors: Iterable[Given], intake: Intake) -> Rows:
    """Check tensors against the signature: one for each column, or one for all.

    Raises
    ------
    Refusal
        They don't fit the signature, or each other.
    """
    columns: dict[str, Sequence[Any] | Array] = {}
    count = -1
    fields = {field.name: field for field in intake.fields}
    given = list(tensors)
    for tensor in given:
        name, datatype = tensor.name, tensor.datatype
        if name in columns:
            raise Refusal(400, "E-SERVE-108", f"input {quoted(name)} is named twice")
        if count >= 0 and tensor.shape[0] != count:
            raise Refusal(
                400,
                "E-SERVE-106",
                f"input {quoted(name)} holds {tensor.shape[0]} rows, others {count}",
            )
        count = tensor.shape[0]
        intake.limit(count)
        values = tensor.take(tensor.data, tensor)
        if intake.tensor and len(given) == 1:
            return _matrix(values, tensor.shape, datatype, intake)
        field = intake.fields[0] if intake.unnamed else fields.get(name)
        if field is not None and field.type.name in ("tensor", "nested"):
            columns[field.name] = take_tensor(values, name, tensor.shape, datatype, field)
            continue
        if tensor.elements != count:
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
    return _typed(columns, count, intake)


def unpack(data: memoryview, tensor: Given) -> Array | list[Any]:
    """Read a tensor's values from bytes, little endian; texts have their lengths before them.

    Raises
    ------
    Refusal
        There are more or fewer bytes than its shape asks for.
    """
    size, datatype = len(data), tensor.datatype
    wrong = Refusal(
        400,
        "E-SERVE-134",
        f"input {quoted(tensor.name)}: its binary data does not hold "
        f"{tensor.elements} {datatype} values",
    )
    if datatype != "BYTES":
        dtype = DTYPES[datatype]
        if size != tensor.elements * dtype.itemsize:
            raise wrong
        values = np.frombuffer(data, dtype=dtype)
        return values != 0 if datatype == "BOOL" else values
    texts: list[Any] = []
    at = 0
    while at + 4 <= size:
        (length,) = struct.unpack_from("<I", data, at)
        texts.append(bytes(data[at + 4 : at + 4 + length]))
        at += 4 + length
    if at != size or len(texts) != tensor.elements:
        raise wrong
    return texts


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
                ready[name] = values if taken else values.astype(dtype_of(field.type), copy=False)
                continue
            values = values.tolist()
        elif values and type(values[0]) is bytes:
            values = _texts(values, name, field)
        table[name] = values
    return intake.typed(ready, table, count) if ready else intake.columns(table, count)


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


def outputs(outcome: Outcome, asked: Iterable[str] | None) -> dict[str, Array]:
    """Return the output tensors asked for, or all.

    Raises
    ------
    Refusal
        There is no output of such a name.
    """
    columns: dict[str, Any] = {"prediction": outcome.answer.prediction}
    if outcome.answer.probability is not None:
        columns["probability"] = outcome.answer.probability
    columns["prediction_id"] = np.asarray(list(outcome.ids), dtype=object)
    names = list(columns) if asked is None else list(asked)
    unknown = next((name for name in names if name not in columns), None)
    if unknown is not None:
        raise Refusal(
            400,
            "E-SERVE-131",
            f"there is no output {quoted(unknown)}: there are {', '.join(columns)}",
        )
    return {name: _output(columns[name]) for name in names}


def _output(values: Any) -> Array:
    array = np.asarray(values)
    if array.dtype.kind == "O" and not all(type(one) is str for one in array):
        return as_texts(array)
    return array


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


def pack(array: Array, datatype: str) -> bytes:
    """Return an array's bytes as they travel, little endian."""
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

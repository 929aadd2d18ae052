"""Requests of `ModelInfer` as rows, and answers as its responses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.fields import Array
from jupyter_mlops.serving.grpc.messages import message
from jupyter_mlops.serving.intake import Intake, Rows
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.tensors import DTYPES, Given, datatype_of, outputs, pack, rows_of, unpack

__all__ = ["read_request", "write_response"]

#: The field of `InferTensorContents` that holds a datatype's values; FP16 comes raw alone.
_FIELDS: Final = {
    "BOOL": "bool_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


def read_request(request: Any, intake: Intake) -> Rows:
    """Check a `ModelInferRequest` against the signature.

    Parameters
    ----------
    request : ModelInferRequest
        Its tensors come raw, or each with its `contents`.
    intake : Intake

    Raises
    ------
    Refusal
        They don't fit the signature, or their shapes.
    """
    rows = rows_of(_tensors(request), intake)
    return intake.with_params(rows, _parameters(request)) if intake.params else rows


def _parameters(request: Any) -> dict[str, Any]:
    """Parameters as JSON has them: the message says of each which kind it is."""
    return {
        name: getattr(one, kind)
        for name, one in request.parameters.items()
        if (kind := one.WhichOneof("parameter_choice"))
    }


def _tensors(request: Any) -> Iterator[Given]:
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise Refusal(
            400,
            "E-SERVE-136",
            f"there are {len(request.inputs)} inputs and {len(raw)} raw contents: send one for "
            "each, or none",
        )
    for place, tensor in enumerate(request.inputs):
        if raw and tensor.HasField("contents"):
            raise Refusal(
                400,
                "E-SERVE-136",
                f"input {quoted(tensor.name)}: send `raw_input_contents` or `contents`, not both",
            )
        data = memoryview(raw[place]) if raw else tensor.contents
        yield Given(
            tensor.name, list(tensor.shape), tensor.datatype, data, unpack if raw else _contents
        )


def _contents(contents: Any, tensor: Given) -> Array | list[bytes]:
    field = _FIELDS.get(tensor.datatype)
    given = () if field is None else getattr(contents, field)
    if len(given) != tensor.elements or any(one.name != field for one, _ in contents.ListFields()):
        raise Refusal(
            400,
            "E-SERVE-133",
            f"input {quoted(tensor.name)}: expected {tensor.elements} values in "
            f"`{field or 'raw_input_contents'}`, found {len(given)}",
        )
    if tensor.datatype == "BYTES":
        return list(given)
    wide = np.array(given, dtype=None if len(given) else DTYPES[tensor.datatype])
    narrow = wide.astype(DTYPES[tensor.datatype])
    if narrow.dtype.kind in "iu" and not np.array_equal(narrow, wide):
        raise Refusal(
            400,
            "E-SERVE-111",
            f"input {quoted(tensor.name)}: a number does not fit {tensor.datatype}",
        )
    return narrow


def write_response(
    request: Any, outcome: Outcome, about: Mapping[str, str], request_id: str
) -> Any:
    """Return the `ModelInferResponse`: raw where the request was, else in typed contents."""
    asked = [one.name for one in request.outputs] or None
    found = outputs(outcome, asked)
    kinds = {name: datatype_of(array) for name, array in found.items()}
    raw = bool(request.raw_input_contents) or not set(kinds.values()) <= set(_FIELDS)
    response = message("ModelInferResponse")(
        model_name=about["endpoint"],
        model_version=about["version"],
        id=request.id or request_id,
        parameters={
            "model": {"string_param": about["model"]},
            "digest": {"string_param": about["digest"]},
            "request_id": {"string_param": request_id},
        },
        outputs=[
            {"name": name, "datatype": kinds[name], "shape": array.shape}
            for name, array in found.items()
        ],
    )
    for tensor, (name, array) in zip(response.outputs, found.items(), strict=True):
        if raw:
            response.raw_output_contents.append(pack(array, kinds[name]))
            continue
        values = array.ravel().tolist()
        if kinds[name] == "BYTES":
            values = [str(value).encode() for value in values]
        getattr(tensor.contents, _FIELDS[kinds[name]]).extend(values)
    return response

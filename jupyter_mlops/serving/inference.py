"""The Open Inference Protocol, version 2, over HTTP, with Triton's binary tensor extension."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jupyter_mlops.serving.batching import Outcome
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.jsonbody import read_json, write_json
from jupyter_mlops.serving.refusals import Refusal, quoted
from jupyter_mlops.serving.tensors import Given, datatype_of, outputs, pack, rows_of, unpack

__all__ = ["BINARY_HEADER", "Question", "write_answer"]

BINARY_HEADER = "inference-header-content-length"


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
        given = request.get("id")
        if type(given) not in (str, type(None)):
            raise Refusal(400, "E-SERVE-130", "`id` must be a string")
        self.id = given or ""
        parameters = _parameters(request)
        self.binary = parameters.get("binary_data_output") is True
        self.outputs = _asked(request.get("outputs"))
        tail = memoryview(body)[len(head) :]
        rows = rows_of(_tensors(request["inputs"], tail), intake)
        self.rows = intake.with_params(rows, parameters)


def _asked(outputs: Any) -> dict[str, bool] | None:
    if outputs is None or outputs == []:
        return None
    asked = {}
    for output in outputs if type(outputs) is list else [None]:
        if type(output) is not dict or type(output.get("name")) is not str:
            raise Refusal(400, "E-SERVE-131", "`outputs` must be a list of objects with a `name`")
        asked[output["name"]] = _parameters(output).get("binary_data") is True
    return asked


def _parameters(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    given = holder.get("parameters")
    if type(given) not in (dict, type(None)):
        raise Refusal(400, "E-SERVE-137", "`parameters` must be an object")
    return given or {}


def _tensors(inputs: Sequence[Any], tail: memoryview) -> Iterator[Given]:
    """Take each tensor's data from the JSON, or in turn from the bytes that follow it."""
    at = 0
    for tensor in inputs:
        if type(tensor) is not dict or type(tensor.get("name")) is not str:
            raise Refusal(400, "E-SERVE-132", "each input must be an object with a `name`")
        name, size = tensor["name"], _binary_size(tensor)
        shape, datatype = tensor.get("shape"), tensor.get("datatype")
        data = tensor.get("data") if size is None else tail[at : at + size]

        yield Given(
            name,
            shape if type(shape) is list else (),
            datatype if type(datatype) is str else "",
            data,
            _flat if size is None else unpack,
        )
        at += size or 0
    if at != len(tail):
        raise Refusal(
            400, "E-SERVE-134", f"{len(tail) - at} bytes follow the tensors the JSON part names"
        )


def _binary_size(tensor: Mapping[str, Any]) -> int | None:
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        return None
    if type(size) is not int or size < 0:
        raise Refusal(
            400,
            "E-SERVE-134",
            f"input {quoted(tensor['name'])}: `binary_data_size` must be a whole number",
        )
    return size


def _flat(data: Any, tensor: Given) -> list[Any]:
    if type(data) is not list:
        raise Refusal(400, "E-SERVE-132", f"input {quoted(tensor.name)}: `data` must be a list")
    for _ in tensor.shape[1:]:
        if not data or not all(type(row) is list for row in data):
            break
        data = [value for row in data for value in row]
    values: list[Any] = data
    if len(values) != tensor.elements:
        raise Refusal(
            400,
            "E-SERVE-133",
            f"input {quoted(tensor.name)}: shape says {tensor.elements} values, "
            f"found {len(values)}",
        )
    return values


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
    asked = question.outputs or {}
    told = []
    blobs = []
    for name, array in outputs(outcome, asked or None).items():
        datatype = datatype_of(array)
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(array.shape)}
        if asked.get(name) or question.binary:
            blob = pack(array, datatype)
            tensor["parameters"] = {"binary_data_size": len(blob)}
            blobs.append(blob)
        else:
            tensor["data"] = array.ravel().tolist() if datatype == "BYTES" else array.ravel()
        told.append(tensor)
    answer = {
        "model_name": about["endpoint"],
        "model_version": about["version"],
        "id": question.id or request_id,
        "parameters": {
            "model": about["model"],
            "digest": about["digest"],
            "request_id": request_id,
        },
        "outputs": told,
    }
    head = write_json(answer)
    if not blobs:
        return head, None
    return b"".join([head, *blobs]), len(head)

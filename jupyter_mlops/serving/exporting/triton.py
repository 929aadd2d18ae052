"""Triton: a model repository with the model as ONNX, and its configuration from the graph."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.serving.exporting.target import Target
from jupyter_mlops.workspace import Invalid, MLOpsError, Unavailable, errors

__all__ = ["Tensor", "config_text", "write_triton"]

#: ONNX element types (onnx.TensorProto.DataType) as Triton's model configuration names them.
TYPES: Final = {
    1: "TYPE_FP32",
    6: "TYPE_INT32",
    7: "TYPE_INT64",
    8: "TYPE_STRING",
    9: "TYPE_BOOL",
    11: "TYPE_FP64",
}
_SECONDS: Final = 600.0


@dataclass(frozen=True)
class Tensor:
    """An input or output of a graph; `dims` is its shape, with -1 for any size."""

    name: str
    type: str
    dims: tuple[int, ...]


def config_text(name: str, inputs: Iterable[Tensor], outputs: Iterable[Tensor]) -> str:
    """A ``config.pbtxt``, in protocol buffers' text format.

    Triton puts requests together where the first dimension of every tensor is of any size, and
    then leaves that dimension out of ``dims``. One that is left with none is told so by a
    ``reshape``, as ``dims`` can't be empty: Triton compares both with the graph when it loads it.

    Examples
    --------
    >>> print(config_text("m", [Tensor("x", "TYPE_FP32", (-1, 1))], []).splitlines()[0])
    name: "m"
    """
    given, told = list(inputs), list(outputs)
    batches = all(one.dims[:1] == (-1,) for one in (*given, *told))

    def item(one: Tensor) -> str:
        dims = one.dims[1:] if batches else one.dims
        shape = ", ".join(map(str, dims or (1,)))
        scalar = ", reshape: { shape: [ ] }" if batches and not dims else ""
        return (
            f"  {{ name: {json.dumps(one.name)}, data_type: {one.type}, "
            f"dims: [ {shape} ]{scalar} }}"
        )

    def block(kind: str, tensors: list[Tensor]) -> str:
        return f"{kind} [\n" + ",\n".join(map(item, tensors)) + "\n]\n"

    return (
        f"name: {json.dumps(name)}\n"
        'platform: "onnxruntime_onnx"\n'
        f"max_batch_size: {8192 if batches else 0}\n"
        + block("input", given)
        + block("output", told)
        + ("dynamic_batching { }\n" if batches else "")
        + "instance_group [ { kind: KIND_CPU } ]\n"
    )


def write_triton(folder: Path, target: Target) -> list[str]:
    """Convert the model in a process of its own; return what to know of the result.

    Raises
    ------
    Unavailable
        The converter isn't installed.
    Invalid
        The model can't be converted; says why.
    """
    place = folder / "model_repository" / target.endpoint / "1"
    place.mkdir(parents=True)
    words = [str(target.path), target.digest, target.endpoint, str(place)]
    command = [sys.executable, "-m", "jupyter_mlops.serving.exporting.converting", *words]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(
            f"{target.label} isn't converted after {_SECONDS:.0f} seconds",
            fix="export it as oci or kserve, which need no conversion",
            code="E-EXPORT-020",
        ) from None
    lines = done.stdout.strip().splitlines()
    told: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    if "error" in told:
        kind: type[MLOpsError] = getattr(errors, told["error"].pop("kind"))
        raise kind(**told["error"])
    if done.returncode or "notes" not in told:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise Invalid(
            f"{target.label} can't be converted to ONNX",
            last[:300],
            "export it as oci or kserve, which need no conversion",
            code="E-EXPORT-021",
        )
    notes: list[str] = told["notes"]
    return notes

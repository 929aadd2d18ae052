"""The process that turns a model into ONNX; the only one of an export that loads it.

``python -m jupyter_mlops.serving.exporting.converting MODEL DIGEST NAME FOLDER`` writes
``FOLDER/model.onnx`` and ``FOLDER/../config.pbtxt``, and prints a line of JSON.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_mlops.serving.exporting.triton import TYPES, Tensor, config_text
from jupyter_mlops.serving.fields import Array, Field
from jupyter_mlops.serving.intake import Intake
from jupyter_mlops.serving.invocations import read_invocation
from jupyter_mlops.serving.loading import open_model
from jupyter_mlops.serving.modelfile import ModelFile, read_model_file
from jupyter_mlops.serving.predictor import Predictor
from jupyter_mlops.workspace.errors import Invalid, MLOpsError, Unavailable

__all__ = ["convert", "main"]


def convert(model: Any, file: ModelFile, name: str, folder: Path) -> list[str]:
    """Write the repository's files; return what to know of them.

    Raises
    ------
    Unavailable
        skl2onnx isn't installed.
    Invalid
        The model holds something without an ONNX form.
    """
    if file.payload.suffix == ".onnx":
        return _own(file, name, folder)
    try:
        skl2onnx = import_module("skl2onnx")
        types = import_module("skl2onnx.common.data_types")
    except ImportError:
        raise Unavailable(
            "the model can't be converted to ONNX: skl2onnx isn't installed",
            fix="pip install skl2onnx onnxruntime, or export it as oci or kserve",
            code="E-EXPORT-022",
        ) from None
    checker = import_module("onnx.checker")
    complaint = ""
    # Some operators know single precision only. What doesn't tell columns apart by their names
    # takes one input of them all.
    kinds = {field.type.name for field in file.fields}
    alike = kinds <= _WIDENED or len(kinds) == 1
    for exact, whole in ((True, False), (True, True), (False, False), (False, True)):
        if whole and not alike:
            continue
        try:
            graph = skl2onnx.to_onnx(
                model,
                initial_types=_inputs(file, types, exact, whole),
                target_opset=17,
                options=_options(model),
            )
            checker.check_model(graph, full_check=True)
            content = graph.SerializeToString()
            compared = _compared(model, file, content)
        except MLOpsError:
            raise
        except Exception as error:  # the converter and the checker raise whatever they meet
            complaint = complaint or f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
            continue
        (folder / "model.onnx").write_bytes(content)
        told = [_tensors(graph.graph.input), _tensors(graph.graph.output)]
        (folder.parent / "config.pbtxt").write_text(config_text(name, *told))
        single = "The graph takes and computes numbers in single precision."
        return [compared] if exact else [single, compared]
    raise Invalid(
        f"{type(model).__name__} can't be converted to ONNX",
        complaint,
        "export it as oci or kserve, which need no conversion",
        code="E-EXPORT-023",
    )


def _own(file: ModelFile, name: str, folder: Path) -> list[str]:
    """The graph of a model that is ONNX already."""
    try:
        onnx = import_module("onnx")
    except ImportError:
        raise Unavailable(
            "the graph's inputs can't be read: onnx isn't installed",
            fix="pip install onnx, or export it as oci or kserve",
            code="E-EXPORT-027",
        ) from None
    content = file.payload.read_bytes()
    graph = onnx.load_from_string(content).graph
    try:
        told = [_tensors(graph.input), _tensors(graph.output)]
    except KeyError as error:
        raise Invalid(
            "the ONNX graph has an input or output that Triton has no type for",
            f"its ONNX type is number {error}",
            "convert the model again with tensors alone, such as with zipmap off",
            code="E-EXPORT-028",
        ) from None
    (folder / "model.onnx").write_bytes(content)
    (folder.parent / "config.pbtxt").write_text(config_text(name, *told))
    return ["The graph is the model's own file, as it was registered."]


#: Numbers that are given as doubles where columns of several kinds make one input.
_WIDENED = frozenset({"double", "float", "long", "integer"})


def _inputs(
    file: ModelFile, types: Any, exact: bool, together: bool = False
) -> list[tuple[str, Any]]:
    double = types.DoubleTensorType if exact else types.FloatTensorType
    whole = types.Int64TensorType if exact else types.FloatTensorType
    kinds = {
        "double": double,
        "float": types.FloatTensorType,
        "long": whole,
        "integer": whole,
        "boolean": types.BooleanTensorType,
        "string": types.StringTensorType,
    }
    if together and not file.tensor:
        name = "X"
        while name in {field.name for field in file.fields}:
            name += "_"
        (kind,) = {field.type.name for field in file.fields} - _WIDENED or {"double"}
        return [(name, kinds[kind]([None, len(file.fields)]))]
    if file.tensor:
        return [("X", kinds[file.fields[0].type.name]([None, len(file.fields)]))]
    for field in file.fields:
        if field.type.name not in kinds:
            raise Invalid(
                f"column {field.name!r} holds {field.type.name}, which ONNX has no type for",
                fix="export it as oci or kserve, which need no conversion",
                code="E-EXPORT-024",
            )
    return [(field.name, kinds[field.type.name]([None, 1])) for field in file.fields]


def _options(model: Any) -> dict[int, dict[str, bool]] | None:
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    return {id(last): {"zipmap": False}} if hasattr(last, "classes_") else None


def _tensors(given: Any) -> list[Tensor]:
    found = []
    for one in given:
        kind = one.type.tensor_type
        dims = tuple(int(d.dim_value) or -1 for d in kind.shape.dim)
        found.append(Tensor(one.name, TYPES[kind.elem_type], dims))
    return found


def _compared(model: Any, file: ModelFile, graph: bytes) -> str:
    """What the graph answers to the input example, beside what the model does."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError:
        return "The graph wasn't run here: onnxruntime isn't installed."
    if file.example is None:
        return "The graph wasn't run here: the model has no input example."
    rows = read_invocation(file.example, Intake(file.fields, tensor=file.tensor))
    expected = Predictor(model, file.fields, tensor=file.tensor)(rows.inputs)
    session = runtime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    given = _given(session.get_inputs(), rows.inputs, file.fields)
    outputs = session.run(None, given)
    prediction = np.asarray(outputs[0]).reshape(-1)
    if expected.probability is not None and len(outputs) > 1:
        every = np.asarray(outputs[1])
        mine = every[:, 1] if expected.probability.ndim == 1 else every
        gap = float(np.max(np.abs(mine - expected.probability)))
    elif prediction.dtype.kind == "f":
        gap = float(np.max(np.abs(prediction - expected.prediction)))
    else:
        gap = float(np.mean(prediction.astype(str) != expected.prediction.astype(str)))
    if gap > 1e-3:
        raise Invalid(
            "the ONNX graph doesn't answer what the model does",
            f"on the input example they differ by {gap:.3g}",
            "export it as oci or kserve, which need no conversion",
            code="E-EXPORT-025",
        )
    return f"On the input example the graph and the model differ by {gap:.1g} at the most."


def _given(inputs: Any, rows: dict[str, Array], fields: tuple[Field, ...]) -> dict[str, Array]:
    kinds: dict[str, Any] = {
        "tensor(double)": np.float64,
        "tensor(float)": np.float32,
        "tensor(int64)": np.int64,
        "tensor(bool)": np.bool_,
        "tensor(string)": object,
    }
    if len(inputs) == 1 and inputs[0].name not in rows:
        whole = np.stack([rows[field.name] for field in fields], axis=1)
        return {inputs[0].name: whole.astype(kinds[inputs[0].type])}
    return {one.name: rows[one.name].astype(kinds[one.type])[:, None] for one in inputs}


def main(arguments: list[str] | None = None) -> int:
    """Convert; print the outcome as the last line."""
    path, digest, name, folder = sys.argv[1:] if arguments is None else arguments
    warnings.simplefilter("ignore")
    try:
        file = read_model_file(Path(path))
        told: dict[str, Any] = {
            "notes": convert(open_model(file, digest, pickles=True), file, name, Path(folder))
        }
    except MLOpsError as error:
        told = {"error": {**error.as_dict(), "kind": type(error).__name__}}
    print(json.dumps(told))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Read an MLflow model directory without MLflow, whose import alone would take a second."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.models.ways import Way, way
from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.serving.shapes import nested_type, tensor_type
from jupyter_mlops.workspace.errors import Denied, Invalid, NotFound

_TENSORS = {
    "float64": "double",
    "float32": "float",
    "int64": "long",
    "int32": "integer",
    "bool": "boolean",
}
#: What an input without a name is called.
UNNAMED: Final = "input"
#: More columns than this are kept as one tensor.
_WIDEST: Final = 2000


@dataclass(frozen=True)
class ModelFile:
    """What `MLmodel` says about a model.

    Attributes
    ----------
    root : Path
        The model directory.
    fields : tuple of Field
        Input columns in the signature's order.
    tensor : bool
        The signature is one unnamed tensor of shape (-1, k), or k columns without names: they
        are then named by their position, "0" to "k-1", and rows are lists.
    payload : Path
        The model's file.
    example : dict, optional
        The input example in MLflow's serving form, if one was logged.
    way : Way
        How the model is loaded.
    unnamed : bool
        The signature is one input without a name: a row is its value.
    params : tuple of str
        The parameters that a request may set.
    """

    root: Path
    fields: tuple[Field, ...]
    tensor: bool
    payload: Path
    example: dict[str, Any] | None
    way: Way
    unnamed: bool = False
    params: tuple[str, ...] = ()


def read_model_file(root: Path) -> ModelFile:
    """Read `root`/MLmodel.

    Raises
    ------
    NotFound
        No model lies there.
    Invalid
        The model has no signature, is kept in an unknown format, or has inputs of kinds that
        cannot be served.
    """
    try:
        described = yaml.safe_load((root / "MLmodel").read_bytes())
    except FileNotFoundError:
        raise NotFound(
            "no MLflow model lies in the model's folder",
            "the file MLmodel is missing",
            "register the model again",
            code="E-SERVE-001",
        ) from None
    except yaml.YAMLError as error:
        raise Invalid(
            "the model's MLmodel file cannot be read",
            "it is not YAML",
            "register the model again",
            code="E-SERVE-002",
        ) from error
    found = way(described)
    signature = described.get("signature") or {}
    fields, tensor, unnamed = _inputs(signature)
    return ModelFile(
        root=root,
        fields=fields,
        tensor=tensor,
        payload=_inside(root, found.file),
        example=_example(root, described.get("saved_input_example_info") or {}),
        way=found,
        unnamed=unnamed,
        params=tuple(str(one["name"]) for one in json.loads(signature.get("params") or "[]")),
    )


def _inputs(signature: dict[str, Any]) -> tuple[tuple[Field, ...], bool, bool]:
    """The columns; whether they are known by position; whether a row is one value."""
    given = signature.get("inputs")
    inputs = json.loads(given) if given else []
    if not inputs:
        raise Invalid(
            "the model has no signature",
            "without one no request can be checked",
            "train it again with `%%mlops train`, or log it with `signature=infer_signature(X, y)`",
            code="E-SERVE-004",
        )
    named = [str(one["name"]) for one in inputs if one.get("name") not in (None, "")]
    if named and len(named) != len(inputs):
        raise _unsupported("some inputs with names and some without")
    first = inputs[0]
    if not named and first.get("type") == "tensor":
        matrix = _matrix(first["tensor-spec"]) if len(inputs) == 1 else None
        if matrix is not None:
            return matrix, True, False
        if len(inputs) > 1:
            raise _unsupported("several tensors without names")
    if not named and len(inputs) == 1:
        return (_field({**first, "name": UNNAMED}),), False, True
    if not named:
        return tuple(_field({**one, "name": str(n)}) for n, one in enumerate(inputs)), True, False
    return tuple(_field(one) for one in inputs), False, False


def _matrix(spec: dict[str, Any]) -> tuple[Field, ...] | None:
    """The columns of a matrix of numbers; None for any other tensor."""
    shape = spec["shape"]
    kind = field_type(_TENSORS.get(str(spec["dtype"]), ""))
    if kind is None or len(shape) != 2 or shape[0] != -1 or not 1 <= shape[1] <= _WIDEST:
        return None
    return tuple(Field(str(n), kind) for n in range(shape[1]))


def _field(one: dict[str, Any]) -> Field:
    if one.get("type") == "tensor":
        spec = one["tensor-spec"]
        if not spec["shape"] or spec["shape"][0] != -1:
            raise _unsupported("tensors whose first dimension, the rows, is of fixed size")
        kind = tensor_type(str(spec["dtype"]), spec["shape"][1:])
    else:
        kind = field_type(str(one.get("type"))) or nested_type(one)
    if kind is None:
        raise _unsupported(f"type {one.get('type')!r}")
    return Field(str(one["name"]), kind, bool(one.get("required", True)))


def _unsupported(found: str) -> Invalid:
    return Invalid(
        f"the model's signature holds inputs that cannot be served: {found}",
        "served inputs are rows of columns, of tensors, or of lists and objects",
        "log the model again with a signature of such inputs",
        code="E-SERVE-005",
    )


def _inside(root: Path, relative: str) -> Path:
    """Return root/relative, refusing a path that leaves the model's folder."""
    path = (root / relative).resolve()
    if not path.is_relative_to(root.resolve()):
        raise Invalid(
            "the model's MLmodel file points outside its own folder",
            "it may have been tampered with",
            "register the model again",
            code="E-SERVE-006",
        )
    return path


def _example(root: Path, info: dict[str, Any]) -> dict[str, Any] | None:
    name = info.get("serving_input_path")
    if not name:
        return None
    try:
        example = json.loads(_inside(root, str(name)).read_bytes())
    except (OSError, ValueError):
        return None  # an example helps the warm-up; a model without one is still served
    return example if isinstance(example, dict) else None


def first_row(file: ModelFile) -> dict[str, Any]:
    """The input example's first row, by column; empty where there is no example."""
    example = file.example or {}
    names = [one.name for one in file.fields]
    try:
        if "dataframe_split" in example:
            split = example["dataframe_split"]
            row = dict(zip(map(str, split["columns"]), split["data"][0], strict=True))
        elif isinstance(example.get("inputs"), dict):
            row = {name: values[0] for name, values in example["inputs"].items()}
        else:
            row = dict(zip(names, example["inputs"][0], strict=True))
    except (KeyError, IndexError, TypeError, ValueError):
        return {}
    return {name: row[name] for name in names if name in row}


def directory_digest(root: Path) -> str:
    """Return the digest by which a registered model is pinned.

    The same as `jupyter_mlops.models.folder.folder_digest`, which cannot be imported without
    the store.

    Parameters
    ----------
    root : Path
        A model directory.

    Returns
    -------
    str
        SHA-256, 64 hexadecimal digits, of the lines ``<sha256 of the file>  <path>``.

    Raises
    ------
    Denied
        It holds a link.
    """
    lines = []
    for path in sorted(root.rglob("*"), key=lambda one: one.relative_to(root).as_posix()):
        if path.is_symlink():
            raise Denied(
                "the model's folder holds a link",
                "it may have been tampered with",
                "register the model again",
                code="E-SERVE-007",
            )
        if path.is_file():
            with path.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            lines.append(f"{content}  {path.relative_to(root).as_posix()}\n")
    return hashlib.sha256("".join(lines).encode()).hexdigest()

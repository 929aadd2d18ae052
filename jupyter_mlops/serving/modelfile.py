"""Read an MLflow model directory without MLflow, whose import alone would take a second."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.models.files import FILES
from jupyter_mlops.serving.fields import Field, field_type
from jupyter_mlops.workspace.errors import Denied, Invalid, NotFound

_TENSORS = {
    "float64": "double",
    "float32": "float",
    "int64": "long",
    "int32": "integer",
    "bool": "boolean",
}


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
        The signature is one unnamed tensor of shape (-1, k): its columns are then named by their
        position, "0" to "k-1", and the model gets an array.
    payload : Path
        The model's file.
    example : dict, optional
        The input example in MLflow's serving form, if one was logged.
    """

    root: Path
    fields: tuple[Field, ...]
    tensor: bool
    payload: Path
    example: dict[str, Any] | None


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
    payload = _payload(described)
    fields, tensor = _inputs(described.get("signature") or {})
    return ModelFile(
        root=root,
        fields=fields,
        tensor=tensor,
        payload=_inside(root, payload),
        example=_example(root, described.get("saved_input_example_info") or {}),
    )


def _payload(described: dict[str, Any]) -> str:
    """The name of the model's file.

    A model of another format than skops was registered here, in a format of ours: MLmodel says
    so, and the digest vouches for it.
    """
    told = (described.get("metadata") or {}).get("jupyter_mlops") or {}
    if told.get("format", "skops") in FILES and told.get("format", "skops") != "skops":
        return FILES[told["format"]]
    flavor = (described.get("flavors") or {}).get("sklearn") or {}
    if flavor.get("serialization_format") != "skops":
        raise Invalid(
            "the model is not kept in a format that is known here",
            "other formats may run any code when they are opened",
            "train it again with `%%mlops train`, which saves models safely",
            code="E-SERVE-003",
        )
    return str(flavor.get("pickled_model", "model.skops"))


def _inputs(signature: dict[str, Any]) -> tuple[tuple[Field, ...], bool]:
    given = signature.get("inputs")
    inputs = json.loads(given) if given else []
    if not inputs:
        raise Invalid(
            "the model has no signature",
            "without one no request can be checked",
            "train it again with `%%mlops train`, or log it with `signature=infer_signature(X, y)`",
            code="E-SERVE-004",
        )
    first = inputs[0]
    if first.get("type") == "tensor":
        shape = first["tensor-spec"]["shape"]
        kind = field_type(_TENSORS.get(str(first["tensor-spec"]["dtype"]), ""))
        if len(inputs) != 1 or first.get("name") or kind is None or len(shape) != 2 or shape[1] < 1:
            raise _unsupported("tensors other than one of numbers with shape (-1, k)")
        return tuple(Field(str(n), kind) for n in range(shape[1])), True
    fields = []
    for spec in inputs:
        kind = field_type(str(spec.get("type")))
        if kind is None or not spec.get("name"):
            raise _unsupported(f"type {spec.get('type')!r}" if kind is None else "unnamed columns")
        fields.append(Field(str(spec["name"]), kind, bool(spec.get("required", True))))
    return tuple(fields), False


def _unsupported(found: str) -> Invalid:
    return Invalid(
        f"the model's signature holds inputs that cannot be served: {found}",
        "served inputs are named columns of numbers, strings, booleans and times, or one tensor",
        "train the model on a data frame with such columns",
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

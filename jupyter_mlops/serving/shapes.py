"""Inputs that aren't plain columns: tensors of any shape, and lists, objects and maps of values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson

from jupyter_mlops.serving.fields import Array, Field, FieldType, field_type
from jupyter_mlops.serving.refusals import Refusal, quoted

__all__ = ["as_texts", "is_composed", "nested_type", "take_tensor", "tensor_type"]

#: V2 (Open Inference Protocol) datatypes by NumPy's names.
WIRE: Final = {
    "bool": "BOOL",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
_TEXTS: Final = frozenset({"str", "object", "string"})
_KINDS: Final = {"boolean": "a boolean", "integer": "an integer", "number": "a number",
                 "string": "a string", "array": "a list", "object": "an object"}  # fmt: skip
_JSON: Final[dict[str, type | tuple[type, ...]]] = {
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "string": str,
    "array": list,
    "object": dict,
}
_SCALARS: Final = {"boolean": "boolean", "integer": "integer", "long": "integer",
                   "float": "number", "double": "number", "string": "string",
                   "binary": "string", "datetime": "string"}  # fmt: skip


def tensor_type(dtype: str, shape: Sequence[int]) -> FieldType | None:
    """Return the type of a tensor whose rows have that shape; None for values nobody can send.

    Parameters
    ----------
    dtype : str
        NumPy's name.
    shape : sequence of int
        Of one row, without the first dimension; -1 for any size.

    Examples
    --------
    >>> tensor_type("float32", (2, 2)).take([[[1, 2], [3, 4]]], "image").shape
    (1, 2, 2)
    """
    inner = tuple(shape)
    if dtype in WIRE:
        kind = np.dtype(dtype)
        value = {"b": "boolean", "i": "integer", "u": "integer", "f": "number"}[kind.kind]
        wire, accepts = WIRE[dtype], frozenset(
            name for other, name in WIRE.items() if np.can_cast(other, kind) and other != "bool"
        ) | {WIRE[dtype]}  # fmt: skip
    elif dtype in _TEXTS or dtype.startswith(("<U", "|S")):
        kind, value, wire, accepts = np.dtype(object), "string", "BYTES", frozenset({"BYTES"})
    else:
        return None
    schema: dict[str, Any] = {"type": [value, "null"] if kind.kind == "f" else value}
    for size in reversed(inner):
        schema = {"type": "array", "items": schema}
        schema |= {} if size < 0 else {"minItems": size, "maxItems": size}

    def take(values: Sequence[Any], column: str) -> Array:
        return _tensor(values, column, kind, inner)

    return FieldType("tensor", wire, schema, take, accepts, inner)


def _tensor(values: Sequence[Any], column: str, dtype: Any, inner: tuple[int, ...]) -> Array:
    if not len(values):
        return np.empty((0, *(max(size, 0) for size in inner)), dtype=dtype)
    told = f"{dtype.name if dtype.kind != 'O' else 'string'} of shape {_told(inner)}"
    try:
        found = np.asarray(values)
    except (ValueError, OverflowError):
        raise _refused(column, told, "lists of unequal lengths") from None
    found = _fitting(found, column, told, inner)
    if dtype.kind == "O":
        if found.dtype.kind != "U":
            raise _refused(column, told, "other values")
        return found.astype(object)
    if found.dtype.kind == "O" and dtype.kind == "f":
        # Numbers with holes: null is no number, and the only other thing let in.
        if not set(map(type, found.ravel().tolist())) <= {int, float, type(None)}:
            raise _refused(column, told, "other values")
        return found.astype(dtype)
    kinds = {"b": "b", "i": "iu", "u": "iu", "f": "iuf"}[dtype.kind]
    whole = found.dtype.kind == "f" and dtype.kind in "iu"
    if whole and not (np.isfinite(found).all() and (found % 1 == 0).all()):
        raise _refused(column, told, "numbers with a fraction")
    if not whole and found.dtype.kind not in kinds:
        raise _refused(column, told, "other values")
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if found.size and (found.min() < limits.min or found.max() > limits.max):
            raise _refused(column, told, "numbers that don't fit")
    return found.astype(dtype)


def _fitting(found: Array, column: str, told: str, inner: tuple[int, ...]) -> Array:
    """Rows of the right shape; one list of all its values is taken for a row, as MLflow does."""
    shape = found.shape[1:]
    if len(shape) == len(inner) and all(
        want in (-1, have) for want, have in zip(inner, shape, strict=True)
    ):
        return found
    if len(shape) == 1 and len(inner) > 1 and min(inner) > 0 and shape[0] == np.prod(inner):
        return found.reshape((len(found), *inner))
    if not shape and inner == (1,):
        return found.reshape((-1, 1))
    raise _refused(column, told, f"shape {_told(shape)}" if found.dtype.kind != "O" else
                   "lists of unequal lengths")  # fmt: skip


def _told(shape: Sequence[int]) -> str:
    return f"[{','.join(map(str, (-1, *shape)))}]"


def _refused(column: str, expected: str, found: str) -> Refusal:
    return Refusal(
        400, "E-SERVE-115", f"input {quoted(column)}: expected {expected}, found {found}"
    )


def take_tensor(values: Any, name: str, shape: Sequence[int], datatype: str, field: Field) -> Array:
    """Return a tensor of the Open Inference Protocol in its shape, or values of JSON texts.

    Parameters
    ----------
    values : list or array
        As many as `shape` says, one after the other.
    name : str
        What the request calls it.
    shape : sequence of int
    datatype : str
        Of the protocol.
    field : Field
        A tensor, or a column of lists, objects or maps.
    """
    if datatype not in field.type.accepts:
        raise Refusal(
            400,
            "E-SERVE-110",
            f"input {quoted(name)}: expected {field.type.wire}, found {quoted(datatype)}",
        )
    try:
        if len(values) and type(values[0]) is bytes:
            values = [one.decode() for one in values]
        if field.type.name == "nested":
            return field.type.take([orjson.loads(one) for one in values], name)
    except (UnicodeDecodeError, orjson.JSONDecodeError, TypeError):
        raise Refusal(
            400, "E-SERVE-112", f"input {quoted(name)}: a text in it is not JSON in UTF-8"
        ) from None
    shaped: Any = (np.asarray(values) if len(values) else np.empty(0)).reshape(shape)
    return field.type.take(shaped, name)


def nested_type(spec: Mapping[str, Any]) -> FieldType | None:
    """Return the type of a column of lists, objects or maps, or of anything; None if unknown.

    Parameters
    ----------
    spec : mapping
        As MLflow's signature writes it: ``type`` ``array`` with ``items``, ``object`` with
        ``properties``, ``map`` with ``values``, or ``any``.

    Examples
    --------
    >>> kind = nested_type({"type": "array", "items": {"type": "long"}, "required": True})
    >>> kind.take([[1, 2], []], "clicks").tolist()
    [[1, 2], []]
    """
    if spec.get("type") not in ("array", "object", "map", "any"):
        return None
    required = bool(spec.get("required", True)) and spec["type"] != "any"

    def take(values: Sequence[Any], column: str) -> Array:
        out = np.empty(len(values), dtype=object)
        for row, value in enumerate(values):
            wrong = None if value is None and not required else _misfit(spec, value, "")
            if wrong or (wrong := _burden(value)):
                raise Refusal(400, "E-SERVE-116", f"row {row}, column {quoted(column)}{wrong}")
            out[row] = value
        return out

    return FieldType("nested", "BYTES", _schema(spec), take, frozenset({"BYTES"}))


def _burden(value: Any) -> str | None:
    """Why a value can be carried to no model and written in no log; None where it can."""
    try:
        orjson.dumps(value)
    except TypeError:  # of more than 254 levels, say
        return ": it is nested too deep, or holds an integer of more than 64 bits"
    return None


def _misfit(spec: Mapping[str, Any], value: Any, at: str) -> str | None:
    """Where and how a value differs from what its type says; None where it fits."""
    kind = str(spec.get("type"))
    if kind == "any":
        return None
    expected = {"array": "array", "object": "object", "map": "object"}.get(kind, _SCALARS.get(kind))
    fits = expected is None or isinstance(value, _JSON[expected])
    if not fits or (isinstance(value, bool) and expected in ("integer", "number")):
        return f"{at}: expected {_KINDS[expected or 'object']}, found another value"
    if kind == "array":
        for place, one in enumerate(value):
            if wrong := _misfit(spec["items"], one, f"{at}[{place}]"):
                return wrong
    elif kind == "map":
        for one in value.values():
            if wrong := _misfit(spec["values"], one, f"{at}, a value of the map"):
                return wrong
    elif kind == "object":
        return _misfit_object(spec["properties"], value, at)
    return None


def _misfit_object(known: Mapping[str, Any], value: Mapping[str, Any], at: str) -> str | None:
    for name, inner in known.items():
        if value.get(name) is None:
            if inner.get("required", True):
                return f"{at}: property {quoted(name)} is missing"
        elif wrong := _misfit(inner, value[name], f"{at}.{name}"):
            return wrong
    # MLflow takes no property that the signature doesn't name.
    if any(name not in known for name in value):
        return f"{at}: it has a property that the signature doesn't name"
    return None


def _schema(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON schema of a value."""
    kind = str(spec.get("type"))
    if kind == "array":
        return {"type": "array", "items": _schema(spec["items"])}
    if kind == "map":
        return {"type": "object", "additionalProperties": _schema(spec["values"])}
    if kind == "object":
        inner = spec["properties"]
        needed = [name for name, one in inner.items() if one.get("required", True)]
        schemas = {name: _schema(one) for name, one in inner.items()}
        return {"type": "object", "properties": schemas, "required": needed,
                "additionalProperties": False}  # fmt: skip
    plain = field_type(kind)
    return dict(plain.schema) if plain is not None else {}


def as_texts(values: Array) -> Array:
    """Return values as JSON texts, which a table's column can hold whatever they are.

    Parameters
    ----------
    values : array, shape (n, …)

    Returns
    -------
    array of str or None, shape (n,)

    Examples
    --------
    >>> as_texts(np.array([[1.0, 2.0]])).tolist()
    ['[1.0,2.0]']
    """
    given = values.tolist() if values.dtype.kind == "O" else map(np.ascontiguousarray, values)
    option = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
    out = np.empty(len(values), dtype=object)
    for row, one in enumerate(given):
        if one is not None:
            out[row] = orjson.dumps(one, option=option, default=str).decode()
    return out


def is_composed(field: Field) -> bool:
    """Whether a value of a column is more than one number, text or time."""
    return bool(field.type.shape) or field.type.name == "nested"

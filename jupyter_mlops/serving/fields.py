"""The kinds of columns a signature may name, and how values of a request become typed arrays."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from jupyter_mlops.serving.refusals import Refusal, quoted

Array = np.ndarray[Any, np.dtype[Any]]

_NONE = type(None)
_FLOAT_MAX = float(np.finfo(np.float32).max)
_NO_MISSING = ("boolean", "integer", "long")
# Whole years that 64 bits of nanoseconds hold.
_FIRST, _LAST = np.datetime64("1678-01-01", "us"), np.datetime64("2261-12-31T23:59:59", "us")
_JSON_NAMES = {
    bool: "a boolean",
    int: "an integer",
    float: "a number with a fraction",
    str: "a string",
    list: "a list",
    dict: "an object",
    _NONE: "null",
    bytes: "bytes",
}


@dataclass(frozen=True)
class FieldType:
    """One MLflow column type: its names in the protocols and how values are taken in.

    Attributes
    ----------
    name : str
        MLflow's name, as errors show it.
    wire : str
        V2 (Open Inference Protocol) datatype.
    schema : dict
        JSON schema of one value.
    take : callable
        ``take(values, column) -> array`` for values decoded from JSON.
    accepts : frozenset of str
        V2 datatypes that convert without loss.
    shape : tuple of int
        Of one value: empty but for tensors; -1 for any size.
    """

    name: str
    wire: str
    schema: dict[str, Any]
    take: Callable[[Sequence[Any], str], Array]
    accepts: frozenset[str]
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Field:
    """One input column of a signature."""

    name: str
    type: FieldType
    required: bool = True

    def take(self, values: Sequence[Any]) -> Array:
        """Return values decoded from JSON as one typed array, shape (n,).

        An optional column may hold null even where its type has no missing value: integers
        then become float64 with NaN and booleans objects with None, as pandas keeps them.

        Raises
        ------
        Refusal
            A value is of another type; the sentence names row, column, expected and found.
        """
        if self.required or None not in values or self.type.name not in _NO_MISSING:
            return self.type.take(values, self.name)
        missing = np.fromiter((v is None for v in values), dtype=np.bool_, count=len(values))
        neutral: Any = False if self.type.name == "boolean" else 0
        filled = self.type.take([neutral if v is None else v for v in values], self.name)
        if self.type.name == "boolean":
            boxed = filled.astype(object)
            boxed[missing] = None
            return boxed
        floats = filled.astype(np.float64)
        floats[missing] = np.nan
        return floats

    def absent(self, count: int) -> Array:
        """Return the column as it is when an optional column was not sent: all missing."""
        if self.type.name in ("string", "binary", "boolean", "nested", "tensor"):
            return np.full(count, None, dtype=object)
        if self.type.name == "datetime":
            return np.full(count, np.datetime64("NaT"), dtype="datetime64[us]")
        return np.full(count, np.nan, dtype=np.float64)


def _found(value: object) -> str:
    return _JSON_NAMES.get(type(value), f"a {type(value).__name__}")


def _wrong(values: Sequence[Any], good: set[type], column: str, expected: str) -> Refusal:
    """Name the first row whose type is not in `good`."""
    row = next(i for i, v in enumerate(values) if type(v) not in good)
    return _refuse(row, column, expected, values[row])


def _refuse(row: int, column: str, expected: str, value: object) -> Refusal:
    hint = ""
    if value is None and expected in ("long", "integer", "boolean"):
        hint = "; a column with missing values must be double or optional in the signature"
    return Refusal(
        400,
        "E-SERVE-110",
        f"row {row}, column {quoted(column)}: expected {expected}, found {_found(value)}{hint}",
    )


def missing_value(row: int, column: str, expected: str) -> Refusal:
    """Return the refusal of a missing value where the type has none."""
    return _refuse(row, column, expected, None)


def _take_double(values: Sequence[Any], column: str) -> Array:
    return _floats(values, column, np.float64, "double")


def _take_float(values: Sequence[Any], column: str) -> Array:
    return _floats(values, column, np.float32, "float")


def _floats(values: Sequence[Any], column: str, dtype: Any, expected: str) -> Array:
    good: set[type] = {float, int, _NONE}
    if not set(map(type, values)) <= good:
        raise _wrong(values, good, column, expected)
    try:
        with np.errstate(over="ignore"):
            taken = np.array(values, dtype=dtype)
    except OverflowError:
        row = next(i for i, v in enumerate(values) if isinstance(v, int) and abs(v) > 10**308)
        raise _out_of_range(row, column, expected) from None
    if dtype is np.float32:
        # What is larger than any float has become infinite.
        for place in np.flatnonzero(np.isinf(taken)).tolist():
            if abs(values[place]) != np.inf:
                raise _out_of_range(place, column, expected)
    return taken


def _take_long(values: Sequence[Any], column: str) -> Array:
    return _integers(values, column, np.int64, "long")


def _take_integer(values: Sequence[Any], column: str) -> Array:
    return _integers(values, column, np.int32, "integer")


def _integers(values: Sequence[Any], column: str, dtype: Any, expected: str) -> Array:
    types = set(map(type, values))
    if types == {int} or not types:
        pass
    elif types <= {int, float}:
        # JSON writers of other languages send 3 as 3.0. A fraction would be lost and is refused;
        # so is what floats hold no longer exactly, which is how the parser gives huge integers.
        for row, value in enumerate(values):
            if value != value:
                raise _refuse(row, column, expected, None)
            if type(value) is float and abs(value) > 2**53:
                raise _out_of_range(row, column, expected)
            if value % 1:
                raise _refuse(row, column, expected, value)
        values = [int(v) for v in values]
    else:
        raise _wrong(values, {int, float}, column, expected)
    limits = np.iinfo(dtype)
    try:
        return np.array(values, dtype=dtype)
    except OverflowError:
        row = next(i for i, v in enumerate(values) if not limits.min <= v <= limits.max)
        raise _out_of_range(row, column, expected) from None


def _out_of_range(row: int, column: str, expected: str) -> Refusal:
    return Refusal(
        400,
        "E-SERVE-111",
        f"row {row}, column {quoted(column)}: the number does not fit {expected}",
    )


def _take_boolean(values: Sequence[Any], column: str) -> Array:
    if not set(map(type, values)) <= {bool}:
        raise _wrong(values, {bool}, column, "boolean")
    return np.array(values, dtype=np.bool_)


def _take_string(values: Sequence[Any], column: str) -> Array:
    good: set[type] = {str, _NONE}
    if not set(map(type, values)) <= good:
        raise _wrong(values, good, column, "string")
    return _objects(values)


def _take_binary(values: Sequence[Any], column: str) -> Array:
    if not set(map(type, values)) <= {str}:
        raise _wrong(values, {str}, column, "binary (base64 text)")
    decoded = []
    for row, value in enumerate(values):
        try:
            decoded.append(base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            raise Refusal(
                400, "E-SERVE-112", f"row {row}, column {quoted(column)}: the text is not base64"
            ) from None
    return _objects(decoded)


def _take_datetime(values: Sequence[Any], column: str) -> Array:
    return in_nanoseconds(take_times(values, column), column)


def in_nanoseconds(times: Array, column: str) -> Array:
    """Refuse times that become others when a model is given nanoseconds, as MLflow gives them.

    Parameters
    ----------
    times : array of datetime64[us], shape (n,)
    column : str
        For the error's text.
    """
    missing = np.isnat(times)
    if missing.all() or (times[~missing].min() >= _FIRST and times[~missing].max() <= _LAST):
        return times
    row = int(np.argmax(~missing & ((times < _FIRST) | (times > _LAST))))
    raise _no_time(row, column, "is before 1678 or after 2261")


def take_times(values: Sequence[Any], column: str) -> Array:
    """Return ISO 8601 texts as datetime64[us] in UTC; a time without a zone is taken as UTC.

    Parameters
    ----------
    values : sequence of str or None, length n
    column : str
        For the error's text.

    Returns
    -------
    array of datetime64[us], shape (n,)
        NaT where the value is None.
    """
    good: set[type] = {str, _NONE}
    if not set(map(type, values)) <= good:
        raise _wrong(values, good, column, "datetime (ISO 8601 text)")
    out = np.empty(len(values), dtype="datetime64[us]")
    for row, value in enumerate(values):
        if value is None:
            out[row] = np.datetime64("NaT")
            continue
        try:
            moment = datetime.fromisoformat(value)
            if moment.tzinfo is not None:
                moment = moment.astimezone(UTC).replace(tzinfo=None)
        except ValueError:
            raise Refusal(
                400,
                "E-SERVE-113",
                f"row {row}, column {quoted(column)}: the text is not an ISO 8601 time",
            ) from None
        except OverflowError:
            raise _no_time(row, column, "is before the year 1 or after 9999") from None
        out[row] = moment
    return out


def _no_time(row: int, column: str, why: str) -> Refusal:
    return Refusal(400, "E-SERVE-111", f"row {row}, column {quoted(column)}: the time {why}")


def has_missing(column: Array) -> bool:
    """Whether a column holds a missing value."""
    if column.dtype.kind == "O":
        return any(value is None for value in column.ravel())
    if column.dtype.kind == "M":
        return bool(np.isnat(column).any())
    return column.dtype.kind == "f" and bool(np.isnan(column).any())


def _objects(values: Sequence[Any]) -> Array:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


_INTS = frozenset({"INT8", "INT16", "INT32", "UINT8", "UINT16"})
_TYPES = {
    kind.name: kind
    for kind in (
        FieldType("boolean", "BOOL", {"type": "boolean"}, _take_boolean, frozenset({"BOOL"})),
        FieldType(
            "integer",
            "INT32",
            {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
            _take_integer,
            _INTS,
        ),
        FieldType(
            "long",
            "INT64",
            {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
            _take_long,
            _INTS | {"INT64", "UINT32"},
        ),
        FieldType(
            "float",
            "FP32",
            {"type": ["number", "null"], "minimum": -_FLOAT_MAX, "maximum": _FLOAT_MAX},
            _take_float,
            frozenset({"FP16", "FP32", "INT8", "INT16", "UINT8", "UINT16"}),
        ),
        FieldType(
            "double",
            "FP64",
            {"type": ["number", "null"]},
            _take_double,
            _INTS | {"FP16", "FP32", "FP64", "UINT32", "INT64"},
        ),
        FieldType(
            "string", "BYTES", {"type": ["string", "null"]}, _take_string, frozenset({"BYTES"})
        ),
        FieldType(
            "binary",
            "BYTES",
            {"type": "string", "contentEncoding": "base64"},
            _take_binary,
            frozenset({"BYTES"}),
        ),
        FieldType(
            "datetime",
            "BYTES",
            {"type": ["string", "null"], "format": "date-time"},
            _take_datetime,
            frozenset({"BYTES"}),
        ),
    )
}


def dtype_of(kind: FieldType) -> np.dtype[Any]:
    """Return the type of the arrays that `kind` takes values into."""
    return _DTYPES[kind.name]


_DTYPES = {name: kind.take([], "").dtype for name, kind in _TYPES.items()}


def field_type(name: str) -> FieldType | None:
    """Return the type MLflow calls `name`, or None when it cannot be served."""
    return _TYPES.get(name)

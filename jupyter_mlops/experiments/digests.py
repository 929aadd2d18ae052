"""Digests of the values a cell reads, bounded in time however large the values are."""

from __future__ import annotations

import hashlib
import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["Budget", "ValueDigest", "digest_value"]

# A cell's values together cost well under a tenth of a second so, SHA-256 doing > 1 GB/s.
EXACT_VALUE = 32 << 20
EXACT_CELL = 64 << 20
SAMPLE_ROWS = 10_000
DEPTH = 12
ITEMS = 100_000


@dataclass(frozen=True)
class ValueDigest:
    """What a name stood for.

    Attributes
    ----------
    kind : str
        ``frame``, ``array``, ``function``, ``class``, ``module``, ``estimator``, ``value`` or
        ``opaque`` (an object whose content can't be read; only its type is known).
    digest : str
        SHA-256, hexadecimal.
    method : str
        ``exact``, ``sample`` (large: shape, types and 10,000 evenly spaced rows) or ``type``.
    """

    kind: str
    digest: str
    method: str = "exact"

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "digest": self.digest, "method": self.method}


class Budget:
    """How many bytes may still be read exactly; counted, not timed, so digests repeat."""

    def __init__(self, value: int = EXACT_VALUE, cell: int = EXACT_CELL) -> None:
        self.value = value
        self.left = cell

    def allows(self, size: int) -> bool:
        if size > self.value or size > self.left:
            return False
        self.left -= size
        return True


def digest_value(value: Any, budget: Budget | None = None) -> ValueDigest:
    """Digest one value by its content.

    Frames and arrays are digested by their cells and types, in order; functions and classes
    by their source; fitted estimators by their parameters and learned state. The digest
    identifies values between runs; it is no proof against a crafted collision of samples.

    Parameters
    ----------
    value : object
    budget : Budget, optional
        Shared by the values of one cell.

    Returns
    -------
    ValueDigest

    Examples
    --------
    >>> digest_value([1, 2]).digest == digest_value([1, 2]).digest
    True
    >>> digest_value(1).digest == digest_value(1.0).digest
    False
    """
    reader = _Reader(budget or Budget())
    kind = reader.read(value, 0)
    return ValueDigest(kind, reader.hash.hexdigest(), reader.method)


class _Reader:
    """Feeds a value into one hash, remembering how thorough it could be."""

    def __init__(self, budget: Budget) -> None:
        self.hash = hashlib.sha256()
        self.budget = budget
        self.method = "exact"
        self.open: set[int] = set()
        self.items = 0

    def read(self, value: Any, depth: int) -> str:
        """Add `value` to the hash; return its kind."""
        self.items += 1
        if value is None or isinstance(value, str | bytes | bool | int | float | complex):
            self._text(f"{type(value).__name__}:{value!r}")
            return "value"
        if isinstance(value, pd.DataFrame | pd.Series | pd.Index | pl.DataFrame | pl.Series):
            self._frame(value)
            return "frame"
        if isinstance(value, np.ndarray | np.generic):
            self._array(np.asarray(value))
            return "array"
        if isinstance(value, types.ModuleType):
            self._text(f"module:{value.__name__}:{getattr(value, '__version__', '')}")
            return "module"
        if isinstance(value, type):
            self._source(value)
            return "class"
        if callable(value) and hasattr(value, "__code__"):
            self._source(value)
            return "function"
        return self._object(value, depth)

    def _text(self, text: str) -> None:
        encoded = text.encode("utf-8", "surrogatepass")
        self.hash.update(len(encoded).to_bytes(8, "little") + encoded)

    def _source(self, value: Any) -> None:
        self._text(f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}")
        if _installed(value):
            return  # the environment's listing fixes library code
        try:
            self._text(inspect.getsource(value))
        except (OSError, TypeError):
            code = getattr(value, "__code__", None)
            if code is None:
                self.method = "type"
            else:
                self.hash.update(code.co_code)
                self._text(repr([c for c in code.co_consts if not hasattr(c, "co_code")]))
        for extra in (getattr(value, "__defaults__", None), getattr(value, "__closure__", None)):
            for cell in extra or ():
                self.read(getattr(cell, "cell_contents", cell), DEPTH - 1)

    def _frame(self, value: Any) -> None:
        if isinstance(value, pl.DataFrame | pl.Series):
            frame = value.to_frame() if isinstance(value, pl.Series) else value
            size, columns = int(frame.estimated_size()), frame.get_columns()
            self._text(f"polars:{frame.shape}:{frame.schema}")
            if not self.budget.allows(size):
                self.method = "sample"
                columns = frame[_spread(frame.height)].get_columns()
            for column in columns:
                self._arrow(column.to_arrow())
            return
        pandas = value if isinstance(value, pd.DataFrame) else value.to_frame()
        if len(pandas) * pandas.shape[1] > 0:
            size = int(pandas.memory_usage(index=True).sum())
        else:
            size = 0
        names = [(str(c), str(d)) for c, d in zip(pandas.columns, pandas.dtypes, strict=True)]
        self._text(f"pandas:{pandas.shape}:{names}")
        # Python objects cost some 50 times more to read than buffers.
        objects = sum(1 for dtype in pandas.dtypes if _is_object(dtype))
        if not self.budget.allows(size + 50 * 8 * objects * len(pandas)):
            self.method = "sample"
            pandas = pandas.iloc[_spread(len(pandas))]
        if not isinstance(pandas.index, pd.RangeIndex):
            self._column(pandas.index.to_series())
        else:
            self._text(repr(pandas.index))
        for position in range(pandas.shape[1]):
            self._column(pandas.iloc[:, position])

    def _column(self, column: pd.Series[Any]) -> None:
        if isinstance(column.dtype, np.dtype) and not _is_object(column.dtype):
            self._array(column.to_numpy(), counted=True)
            return
        try:
            self._arrow(pa.array(column))
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
            for item in column:
                self.read(item, DEPTH - 1)

    def _arrow(self, column: pa.Array | pa.ChunkedArray) -> None:
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no chunk at all stays chunked
            column = pa.array([], column.type)
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        self._text(f"{column.type}:{len(column)}")
        if column.null_count:
            self.hash.update(
                _bytes(np.packbits(pc.is_valid(column).to_numpy(zero_copy_only=False)))
            )
        if _texts(column.type):
            column = pc.fill_null(column, b"" if "binary" in str(column.type) else "")
            lengths = pc.binary_length(column).to_numpy(zero_copy_only=False)
            self.hash.update(_bytes(lengths.astype("<i8")))
            large = str(column.type).startswith("large")
            offsets = np.frombuffer(column.buffers()[1], dtype="<i8" if large else "<i4")
            start, end = offsets[column.offset], offsets[column.offset + len(column)]
            if end > start:
                self.hash.update(memoryview(column.buffers()[2])[start:end])
        elif pa.types.is_primitive(column.type) and not pa.types.is_boolean(column.type):
            plain = (
                column.view(f"int{column.type.bit_width}") if column.type.bit_width >= 8 else column
            )
            filled = pc.fill_null(plain, 0).to_numpy(zero_copy_only=False)
            self.hash.update(_bytes(filled))
        else:
            self._text(repr(column.to_pylist()))

    def _array(self, array: np.ndarray[Any, Any], counted: bool = False) -> None:
        self._text(f"array:{array.dtype.str}:{array.shape}")
        if array.dtype.hasobject:
            for item in array.ravel()[:ITEMS]:
                self.read(item, DEPTH - 1)
            if array.size > ITEMS:
                self.method = "sample"
            return
        if not counted and not self.budget.allows(array.nbytes):
            self.method = "sample"
            array = array[_spread(len(array))] if array.ndim else array
        self.hash.update(_bytes(array))

    def _object(self, value: Any, depth: int) -> str:
        name = f"{type(value).__module__}.{type(value).__qualname__}"
        self._text(name)
        if depth >= DEPTH or self.items > ITEMS:
            self.method = "type"
            return "opaque"
        if id(value) in self.open:
            return "value"  # a loop; it was fed where it begins
        self.open.add(id(value))
        try:
            if isinstance(value, Mapping):
                self._text(f"mapping:{len(value)}")
                for key in value:
                    self.read(key, depth + 1)
                    self.read(value[key], depth + 1)
                return "value"
            if isinstance(value, list | tuple):
                self._text(f"sequence:{len(value)}")
                for item in value:
                    self.read(item, depth + 1)
                return "value"
            if isinstance(value, set | frozenset):
                parts = sorted(digest_value(item).digest for item in value)
                self._text(repr(parts))
                return "value"
            return self._state(value, depth)
        finally:
            self.open.discard(id(value))

    def _state(self, value: Any, depth: int) -> str:
        estimator = hasattr(value, "get_params") and hasattr(value, "fit")
        if not _installed(type(value)):
            self._source(type(value))
        state = getattr(value, "__dict__", None)
        if estimator and isinstance(state, dict):
            for key in sorted(state):
                self._text(key)
                self.read(state[key], depth + 1)
            return "estimator"
        try:
            # Compiled objects (trees, generators, dates) have a state of plain values.
            reduced = value.__reduce_ex__(4)
        except Exception:  # any object may refuse in its own way; then only its type is known
            self.method = "type"
            return "opaque"
        if isinstance(reduced, tuple):
            self.read(reduced[1:3], depth + 1)
            return "value"
        self._text(str(reduced))
        return "value"


def _spread(rows: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Positions of up to `SAMPLE_ROWS` evenly spaced rows, first and last included."""
    return np.unique(np.linspace(0, max(rows - 1, 0), min(rows, SAMPLE_ROWS)).astype(np.int64))


def _bytes(array: np.ndarray[Any, Any]) -> memoryview:
    flat: Any = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return memoryview(flat)


def _is_object(dtype: Any) -> bool:
    return isinstance(dtype, np.dtype) and dtype.kind == "O"


def _texts(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _installed(value: Any) -> bool:
    """Whether the code of `value` belongs to Python or to an installed package."""
    from jupyter_mlops.experiments.localcode import is_installed

    return is_installed(getattr(value, "__module__", None) or "builtins")

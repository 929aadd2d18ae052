"""Columns that live on a GPU: counted, sorted and hashed there, with only sketches coming home.

The algebra is that of `columns`: what the device works out becomes the same `ColumnProfile`,
which merges with those made on the CPU.  All of it is written against the array module that
CuPy shares with NumPy.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.distinct import BITS, Distinct
from jupyter_mlops.profiling.moments import Moments
from jupyter_mlops.profiling.values import BATCH_TOP, THIN
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["profile_device", "update_on_device"]

#: Values worked on at once: what is made of them takes a few times as much memory.
_CHUNK: Final = 1 << 24
_SALT: Final = 0x2545F4914F6CDD1D


def profile_device(columns: Any) -> dict[str, ColumnProfile]:
    """Profile the columns of a cuDF frame, or CuPy arrays by name.

    Parameters
    ----------
    columns : cudf.DataFrame or mapping of str to cupy.ndarray
        Numbers and booleans are worked out on the device; of a frame's other columns (texts,
        dates) the values come to the host.

    Returns
    -------
    dict of str to ColumnProfile
        As the CPU's passes make them, and to be merged with those.

    Raises
    ------
    Invalid
        An array is of a type that has no order, or has more than one dimension.

    Examples
    --------
    >>> profile_device({"x": cupy.arange(5)})["x"].moments.mean  # doctest: +SKIP
    2.0
    """
    if isinstance(columns, Mapping):
        found = {}
        for name, values in columns.items():
            found[name] = ColumnProfile.of(name, _type(name, values))
            update_on_device(found[name], values)
        return found
    found = {}
    for name in columns.columns:
        series = columns[name]
        present = series.dropna()
        if getattr(series.dtype, "kind", "O") in "iufb":
            made = ColumnProfile.of(str(name), _type(str(name), series))
            made.rows = made.missing = len(series) - len(present)
            update_on_device(made, present.values)
        else:
            host = pl.Series(str(name), series.to_arrow())
            made = ColumnProfile.of(str(name), host.dtype)
            made.update(host)
        found[str(name)] = made
    return found


def update_on_device(profile: ColumnProfile, values: Any) -> None:
    """Add an array of a device's (or NumPy's) numbers to a profile; NaN counts as missing."""
    for start in range(0, len(values), _CHUNK):
        _update(profile, values[start : start + _CHUNK])


def _update(profile: ColumnProfile, values: Any) -> None:
    xp = _module(values)
    profile.rows += len(values)
    if values.dtype.kind == "b":
        yes = int(xp.count_nonzero(values))
        counts = [(shown, n) for shown, n in ((True, yes), (False, len(values) - yes)) if n]
        shown = pl.Series([value for value, _ in counts])
        profile.values.update(shown, np.array([n for _, n in counts]))
        return
    if values.dtype.kind == "f":
        values = values.astype(xp.float64)
        empty = xp.isnan(values)
        missing = int(xp.count_nonzero(empty))
        profile.missing += missing
        finite = xp.isfinite(values)
        held = int(xp.count_nonzero(finite))
        profile.infinite += len(values) - held - missing
        values = values[finite] if held < len(values) else values
    if not len(values):
        return
    ordered = xp.sort(values)
    numbers = ordered.astype(xp.float64)
    low, high = float(numbers[0]), float(numbers[-1])
    profile.low = low if profile.low is None else min(low, profile.low)
    profile.high = high if profile.high is None else max(high, profile.high)
    profile.negatives += int(xp.count_nonzero(values < 0))
    profile.zeros += int(xp.count_nonzero(values == 0))
    mean = float(numbers.mean())
    gap = numbers - mean
    square = gap * gap
    sums = (square.sum(), (square * gap).sum(), (square * square).sum())
    profile.moments.merge(Moments(len(numbers), mean, *(float(one) for one in sums)))
    starts = xp.flatnonzero(xp.concatenate([xp.ones(1, bool), ordered[1:] != ordered[:-1]]))
    unique = ordered[starts]
    counts = xp.diff(xp.concatenate([starts, xp.full(1, len(ordered), starts.dtype)]))
    if profile.values.exact and len(unique) <= 4 * profile.values.limit:
        profile.values.update(pl.Series(_host(unique)), _host(counts), _host(numbers))
        return
    bar = 0
    frequent = xp.flatnonzero(counts > 1)
    if len(frequent) > BATCH_TOP:
        order = xp.argsort(-counts[frequent])
        bar = int(counts[frequent][order[BATCH_TOP]])
        frequent = xp.sort(frequent[order[:BATCH_TOP]])
    elif len(frequent) < len(unique):
        bar = 1
    kept = frequent[counts[frequent] > bar]
    profile.values.update_sketched(
        _registers(unique, xp),
        _host(numbers[THIN // 2 :: THIN]),
        pl.Series(_host(unique[kept])),
        _host(counts[kept]),
        bar,
    )


def _registers(unique: Any, xp: Any) -> Distinct:
    """The sketch of different numbers: `hashing.hash_column` and `Distinct.update`, over there."""
    floats = unique.astype(xp.float64) + 0.0
    words = floats.view(xp.uint64)
    x = words ^ xp.uint64(_SALT)
    if unique.dtype.kind in "iu" and unique.dtype.itemsize == 8:
        beyond = (floats > 2.0**53) | (floats < -(2.0**53))
        second = xp.where(beyond, unique.astype(xp.uint64), xp.uint64(0))
        x = x + second * xp.uint64(0xD1B54A32D192ED03)
    for shift, odd in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        x = (x ^ (x >> xp.uint64(shift))) * xp.uint64(odd)
    place = (x >> xp.uint64(64 - BITS)).astype(xp.int64)
    rest = (x << xp.uint64(BITS)) >> xp.uint64(11) | xp.uint64(4)
    rank = (54 - xp.frexp(rest.astype(xp.float64))[1]).astype(xp.int32)
    registers = xp.zeros(1 << BITS, dtype=xp.int32)
    xp.maximum.at(registers, place, rank)
    return Distinct(_host(registers).astype(np.uint8))


def _module(values: Any) -> Any:
    """NumPy, or the module that works on the arrays of a device."""
    if isinstance(values, np.ndarray):
        return np
    import cupy

    return cupy


def _host(values: Any) -> np.ndarray[Any, Any]:
    return values if isinstance(values, np.ndarray) else values.get()


def _type(name: str, values: Any) -> pl.DataType:
    if getattr(values, "ndim", 1) != 1 or values.dtype.kind not in "iufb":
        raise Invalid(
            f"{name!r} is no column of numbers or booleans",
            f"it has {values.ndim} dimensions of {values.dtype}",
            "give one array a column",
            code="E-PROFILE-046",
        )
    return pl.Series(np.zeros(0, dtype=np.dtype(str(values.dtype)))).dtype

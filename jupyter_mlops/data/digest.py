"""The content digest of a table: the same rows are the same version, wherever they came from.

The digest covers the column names in order, their logical types and the **multiset of rows**.
It does not depend on the order of rows or files, on row groups or batches, on the library
that held the frame, on integer or float widths, or on the unit of a timestamp.  Each row is a
128-bit hash of its values: their words (see `hashing`) go through two rounds of shift, exclusive
or and multiplication by odd keys made of the column's name; what comes out of the first round is
summed over the columns in one lane, what comes out of the second in the other, and both sums are
finalised.  Rows are added modulo 2**64 a lane, so batches can be digested anywhere and merged,
and repeated rows count as often as they occur.

Row order is left out on purpose: a dataset is stored once per digest and always read back in
the stored order, so a version still gives the same frame every time, while a glob listed in
another order or a table written by parallel workers is not taken for new data.

The digest names content; it is not a seal against someone who crafts colliding numbers.
"""

from __future__ import annotations

import hashlib
import json
from typing import Final

import numpy as np
import polars as pl

from jupyter_mlops.data.hashing import Hashes, Words, mix, words_of

BATCH: Final = 131_072
_LANES: Final = (0, 1)
_SHIFTS: Final = (np.uint64(32), np.uint64(29))
_BLOCK: Final = 8192


def logical_type(dtype: pl.DataType) -> str:
    """Name the kind of values a column holds, without the width it is stored in.

    Examples
    --------
    >>> logical_type(pl.Int32()), logical_type(pl.Datetime("ns", "Europe/Paris"))
    ('integer', 'datetime UTC')
    """
    if dtype.is_integer():
        return "integer"
    if dtype.is_float():
        return "float"
    if isinstance(dtype, pl.Datetime):
        return "datetime UTC" if dtype.time_zone else "datetime"
    if dtype == pl.String or isinstance(dtype, pl.Categorical | pl.Enum):
        return "text"
    if isinstance(dtype, pl.List | pl.Array):
        return f"list of {logical_type(dtype.inner)}"  # type: ignore[arg-type]
    if isinstance(dtype, pl.Struct):
        inner = ", ".join(f"{f.name}: {logical_type(f.dtype)}" for f in dtype.fields)  # type: ignore[arg-type]
        return f"record of {inner}"
    names = {"Duration": "duration", "Decimal": "decimal", "Binary": "bytes", "Null": "empty"}
    name = type(dtype).__name__
    return names.get(name, name.lower())


class Digest:
    """A digest under construction, fed batch by batch.

    Examples
    --------
    >>> a = Digest(pl.Schema({"x": pl.Int64()}))
    >>> a.update(pl.DataFrame({"x": [1, 2]}))
    >>> b = Digest(pl.Schema({"x": pl.Int64()}))
    >>> b.update(pl.DataFrame({"x": [2]}))
    >>> b.update(pl.DataFrame({"x": [1]}))
    >>> a.hexdigest() == b.hexdigest()
    True
    """

    def __init__(self, schema: pl.Schema) -> None:
        self.types = {name: logical_type(dtype) for name, dtype in schema.items()}
        self.rows = 0
        self._sums = [0, 0]
        # A float column that has gaps and only whole numbers is what pandas makes of integers
        # with gaps; these two facts tell it apart from real floats at the end.
        self._whole = {name: True for name, kind in self.types.items() if kind == "float"}
        self._gaps = dict.fromkeys(self._whole, False)
        self._keys = {
            name: np.frombuffer(
                hashlib.blake2b(name.encode(), digest_size=32).digest(), dtype="<u8"
            )
            | np.uint64(1)
            for name in self.types
        }

    def update(self, batch: pl.DataFrame) -> Hashes | None:
        """Add the rows of a batch that has the columns this digest was made for.

        Returns
        -------
        array of uint64, shape (n,), or None
            One lane's hash of each row, for whoever wants to tell rows apart.
        """
        if not batch.height:
            return None
        totals = self.blank(batch.height)
        for name in self.types:
            self.add(name, batch[name], words_of(batch[name]), totals)
        return self.close([totals])

    def blank(self, rows: int) -> list[Hashes]:
        """Lanes for a batch, to `add` its columns to; each thread needs lanes of its own."""
        return [np.zeros(rows, dtype=np.uint64) for _ in _LANES]

    def add(self, name: str, column: pl.Series, words: Words, lanes: list[Hashes]) -> None:
        """Add a column of a batch, whose words are known, to the lanes."""
        keys = self._keys[name]
        for place, one in enumerate(words):
            if one is not None:
                _add(lanes, one, keys[2 * place : 2 * place + 2])
        if self._whole.get(name):
            column = column.fill_nan(None)
            self._gaps[name] |= column.null_count() > 0
            self._whole[name] = bool((column == column.floor()).all())

    def close(self, parts: list[list[Hashes]]) -> Hashes:
        """Add a batch whose columns have all been added to one of these lanes."""
        totals = parts[0]
        for part in parts[1:]:
            for total, more in zip(totals, part, strict=True):
                total += more
        rows = [mix(total) for total in totals]
        self.rows += len(rows[0])
        for lane, row in enumerate(rows):
            self._sums[lane] = (self._sums[lane] + int(row.sum(dtype=np.uint64))) % 2**64
        return rows[1]

    def merge(self, other: Digest) -> None:
        """Add the rows another digest of the same columns has seen."""
        self.rows += other.rows
        for lane in _LANES:
            self._sums[lane] = (self._sums[lane] + other._sums[lane]) % 2**64
        for name in self._whole:
            self._whole[name] &= other._whole[name]
            self._gaps[name] |= other._gaps[name]

    def hexdigest(self) -> str:
        """The digest: 32 hexadecimal digits."""
        widened = {n for n in self._whole if self._whole[n] and self._gaps[n]}
        types = [[n, "integer" if n in widened else kind] for n, kind in self.types.items()]
        described = json.dumps([2, types, self.rows, self._sums], ensure_ascii=True)
        return hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


def _add(totals: list[Hashes], words: Hashes, keys: Hashes) -> None:
    """Add a column's words to the lanes, block by block so that all stays in the cache."""
    one = np.empty(min(_BLOCK, len(words)), dtype=np.uint64)
    two = np.empty_like(one)
    for start in range(0, len(words), _BLOCK):
        block = words[start : start + _BLOCK]
        x, y = one[: len(block)], two[: len(block)]
        np.right_shift(block, _SHIFTS[0], out=x)
        x ^= block
        x *= keys[0]
        totals[0][start : start + _BLOCK] += x
        np.right_shift(x, _SHIFTS[1], out=y)
        x ^= y
        x *= keys[1]
        totals[1][start : start + _BLOCK] += x


def digest(frame: pl.LazyFrame) -> str:
    """Digest a table in one streaming pass.

    Parameters
    ----------
    frame : polars.LazyFrame

    Returns
    -------
    str
        32 hexadecimal digits.

    Examples
    --------
    >>> digest(pl.LazyFrame({"x": [1, 2]})) == digest(pl.LazyFrame({"x": [2, 1]}))
    True
    """
    state = Digest(frame.collect_schema())
    for batch in frame.collect_batches(chunk_size=BATCH, maintain_order=False):
        state.update(batch)
    return state.hexdigest()

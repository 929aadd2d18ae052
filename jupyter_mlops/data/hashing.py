"""Vectorised 64-bit hashing of column values, the same on every machine and version.

Dataset digests and distinct-value sketches are stored and compared years later, so they
cannot rest on a hash that an upgrade of a data-frame library may change.  Everything here is
arithmetic modulo 2**64 on NumPy arrays:

* integers, dates and times go through the SplitMix64 finaliser (Steele, Lea, Flood 2014),
  which is a bijection: two different integers never collide;
* texts and bytes are polynomials over an odd base (Karp, Rabin 1987), then finalised;
  values longer than `LONG` bytes are hashed with BLAKE2b, so no crafted long text collides;
* whole floats hash as the integer they equal and NaN as missing, so a column keeps its
  hashes when pandas widens integers with gaps to floats.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]

LONG: Final = 256
MISSING: Final = 0x9E3779B97F4A7C15
_FRACTION: Final = np.uint64(0xD1B54A32D192ED03)
#: Bytes of text hashed at once, so that the arrays stay in the processor's cache.
_BLOCK: Final = 1 << 16
_BASES: Final = (0x9FB21C651E98DF25, 0xC6A4A7935BD1E995)
_SALT: Final = np.uint64(0x2545F4914F6CDD1D)


def _powers(base: int) -> Hashes:
    """Powers of `base` modulo 2**64, one for each byte of a block."""
    factors = np.full(_BLOCK, base % 2**64, dtype=np.uint64)
    factors[0] = 1
    return np.cumprod(factors)


_POWERS: Final = tuple(_powers(base) for base in _BASES)
#: An odd number has an inverse modulo 2**64.
_INVERSES: Final = tuple(_powers(pow(base, -1, 2**64)) for base in _BASES)


def mix(values: Hashes) -> Hashes:
    """Finalise 64-bit values so that every input bit moves every output bit.

    Parameters
    ----------
    values : array of uint64, shape (n,)

    Returns
    -------
    array of uint64, shape (n,)
        A new array; equal inputs give equal outputs and different inputs different ones.

    Examples
    --------
    >>> mix(np.array([1, 2], dtype=np.uint64)).tolist()
    [6238072747940578789, 15839785061582574730]
    """
    x = values ^ (values >> np.uint64(30))
    x *= np.uint64(0xBF58476D1CE4E5B9)
    x ^= x >> np.uint64(27)
    x *= np.uint64(0x94D049BB133111EB)
    x ^= x >> np.uint64(31)
    return x


def hash_column(values: pl.Series) -> Hashes:
    """Hash every value of a column; missing values (and NaN) get one fixed hash.

    Parameters
    ----------
    values : polars.Series, length n

    Returns
    -------
    array of uint64, shape (n,)

    Examples
    --------
    >>> bool(hash_column(pl.Series([3]))[0] == hash_column(pl.Series([3.0]))[0])
    True
    """
    (words,) = words_of(values, lanes=1)
    return hash_words(words)


def hash_words(words: Hashes) -> Hashes:
    """The hashes of values whose words (of one lane) are known already."""
    return mix(words ^ _SALT)


def words_of(values: pl.Series, lanes: int = 2) -> list[Hashes]:
    """Bring every value into 64 bits; different values give different words.

    For numbers, dates and times the word *is* the value and the lanes are the same array; for
    texts each lane is a fingerprint of its own, so that two of them make 128 bits.  Words are
    not yet well mixed: see `mix`.

    Parameters
    ----------
    values : polars.Series, length n
    lanes : {1, 2}

    Returns
    -------
    list of `lanes` arrays of uint64, shape (n,)
    """
    dtype = values.dtype
    if dtype.is_float():
        return [_floats(values.cast(pl.Float64))] * lanes
    if dtype in (pl.String, pl.Binary) or isinstance(dtype, pl.Categorical | pl.Enum):
        words = _texts(values if dtype == pl.Binary else values.cast(pl.String), lanes)
    elif dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128):
        words = [_integers(values)] * lanes
    elif dtype in (pl.Boolean, pl.Date, pl.Time):
        words = [_integers(values.to_physical().cast(pl.Int64))] * lanes
    elif dtype in (pl.Datetime, pl.Duration):
        words = [_instants(values)] * lanes
    else:
        words = _texts(as_text(values), lanes)
    if values.null_count():
        gaps = values.is_null().to_numpy()
        words = [np.where(gaps, np.uint64(MISSING), one) for one in words]
    return words


def as_text(values: pl.Series) -> pl.Series:
    """Write values that have no 64-bit form (decimals, lists, structs) as canonical text."""
    dtype = values.dtype
    if isinstance(dtype, pl.Struct):
        return values.struct.json_encode()
    if dtype.is_nested():
        wrapped = values.rename("v").to_frame().to_struct("v").struct.json_encode()
        return wrapped.set(values.is_null(), None)
    if dtype.is_decimal():
        text = values.cast(pl.String)
        return text.str.replace(r"(\.\d*?)0+$", "$1").str.strip_suffix(".")
    if dtype == pl.Object:
        return pl.Series(values.name, [None if v is None else repr(v) for v in values])
    return values.cast(pl.String)


def _integers(values: pl.Series) -> Hashes:
    if values.null_count():
        values = values.fill_null(0)
    if values.dtype == pl.UInt64:
        return values.to_numpy()
    return values.cast(pl.Int64).to_numpy().view(np.uint64)


def _floats(values: pl.Series) -> Hashes:
    numbers = values.to_numpy() + 0.0  # -0.0 becomes 0.0, and missing comes out as NaN
    # NaN and infinity convert to some integer or other, which then differs from them.
    with np.errstate(invalid="ignore"):
        whole = numbers.astype(np.int64)
    bits = np.where(
        (whole == numbers) & (np.abs(numbers) < 2.0**53),
        whole.view(np.uint64),
        numbers.view(np.uint64) ^ _FRACTION,
    )
    bits[np.isnan(numbers)] = np.uint64(MISSING)
    return bits


def _instants(values: pl.Series) -> Hashes:
    """Microseconds, so that the unit a library chose to store does not matter."""
    unit = getattr(values.dtype, "time_unit", "us")
    raw = values.to_physical().fill_null(0)
    if unit == "ms":
        raw = raw * 1000
    elif unit == "ns":
        micros = raw // 1000
        rest = (raw - micros * 1000).to_numpy().view(np.uint64)
        words = _integers(micros)
        # Values that need nanoseconds are told apart from all that don't.
        return np.where(rest == 0, words, mix(words ^ rest * np.uint64(MISSING)))
    return _integers(raw)


def _texts(values: pl.Series, lanes: int) -> list[Hashes]:
    if values.dtype == pl.Binary:
        filled: Any = values.fill_null(b"").to_arrow()
    else:
        filled = values.fill_null("").to_arrow()
    _, offsets_buffer, data_buffer = filled.buffers()
    wide = str(filled.type).startswith("large")
    raw = np.frombuffer(offsets_buffer, dtype=np.dtype("<i8" if wide else "<i4"))
    offsets = raw[filled.offset : filled.offset + len(filled) + 1].astype(np.int64)
    data = np.frombuffer(data_buffer or b"", dtype=np.uint8)
    out = [np.zeros(len(filled), dtype=np.uint64) for _ in range(lanes)]
    first = 0
    while first < len(filled):
        last = int(np.searchsorted(offsets, offsets[first] + _BLOCK, side="right")) - 1
        last = min(max(last, first + 1), len(filled))
        for lane, words in enumerate(_text_block(data, offsets[first : last + 1], lanes)):
            out[lane][first:last] = words
        first = last
    return out


def _text_block(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64], lanes: int
) -> list[Hashes]:
    starts, lengths = offsets[:-1], np.diff(offsets)
    sums = [lengths.astype(np.uint64) for _ in range(lanes)]
    filled = lengths > 0
    size = int(offsets[-1] - offsets[0])
    if filled.any() and size <= _BLOCK:
        byte = data[offsets[0] : offsets[-1]].astype(np.uint64) + np.uint64(1)
        begins = (starts - offsets[0])[filled]
        for lane in range(lanes):
            # One polynomial over the whole block; dividing each text's part by the power at
            # its beginning gives the polynomial of the text alone.
            parts = np.add.reduceat(byte * _POWERS[lane][:size], begins)
            sums[lane][filled] += parts * _INVERSES[lane][begins]
    for i in np.flatnonzero(lengths > LONG):
        raw = data[starts[i] : starts[i] + lengths[i]].tobytes()
        digest = hashlib.blake2b(raw, digest_size=16).digest()
        for lane in range(lanes):
            sums[lane][i] = int.from_bytes(digest[8 * lane : 8 * lane + 8], "little")
    return sums

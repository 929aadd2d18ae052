"""Vectorised hashing of column values, the same on every machine and version.

Dataset digests and distinct-value sketches are stored and compared years later, so they
cannot rest on a hash that an upgrade of a data-frame library may change.  Everything here is
arithmetic modulo 2**64 on NumPy arrays.  A value becomes two words of 64 bits, which no other
value of its column shares:

* numbers, dates and times are the bits of the float64 they equal, so a column keeps its words
  when pandas widens integers with gaps to floats; the second word is zero unless a float64
  can't hold the integer, and then is the integer;
* texts and bytes of up to 12 bytes *are* the words: their length and their bytes, laid out as
  an Arrow string view; longer ones are two independent multiply-and-shift chains over their
  eight-byte pieces, and beyond `LONG` bytes BLAKE2b, so that no crafted long text collides.

Words aren't mixed: `hash_words` and the digest do that, by bijections in the manner of the
SplitMix64 finaliser (Steele, Lea, Flood 2014).
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

Hashes = npt.NDArray[np.uint64]
#: The two words of each value of a column; the second is None when all are zero.
Words = tuple[Hashes, Hashes | None]

LONG: Final = 256
MISSING: Final = np.uint64(0x9E3779B97F4A7C15)
_SALT: Final = np.uint64(0x2545F4914F6CDD1D)
_ODD: Final = np.uint64(0xD1B54A32D192ED03)
_CHAINS: Final = (
    (np.uint64(0x9FB21C651E98DF25), np.uint64(32)),
    (np.uint64(0xC6A4A7935BD1E995), np.uint64(29)),
)
#: Float64 holds every integer up to here.
_WHOLE: Final = 2**53
_INLINE: Final = 12
#: More buffers than these are brought together first.
_BUFFERS: Final = 16
#: Long texts hashed at once, so that what they need stays in the processor's cache.
_BLOCK: Final = 8192


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
    x = values >> np.uint64(30)
    x ^= values
    shifted = np.empty_like(x)
    x *= np.uint64(0xBF58476D1CE4E5B9)
    np.right_shift(x, np.uint64(27), out=shifted)
    x ^= shifted
    x *= np.uint64(0x94D049BB133111EB)
    np.right_shift(x, np.uint64(31), out=shifted)
    x ^= shifted
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
    return hash_words(*words_of(values))


def hash_words(first: Hashes, second: Hashes | None = None) -> Hashes:
    """The hashes of values whose words are known already."""
    x = first ^ _SALT
    if second is not None:
        x += second * _ODD
    return mix(x)


def words_of(values: pl.Series) -> Words:
    """Bring every value into two 64-bit words; different values give different words.

    Parameters
    ----------
    values : polars.Series, length n

    Returns
    -------
    first, second : arrays of uint64, shape (n,)
        `second` is None when it would be all zeros.

    Examples
    --------
    >>> words_of(pl.Series([2.0]))[0].view(float).tolist()
    [2.0]
    """
    dtype = values.dtype
    if dtype.is_float():
        return _floats(values), None
    if dtype in (pl.String, pl.Binary):
        return _texts(values)
    if isinstance(dtype, pl.Categorical | pl.Enum):
        return _texts(values.cast(pl.String))
    if dtype.is_integer() and dtype not in (pl.Int128, pl.UInt128):
        return _integers(values)
    if dtype in (pl.Boolean, pl.Date, pl.Time):
        return _integers(values.to_physical().cast(pl.Int64))
    if dtype in (pl.Datetime, pl.Duration):
        return _instants(values)
    return _texts(as_text(values))


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


def _floats(values: pl.Series) -> Hashes:
    numbers = values.cast(pl.Float64).to_numpy() + 0.0  # -0.0 becomes 0.0, missing is NaN
    bits = numbers.view(np.uint64)
    gaps = np.isnan(numbers)
    if gaps.any():
        bits[gaps] = MISSING
    return bits


def _integers(values: pl.Series) -> Words:
    gaps = values.is_null().to_numpy() if values.null_count() else None
    whole = (values.fill_null(0) if gaps is not None else values).to_numpy()
    bits = whole.astype(np.float64).view(np.uint64)
    second = None
    if whole.dtype.itemsize == 8 and whole.size:
        low, high = int(whole.min()), int(whole.max())
        if high > _WHOLE or low < -_WHOLE:
            beyond = (whole > _WHOLE) | (whole < -_WHOLE) if low < 0 else whole > _WHOLE
            second = np.where(beyond, whole.view(np.uint64), np.uint64(0))
    if gaps is not None:
        bits[gaps] = MISSING
    return bits, second


def _instants(values: pl.Series) -> Words:
    """Microseconds, so that the unit a library chose to store does not matter."""
    unit = getattr(values.dtype, "time_unit", "us")
    raw = values.to_physical()
    if unit == "us":
        return _integers(raw)
    if unit == "ms":
        return _integers(raw * 1000)
    micros = raw // 1000
    first, second = _integers(micros)
    # Values that need nanoseconds are told apart from all that don't.
    rest = (raw - micros * 1000).fill_null(0).to_numpy().astype(np.uint64) << np.uint64(54)
    if not rest.any():
        return first, second
    return first, rest if second is None else second + rest


def _texts(values: pl.Series) -> Words:
    array: Any = values.to_arrow(compat_level=pl.CompatLevel.newest())
    buffers = array.buffers()
    n = len(array)
    if not n:
        return np.zeros(0, dtype=np.uint64), None
    views = np.frombuffer(buffers[1], dtype="<u8", count=2 * n, offset=16 * array.offset)
    first, second = views[0::2].copy(), views[1::2].copy()
    lengths = first.astype(np.uint32)
    gaps = values.is_null().to_numpy() if values.null_count() else None
    if gaps is not None:
        first[gaps], second[gaps], lengths[gaps] = MISSING, 0, 0
    long = np.flatnonzero(lengths > _INLINE)
    if long.size:
        sizes = lengths[long].astype(np.int64)
        place = (second[long] >> np.uint64(32)).astype(np.int64)
        buffer = second[long].astype(np.uint32)
        used = np.flatnonzero(np.bincount(buffer))
        if len(used) > _BUFFERS:
            data, starts = _gathered(values, long)
            first[long], second[long] = _chained(data, starts, sizes, first[long])
        else:
            for one in used:
                data = np.frombuffer(buffers[2 + int(one)], dtype=np.uint8)
                mine = np.arange(len(long)) if len(used) == 1 else np.flatnonzero(buffer == one)
                for start in range(0, len(mine), _BLOCK):
                    some = mine[start : start + _BLOCK]
                    rows = long[some]
                    chains = _chained(data, place[some], sizes[some], first[rows])
                    first[rows], second[rows] = chains
    return first, second if second.any() else None


def _gathered(
    values: pl.Series, rows: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The bytes of some values in one buffer, and where each begins."""
    array: Any = values.gather(rows).cast(pl.Binary).to_arrow(compat_level=pl.CompatLevel.oldest())
    _, offsets, data = array.buffers()
    starts = np.frombuffer(offsets, dtype="<i8", count=len(array), offset=8 * array.offset)
    return np.frombuffer(data, dtype=np.uint8), starts


def _chained(
    data: npt.NDArray[np.uint8],
    starts: npt.NDArray[np.int64],
    sizes: npt.NDArray[np.int64],
    first: Hashes,
) -> tuple[Hashes, Hashes]:
    """Two chains over the bytes of texts longer than `_INLINE` bytes.

    The first word (length and four bytes) opens both; then come the eight-byte pieces from the
    fifth byte on, the last of which ends with the text and so may overlap the one before.
    """
    # Mixed, or a change in the first bytes could be undone by one eight bytes on.
    chains = [mix(first ^ odd) for odd, _ in _CHAINS]
    for i in np.flatnonzero(sizes > LONG):
        raw = hashlib.blake2b(data[starts[i] : starts[i] + sizes[i]].data, digest_size=16).digest()
        for chain, half in zip(chains, (raw[:8], raw[8:]), strict=True):
            chain[i] = int.from_bytes(half, "little")
    steps = (sizes + 3) >> 3
    order = np.argsort(-steps.clip(max=LONG).astype(np.int16), kind="stable")
    if sizes.max() > LONG:
        order = order[sizes[order] <= LONG]
    # The longest first, so that those with a piece left are always a slice from the beginning.
    behind = -steps[order]
    at, last = (starts + 4)[order], (starts + sizes - 8)[order]
    running = [chain[order] for chain in chains]
    pieces = np.lib.stride_tricks.as_strided(
        data[:8].view("<u8"), (len(data) - 7,), (1,), writeable=False
    )
    for step in range(-int(behind[0]) if len(order) else 0):
        alive = int(np.searchsorted(behind, -step))
        word = pieces[np.minimum(at[:alive] + 8 * step, last[:alive])]
        for chain, (odd, shift) in zip(running, _CHAINS, strict=True):
            part = chain[:alive]
            part ^= word
            part *= odd
            part ^= part >> shift
    for chain, done in zip(chains, running, strict=True):
        chain[order] = done
    return chains[0], chains[1]

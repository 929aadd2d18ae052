"""Arrays as PNG images, so that a frame can carry what a person is to look at."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlops.workspace.errors import Invalid

__all__ = ["pictures", "png"]


def png(pixels: NDArray[Any]) -> bytes:
    """Make a PNG image of an array (ISO/IEC 15948, eight bits a sample).

    Parameters
    ----------
    pixels : ndarray, shape (height, width) or (height, width, 3)
        Grey or RGB. Bytes are taken as they are; other numbers are spread from their
        smallest to their largest value over 0 to 255.

    Returns
    -------
    bytes

    Raises
    ------
    ValueError
        The array has another shape, is empty, or holds no finite numbers.

    Examples
    --------
    >>> png(np.zeros((8, 8)))[:4]
    b'\\x89PNG'
    """
    array = np.asarray(pixels)
    colour = array.ndim == 3 and array.shape[2] == 3
    if (array.ndim != 2 and not colour) or not array.size:
        raise ValueError(f"an image has the shape (h, w) or (h, w, 3), not {array.shape}")
    if array.dtype != np.uint8:
        array = _spread(array.astype(np.float64))
    height, width = array.shape[:2]
    # Each line starts with its filter's number: 0, none.
    lines = np.zeros((height, 1 + array[0].size), np.uint8)
    lines[:, 1:] = array.reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if colour else 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", header),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )


def pictures(data: Any) -> Any:
    """Make PNG images of the arrays in `data`, which no table could hold otherwise.

    Parameters
    ----------
    data : ndarray, data frame or anything else
        A stack of images, shape (n, height, width) or (n, height, width, 3), becomes a frame
        with the column ``image``. Columns of arrays in a pandas frame become columns of bytes.
        Anything else is returned as it is.

    Raises
    ------
    Invalid
        A row of such a column is no image.

    Examples
    --------
    >>> pictures(np.zeros((5, 8, 8))).shape
    (5, 1)
    """
    if isinstance(data, np.ndarray) and data.ndim in {3, 4}:
        import polars as pl

        return pl.DataFrame({"image": [_row(one, row) for row, one in enumerate(data)]})
    if type(data).__module__.partition(".")[0] != "pandas" or not hasattr(data, "columns"):
        return data
    made = {}
    for name in data.columns:
        column = data[name]
        first = next((one for one in column if one is not None), None) if len(column) else None
        if isinstance(first, np.ndarray) and first.ndim in {2, 3}:
            made[name] = [_row(one, row) for row, one in enumerate(column)]
    return data.assign(**made) if made else data


def _row(pixels: Any, row: int) -> bytes:
    try:
        return png(pixels)
    except (ValueError, TypeError) as error:
        raise Invalid(f"row {row} is no image", str(error), code="E-LABEL-036") from None


def _spread(array: NDArray[np.float64]) -> NDArray[np.uint8]:
    low, high = array.min(), array.max()
    if not np.isfinite(high - low):
        raise ValueError("an image's samples are finite numbers")
    scaled = (array - low) * (255 / (high - low)) if high > low else np.zeros_like(array)
    rounded: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return rounded


def _chunk(kind: bytes, content: bytes) -> bytes:
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))

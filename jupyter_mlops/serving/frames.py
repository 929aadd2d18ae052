"""Messages between an endpoint's gateway and its models: length, then MessagePack, then no code.

A model's process is not trusted: what it answers is numbers, strings and arrays of them, and
nothing that Python would execute while it reads.
"""

from __future__ import annotations

import socket
import struct
from typing import Any, Final

import msgpack  # type: ignore[import-untyped]
import numpy as np

__all__ = ["LENGTH", "MOST", "Mailbox", "pack", "receive", "unpack"]

LENGTH: Final = struct.Struct("<I")
#: Bytes of a message.
MOST: Final = 1 << 30
_SMALL: Final = 1 << 16
_NUMBERS, _OBJECTS = 1, 2
_KINDS: Final = frozenset("biufM")


def pack(message: dict[str, Any]) -> bytes:
    """Return a message as it travels.

    Parameters
    ----------
    message : dict
        Of plain values and one- or two-dimensional arrays.

    Examples
    --------
    >>> unpack(pack({"rows": np.arange(3)})[4:])["rows"].tolist()
    [0, 1, 2]
    """
    content: bytes = msgpack.packb(message, default=_array)
    if len(content) > MOST:
        raise ValueError(f"a message of {len(content):,} bytes is too large")
    return LENGTH.pack(len(content)) + content


def unpack(content: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Read a message without its length.

    Raises
    ------
    ValueError
        It is no message.
    """
    try:
        found = msgpack.unpackb(content, ext_hook=_known, strict_map_key=False)
    except (msgpack.UnpackException, TypeError, UnicodeDecodeError) as error:
        raise ValueError(f"no message: {error}") from None
    if not isinstance(found, dict):
        raise ValueError("no message: not a map")
    return found


def receive(connection: socket.socket) -> dict[str, Any] | None:
    """Wait for the next message on a blocking socket; None when the other side is gone."""
    head = _exactly(connection, LENGTH.size)
    if head is None:
        return None
    content = _exactly(connection, LENGTH.unpack(head)[0])
    return None if content is None else unpack(content)


class Mailbox:
    """Messages that come on a blocking socket; a small one is read at once.

    Parameters
    ----------
    connection : socket.socket
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._space = bytearray(_SMALL)
        self._view = memoryview(self._space)

    def next(self) -> dict[str, Any] | None:
        """Wait for the next message, before which nothing was answered; None at the end."""
        filled = 0
        while filled < LENGTH.size:
            try:
                count = self._connection.recv_into(self._view[filled:])
            except ConnectionError:
                return None
            if count == 0:
                return None
            filled += count
        size = LENGTH.unpack_from(self._space)[0]
        came = filled - LENGTH.size
        if came > size:
            raise ValueError("messages come one at a time")
        if came == size:
            return unpack(self._view[LENGTH.size : filled])
        content = _exactly(self._connection, size, self._view[LENGTH.size : filled])
        return None if content is None else unpack(content)


def _exactly(
    connection: socket.socket, size: int, begun: bytes | memoryview = b""
) -> bytearray | None:
    """Read so many bytes, of which some have come; None when the other side is gone."""
    if size > MOST:
        raise ValueError(f"a message of {size:,} bytes is too large")
    content = bytearray(size)
    view, filled = memoryview(content), len(begun)
    view[:filled] = begun
    while filled < size:
        try:
            count = connection.recv_into(view[filled:])
        except ConnectionError:
            return None
        if count == 0:
            return None
        filled += count
    return content


def _array(value: object) -> Any:
    if isinstance(value, np.ndarray):
        if value.dtype.kind in _KINDS:
            head: bytes = msgpack.packb((value.dtype.str, value.shape))
            return msgpack.ExtType(_NUMBERS, bytes((len(head),)) + head + value.tobytes())
        # Strings, bytes, booleans with holes.
        return msgpack.ExtType(_OBJECTS, msgpack.packb(value.tolist(), default=_array))
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} can't travel")


def _known(code: int, content: bytes) -> Any:
    if code == _NUMBERS:
        start = 1 + content[0]
        kind, shape = msgpack.unpackb(content[1:start])
        found = np.dtype(kind)
        if found.kind not in _KINDS:
            raise ValueError(f"no array of {kind} travels")
        # Copied: compiled code of models refuses arrays that it may not write.
        return np.frombuffer(content, found, offset=start).reshape(shape).copy()
    if code == _OBJECTS:
        values = msgpack.unpackb(content)
        out = np.empty(len(values), dtype=object)
        for place, value in enumerate(values):  # an assignment at once would take lists apart
            out[place] = value
        return out
    raise ValueError(f"no extension {code} is known")

"""Keyed hashes that stand for values in the log: the same value, the same hash, and no way back.

HMAC (RFC 2104) with SHA-256. Without the workspace's key nobody can try values out.
"""

from __future__ import annotations

import hmac
import os
from pathlib import Path
from typing import Any, Final

import numpy as np

from jupyter_mlops.serving.fields import Array
from jupyter_mlops.workspace.errors import Unavailable

__all__ = ["HASHED", "Pseudonyms"]

#: What every hash begins with, so that one is never hashed again.
HASHED: Final = "hmac:"


class Pseudonyms:
    """Hashes values with a key.

    Parameters
    ----------
    key : bytes

    Examples
    --------
    >>> names = Pseudonyms(b"key")
    >>> names.of("a@b.org") == names.of("a@b.org") != Pseudonyms(b"other").of("a@b.org")
    True
    >>> names.of(17) == names.of(17.0) == names.of("17")
    True
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> Pseudonyms:
        """Take the key from its file.

        Raises
        ------
        Unavailable
            It is gone or belongs to somebody else.
        """
        try:
            return cls(Path(path).read_bytes())
        except OSError as error:
            raise Unavailable(
                "the key of the log's hashes cannot be read",
                f"{path}: {error.strerror}",
                "bring it back: with another key nothing logged so far could be joined",
                code="E-SERVE-076",
            ) from error

    def of(self, value: Any) -> str | None:
        """The hash of a value; None of what is missing."""
        content = _content(value)
        if content is None:
            return None
        return HASHED + hmac.digest(self._key, content, "sha256").hex()

    def again(self, text: str) -> str:
        """The hash of a text that may be one already."""
        return text if text.startswith(HASHED) else str(self.of(text))

    def column(self, values: Array) -> Array:
        """The hashes of a column, shape (n,)."""
        out = np.empty(len(values), dtype=object)
        dates = values.dtype.kind == "M"
        out[:] = [self.of(one) for one in (values if dates else values.tolist())]
        return out


def _content(value: Any) -> bytes | None:
    """A value as bytes that are the same however it was sent: 17, 17.0 and "17" are."""
    if value is None or value != value:
        return None
    if isinstance(value, bytes):
        return value
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).encode(errors="surrogatepass")

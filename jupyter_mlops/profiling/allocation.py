"""How the C library keeps what is freed while a table is profiled.

A batch's columns make temporary arrays of about a megabyte.  glibc fetches each of them from the
kernel anew, page by page, and hands it back at once, until the process has freed an array of
32 MB for the first time; Dask starts its workers with a setting under which that lasts for ever.
A pass over a table costs a quarter to a half less when the thresholds stand from its beginning
where glibc moves them by itself.  See ``mallopt(3)``.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Final

__all__ = ["hand_back", "keep_freed"]

_TRIM: Final = -1
_MMAP: Final = -3
#: The most that glibc moves its threshold to by itself, and twice as much for the other one.
_LARGEST: Final = 32 << 20


@cache
def _libc() -> ctypes.CDLL | None:
    try:
        found = ctypes.CDLL(None)
        _ = found.mallopt, found.malloc_trim
    except (OSError, TypeError, AttributeError):
        # Another C library: macOS, musl, Windows.
        return None
    return found


def keep_freed() -> None:
    """Let freed arrays of up to 32 MB be used again instead of fetched anew."""
    if libc := _libc():
        libc.mallopt(_MMAP, _LARGEST)
        libc.mallopt(_TRIM, 2 * _LARGEST)


def hand_back() -> None:
    """Give freed memory back to the system, in a process that others share."""
    if libc := _libc():
        libc.malloc_trim(0)

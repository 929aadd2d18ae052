"""Names of requests and predictions: they sort by time, and no two processes give the same."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CALLER", "REPLAYED", "Ids", "new_request_id"]

#: Requests whose ids begin so ask about old rows again; those who read the traffic skip them.
REPLAYED = "mlops-replay-"
#: The header by which a caller says who it is.
CALLER = "x-mlops-caller"

_nonce = os.urandom(4).hex()
_counter = itertools.count()
_FEW = 1024


def _renew() -> None:
    global _nonce
    _nonce = os.urandom(4).hex()


os.register_at_fork(after_in_child=_renew)


def new_request_id() -> str:
    """Return an id that sorts by time and repeats in no other process: 11 + 8 + 6 hex digits."""
    return f"{time.time_ns() // 1_000_000:011x}{_nonce}{next(_counter):06x}"


class Ids(Sequence[str]):
    """The ids of a request's predictions, ``PREFIX-0`` and so on, as a list or as a column.

    Parameters
    ----------
    prefix : str
    rows : int

    Examples
    --------
    >>> list(Ids("a", 2))
    ['a-0', 'a-1']
    """

    def __init__(self, prefix: str, rows: int) -> None:
        self.prefix = prefix
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: Any) -> Any:
        return self.listed[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self.listed)

    @cached_property
    def listed(self) -> list[str]:
        """As a list of strings."""
        prefix = self.prefix
        return [prefix + tail for tail in _tails(self.rows)]

    @cached_property
    def column(self) -> pa.Array:
        """As an Arrow array of strings, without an object for each."""
        return pc.binary_join_element_wise(pa.scalar(self.prefix), _endings(self.rows), "-")


_known_tails: list[str] = []


def _tails(count: int) -> list[str]:
    """Return ``-0`` and so on; made once, for as many as were ever asked."""
    global _known_tails
    known = _known_tails
    if len(known) < count:
        _known_tails = known = [
            f"-{row}" for row in range(max(_FEW, 1 << (count - 1).bit_length()))
        ]
    return known[:count]


_known = pa.array([], pa.string())


def _endings(count: int) -> pa.Array:
    """Return the row numbers from 0 as strings; made once, for as many as were ever asked."""
    global _known
    known = _known
    if len(known) < count:
        numbers = np.arange(max(_FEW, 1 << (count - 1).bit_length()))
        _known = known = pa.array(numbers).cast(pa.string())
    return known.slice(0, count)

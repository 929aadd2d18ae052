"""Two sorted samples as one, with both distribution functions at every value of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Merged", "merged", "pieces"]

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.signedinteger[Any]]
#: Values, and the rows of the reference and of the current sample up to each of them.
Merged: TypeAlias = tuple[Floats, Counts, Counts]

#: Values of a side in a piece: what is made of them stays in the processor's cache.
_PIECE: Final = 4096


def pieces(
    reference: Floats,
    current: Floats,
    reference_counts: Counts | None = None,
    current_counts: Counts | None = None,
) -> Iterator[Merged]:
    """What `merged` makes of both, piece by piece in ascending order; equal values stay together.

    A million rows a side, merged whole, make a dozen arrays of 16 MB each, which takes three
    times as long.
    """
    cuts = np.unique(np.concatenate([side[_PIECE::_PIECE] for side in (reference, current)]))
    ends = [
        np.append(np.searchsorted(side, cuts, "right"), side.size) for side in (reference, current)
    ]
    start, done = (0, 0), (0, 0)
    for end in zip(*(one.tolist() for one in ends), strict=True):
        a, b = slice(start[0], end[0]), slice(start[1], end[1])
        start = end
        if a.start == a.stop and b.start == b.stop:
            continue
        points, before, now = merged(
            reference[a],
            current[b],
            None if reference_counts is None else reference_counts[a],
            None if current_counts is None else current_counts[b],
        )
        before += done[0]
        now += done[1]
        done = int(before[-1]), int(now[-1])
        yield points, before, now


def merged(
    reference: Floats,
    current: Floats,
    reference_counts: Counts | None = None,
    current_counts: Counts | None = None,
) -> Merged:
    """Merge two sorted samples and count the rows of each up to every value.

    Parameters
    ----------
    reference, current : sorted arrays of shape (n,) and (m,)
    reference_counts, current_counts : arrays of int of the same shapes, optional
        Rows that each value stands for; one each when left out.

    Returns
    -------
    (array of float, array of int, array of int)
        The values of both in ascending order, shape (n + m,), and how many rows of the
        reference and of the current sample are at most as large. Within a run of equal
        values the counts are those of the run's end at its last place only.

    Notes
    -----
    A stable sort of two sorted runs is one merge: some 8 ns a value, where looking each value
    up in both samples takes ten times as long.

    Examples
    --------
    >>> values, before, now = merged(np.array([1.0, 3.0]), np.array([2.0, 3.0]))
    >>> values.tolist(), before.tolist(), now.tolist()
    ([1.0, 2.0, 3.0, 3.0], [1, 1, 2, 2], [0, 1, 1, 2])
    """
    both = np.concatenate([reference, current])
    order = np.argsort(both, kind="stable")
    of_reference = order < reference.size
    if reference_counts is None and current_counts is None:
        # Half the memory, which is half the time.
        small = np.int32 if both.size < np.iinfo(np.int32).max else np.int64
        counted: Counts = np.cumsum(of_reference, dtype=small)
        rank: Counts = np.arange(1, both.size + 1, dtype=small)
        rank -= counted
        return both[order], counted, rank
    rows = np.concatenate(
        [
            np.ones(side.size, np.int64) if counts is None else counts
            for side, counts in ((reference, reference_counts), (current, current_counts))
        ]
    )[order]
    before: Counts = np.cumsum(np.where(of_reference, rows, 0))
    now: Counts = np.cumsum(np.where(of_reference, 0, rows))
    return both[order], before, now

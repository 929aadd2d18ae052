"""Where each partition of a topic starts, so that all together give the newest messages."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["newest"]


def newest(
    count: int, bounds: dict[int, tuple[int, int]], time_at: Callable[[int, int], float]
) -> dict[int, int]:
    """Where partitions start so that together they give the newest messages.

    Each step halves one partition's undecided part, so few messages are looked at.

    Parameters
    ----------
    count : int
        How many messages are wanted of all partitions together.
    bounds : dict
        The first offset of each partition, and the one after its last.
    time_at : callable
        The time of the message at a partition and offset.

    Examples
    --------
    >>> newest(3, {0: (0, 10), 1: (0, 10)}, lambda p, offset: 2 * offset + p)
    {0: 9, 1: 8}
    """
    low = {p: max(first, end - count) for p, (first, end) in bounds.items()}
    high = {p: end for p, (_, end) in bounds.items()}
    times: dict[tuple[int, int], float] = {}
    need = count
    while True:
        open_ones = [p for p in bounds if low[p] < high[p]]
        undecided = sum(high[p] - low[p] for p in open_ones)
        if need >= undecided:
            return {p: low[p] for p in bounds}
        if len(open_ones) == 1 or not need:
            return {p: high[p] - (need if p in open_ones else 0) for p in bounds}
        middle = {p: (low[p] + high[p]) // 2 for p in open_ones}
        for p, offset in middle.items():
            if (p, offset) not in times:
                times[p, offset] = time_at(p, offset)
        upper = sum(high[p] - middle[p] for p in open_ones)
        if need < upper:
            # As many messages as are needed are newer than the oldest middle and what is before.
            p = min(open_ones, key=lambda p: (times[p, middle[p]], p))
            low[p] = middle[p] + 1
        else:
            # Fewer than are needed are newer than the newest middle: it and what follows is in.
            p = max(open_ones, key=lambda p: (times[p, middle[p]], p))
            need -= high[p] - middle[p]
            high[p] = middle[p]

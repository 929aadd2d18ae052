"""Which trials' models are kept: those with the best values so far."""

from __future__ import annotations

import bisect
import math

__all__ = ["Best"]


class Best:
    """The trials with the least losses.

    Parameters
    ----------
    size : int
        How many; 0 keeps none.

    Examples
    --------
    >>> best = Best(1)
    >>> best.add("a", 0.3), best.add("b", 0.2), best.add("c", 0.4)
    ([], ['a'], ['c'])
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: list[tuple[float, str]] = []

    @property
    def threshold(self) -> float | None:
        """A loss must be below this to be among the best; None where none is kept."""
        if not self.size:
            return None
        return self._kept[-1][0] if len(self._kept) >= self.size else math.inf

    def add(self, trial: str, loss: float) -> list[str]:
        """Take a trial with a model; return those whose models aren't kept any more."""
        bisect.insort(self._kept, (loss, trial))
        dropped = [name for _, name in self._kept[self.size :]]
        del self._kept[self.size :]
        return dropped

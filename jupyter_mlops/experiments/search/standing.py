"""How trials stand among each other: the best, the front, and how long nothing improved."""

from __future__ import annotations

from jupyter_mlops.experiments.search.planning import Told

__all__ = ["Standing"]


class Standing:
    """Keeps the trials that no other beats, as they are told.

    Parameters
    ----------
    maximize : tuple of bool
        Of each goal, whether more is better.

    Attributes
    ----------
    idle : int
        Trials that finished or were pruned since the front last changed.
    """

    def __init__(self, maximize: tuple[bool, ...]) -> None:
        self.idle = 0
        self._signs = tuple(-1.0 if more else 1.0 for more in maximize)
        self._front: dict[int, tuple[float, ...]] = {}

    def tell(self, told: Told) -> None:
        """Take in a trial that ended."""
        if told.status not in {"finished", "pruned"}:
            return
        self.idle += 1
        if told.status == "pruned" or told.values is None or not _feasible(told):
            return
        losses = tuple(sign * one for sign, one in zip(self._signs, told.values, strict=True))
        if any(_beats(other, losses) for other in self._front.values()):
            return
        if losses in self._front.values():
            # As good as one that is there: no improvement, but one of the trade-offs.
            if len(losses) > 1:
                self._front[told.number] = losses
            return
        self._front = {
            number: other for number, other in self._front.items() if not _beats(losses, other)
        }
        self._front[told.number] = losses
        self.idle = 0

    def front(self) -> list[int]:
        """Numbers of the trials that no other beats, ascending."""
        return sorted(self._front)


def _feasible(told: Told) -> bool:
    return all(one <= 0 for one in told.constraints or ())


def _beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))

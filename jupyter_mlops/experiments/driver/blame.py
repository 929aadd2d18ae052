"""Which trial a worker died of: Dask names all that it held, those that only waited there too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

__all__ = ["Blame"]


class Blame:
    """What was heard of trials that began, by worker.

    Examples
    --------
    >>> blame = Blame()
    >>> blame.began("a", "tcp://w:1")
    >>> sorted(blame.guilty({"a": "tcp://w:1", "b": "tcp://w:1"}, {"a": 4, "b": 5}))
    ['a']
    """

    def __init__(self) -> None:
        self._began: dict[str, tuple[int, str]] = {}
        self._order = 0

    def began(self, trial: str, worker: str) -> None:
        """A trial was heard to begin."""
        self._order += 1
        self._began[trial] = self._order, worker

    def forget(self, trial: str) -> None:
        """It has ended, or begins again."""
        self._began.pop(trial, None)

    def guilty(self, killed: Mapping[str, str], numbers: Mapping[str, int]) -> set[str]:
        """The one trial of each dead worker that ran when it died.

        Of those that were heard to begin there, the last. A trial that kills its worker in its
        first milliseconds isn't heard: then the first in line.

        Parameters
        ----------
        killed : mapping of str to str
            Trials and the worker that each was on.
        numbers : mapping of str to int
            Their order in line.
        """
        held: dict[str, list[str]] = defaultdict(list)
        for trial, worker in killed.items():
            held[worker].append(trial)
        found = set()
        for worker, trials in held.items():
            heard = [one for one in trials if self._began.get(one, (0, ""))[1] == worker]
            if heard:
                found.add(max(heard, key=lambda one: self._began[one]))
            else:
                found.add(min(trials, key=lambda one: numbers[one]))
        return found

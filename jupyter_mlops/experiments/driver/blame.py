"""Which trial a worker died of: Dask names all that it held, those that only waited there too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

__all__ = ["Blame"]


class Blame:
    """What was heard of trials that began, by worker.

    Attributes
    ----------
    suspects : set of str
        Trials that were on a worker when it died. They begin with a pause, so that the next time
        it is known which of them ran.

    Examples
    --------
    >>> blame = Blame()
    >>> blame.began("a", "tcp://w:1")
    >>> blame.guilty({"a": "tcp://w:1", "b": "tcp://w:1"})
    {'a'}
    """

    def __init__(self) -> None:
        self.suspects: set[str] = set()
        self._began: dict[str, tuple[int, str]] = {}
        self._order = 0

    def began(self, trial: str, worker: str) -> None:
        """A trial was heard to begin."""
        self._order += 1
        self._began[trial] = self._order, worker

    def forget(self, trial: str) -> None:
        """It has ended, or begins again."""
        self._began.pop(trial, None)

    def guilty(self, killed: Mapping[str, str]) -> set[str]:
        """The one trial of each dead worker that ran when it died.

        A worker's trials run one after another, so it is the last that was heard to begin there.
        One that kills its worker in its first milliseconds isn't heard the first time: nobody, or
        the one before that had just ended, is blamed for it once.

        Parameters
        ----------
        killed : mapping of str to str
            Trials and the worker that each was on.
        """
        held: dict[str, list[str]] = defaultdict(list)
        for trial, worker in killed.items():
            if self._began.get(trial, (0, ""))[1] == worker:
                held[worker].append(trial)
        self.suspects |= set(killed)
        return {max(trials, key=lambda one: self._began[one]) for trials in held.values()}

"""How strange rows are: by single columns, and by how columns go together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from jupyter_mlops.models.outliers.columns import Codes, Numbers, Words
from jupyter_mlops.models.outliers.tails import Floats, Tail

__all__ = ["MOST_REASONS", "NOTED", "THRESHOLD", "Scored", "Scorer"]

#: A row counts as an outlier when no more of the training rows are as strange.
THRESHOLD: Final = 0.001
#: Of rows as rare as that it is said which columns make them strange.
NOTED: Final = 0.01
MOST_REASONS: Final = 3
#: Minus the decimal logarithm of the smallest share that is meant as one.
_RAREST: Final = 12.0


@dataclass(frozen=True)
class Scored:
    """What was found of some rows.

    Attributes
    ----------
    p : array of float64, shape (n,)
        The share of training rows that are at least as strange.
    reasons : dict of int to list of str
        Of rows up to `NOTED`, by their place, the columns that make them strange, the most
        telling first.
    """

    p: Floats
    reasons: dict[int, list[str]]


@dataclass(frozen=True)
class Scorer:
    """Says how strange rows are, by the training rows of a model.

    Two statistics are taken of a row: how far out its most extreme value lies in its column,
    and the squared Mahalanobis distance of all its numbers, each as the normal quantile of its
    rank (P. C. Mahalanobis, 1936; correlations shrunken as Ledoit and Wolf do, Journal of
    Multivariate Analysis 88, 2004). Of each the share of held-out training rows that reach it
    is known; the rarer of the two is the row's strangeness, whose own distribution over held-out
    rows makes it a p-value: of rows like the training rows a share of p is as strange.

    Attributes
    ----------
    numbers : sequence of Numbers
    others : sequence of Codes or Words
    precision : array of float64, shape (m, m)
        Inverse of the numbers' correlations.
    single, joint, both : Tail
        Of the statistics, and of the rarer of the two.
    rows : int
        That it was fitted to.

    Examples
    --------
    >>> scorer = read(folder / FILE)  # doctest: +SKIP
    >>> scorer({"income": np.array([1e9]), "segment": np.array(["A"])}).reasons  # doctest: +SKIP
    {0: ['income']}
    """

    numbers: Sequence[Numbers]
    others: Sequence[Codes | Words]
    precision: Floats
    single: Tail
    joint: Tail
    both: Tail
    rows: int
    _names: list[str] = field(init=False)
    _missing: Floats = field(init=False)

    def __post_init__(self) -> None:
        names = [one.name for one in (*self.numbers, *self.others)]
        object.__setattr__(self, "_names", names)
        missing = np.array([one.missing for one in self.numbers])
        object.__setattr__(self, "_missing", missing[:, None])

    @property
    def names(self) -> list[str]:
        """The columns that it looks at."""
        return list(self._names)

    def __call__(self, columns: Mapping[str, NDArray[Any]]) -> Scored:
        """Score rows.

        Parameters
        ----------
        columns : mapping of str to array, each of shape (n,)
            All of `names`; others aren't looked at.

        Raises
        ------
        KeyError
            A column is missing.
        TypeError, ValueError
            A column of numbers holds something else.
        """
        normal, far = self.placed(columns)
        singly, jointly, alike = self.statistics(normal, far)
        single, joint = self.single(singly), self.joint(jointly)
        level = self.both(np.maximum(single, joint))
        beyond = level > _RAREST
        if beyond.any():
            # More than any number of rows could tell: only the order matters.
            level[beyond] = _RAREST * (1 + np.log(level[beyond] / _RAREST))
        p: Floats = 10.0**-level
        reasons = {}
        for row in np.flatnonzero(p <= NOTED).tolist():
            if single[row] >= joint[row]:
                reasons[row] = self._told(far[:, row], float(singly[row]))
            else:
                shares = normal[:, row] * alike[:, row]
                reasons[row] = self._told(shares, float(shares.max()))
        return Scored(p, reasons)

    def placed(self, columns: Mapping[str, NDArray[Any]]) -> tuple[Floats, Floats]:
        """Normal quantiles of the numbers, shape (m, n), and how far out all values lie, (k, n)."""
        count = len(next(iter(columns.values())))
        m = len(self.numbers)
        normal = np.empty((m, count))
        for place, one in enumerate(self.numbers):
            normal[place] = np.interp(columns[one.name], one.values, one.normal)
        far = np.empty((m + len(self.others), count))
        np.abs(normal, out=far[:m])
        holes = np.isnan(normal)
        if holes.any():
            # What isn't there says nothing of how columns go together.
            normal[holes] = 0.0
            far[:m] = np.where(holes, self._missing, far[:m])
        for place, other in enumerate(self.others, m):
            far[place] = other(columns[other.name])
        return normal, far

    def statistics(self, normal: Floats, far: Floats) -> tuple[Floats, Floats, Floats]:
        """The largest of each row, its squared distance, and the parts of that, shape (m, n)."""
        alike: Floats = self.precision @ normal
        return far.max(axis=0), np.einsum("ij,ij->j", normal, alike), alike

    def _told(self, telling: Floats, most: float) -> list[str]:
        """The columns that say nearly as much as the one that says most."""
        ordered = np.argsort(-telling, kind="stable")[:MOST_REASONS]
        return [self._names[place] for place in ordered if telling[place] >= most * 2 / 3]

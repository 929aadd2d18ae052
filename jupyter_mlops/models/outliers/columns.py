"""How far out a value lies in its column, in standard deviations of a normal distribution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jupyter_mlops.models.outliers.tails import Floats

__all__ = ["Codes", "Numbers", "Words"]


@dataclass(frozen=True)
class Numbers:
    """A column of numbers: each becomes the normal quantile of its rank.

    Attributes
    ----------
    name : str
    values, normal : array of float64, shape (g,)
        Training values and their normal quantiles; the outermost lie far outside, so that
        between them and the last value the quantiles go on as the values do.
    missing : float
        How far out it is to have no value.
    """

    name: str
    values: Floats
    normal: Floats
    missing: float


@dataclass(frozen=True)
class Codes:
    """A column of few different numbers, booleans among them.

    Attributes
    ----------
    name : str
    values, far : array of float64, shape (c,)
        The numbers in their order, and how far out each lies.
    unseen, missing : float
        How far out another number lies, and none.
    """

    name: str
    values: Floats
    far: Floats
    unseen: float
    missing: float

    def __call__(self, column: NDArray[Any]) -> Floats:
        """How far out each value lies, shape (n,)."""
        given = column.astype(np.float64)
        at = np.minimum(np.searchsorted(self.values, given), len(self.values) - 1)
        told = np.where(self.values[at] == given, self.far[at], self.unseen)
        return np.where(np.isnan(given), self.missing, told)


@dataclass(frozen=True)
class Words:
    """A column of texts.

    Attributes
    ----------
    name : str
    far : mapping of str to float
        How far out each text lies.
    unseen, missing : float
        How far out another text lies, and none.
    """

    name: str
    far: Mapping[str, float]
    unseen: float
    missing: float

    def __call__(self, column: NDArray[Any]) -> Floats:
        """How far out each value lies, shape (n,)."""
        get, unseen, missing = self.far.get, self.unseen, self.missing
        return np.array(
            [
                # A data frame's missing text is NaN, which isn't equal to itself.
                missing if one is None or one != one else get(one, unseen)
                for one in column.tolist()
            ],
            dtype=np.float64,
        )

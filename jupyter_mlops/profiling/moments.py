"""Mean, variance, skewness and kurtosis that merge exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Moments"]


@dataclass
class Moments:
    """Count, mean and central power sums of numbers.

    Two batches merge by the pairwise formulas of Chan, Golub, LeVeque (1979), extended to the
    third and fourth order by Pébay (2008, SAND2008-6212); the result equals one pass over both
    to rounding.

    Examples
    --------
    >>> a, b = Moments(), Moments()
    >>> a.update(np.array([1.0, 2.0])); b.update(np.array([3.0]))
    >>> a.merge(b); a.mean, a.variance
    (2.0, 1.0)
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    m3: float = 0.0
    m4: float = 0.0

    def update(self, values: npt.NDArray[np.float64]) -> None:
        """Add finite numbers."""
        if not values.size:
            return
        # Huge values overflow in the higher powers; infinity is then the honest sum.
        with np.errstate(over="ignore", invalid="ignore"):
            mean = float(values.mean())
            gap = values - mean
            square = gap * gap
            batch = Moments(
                values.size,
                mean,
                float(square.sum()),
                # Without an array for each product.
                float(np.einsum("i,i->", square, gap)),
                float(np.einsum("i,i->", square, square)),
            )
        self.merge(batch)

    def update_counted(self, values: npt.NDArray[np.float64], counts: npt.NDArray[Any]) -> None:
        """Add different finite numbers, each as often as it was counted."""
        n = int(counts.sum())
        if not n:
            return
        mean = float((values * counts).sum()) / n
        gap = values - mean
        self.merge(Moments(n, mean, *(float((counts * gap**power).sum()) for power in (2, 3, 4))))

    def merge(self, other: Moments) -> None:
        """Add the numbers another has seen."""
        if not other.count:
            return
        if not self.count:
            vars(self).update(vars(other))
            return
        a, b = self.count, other.count
        n = a + b
        with np.errstate(all="ignore"):
            # NumPy's floats overflow to infinity where Python's raise.
            d = np.float64(other.mean) - self.mean
            dn = d / n
            m4 = (
                other.m4
                + d * dn**3 * a * b * (a * a - a * b + b * b)
                + 6 * dn**2 * (a * a * other.m2 + b * b * self.m2)
                + 4 * dn * (a * other.m3 - b * self.m3)
            )
            m3 = other.m3 + d * dn**2 * a * b * (a - b) + 3 * dn * (a * other.m2 - b * self.m2)
            m2 = other.m2 + d * dn * a * b
            self.m4 = float(self.m4 + m4)
            self.m3 = float(self.m3 + m3)
            self.m2 = float(self.m2 + m2)
            self.mean = float(self.mean + dn * b)
        self.count = n

    @property
    def variance(self) -> float | None:
        """The unbiased sample variance, or None below two numbers."""
        return self.m2 / (self.count - 1) if self.count > 1 else None

    @property
    def deviation(self) -> float | None:
        """The sample standard deviation."""
        return math.sqrt(max(self.variance, 0.0)) if self.variance is not None else None

    @property
    def skewness(self) -> float | None:
        """The third standardised moment (population form), or None for a constant."""
        if not (0 < self.m2 < math.inf and math.isfinite(self.m3)):
            return None
        return float(math.sqrt(self.count) * self.m3 / self.m2**1.5)

    @property
    def kurtosis(self) -> float | None:
        """The excess kurtosis (population form), or None for a constant."""
        if not (0 < self.m2 < math.inf and math.isfinite(self.m4)):
            return None
        return self.count * self.m4 / self.m2**2 - 3

    def to_list(self) -> list[float | None]:
        """The state as JSON, which has no infinity: sums that overflowed are None."""
        state = [self.count, self.mean, self.m2, self.m3, self.m4]
        return [value if math.isfinite(value) else None for value in state]

    @classmethod
    def from_list(cls, state: list[float | None]) -> Moments:
        """The state back from JSON."""
        count, *sums = (math.inf if value is None else value for value in state)
        return cls(int(count), *sums)

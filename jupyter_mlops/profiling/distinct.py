"""How many different values: HyperLogLog on NumPy arrays."""

from __future__ import annotations

import base64
import math
import zlib
from typing import Final

import numpy as np
import numpy.typing as npt

from jupyter_mlops.data.hashing import Hashes

__all__ = ["Distinct"]

BITS: Final = 14
_SIZE: Final = 1 << BITS


class Distinct:
    """A HyperLogLog sketch of 2**14 registers: 0.8 % standard error, 16 kB.

    The registers are those of Flajolet, Fusy, Gandouet, Meunier (2007); the estimate is
    Ertl's (2017, arXiv:1702.01284), which needs no tables and has no bias at small counts.
    The merge of two sketches is exactly the sketch of both.

    Examples
    --------
    >>> from jupyter_mlops.data.hashing import mix
    >>> d = Distinct()
    >>> d.update(mix(np.arange(100_000, dtype=np.uint64)))
    >>> abs(d.estimate() / 100_000 - 1) < 0.03
    True
    """

    def __init__(self, registers: npt.NDArray[np.uint8] | None = None) -> None:
        self.registers = np.zeros(_SIZE, dtype=np.uint8) if registers is None else registers
        self._estimate: int | None = None

    def update(self, hashes: Hashes) -> None:
        """Add the hashes of values; repeats change nothing."""
        place = (hashes >> np.uint64(64 - BITS)).astype(np.int64)
        # 53 bits fit a float exactly, whose exponent is the position of the first one bit.
        rest = (hashes << np.uint64(BITS)) >> np.uint64(11) | np.uint64(4)
        rank = (54 - np.frexp(rest.astype(np.float64))[1]).astype(np.uint8)
        # Once the sketch has seen much, hardly any value raises a register.
        raised = np.flatnonzero(rank > self.registers[place])
        np.maximum.at(self.registers, place[raised], rank[raised])
        self._estimate = None

    def merge(self, other: Distinct) -> None:
        """Add the values another has seen."""
        np.maximum(self.registers, other.registers, out=self.registers)
        self._estimate = None

    def estimate(self) -> int:
        """About how many different values there were."""
        if self._estimate is None:
            self._estimate = self._estimated()
        return self._estimate

    def _estimated(self) -> int:
        q = 64 - BITS
        counts = np.bincount(self.registers, minlength=q + 2)
        z = _SIZE * _tau(1 - counts[q + 1] / _SIZE)
        for k in range(q, 0, -1):
            z = 0.5 * (z + counts[k])
        z += _SIZE * _sigma(counts[0] / _SIZE)
        return round(_SIZE * _SIZE / (2 * math.log(2) * z)) if math.isfinite(z) else 0

    def to_text(self) -> str:
        """The registers, packed."""
        return base64.b64encode(zlib.compress(self.registers.tobytes(), 1)).decode()

    @classmethod
    def from_text(cls, text: str) -> Distinct:
        """The sketch from its packed registers."""
        raw = zlib.decompress(base64.b64decode(text))
        return cls(np.frombuffer(raw, dtype=np.uint8).copy())


def _sigma(x: float) -> float:
    if x == 1:
        return math.inf
    y, z, last = 1.0, x, -1.0
    while z != last:
        x *= x
        last = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0, 1):
        return 0.0
    y, z, last = 1.0, 1 - x, -1.0
    while z != last:
        x = math.sqrt(x)
        last = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3

"""How sure a share is, and how far chance carries a table from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

__all__ = ["ALARMS", "allowed", "rounded_up", "upper_limit"]

#: One-sided confidence of a share that is learnt from data.
CONFIDENCE: Final = 0.99
#: How often a table of the same population may break any of a contract's rules.
ALARMS: Final = 0.01


def upper_limit(seen: int, rows: int, confidence: float = CONFIDENCE) -> float:
    """The largest share that is plausible when `seen` of `rows` were seen.

    The exact binomial limit (Clopper and Pearson, 1934).

    Examples
    --------
    >>> round(upper_limit(0, 1000), 4)
    0.0046
    """
    from scipy.special import betaincinv

    if seen >= rows:
        return 1.0
    return float(betaincinv(seen + 1, rows - seen, confidence))


def allowed(shares: Sequence[float], rows: Sequence[int], rules: int) -> list[int]:
    """How many rows of a table may break each rule.

    A share of the population isn't that of a table: in 1,000 rows, twelve may do what one in
    a hundred does.  The count returned is exceeded by chance so rarely that all `rules`
    together raise a false alarm in at most one table of a hundred.  A share of zero allows
    none.

    Examples
    --------
    >>> allowed([0.0, 0.01], [1000, 1000], rules=2)
    [0, 19]
    """
    from scipy.stats import binom

    if not len(shares):
        return []
    share = np.asarray(shares, dtype=np.float64)
    number = np.asarray(rows, dtype=np.int64)
    most = np.where(number > 0, binom.ppf(1 - ALARMS / max(rules, 1), number, share), 0)
    return [int(n) if s > 0 else 0 for n, s in zip(np.nan_to_num(most), share, strict=True)]


def rounded_up(share: float, digits: int = 2) -> float:
    """A share with few digits that is no smaller.

    Examples
    --------
    >>> rounded_up(0.04961)
    0.05
    """
    if share <= 0 or share >= 1:
        return min(max(share, 0.0), 1.0)
    step = 10.0 ** (math.floor(math.log10(share)) + 1 - digits)
    return min(1.0, float(f"{math.ceil(share / step - 1e-9) * step:.{digits}g}"))

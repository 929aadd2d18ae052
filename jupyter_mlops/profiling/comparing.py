"""Two profiles side by side."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jupyter_mlops.profiling.advice import Advice
from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.workspace.results import Result

__all__ = ["SideBySide", "compare", "distance"]

_PARTS = 10


@dataclass(frozen=True)
class SideBySide(Result):
    """A profile against another.

    Attributes
    ----------
    here, there : Profile
    distances : dict of str to float
        Total variation distance by common column: 0 when both are spread alike, 1 when they
        share nothing.
    only_here, only_there : list of str
        Columns that one of the two lacks.
    advice : list of Advice
        What the two share that should be apart, where that was looked for.
    """

    here: Profile
    there: Profile
    distances: dict[str, float]
    only_here: list[str]
    only_there: list[str]
    advice: list[Advice] = field(default_factory=list)


def compare(here: Profile, there: Profile) -> SideBySide:
    """Put two profiles side by side, by column name."""
    common = [name for name in here.columns if name in there.columns]
    distances = {
        name: distance(here.columns[name], there.columns[name])
        for name in common
        if here.columns[name].values.numeric == there.columns[name].values.numeric
    }
    return SideBySide(
        here,
        there,
        distances,
        [name for name in here.columns if name not in there.columns],
        [name for name in there.columns if name not in here.columns],
    )


def distance(a: ColumnProfile, b: ColumnProfile) -> float:
    """Total variation between two columns: half the sum of the differences of the shares.

    Numbers are compared in the tenths of `b`, other values by the most frequent ones and all
    the rest; missing values are a part of their own.
    """
    if not a.rows or not b.rows:
        return 0.0
    p = [a.missing_share]
    q = [b.missing_share]
    if a.values.numeric:
        if a.moments.count and b.moments.count:
            inner = np.unique(b.values.quantiles([i / _PARTS for i in range(1, _PARTS)]))
            low, high = min(a.low or 0, b.low or 0), max(a.high or 0, b.high or 0)
            edges = np.unique(np.concatenate([[low - 1], inner, [high + 1]]))
            p += list(a.values.shares(edges) * (1 - a.missing_share))
            q += list(b.values.shares(edges) * (1 - b.missing_share))
        elif a.moments.count or b.moments.count:
            # One side has no finite number at all: what is present there is something else.
            p += [1 - a.missing_share, 0.0]
            q += [0.0, 1 - b.missing_share]
    else:
        mine, theirs = dict(a.values.top(50)), dict(b.values.top(50))
        names = set(mine) | set(theirs)
        left = [a.values.counts.get(name, 0) / a.rows for name in names]
        right = [b.values.counts.get(name, 0) / b.rows for name in names]
        p += [*left, 1 - p[0] - sum(left)]
        q += [*right, 1 - q[0] - sum(right)]
    return float(0.5 * sum(abs(x - y) for x, y in zip(p, q, strict=True)))

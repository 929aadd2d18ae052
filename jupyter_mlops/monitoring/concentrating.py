"""Where in the data a feature's change concentrates: the values of another feature."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.monitoring import statistics
from jupyter_mlops.monitoring.columns import as_numbers, as_text
from jupyter_mlops.monitoring.onset import counted
from jupyter_mlops.monitoring.populations import Kind, read_as

__all__ = ["Segment", "concentrates"]

#: Rows of a part, on either side, below which nothing is said of it.
_FEWEST: Final = 100
_VALUES: Final = 8
#: What a part must hold of the change, and how many times the rest's change its own must be.
_SHARE: Final = 0.75
_TIMES: Final = 3.0
_ALPHA: Final = 0.01

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Segment:
    """The part of the rows in which a feature changed.

    Attributes
    ----------
    column, value : str
        ``carrier`` and ``UA``; of numbers a range, such as ``3.5 to 8``.
    share : float
        Of the window's rows.
    effect, elsewhere : float
        The feature's PSI above its noise floor in this part, and in all other rows.
    """

    column: str
    value: str
    share: float
    effect: float
    elsewhere: float

    def __str__(self) -> str:
        return (
            f"where {self.column} is {self.value} ({self.share:.0%} of the rows): "
            f"PSI {self.effect:.2f}, elsewhere {self.elsewhere:.2f}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping."""
        return asdict(self)


def concentrates(
    feature: str,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    kinds: Mapping[str, Kind],
    small: float,
) -> Segment | None:
    """Find the part of the rows that holds most of a feature's change, if there is one.

    Parameters
    ----------
    feature : str
    reference, current : polars.DataFrame
        Samples of whole rows.
    kinds : mapping of str to str
        All features; parts are values of categories and quarters of numbers.
    small : float
        The stability index that counts as unchanged: a part that changed less is none.

    Returns
    -------
    Segment or None
        None when the feature changed everywhere, or no part is large enough to tell.
    """
    best: tuple[float, Segment] | None = None
    parts = list(_parts(feature, reference, current, kinds))
    for column, value, inside in parts:
        sizes = [int(one.sum()) for one in inside]
        rest = [int(one.size - size) for one, size in zip(inside, sizes, strict=True)]
        if min(*sizes, *rest) < _FEWEST:
            continue
        within, p_value = _change(feature, reference, current, kinds, inside)
        beyond, _ = _change(feature, reference, current, kinds, [~one for one in inside])
        if p_value * len(parts) > _ALPHA or within < small or within < _TIMES * beyond:
            continue
        share = sizes[1] / inside[1].size
        held = share * within / (share * within + (1 - share) * beyond)
        if held < _SHARE:
            continue
        score = held * within
        if best is None or score > best[0]:
            best = score, Segment(column, value, share, within, beyond)
    return best[1] if best is not None else None


def _change(
    feature: str,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    kinds: Mapping[str, Kind],
    rows: list[Flags],
) -> tuple[float, float]:
    """The feature's effect in some rows of both sides, and its p-value."""
    sides = [
        read_as(side[feature].filter(pl.Series(kept)), kinds[feature])
        for side, kept in zip((reference, current), rows, strict=True)
    ]
    own, others = counted(sides[0], sides[1:])
    used = int(np.count_nonzero(own + others[0]))
    floor = statistics.psi_floor(used, int(own.sum()), int(others[0].sum()))
    effect = max(0.0, 8 * statistics.jensen_shannon(own, others[0]) - floor)
    return effect, statistics.chi2_two_samples(own, others[0])


def _parts(
    feature: str,
    reference: pl.DataFrame,
    current: pl.DataFrame,
    kinds: Mapping[str, Kind],
) -> Iterator[tuple[str, str, list[Flags]]]:
    for name, kind in kinds.items():
        if name == feature or kind not in ("number", "category"):
            continue
        sides = [reference[name], current[name]]
        if kind == "number":
            values = [as_numbers(one).to_numpy().astype(float) for one in sides]
            known = values[0][np.isfinite(values[0])]
            few = np.unique(known)
            if 0 < few.size <= _VALUES:
                for one in few.tolist():
                    yield name, f"{one:.6g}", [side == one for side in values]
                continue
            if not known.size:
                continue
            edges = np.unique(np.quantile(known, [0.25, 0.5, 0.75], method="inverted_cdf"))
            for low, high in itertools.pairwise([-np.inf, *edges.tolist(), np.inf]):
                inside = [(side > low) & (side <= high) for side in values]
                yield name, _range(low, high), inside
        else:
            texts = [
                [None if one is None else as_text(one) for one in side.to_list()] for side in sides
            ]
            counts = pl.Series(texts[1], dtype=pl.String).drop_nulls().value_counts(sort=True)
            for value in counts.to_series(0).head(_VALUES).to_list():
                yield name, value, [np.array([one == value for one in side]) for side in texts]


def _range(low: float, high: float) -> str:
    if low == -np.inf:
        return f"at most {high:.4g}"
    return f"above {low:.4g}" if high == np.inf else f"{low:.4g} to {high:.4g}"

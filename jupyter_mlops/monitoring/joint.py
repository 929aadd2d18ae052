"""Whether the features moved together: what no feature shows by itself."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.monitoring.columns import as_numbers, as_text
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.populations import Kind
from jupyter_mlops.monitoring.separating import (
    FEWEST,
    Separation,
    area_of,
    one_thread,
    separate,
)

__all__ = ["JointDrift", "compare_jointly", "encoded"]

#: Categories told apart; all others go by hash.
_NAMED: Final = 60
_HASHED: Final = 16
_LEANED_ON: Final = 3
_PAIRS: Final = 3
_SMALLEST_CHANGE: Final = 0.1

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pair:
    """Two features whose rank correlation changed."""

    first: str
    second: str
    before: float
    now: float


@dataclass(frozen=True)
class JointDrift:
    """What a classifier that tells the window from the reference found.

    Attributes
    ----------
    verdict : str
        ``"drifted"``, ``"watch"``, ``"stable"`` or ``"not enough data"``.
    reason : str
    auc, low, high : float
        0.5 when nothing changed, 1 when every row can be told apart.
    p_value : float
    rows : int
        Rows of both sides that it looked at.
    leans_on : list of str
        The features it tells the sides apart by, the most telling first.
    pairs : list of Pair
        Pairs of numbers whose rank correlation changed by 0.1 or more, significantly.
    """

    verdict: str
    reason: str
    auc: float = 0.5
    low: float = 0.0
    high: float = 1.0
    p_value: float = 1.0
    rows: int = 0
    leans_on: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> JointDrift:
        """Read what `to_dict` wrote."""
        return cls(**{**stored, "pairs": [Pair(**one) for one in stored["pairs"]]})


def compare_jointly(
    reference: pl.DataFrame, current: pl.DataFrame, kinds: Mapping[str, Kind], limits: Limits
) -> JointDrift:
    """Test whether the rows of two samples come from one joint distribution.

    Parameters
    ----------
    reference, current : polars.DataFrame
        Samples of whole rows.
    kinds : mapping of str to str
        The features; texts and embeddings have tests of their own and are left out.
    limits : Limits
        `alpha` is this test's; an area of `auc_watch` is worth a look, one of `auc_act` is drift.

    Notes
    -----
    Gradient-boosted trees see what linear models don't: two features that used to rise together
    and no longer do, while each looks as it always did.
    """
    names = [name for name, kind in kinds.items() if kind in ("number", "category")]
    fewest = min(reference.height, current.height)
    if fewest < FEWEST or len(names) < 2:
        why = f"{fewest:,} of {FEWEST} rows" if fewest < FEWEST else "one feature has no company"
        return JointDrift("not enough data", why, rows=reference.height + current.height)
    rows, categories = encoded(reference, current, kinds, names)
    side = np.arange(len(rows)) >= reference.height
    found = separate(rows, side, lambda: _trees(categories), confidence=limits.confidence)
    made = JointDrift(
        "stable", "within the noise", found.auc, found.low, found.high, found.p_value, len(rows)
    )
    if found.p_value > limits.alpha:
        return made
    if found.auc < limits.auc_watch:
        return JointDrift(**{**vars(made), "reason": "real but small"})
    leans_on = _leans_on(found, rows, side, names)
    pairs = _pairs(rows, side, names, [kinds[name] == "number" for name in names], limits.alpha)
    verdict = "drifted" if found.auc >= limits.auc_act else "watch"
    reason = f"told apart with an area of {found.auc:.2f} by {', '.join(leans_on)}"
    if pairs:
        first = pairs[0]
        reason += (
            f"; {first.first} and {first.second} correlate by {first.now:.2f}, "
            f"not {first.before:.2f}"
        )
    return JointDrift(
        verdict, reason, found.auc, found.low, found.high, found.p_value, len(rows),
        leans_on, pairs,
    )  # fmt: skip


def encoded(
    reference: pl.DataFrame,
    current: pl.DataFrame,
    kinds: Mapping[str, Kind],
    names: Sequence[str],
) -> tuple[Floats, list[bool]]:
    """Both samples as one array, missing values as NaN, and which columns are categories.

    Which number a category gets is decided over both sides together, so that it says nothing of
    the side.
    """
    columns = []
    for name in names:
        sides = [reference[name], current[name]]
        if kinds[name] == "number":
            numbers = [as_numbers(one).to_numpy().astype(float) for one in sides]
            columns.append(np.concatenate(numbers))
        else:
            columns.append(_codes([_text(one) for one in sides]))
    return np.column_stack(columns), [kinds[name] == "category" for name in names]


def _codes(sides: list[pl.Series]) -> Floats:
    both = pl.concat(sides)
    named = both.drop_nulls().value_counts(sort=False)
    named = named.sort(["count", both.name], descending=[True, False]).head(_NAMED)
    place = {value: at for at, value in enumerate(named[both.name].to_list())}
    codes = both.replace_strict(place, default=None, return_dtype=pl.Float64)
    tail = pl.Series(hash_column(both.fill_null("")) % np.uint64(_HASHED)).cast(pl.Float64) + _NAMED
    codes = pl.select(
        pl.when(both.is_null()).then(None).otherwise(pl.coalesce(codes, tail))
    ).to_series()
    return codes.to_numpy().astype(float)


def _text(column: pl.Series) -> pl.Series:
    """Categories written alike, whatever type they have on either side."""
    if column.dtype == pl.String:
        return column.alias("value")
    if column.dtype.is_float():
        column = column.fill_nan(None)
    texts = [None if one is None else as_text(one) for one in column.to_list()]
    return pl.Series("value", texts, pl.String)


def _trees(categories: list[bool]) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=15,
        learning_rate=0.15,
        min_samples_leaf=30,
        categorical_features=categories if any(categories) else None,
        early_stopping=False,
        random_state=0,
    )


def _leans_on(
    found: Separation, rows: Floats, side: npt.NDArray[np.bool_], names: Sequence[str]
) -> list[str]:
    """The features whose values, shuffled, cost the classifier the most."""
    with one_thread():
        loss = _losses(found, rows, side)
    order = np.argsort(-loss, kind="stable")
    return [names[at] for at in order[:_LEANED_ON] if loss[at] > 0.1 * loss[order[0]]]


def _losses(found: Separation, rows: Floats, side: npt.NDArray[np.bool_]) -> Floats:
    rng = np.random.default_rng(0)
    loss = np.zeros(rows.shape[1])
    for model, unseen in found.halves:
        tested = rng.permutation(unseen)[:1500]
        given = rows[tested]
        whole = area_of(model.predict_proba(given)[:, 1], side[tested])
        for at in range(rows.shape[1]):
            shuffled = given.copy()
            shuffled[:, at] = rng.permutation(shuffled[:, at])
            loss[at] += whole - area_of(model.predict_proba(shuffled)[:, 1], side[tested])
    return loss


def _pairs(
    rows: Floats,
    side: npt.NDArray[np.bool_],
    names: Sequence[str],
    numeric: list[bool],
    alpha: float,
) -> list[Pair]:
    """Pairs of numbers whose rank correlation changed (Fisher's z, Bonferroni)."""
    places = [at for at, one in enumerate(numeric) if one]
    if len(places) < 2:
        return []
    before, now = (_correlations(rows[side == one][:, places]) for one in (False, True))
    sizes = [int((side == one).sum()) for one in (False, True)]
    # 1.06 for ranks: Fieller, Hartley and Pearson (1957).
    error = np.sqrt(1.06 * sum(1 / max(1, size - 3) for size in sizes))
    tests = len(places) * (len(places) - 1) // 2
    limit = float(stats.norm.isf(alpha / (2 * tests)))
    found = []
    for a, b in itertools.combinations(range(len(places)), 2):
        was, new = float(before[a, b]), float(now[a, b])
        if abs(new - was) < _SMALLEST_CHANGE:
            continue
        z = np.arctanh(np.clip(new, -0.999, 0.999)) - np.arctanh(np.clip(was, -0.999, 0.999))
        if abs(z) / error > limit:
            found.append(Pair(names[places[a]], names[places[b]], was, new))
    return sorted(found, key=lambda one: -abs(one.now - one.before))[:_PAIRS]


def _correlations(rows: Floats) -> Floats:
    filled = np.where(np.isfinite(rows), rows, np.nan)
    middle = [float(np.nanmedian(one)) if np.isfinite(one).any() else 0.0 for one in filled.T]
    filled = np.where(np.isnan(filled), middle, filled)
    ranks = np.apply_along_axis(stats.rankdata, 0, filled)
    spread = ranks.std(axis=0)
    ranks = (ranks - ranks.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(ranks.T @ ranks / len(rows), float)

"""Whether the features moved together: what no feature shows by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from jupyter_mlops.data.hashing import hash_column
from jupyter_mlops.monitoring.columns import as_numbers, as_text
from jupyter_mlops.monitoring.correlations import Pair, compare_pairs
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.populations import Kind
from jupyter_mlops.monitoring.separating import (
    FEWEST,
    Separation,
    area_of,
    one_thread,
    separate,
)
from jupyter_mlops.monitoring.statistics import together

__all__ = ["JointDrift", "compare_jointly", "encoded"]

#: Categories told apart; all others go by hash.
_NAMED: Final = 60
_HASHED: Final = 16
_LEANED_ON: Final = 3
_PAIRS: Final = 3

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class JointDrift:
    """What a classifier that tells the window from the reference found, and what pairs show.

    Attributes
    ----------
    verdict : str
        ``"drifted"``, ``"watch"``, ``"stable"`` or ``"not enough data"``.
    reason : str
    auc, low, high : float
        0.5 when nothing changed, 1 when every row can be told apart.
    p_value : float
        Of the classifier and the correlations together.
    rows : int
        Rows of both sides that it looked at.
    leans_on : list of str
        The features it tells the sides apart by, the most telling first.
    pairs : list of Pair
        Pairs of numbers whose rank correlation changed, significantly and by enough.
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
        `alpha` is this test's; an area of `auc_watch` is worth a look, one of `auc_act` is drift;
        `correlation_watch` and `correlation_act` likewise.

    Notes
    -----
    Gradient-boosted trees see what linear models don't: where features together hold what they
    never held, while each looks as it always did. Of two numbers that used to rise together and
    do so less, a test of their correlation knows it from a fifth of the rows.
    """
    names = [name for name, kind in kinds.items() if kind in ("number", "category")]
    fewest = min(reference.height, current.height)
    if fewest < FEWEST or len(names) < 2:
        why = f"{fewest:,} of {FEWEST} rows" if fewest < FEWEST else "one feature has no company"
        return JointDrift("not enough data", why, rows=reference.height + current.height)
    rows, categories = encoded(reference, current, kinds, names)
    side = np.arange(len(rows)) >= reference.height
    found = separate(rows, side, lambda: _trees(categories), confidence=limits.confidence)
    numbers = [at for at, name in enumerate(names) if kinds[name] == "number"]
    pairs = compare_pairs(
        rows[~side][:, numbers], rows[side][:, numbers], [names[at] for at in numbers]
    )
    p_value = together([found.p_value, *[one.p_value for one in pairs[:1]]])
    made = JointDrift(
        "stable", "within the noise", found.auc, found.low, found.high, p_value, len(rows)
    )
    if p_value > limits.alpha:
        return made
    moved = [
        one
        for one in pairs
        if one.p_value <= limits.alpha and one.change >= limits.correlation_watch
    ]
    moved.sort(key=lambda one: -one.change)
    apart = found.auc if found.p_value <= limits.alpha else 0.5
    if apart < limits.auc_watch and not moved:
        return replace(made, reason="real but small")
    leans_on: list[str] = []
    reasons = []
    if apart >= limits.auc_watch:
        leans_on = _leans_on(found, rows, side, names)
        reasons.append(f"told apart with an area of {found.auc:.2f} by {', '.join(leans_on)}")
    reasons += [
        f"{one.first} and {one.second} correlate by {one.now:.2f}, not {one.before:.2f}"
        for one in moved[:1]
    ]
    largest = max([0.0, *[one.change for one in moved]])
    act = apart >= limits.auc_act or largest >= limits.correlation_act
    return replace(
        made,
        verdict="drifted" if act else "watch",
        reason="; ".join(reasons),
        leans_on=leans_on,
        pairs=moved[:_PAIRS],
    )


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

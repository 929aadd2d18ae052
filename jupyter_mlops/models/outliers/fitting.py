"""Fit how strange rows are to a sample of the rows that a model was trained on."""

from __future__ import annotations

from statistics import NormalDist
from typing import Any, Final

import numpy as np
import polars as pl

from jupyter_mlops.models.outliers.columns import Codes, Numbers, Words
from jupyter_mlops.models.outliers.scoring import Scorer
from jupyter_mlops.models.outliers.tails import Floats, Tail
from jupyter_mlops.workspace import Invalid

__all__ = ["FEWEST", "MOST", "arrays", "fit"]

#: Rows below which nothing can be said of one in a thousand, and beyond which no more are taken.
FEWEST: Final = 200
MOST: Final = 40_000
#: Different numbers up to which a column is one of codes, each with so many rows on average.
_CODES: Final = 50
_ROWS_A_CODE: Final = 20
#: Texts that are known by themselves; what is rarer counts as one.
_WORDS: Final = 1000
_KNOTS: Final = 129
#: So many times the distance of the outermost quantiles, a column's line goes on.
_FAR: Final = 1000.0
_normal: Final = NormalDist()


def fit(sample: pl.DataFrame) -> Scorer:
    """Fit to one half of the rows, and learn from the other what is rare.

    Times, lists and objects aren't looked at: a later time is no stranger.

    Parameters
    ----------
    sample : polars.DataFrame
        The model's columns, in any order of rows.

    Raises
    ------
    Invalid
        ``E-MODEL-090``: there are too few rows; ``E-MODEL-092``: no column can be looked at.

    Examples
    --------
    >>> fit(pl.DataFrame({"km": [float(n % 97) for n in range(400)]})).names
    ['km']
    """
    if sample.height < FEWEST:
        raise Invalid(
            f"{sample.height:,} of {FEWEST:,} rows are there to tell outliers by",
            code="E-MODEL-090",
        )
    # Neighbours in a table are often alike: rows go to the halves in turn.
    at = pl.int_range(pl.len()) % 2
    half, rest = sample.filter(at == 0), sample.filter(at == 1)
    numbers: list[Numbers] = []
    others: list[Codes | Words] = []
    for name in sample.columns:
        found = _column(half[name])
        if isinstance(found, Numbers):
            numbers.append(found)
        elif found is not None:
            others.append(found)
    if not numbers and not others:
        raise Invalid("no column is of numbers or texts to tell outliers by", code="E-MODEL-092")
    flat = Tail(np.zeros(1), np.zeros(1), 0.0, 0.0, 1.0)
    draft = Scorer(numbers, others, np.eye(len(numbers)), flat, flat, flat, sample.height)
    normal, _ = draft.placed(arrays(half.select(draft.names)))
    draft = Scorer(numbers, others, _precision(normal), flat, flat, flat, sample.height)
    singly, jointly, _ = draft.statistics(*draft.placed(arrays(rest.select(draft.names))))
    single, joint = Tail.fit(singly), Tail.fit(jointly)
    both = Tail.fit(np.maximum(single(singly), joint(jointly)))
    return Scorer(numbers, others, draft.precision, single, joint, both, sample.height)


def arrays(frame: pl.DataFrame) -> dict[str, Any]:
    """Columns as the model's process has them: NaN or None where there is no value."""
    found: dict[str, Any] = {}
    for column in frame:
        if column.dtype in (pl.String, pl.Categorical) or isinstance(column.dtype, pl.Enum):
            found[column.name] = np.array(column.cast(pl.String).to_list(), dtype=object)
        else:
            found[column.name] = column.cast(pl.Float64).to_numpy()
    return found


def _column(column: pl.Series) -> Numbers | Codes | Words | None:
    kind = column.dtype
    if kind in (pl.String, pl.Categorical) or isinstance(kind, pl.Enum):
        return _words(column.cast(pl.String))
    if not (kind.is_numeric() or kind == pl.Boolean):
        return None
    given = column.cast(pl.Float64).fill_nan(None)
    values = given.drop_nulls()
    finite = values.filter(values.is_finite())
    missing = _missing(given)
    different = finite.n_unique()
    if different == 0:
        return Codes(column.name, np.array([np.nan]), np.array([0.0]), 0.0, 0.0)
    if different <= _CODES and len(finite) >= _ROWS_A_CODE * different:
        known = finite.alias("value").value_counts().sort("value")
        codes, counts = known.get_column("value"), known.get_column("count")
        far, unseen = _rarities(counts.to_numpy(), len(given))
        return Codes(column.name, codes.to_numpy(), far, unseen, missing)
    return Numbers(column.name, *_ranks(finite.to_numpy()), missing)


def _ranks(values: Floats) -> tuple[Floats, Floats]:
    """Training values and the normal quantiles of their ranks, with far ends."""
    ordered = np.sort(values)
    n = len(ordered)
    # Denser where rows are rare.
    shares = np.array([_normal.cdf(z) for z in np.linspace(-3.5, 3.5, _KNOTS)])
    shares = np.clip(shares, 1 / (n + 1), n / (n + 1))
    knots = np.unique(np.quantile(ordered, shares))
    knots = np.unique(np.concatenate([[ordered[0]], knots, [ordered[-1]]]))
    # Of equal values each gets the middle of their ranks.
    low, high = np.searchsorted(ordered, knots, "left"), np.searchsorted(ordered, knots, "right")
    ranks = np.clip((low + high) / 2, 0.5, n - 0.5) / n
    normal = np.array([_normal.inv_cdf(share) for share in ranks])
    # As far as the middle half of the rows reaches, at the least, where the end is all ties.
    middle = np.quantile(ordered, [0.25, 0.75])
    usual = max(float(middle[1] - middle[0]) / 1.35, 1e-12 + 1e-9 * float(np.abs(knots).max()))
    below = max((_at(knots, normal, -2.0) - knots[0]) / 1.5, usual / 3)
    above = max((knots[-1] - _at(knots, normal, 2.0)) / 1.5, usual / 3)
    values = np.concatenate([[knots[0] - _FAR * below], knots, [knots[-1] + _FAR * above]])
    normal = np.concatenate([[normal[0] - _FAR], normal, [normal[-1] + _FAR]])
    return values, normal


def _at(knots: Floats, normal: Floats, z: float) -> float:
    """The value whose normal quantile is nearest."""
    return float(knots[np.argmin(np.abs(normal - z))])


def _words(column: pl.Series) -> Words:
    given = column.drop_nulls()
    if given.is_empty():
        return Words(column.name, {}, 0.0, 0.0)
    known = given.alias("value").value_counts().sort("count", "value", descending=[True, False])
    counts = known.get_column("count").to_numpy()
    far, unseen = _rarities(counts, len(column))
    words = known.get_column("value").to_list()[:_WORDS]
    if len(counts) > _WORDS:
        # Those that aren't kept are no stranger together than the commonest of them.
        unseen = min(unseen, float(far[_WORDS]))
    missing = _missing(column)
    pairs = zip(words, far[: len(words)].tolist(), strict=True)
    return Words(column.name, dict(pairs), unseen, missing)


def _rarities(counts: Any, rows: int) -> tuple[Floats, float]:
    """How far out each value of a column lies, and one that isn't among them.

    A value is as rare as all that are no commoner taken together. One never seen is as likely
    as those seen once were (I. J. Good, Biometrika 40, 1953); where none was seen once, so many
    are taken for it as there are at the rarest count that there is, spread over the counts
    around it (Gale and Sampson, Journal of Quantitative Linguistics 2, 1995).
    """
    ordered = np.sort(counts)
    upto = np.cumsum(ordered)
    shares = upto[np.searchsorted(ordered, counts, "right") - 1] / rows
    far = np.array([_far(share) for share in shares])
    different = np.unique(ordered)
    following = different[1] if len(different) > 1 else 2 * different[0]
    once = int(np.count_nonzero(ordered == different[0])) / max(following / 2, 1)
    return far, _far(once / rows)


def _missing(column: pl.Series) -> float:
    """How far out it is to have no value, where all had one as well."""
    holes, rows = column.null_count(), len(column)
    return _far(holes / rows if holes else 1 / rows**2)


def _far(share: float) -> float:
    """The normal quantile that so small a share lies beyond, on both sides."""
    return float(-_normal.inv_cdf(min(max(share, 1e-12), 1.0) / 2)) if share < 1 else 0.0


def _precision(normal: Floats) -> Floats:
    """The inverse of the correlations, shrunken as far as the rows don't tell them."""
    m, n = normal.shape
    if m == 0:
        return np.zeros((0, 0))
    second = normal @ normal.T / n
    level = float(np.trace(second)) / m
    if level <= 0:
        return np.eye(m)
    target = level * np.eye(m)
    distance = float(((second - target) ** 2).sum())
    # The mean of ||x x' - S||^2, without a matrix for each row.
    squares = (normal**2).sum(axis=0)
    noise = (float((squares**2).mean()) - float((second**2).sum())) / n
    share = min(1.0, max(noise, 0.0) / distance) if distance > 0 else 1.0
    # Columns that repeat each other leave a matrix without an inverse.
    shrunk = share * target + (1 - share) * second + 1e-6 * level * np.eye(m)
    inverse: Floats = np.linalg.inv(shrunk)
    return inverse

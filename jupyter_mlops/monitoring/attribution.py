"""How much of the loss to expect each feature's change explains."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl
from scipy import stats

from jupyter_mlops.monitoring.bins import CategoryBins, NumberBins
from jupyter_mlops.monitoring.columns import Column, NumberColumn, as_numbers, as_text
from jupyter_mlops.monitoring.estimates import FEWEST_BLOCKS, Floats
from jupyter_mlops.monitoring.expected import Expectation

__all__ = ["LossChange", "explain_loss"]

#: No row stands for more than this many: a few of them must not decide.
_HEAVIEST: Final = 20.0
MEANING: Final = (
    "the log-loss that the calibrated probabilities lead to expect, and what of it would go if "
    "the window's rows were weighed so that this one feature is spread as in the reference; "
    "features that moved together share what they explain, so the parts need not add up"
)


@dataclass(frozen=True)
class LossChange:
    """A change of the loss to expect, with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        In nats a row; above 0 where the loss rose.
    """

    value: float
    low: float
    high: float

    @property
    def told(self) -> bool:
        """Whether the interval leaves out 0."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        return f"{self.value:+.3f} ({self.low:+.3f} to {self.high:+.3f})"

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers, JSON-safe."""
        return asdict(self)


def explain_loss(
    expectation: Expectation,
    answers: pl.DataFrame,
    features: pl.DataFrame,
    reference: Mapping[str, Column],
    names: Sequence[str],
    confidence: float = 0.95,
) -> tuple[LossChange | None, dict[str, LossChange]]:
    """Say how far the expected loss moved since validation, and by which features.

    Parameters
    ----------
    expectation : Expectation
        Fitted on the validation rows.
    answers : polars.DataFrame
        ``prediction``, ``probability`` (and ``day``) of rows of the window.
    features : polars.DataFrame
        The same rows' features.
    reference : mapping of str to Column
    names : sequence of str
        The features to be held to account.

    Returns
    -------
    (LossChange or None, dict of str to LossChange)
        Of all together, and by each feature alone; None where the rows have no probabilities.

    Notes
    -----
    With weights ``w = p / q`` of the reference's share of a row's bin over the window's, the part
    of a feature is ``mean(L) - sum(w L) / sum(w)``: importance weighting by one feature
    (Shimodaira 2000), on the bins of the drift test. Rows of one day count as one block.
    """
    found = expectation.losses(answers)
    if found is None:
        return None, {}
    losses, kept, validation = found
    days = answers["day"].filter(pl.Series(kept)) if "day" in answers.columns else None
    blocks = _blocks(days)
    quantile = float(stats.norm.isf((1 - confidence) / 2))
    before = float(validation.mean())
    error = math.hypot(
        _error(losses - losses.mean(), blocks), float(validation.std()) / math.sqrt(validation.size)
    )
    whole = _change(float(losses.mean()) - before, quantile * error)
    parts = {}
    rows = features.filter(pl.Series(kept))
    for name in names:
        if name not in reference:
            continue
        weights = _weights(reference[name], rows[name])
        if weights is None:
            continue
        held = float(np.sum(weights * losses) / weights.sum())
        influence = losses - losses.mean() - weights / weights.mean() * (losses - held)
        parts[name] = _change(float(losses.mean()) - held, quantile * _error(influence, blocks))
    return whole, parts


def _weights(reference: Column, column: pl.Series) -> Floats | None:
    """How many rows of the reference each row of the window stands for."""
    places: npt.NDArray[np.int64]
    if isinstance(reference, NumberColumn):
        bins = NumberBins.of(reference)
        own = bins.count(reference)
        places = bins.place(as_numbers(column).to_numpy().astype(float))
    else:
        categories = CategoryBins.of(reference)
        own = categories.count(reference)
        places = categories.place([None if v is None else as_text(v) for v in column.to_list()])
    now = np.bincount(places, minlength=own.size)
    if not now.sum() or not own.sum():
        return None
    shares = own / own.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(now > 0, shares / (now / now.sum()), 0.0)
    weights = np.minimum(ratio, _HEAVIEST)[places]
    return weights if weights.sum() > 0 else None


def _change(value: float, reach: float) -> LossChange:
    return LossChange(value, value - reach, value + reach)


def _error(influence: Floats, blocks: npt.NDArray[np.int64] | None) -> float:
    if blocks is None:
        return float(math.sqrt(np.sum(influence**2))) / influence.size
    sums = np.bincount(blocks, weights=influence)
    return float(math.sqrt(np.sum(sums**2) * sums.size / (sums.size - 1))) / influence.size


def _blocks(days: pl.Series | None) -> npt.NDArray[np.int64] | None:
    if days is None or days.null_count():
        return None
    blocks = np.unique(days.to_physical().to_numpy(), return_inverse=True)[1].astype(np.int64)
    return blocks if blocks.size and blocks.max() + 1 >= FEWEST_BLOCKS else None

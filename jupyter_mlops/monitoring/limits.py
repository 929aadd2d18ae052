"""The limits that turn a measured difference into a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_mlops.profiling.contracts import Contract


@dataclass(frozen=True)
class Limits:
    """When a difference is worth a look (`watch`) and when it counts as drift (`act`).

    A feature is only ever flagged when its difference is *both* significant
    (Benjamini-Hochberg over all features at `alpha`) and large, after the noise
    floor has been taken off. With rows that are independent of each other, at
    most a share `alpha` of the checks of an unchanged table flags anything.

    Parameters
    ----------
    alpha : float
        Bound on the false-alarm rate of a whole check.
    psi_watch, psi_act : float
        Population stability index above its noise floor. 0.1 and 0.25 are the
        usual limits; a normal shifted by half its standard deviation has 0.25.
    distance_watch, distance_act : float
        Wasserstein distance above its floor, in interquartile ranges.
    missing_watch, missing_act : float
        Change of the share of missing values (also at least three standard errors).
    unseen_watch, unseen_act : float
        Share of rows with a category the reference never held, above its floor; and share of
        the reference's rows with a category that occurs no more.
    auc_watch, auc_act : float
        Area under the curve of a classifier that tells the window from the reference, for
        features taken together, texts and embeddings: 0.6 and 0.65 are a normal shifted by 0.36
        and by 0.54 of its standard deviation.
    correlation_watch, correlation_act : float
        Change of the rank correlation of two numbers.
    loss_margin : float
        Relative change of the loss that matters: 0.02 is 2 % of the loss at validation.
    confidence : float
        Of every interval.
    fewest_truths : int
        Rows with truth below which performance gets no verdict.
    columns : mapping of str to (float, float)
        The `watch` and `act` of the stability index for features that have their own, as a
        contract gives them; their distances are stretched by as much.
    """

    alpha: float = 0.01
    psi_watch: float = 0.1
    psi_act: float = 0.25
    distance_watch: float = 0.1
    distance_act: float = 0.35
    missing_watch: float = 0.01
    missing_act: float = 0.10
    unseen_watch: float = 0.005
    unseen_act: float = 0.05
    auc_watch: float = 0.60
    auc_act: float = 0.65
    correlation_watch: float = 0.1
    correlation_act: float = 0.3
    loss_margin: float = 0.02
    confidence: float = 0.95
    fewest_truths: int = 100
    columns: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of_contract(cls, contract: Contract | None) -> Limits:
        """The limits with a contract's own for each of its columns."""
        usual = cls()
        if contract is None:
            return usual
        own = {
            name: (terms.drift.watch, terms.drift.act)
            for name, terms in contract.columns.items()
            if terms.drift is not None
        }
        # What is as usual needn't be kept with every check.
        return replace(
            usual,
            columns={
                name: one for name, one in own.items() if one != (usual.psi_watch, usual.psi_act)
            },
        )

    def of(self, column: str) -> Limits:
        """The limits of one feature."""
        own = self.columns.get(column)
        if own is None:
            return self
        watch, act = own
        return replace(
            self,
            psi_watch=watch,
            psi_act=act,
            distance_watch=self.distance_watch * watch / self.psi_watch,
            distance_act=self.distance_act * act / self.psi_act,
        )

    @property
    def largest_floor(self) -> float:
        """Noise floor above which a window is too small to say anything."""
        return self.psi_watch / 2

    def to_dict(self) -> dict[str, Any]:
        """Return the limits as plain numbers, as kept with every check."""
        return asdict(self) | {"columns": {name: list(one) for name, one in self.columns.items()}}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Limits:
        """The limits back from what was kept."""
        own = {name: (watch, act) for name, (watch, act) in stored.get("columns", {}).items()}
        return cls(**{**stored, "columns": own})


def level(confidence: float) -> str:
    """A level of confidence in as many digits as tell it from certainty.

    Examples
    --------
    >>> level(0.95), level(0.991239), level(0.99995)
    ('95%', '99.1%', '99.995%')
    """
    left = 100 * (1 - confidence)
    decimals = max(0, math.ceil(-math.log10(left))) if 0 < left < 100 else 0
    return f"{100 * confidence:.{decimals}f}%"

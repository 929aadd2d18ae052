"""The limits that turn a measured difference into a verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass


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
        Share of rows with a category the reference never held, above its floor.
    loss_margin : float
        Relative change of the loss that matters: 0.02 is 2 % of the loss at validation.
    confidence : float
        Of every interval.
    fewest_truths : int
        Rows with truth below which performance gets no verdict.
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
    loss_margin: float = 0.02
    confidence: float = 0.95
    fewest_truths: int = 100

    @property
    def largest_floor(self) -> float:
        """Noise floor above which a window is too small to say anything."""
        return self.psi_watch / 2

    def to_dict(self) -> dict[str, float]:
        """Return the limits as plain numbers, as kept with every check."""
        return asdict(self)

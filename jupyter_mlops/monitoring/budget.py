"""How often an endpoint that is well may raise an alarm, over all that is looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from jupyter_mlops.monitoring.limits import Limits

__all__ = ["LOOK", "QUARTER", "Budget"]

QUARTER: Final = timedelta(days=365.25 / 4)
#: Between two looks at what an endpoint counts.
LOOK: Final = timedelta(seconds=5)
_DRIFT, _PERFORMANCE, _LIVE = 0.4, 0.4, 0.2
#: As a single check by hand: rare checks don't get blunter than that.
_BLUNTEST = 0.01


@dataclass(frozen=True)
class Budget:
    """A bound on false alarms a quarter, shared out over everything that may raise one.

    The expected number of false alarms is at most the sum over all looks of the chance of each
    (the union bound), which holds however the looks depend on each other: windows may overlap,
    and features and series may move together. Two fifths go to the battery of drift tests of all
    checks, two fifths to the test of the loss, one fifth to what is counted live (errors,
    latency, contract).

    Parameters
    ----------
    alarms : float
        False alarms a quarter at the most.
    every : timedelta
        Between two checks.

    Examples
    --------
    >>> budget = Budget(1.0, timedelta(days=1))
    >>> round(budget.checks), round(budget.drift, 5)
    (91, 0.00438)
    """

    alarms: float
    every: timedelta

    @property
    def checks(self) -> float:
        """Checks in a quarter."""
        return QUARTER / self.every

    @property
    def drift(self) -> float:
        """Chance that one check of unchanged inputs flags any feature, at the most."""
        return min(_BLUNTEST, _DRIFT * self.alarms / max(self.checks, 1.0))

    @property
    def performance(self) -> float:
        """Chance that one check of an unchanged loss finds it worse, at the most."""
        return min(_BLUNTEST, _PERFORMANCE * self.alarms / max(self.checks, 1.0))

    def live(self, series: int) -> float:
        """Chance of an alarm of one look at one of so many series, at the most."""
        return _LIVE * self.alarms / (QUARTER / LOOK * max(series, 1))

    def limits(self, usual: Limits) -> Limits:
        """The limits of one check."""
        # The loss is worse when the lower end of its interval is: one tail of two.
        return replace(usual, alpha=self.drift, confidence=1 - 2 * self.performance)

    def __str__(self) -> str:
        alarms = f"{self.alarms:g} false {'alarm' if self.alarms == 1 else 'alarms'}"
        checks = math.ceil(self.checks)
        return (
            f"{alarms} a quarter at the most: {checks:,} "
            f"{'check' if checks == 1 else 'checks'} of all inputs at {self.drift:.2g}, "
            f"of the loss at {self.performance:.2g}"
        )

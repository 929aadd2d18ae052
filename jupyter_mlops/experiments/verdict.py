"""What comparing two runs found, and the sentence that says so."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_mlops.experiments.trials import Run
from jupyter_mlops.workspace import Result

__all__ = ["Comparison"]


@dataclass(frozen=True)
class Comparison(Result):
    """Two runs on the same rows.

    Attributes
    ----------
    metric : str
        A loss: smaller is better.
    loss_a, loss_b : float
        Its means.
    difference, low, high : float
        Mean of (loss of b - loss of a) and its 95% interval; positive means a is better.
    by : tuple of str
        What groups the rows; empty when each row counts for itself.
    better : str or None
        ``a``, ``b``, or None when the interval holds zero.
    """

    a: Run
    b: Run
    metric: str
    loss_a: float
    loss_b: float
    difference: float
    low: float
    high: float
    rows: int
    by: tuple[str, ...]
    groups: int
    better: str | None
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> str:
        """One sentence."""
        paired = (
            f"paired by {' and '.join(self.by)}, {self.groups:,} groups"
            if self.by
            else f"paired by row, {self.rows:,} rows"
        )
        interval = f"95% CI {_number(self.low)} to {_number(self.high)}, {paired}"
        if self.better is None:
            name = _names(self)[0]
            ahead = "ahead" if self.difference >= 0 else "behind"
            return (
                f"No real difference: {name} is {ahead} by "
                f"{_number(abs(self.difference))} {self.metric} ({interval})."
            )
        winner = _names(self)[0 if self.better == "a" else 1]
        if self.better == "b":
            low, high = _number(-self.high), _number(-self.low)
            interval = f"95% CI {low} to {high}, {paired}"
        return f"{winner} is better by {_number(abs(self.difference))} {self.metric} ({interval})."


def _names(comparison: Comparison) -> tuple[str, str]:
    """How to call the two: by name, or by id where both have the same name."""
    a, b = comparison.a, comparison.b
    if a.name != b.name:
        return a.name, b.name
    return f"{a.name} ({a.short})", f"{b.name} ({b.short})"


def _number(value: float) -> str:
    return f"{value:.3g}"

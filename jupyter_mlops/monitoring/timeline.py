"""An endpoint's performance over time, as a record."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from jupyter_mlops.monitoring.calibration import Calibration
from jupyter_mlops.monitoring.changes import Change, Detector
from jupyter_mlops.monitoring.estimates import Task
from jupyter_mlops.monitoring.performance import LABELS, Performance, Score
from jupyter_mlops.monitoring.segments import Segments
from jupyter_mlops.monitoring.windows import Window
from jupyter_mlops.workspace import Result

__all__ = ["PerformanceOverTime", "Period", "sentence_of"]


@dataclass(frozen=True)
class Period:
    """One period of an endpoint's answers.

    Attributes
    ----------
    start, end : datetime
    rows, answered : int
        Rows that were predicted, and those of them whose truth has come.
    scores : list of Score
        Measured on the rows with truth; empty without any.
    expected : list of Score
        What all its rows lead to expect; empty where that can't be told.
    covered : dict of str to bool
        For each metric whether what was measured lies in the interval that was expected of the
        very rows with truth; empty with too few of them.
    """

    start: datetime
    end: datetime
    rows: int
    answered: int
    scores: list[Score]
    expected: list[Score] = field(default_factory=list)
    covered: dict[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class PerformanceOverTime(Result):
    """How good an endpoint's answers were, period by period.

    Attributes
    ----------
    endpoint : str
    model, version : str or None
    task : str
    window : Window
    every : str
        The length of a period.
    rows, answered, corrected : int
        Rows, those with truth, and those whose truth was corrected later.
    periods : list of Period
        Those with rows, in order.
    whole : Performance or None
        Of the whole window, set against validation; None until truth has come.
    interval : str
        How the periods' intervals were made, in words.
    loss : str
        The loss whose changes are looked for.
    changes : list of Change
        Where it changed.
    detector : str
    segments : Segments or None
        By the column that was asked for.
    calibration : Calibration or None
        What the estimates without truth were made with; None where there are none.
    sentence : str
    notices : list of str
    at : datetime
    """

    endpoint: str
    model: str | None
    version: str | None
    task: Task
    window: Window
    every: str
    rows: int
    answered: int
    corrected: int
    periods: list[Period]
    whole: Performance | None
    interval: str
    loss: str
    changes: list[Change]
    detector: Detector
    segments: Segments | None
    calibration: Calibration | None
    sentence: str
    notices: list[str]
    at: datetime

    @property
    def ref(self) -> str:
        """``endpoint:name``."""
        return f"endpoint:{self.endpoint}"

    @property
    def tracked(self) -> dict[str, tuple[int, int]]:
        """By metric: in how many periods the estimate's interval held, and of how many."""
        found: dict[str, tuple[int, int]] = {}
        for one in self.periods:
            for name, held in one.covered.items():
                inside, of = found.get(name, (0, 0))
                found[name] = inside + held, of + 1
        return found


def sentence_of(found: PerformanceOverTime) -> str:
    """What was found, with its numbers."""
    if found.whole is None:
        said = [f"no truth has come yet for {found.rows:,} rows"]
    else:
        loss = found.whole.loss
        said = [
            f"{found.answered:,} of {found.rows:,} rows have a truth: {loss.label} "
            f"{loss.value:.3f} ({loss.low:.3f} to {loss.high:.3f})"
        ]
        if found.whole.reference_scores and found.whole.change is not None:
            before = found.whole.reference_scores[0].value
            said[0] += f" against {before:.3f} at validation: {found.whole.verdict}"
    if found.changes:
        last = found.changes[-1]
        when = f"{last.began:%Y-%m-%d %H:%M}" if last.began else f"row {last.began_row:,}"
        said.append(
            f"the {found.loss} went from {last.before:.3f} to {last.after:.3f} at {when}, seen "
            f"{last.delay:,} rows later"
        )
    elif found.answered and not any("looked for" in one for one in found.notices):
        said.append(f"no change of the {found.loss} was found")
    worse = (
        [one.name for one in found.segments.items if one.verdict == "worse"]
        if (found.segments)
        else []
    )
    if worse and found.segments:
        said.append(f"worst where {found.segments.column} is {', '.join(worse[:3])}")
    loss_name = next(iter(found.tracked), None)
    if loss_name is not None:
        inside, of = found.tracked[loss_name]
        said.append(
            f"the {LABELS.get(loss_name, loss_name)} expected without truth held in {inside} of "
            f"{of} periods"
        )
    return "; ".join(said) + "."

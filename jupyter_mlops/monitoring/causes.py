"""Why a window is not what the reference was: where, since when, and what it costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl

from jupyter_mlops.monitoring.attribution import LossChange, explain_loss
from jupyter_mlops.monitoring.columns import Column
from jupyter_mlops.monitoring.concentrating import Segment, concentrates
from jupyter_mlops.monitoring.expected import Expectation
from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.onset import onset
from jupyter_mlops.monitoring.populations import Kind, Population

__all__ = ["MOST", "Cause", "find_causes"]

#: Features that are looked into.
MOST: Final = 5

History = Sequence[tuple[datetime, Mapping[str, Column]]]


@dataclass(frozen=True)
class Cause:
    """What is known of one feature's change.

    Attributes
    ----------
    feature, reason : str
    segment : Segment or None
        The part of the rows that holds most of the change; None when it is everywhere.
    since : datetime or None
        The start of the period from which on it departs; None when that is older than the log,
        or can't be told.
    when : str
        The same in words.
    loss : LossChange or None
        What it adds to the loss to expect; None without calibrated probabilities.
    """

    feature: str
    reason: str
    segment: Segment | None
    since: datetime | None
    when: str
    loss: LossChange | None

    def __str__(self) -> str:
        said = [f"{self.feature}: {self.reason}"]
        if self.when:
            said.append(self.when)
        said.append(str(self.segment) if self.segment else "in all parts")
        if self.loss is not None:
            said.append(f"expected loss {self.loss}")
        return "; ".join(said)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-safe mapping; `from_dict` reads it back."""
        return {
            "feature": self.feature,
            "reason": self.reason,
            "segment": self.segment and self.segment.to_dict(),
            "since": self.since and self.since.isoformat(),
            "when": self.when,
            "loss": self.loss and self.loss.to_dict(),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Cause:
        """Read what `to_dict` wrote."""
        return cls(
            stored["feature"],
            stored["reason"],
            stored["segment"] and Segment(**stored["segment"]),
            stored["since"] and datetime.fromisoformat(stored["since"]),
            stored["when"],
            stored["loss"] and LossChange(**stored["loss"]),
        )


def find_causes(
    drifted: Sequence[FeatureDrift],
    reference: Population,
    current: Population,
    kinds: Mapping[str, Kind],
    history: History,
    limits: Limits,
    expectation: Expectation | None = None,
    answers: pl.DataFrame | None = None,
) -> tuple[list[Cause], LossChange | None]:
    """Look into the features that drifted, the most alarming first.

    Parameters
    ----------
    drifted : sequence of FeatureDrift
    reference, current : Population
    kinds : mapping of str to str
        Of all features.
    history : sequence of (datetime, mapping)
        The drifted features by period, from before the window to its end.
    limits : Limits
    expectation : Expectation, optional
        Of the served model, where it has calibrated probabilities.
    answers : polars.DataFrame, optional
        ``prediction``, ``probability``, ``day`` and ``own``: those of the rows of
        ``current.sample``, and whether the version that is judged gave them.

    Returns
    -------
    (list of Cause, LossChange or None)
        And by how much the loss to expect changed in all.
    """
    shown = [one for one in drifted if one.name in reference.columns][:MOST]
    losses: dict[str, LossChange] = {}
    whole: LossChange | None = None
    if expectation is not None and answers is not None and answers.height:
        own = answers["own"]
        whole, losses = explain_loss(
            expectation,
            answers.filter(own),
            current.sample.filter(own),
            reference.columns,
            [one.name for one in shown],
            limits.confidence,
        )
    found = []
    for one in shown:
        periods = [(start, columns[one.name]) for start, columns in history if one.name in columns]
        since, when = onset(reference.columns[one.name], periods, limits.psi_watch)
        segment = concentrates(
            one.name, reference.sample, current.sample, kinds, limits.of(one.name).psi_watch
        )
        found.append(Cause(one.name, one.reason, segment, since, when, losses.get(one.name)))
    return found, whole

"""One verdict and one sentence from everything that a check measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from jupyter_mlops.monitoring.features import FeatureDrift
from jupyter_mlops.monitoring.joint import JointDrift
from jupyter_mlops.monitoring.performance import Performance

Overall = Literal[
    "stable",
    "inputs moved",
    "performance worse",
    "inputs moved, performance worse",
    "not enough data",
]


def overall(
    features: Sequence[FeatureDrift],
    performance: Performance | None,
    joint: JointDrift | None = None,
) -> Overall:
    """The verdict of a check.

    ``inputs moved`` takes a feature that drifted, or all of them together; ``performance
    worse`` takes a loss whose whole interval lies above that of validation by the margin.
    Features to watch and a loss that is only nominally higher leave a check stable.
    """
    moved = any(feature.verdict == "drifted" for feature in features)
    moved |= joint is not None and joint.verdict == "drifted"
    worse = performance is not None and performance.verdict == "worse"
    if moved and worse:
        return "inputs moved, performance worse"
    if worse:
        return "performance worse"
    if moved:
        return "inputs moved"
    if features and all(feature.verdict == "not enough data" for feature in features):
        return "not enough data"
    return "stable"


def sentence(
    features: Sequence[FeatureDrift],
    predictions: Sequence[FeatureDrift],
    performance: Performance | None,
    joint: JointDrift | None = None,
) -> str:
    """Say the verdict with its numbers."""
    said = [_of_features(features)]
    alone = any(one.verdict == "drifted" for one in features)
    if joint is not None and not alone and joint.verdict in ("drifted", "watch"):
        doing = "drifted together" if joint.verdict == "drifted" else "are to watch together"
        said.append(f"but they {doing} ({joint.reason})")
    moved = [one for one in predictions if one.verdict == "drifted"]
    if moved:
        said.append(f"the predictions moved too ({moved[0].reason})")
    said.append(_of_performance(performance))
    return "; ".join(said) + "."


def loss_sentence(performance: Performance) -> str:
    """Say what became of the loss, with its numbers."""
    said = _of_performance(performance)
    return f"{said[:1].upper()}{said[1:]}."


def _of_features(features: Sequence[FeatureDrift]) -> str:
    drifted = [one.name for one in features if one.verdict == "drifted"]
    watched = sum(1 for one in features if one.verdict == "watch")
    short = [one for one in features if one.verdict == "not enough data"]
    if features and len(short) == len(features):
        needed = min(one.rows_needed for one in short)
        return f"not enough data: {short[0].rows:,} of {needed:,} rows"
    said = f"{len(drifted)} of {len(features)} features drifted"
    if drifted:
        names = ", ".join(drifted[:4]) + (", …" if len(drifted) > 4 else "")
        said += f" ({names})"
    if watched:
        said += f", {watched} to watch"
    if short:
        said += f", {len(short)} without enough data"
    return said


def _of_performance(performance: Performance | None) -> str:
    if performance is None:
        return "no truth has come yet"
    loss = performance.loss
    said = f"{loss.label} {loss.value:.3f} ({loss.low:.3f} to {loss.high:.3f})"
    reference = performance.reference_scores
    if performance.change is not None and reference:
        return (
            f"{said} against {reference[0].value:.3f} at validation, "
            f"{performance.change:+.3f} ({performance.change_low:+.3f} to "
            f"{performance.change_high:+.3f}): {performance.verdict}"
        )
    return f"{said} on {performance.rows:,} rows with truth"

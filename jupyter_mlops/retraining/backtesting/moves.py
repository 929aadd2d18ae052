"""Did the inputs move? As a drift check says it, without a workspace to keep it in."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import polars as pl

from jupyter_mlops.monitoring.features import compare_features
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.verdicts import overall, sentence

if TYPE_CHECKING:
    from jupyter_mlops.monitoring.checks import Drift

__all__ = ["inputs_moved"]


def inputs_moved(before: pl.DataFrame, now: pl.DataFrame, features: Sequence[str]) -> Drift:
    """Compare a window's inputs with the first training data.

    Returns
    -------
    Drift
        With the verdict, the sentence and the features that drifted; nothing else is known.
    """
    judged = compare_features(before, now, list(features), Limits())
    told: Any = SimpleNamespace(
        verdict=overall(judged, None),
        sentence=sentence(judged, [], None).removesuffix("; no truth has come yet."),
        drifted=[one.name for one in judged if one.verdict == "drifted"],
    )
    return cast("Drift", told)

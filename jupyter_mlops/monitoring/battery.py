"""All tests of one check together, and how often they err."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from jupyter_mlops.monitoring.budget import QUARTER
from jupyter_mlops.monitoring.contents import Content, compare_embeddings, compare_texts
from jupyter_mlops.monitoring.features import FeatureDrift, compare_columns
from jupyter_mlops.monitoring.joint import JointDrift, compare_jointly
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.monitoring.populations import Kind, Population

__all__ = ["JOINT", "promise", "run_battery"]

#: What the test of all features together gets of the false alarms; the rest goes to them alone.
JOINT: Final = 0.2


def run_battery(
    reference: Population,
    current: Population,
    kinds: Mapping[str, Kind],
    limits: Limits,
    *,
    jointly: bool = True,
) -> tuple[list[FeatureDrift], JointDrift | None]:
    """Test each feature, and all of them together.

    Over everything that is tested, at most a share ``limits.alpha`` of the windows of unchanged,
    independent rows has anything to watch or worse: four fifths of it go to the features
    (Benjamini and Hochberg over all of them bounds the chance of any when none has changed), one
    fifth to the test of all together.
    """
    alone = replace(limits, alpha=(1 - JOINT) * limits.alpha) if jointly else limits
    columns = {
        name: column for name, column in reference.columns.items() if name in current.columns
    }
    contents: dict[str, tuple[str, int, Content]] = {}
    for name, kind in kinds.items():
        if kind == "text":
            found = compare_texts(reference.sample[name], current.sample[name])
            contents[name] = kind, current.rows, found
        elif kind == "embedding":
            found = compare_embeddings(reference.sample[name], current.sample[name])
            contents[name] = kind, current.rows, found
    features = compare_columns(columns, current.columns, alone, contents)
    if not jointly:
        return features, None
    held = {name: kind for name, kind in kinds.items() if name in columns}
    own = replace(limits, alpha=JOINT * limits.alpha)
    return features, compare_jointly(reference.sample, current.sample, held, own)


def promise(limits: Limits, every: timedelta | None, scheduled: bool) -> str:
    """Say in plain words how often a check of unchanged inputs flags something.

    Examples
    --------
    >>> promise(Limits(), timedelta(days=1), scheduled=False)
    'If nothing changed, at most 1 check in 100 flags anything, over all its tests and with rows \
independent of each other: less than one false alarm a quarter with a check every day.'
    """
    said = (
        f"If nothing changed, at most 1 check in {1 / limits.alpha:,.0f} flags anything, over all "
        "its tests and with rows independent of each other"
    )
    if every is None or every <= timedelta(0):
        return f"{said}."
    alarms = limits.alpha * max(1.0, QUARTER / every)
    if alarms < 1:
        rate = "less than one false alarm a quarter"
    elif alarms == 1:
        rate = "one false alarm a quarter at the most"
    else:
        rate = f"{math.ceil(alarms):,} false alarms a quarter at the most"
    cadence = "as it is monitored, " if scheduled else "with a check "
    return f"{said}: {rate} {cadence}every {_length(every)}."


def _length(every: timedelta) -> str:
    for name, unit in (("day", timedelta(days=1)), ("hour", timedelta(hours=1))):
        count = every / unit
        if count >= 1:
            return name if round(count) == 1 else f"{count:.3g} {name}s"
    minutes = every / timedelta(minutes=1)
    return f"{minutes:.3g} minutes" if minutes >= 1 else f"{every.total_seconds():.3g} seconds"

"""How a column's values are spread: one table's, or two tables' over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.profiling.profiles import Profile
from jupyter_mlops.views.blocks import Distribution, Series
from jupyter_mlops.views.data import short

__all__ = ["BINS", "ROW_BINS", "distribution", "pair_spark", "shown", "spark"]

ROW_BINS: Final = 12
BINS: Final = 24


def distribution(
    it: ColumnProfile,
    there: ColumnProfile | None,
    result: Profile,
    against: Profile | None,
    bins: int = BINS,
) -> Distribution | None:
    """How a column's values are spread, over the other table's when there is one."""
    if there is None and it.values.distinct() < 2:
        return None
    both = there is not None and against is not None
    names = _sides(result, against) if both else ("", "")
    if there is not None and it.values.numeric == there.values.numeric and it.values.numeric:
        return _common_bins(it, there, names, bins)
    drawn = it.histogram(bins)
    if not drawn.counts:
        return None
    here = _shares(drawn.counts, it.present)
    series = [Series(label=names[0], shares=here)]
    if not it.values.numeric and not it.values.exact and sum(drawn.counts) < 0.5 * it.present:
        return None  # the most frequent of very many say nothing about the rest
    labels = [short(one)[:40] for one in drawn.labels]
    if there is not None and not there.values.numeric:
        counts = [float(there.values.counts.get(value, 0)) for value, _ in it.values.top(bins)]
        series.append(Series(label=names[1], shares=_shares(counts, there.present)))
    ends = _ends(it) if drawn.edges else []
    if labels and it.values.numeric:
        # Few different numbers: a bar each, in their order, with the ends named.
        ends, labels = [labels[0], labels[-1]], []
    return Distribution(labels=labels, ends=ends, series=series)


def _common_bins(
    it: ColumnProfile, there: ColumnProfile, names: tuple[str, str], bins: int
) -> Distribution | None:
    """Both tables' numbers in the same bins, which span the middle 99.8 % of either."""
    import numpy as np

    if not it.moments.count or not there.moments.count:
        return None
    lows, highs = zip(*(one.values.quantiles([0.001, 0.999]) for one in (it, there)), strict=True)
    first, last = min(lows), max(highs)
    edges = np.linspace(first, last, bins + 1) if last > first else np.array([first, first + 1])
    inner = [float(one) for one in edges]
    edges[0] = min(first, *(one.low for one in (it, there) if one.low is not None)) - 1
    edges[-1] = max(last, *(one.high for one in (it, there) if one.high is not None))
    return Distribution(
        ends=[shown(it, inner[0]), shown(it, inner[-1])],
        series=[
            Series(label=name, shares=[round(float(one), 5) for one in side.values.shares(edges)])
            for name, side in zip(names, (it, there), strict=True)
        ],
    )


def _sides(result: Profile, against: Profile | None) -> tuple[str, str]:
    here = short(result.label.removeprefix("data:")) or "here"
    there = short(against.label.removeprefix("data:")) if against is not None else ""
    return (here, there or "there") if here != there else ("here", "there")


def spark(it: ColumnProfile) -> dict[str, Any] | None:
    """A column as a small picture."""
    drawn = it.histogram(ROW_BINS)
    most = max(drawn.counts, default=0)
    if not most or it.values.distinct() < 2:
        return None  # one value is no distribution
    spark: dict[str, Any] = {"values": [round(100 * count / most) for count in drawn.counts]}
    if it.values.numeric:
        ends = _ends(it) if drawn.edges else [drawn.labels[0], drawn.labels[-1]]
        spark["ends"] = ends
    return spark


def pair_spark(
    result: Profile, against: Profile, here: ColumnProfile, there: ColumnProfile
) -> dict[str, Any] | None:
    """A column of two tables as a small picture."""
    drawn = distribution(here, there, result, against, bins=ROW_BINS)
    if drawn is None or len(drawn.series) != 2:
        return None
    values, others = ([round(100 * s, 1) for s in one.shares] for one in drawn.series)
    spread: dict[str, Any] = {"values": values, "against": others}
    if drawn.ends:
        spread["ends"] = drawn.ends
    return spread


def shown(it: ColumnProfile, value: float | None) -> str:
    """A figure of a column, to four digits where it is measured."""
    return it.shown(value, 4)


def _ends(it: ColumnProfile) -> list[str]:
    """Where a histogram's bars begin and end; its first and last bar take in what lies beyond."""
    first, last = it.quantile(0.001), it.quantile(0.999)
    if first is None or last is None:
        return []
    below = "≤ " if it.low is not None and it.low < first else ""
    above = "≥ " if it.high is not None and it.high > last else ""
    return [below + shown(it, first), above + shown(it, last)]


def _shares(counts: Sequence[float], present: int) -> list[float]:
    return [round(count / present, 5) if present else 0.0 for count in counts]

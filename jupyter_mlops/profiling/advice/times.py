"""Time: values from the future, gaps in coverage, targets that drift, columns that come later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from jupyter_mlops.profiling.advice.case import Case, Floats
from jupyter_mlops.profiling.advice.finding import Advice, Severity, drop, percent
from jupyter_mlops.profiling.target import one_strength
from jupyter_mlops.profiling.vocabulary import words_of_name

__all__ = ["times"]

_DAY: Final = 86_400.0
_PLANNED: Final = {
    "due",
    "expiry",
    "expires",
    "expiration",
    "valid",
    "until",
    "plan",
    "planned",
    "sched",
    "scheduled",
    "deadline",
    "maturity",
    "end",
    "target",
    "estimated",
    "next",
    "forecast",
}
_BORN: Final = {"birth", "birthday", "birthdate", "dob", "born"}
#: Periods in days, from the finest.
_PERIODS: Final = {"hour": 1 / 24, "day": 1.0, "week": 7.0, "month": 30.4375, "year": 365.25}
_PARTS: Final = 10
_MOST_PERIODS: Final = 400


def times(case: Case) -> Iterator[Advice]:
    """Everything that rests on dates and times."""
    for name in case.temporal:
        yield from _future(case, name)
        if case.time in {None, name}:
            yield from _coverage(case, name)
    if case.target is None or case.profile.analysis is None:
        return
    clock = _clock(case)
    if clock is not None:
        yield from _drifting(case, clock)
    if clock is not None and clock in case.temporal:
        yield from _later(case, clock)
    yield from _ahead(case, clock)


def _future(case: Case, name: str) -> Iterator[Advice]:
    column = case.columns[name]
    now = case.profile.made_at.timestamp()
    if column.high is None or column.high < now + 2 * _DAY:
        return
    if set(words_of_name(name)) & _PLANNED:
        return
    late = int((case.present(name) > now + 2 * _DAY).sum())
    share = late / max(1, case.size)
    severity: Severity = "check" if share < 0.5 else "note"
    yield Advice(
        name,
        "future dates",
        severity,
        f"{case.of(late)} lie after today, up to {column.shown(column.high)}",
        "ask whether these are plans; if not, take them as missing",
        f"import pandas as pd\nnow = pd.Timestamp.now(tz=df[{name!r}].dt.tz)\n"
        f"df[{name!r}] = df[{name!r}].mask(df[{name!r}] > now)",
    )


def _coverage(case: Case, name: str) -> Iterator[Advice]:
    """Stretches without a single row, and a last period that has only begun."""
    seconds = np.sort(case.present(name))
    words = set(words_of_name(name))
    if len(seconds) < 200 or words & _BORN:
        return
    # What lies far outside is somebody else's finding, and hides the gaps inside.
    low, high = np.quantile(seconds, [0.002, 0.998])
    inner = seconds[(seconds >= low - 0.2 * (high - low)) & (seconds <= high + 0.2 * (high - low))]
    span = float(inner[-1] - inner[0]) / _DAY
    fitting = [unit for unit, days in _PERIODS.items() if 20 <= span / days <= _MOST_PERIODS]
    if not fitting:
        return
    unit = fitting[0]
    days = _PERIODS[unit]
    place = ((inner - inner[0]) / (days * _DAY)).astype(int)
    counts = np.bincount(place)
    column = case.columns[name]
    gap = _longest_gap(counts)
    if gap is not None:
        start, length = gap
        before, after = inner[place < start][-1], inner[place >= start + length][0]
        yield Advice(
            name,
            "time coverage",
            "check",
            f"no {'row' if case.whole else 'sampled row'} between {column.shown(before)} and "
            f"{column.shown(after)}, where about {np.median(counts[counts > 0]) * length:,.0f} "
            "were to be expected",
            "ask what happened then, and keep the gap in mind when you split by time",
            f"df[{name!r}].dt.floor('D').value_counts().sort_index()",
        )
    last = _partial(inner, span)
    if last is not None and gap is None:
        period, share = last
        yield Advice(
            name,
            "time coverage",
            "note",
            f"the last {period} has {percent(share)} of the rows of the ones before it",
            f"leave the unfinished {period} out of counts and means by {period}",
            f"df = df[df[{name!r}].dt.tz_localize(None) < "
            f"df[{name!r}].dt.tz_localize(None).max().to_period({period[0].upper()!r}).start_time]",
        )


def _longest_gap(counts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> tuple[int, int] | None:
    """The longest run of empty periods that neither chance nor a weekly habit explains."""
    empty = counts == 0
    if not empty.any() or empty.mean() > 0.35:
        return None
    edges = np.flatnonzero(np.diff(np.concatenate([[0], empty.astype(int), [0]])))
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    longest = int(np.argmax(lengths))
    length = int(lengths[longest])
    usual = float(np.median(counts[~empty]))
    # Nights and weekends are empty too; a gap is longer than the habit.
    others = np.delete(lengths, longest)
    habit = int(np.quantile(others, 0.9)) if len(others) >= 3 else 0
    if usual * length < 15 or length < 2 or length <= 2 * habit:
        return None
    # Where rows come in bursts, empty periods say nothing.
    if float(np.std(counts[~empty])) > 1.5 * usual:
        return None
    return int(starts[longest]), length


def _partial(seconds: Floats, span: float) -> tuple[str, float] | None:
    """The longest calendar period whose last one is clearly unfinished, and its share."""
    days = seconds / _DAY
    stamps = days.astype("int64").astype("datetime64[D]")
    for period, length in (("year", 365.25), ("month", 30.44)):
        if span / length < 4:
            continue
        parts = stamps.astype(f"datetime64[{period[0].upper()}]").astype(int)
        counts = np.bincount(parts - parts.min())
        before, last = counts[-7:-1], int(counts[-1])
        usual = float(np.median(before))
        if usual >= 20 and before.min() > 0.5 * usual and last < 0.6 * usual - 4 * usual**0.5:
            return period, last / usual
    return None


def _clock(case: Case) -> str | None:
    """The column that says when a row happened.

    The one declared as the table's time, else the earliest time that (nearly) all rows have.
    """
    if case.time is not None:
        return case.time if case.time in {*case.temporal, *case.numeric} else None
    named = []
    for name in case.temporal:
        words = set(words_of_name(name))
        present = case.columns[name].missing_share < 0.05
        if present and name != case.target and not words & (_BORN | _PLANNED):
            named.append(name)
    if not named:
        return None
    return min(named, key=lambda name: float(np.nanmedian(case.numbers(name))))


def _labels(case: Case) -> Floats | None:
    """The target as one number a row, NaN where it is missing; None for several classes."""
    analysis = case.profile.analysis
    assert analysis is not None
    assert case.target is not None
    labels = case.sample[case.target]
    if analysis.task == "regression":
        return case.numbers(case.target)
    if analysis.task != "binary":
        return None
    positive = sorted(labels.drop_nulls().unique().to_list(), key=str)[-1]
    marks: Floats = (labels == positive).to_numpy().astype(np.float64)
    marks[labels.is_null().to_numpy()] = np.nan
    return marks


def _drifting(case: Case, clock: str) -> Iterator[Advice]:
    """Whether the target moves with time, so that a random split tells tomorrow to today."""
    labels = _labels(case)
    if labels is None:
        return
    when = case.numbers(clock)
    known = ~np.isnan(labels) & ~np.isnan(when)
    if known.sum() < 500 or len(np.unique(when[known])) < 3 * _PARTS:
        return
    y = labels[known][np.argsort(when[known], kind="stable")]
    parts = np.array_split(y, _PARTS)
    means = np.array([part.mean() for part in parts])
    sizes = np.array([len(part) for part in parts])
    total = float(((y - y.mean()) ** 2).sum())
    between = float((sizes * (means - y.mean()) ** 2).sum())
    if not total:
        return
    share = between / total
    # An F statistic of 9 and very many degrees of freedom; 5 is beyond one in a million.
    f = (between / (_PARTS - 1)) / ((total - between) / (len(y) - _PARTS)) if share < 1 else np.inf
    if f < 5 or share < 0.003:
        return
    severity: Severity = "check" if share > 0.05 else "note"
    target = case.target
    yield Advice(
        clock,
        "order in time",
        severity,
        f"over ten parts of equal size in the order of {clock!r}, the mean of {target!r} runs "
        f"from {means.min():.4g} to {means.max():.4g} ({percent(share)} of its variance)",
        "split by time, not at random: a random split lets the model learn from the future",
        f"df = df.sort_values({clock!r})\n"
        "cut = int(0.8 * len(df))\n"
        "train, test = df.iloc[:cut], df.iloc[cut:]",
    )


def _later(case: Case, clock: str) -> Iterator[Advice]:
    """Times that lie after the row's own, so that nobody knows them when the row begins."""
    analysis = case.profile.analysis
    assert analysis is not None
    start = case.numbers(clock)
    for name in case.temporal:
        if name in {clock, case.target}:
            continue
        if set(words_of_name(name)) & (_PLANNED | _BORN):
            continue
        gap = case.numbers(name) - start
        present = gap[~np.isnan(gap)]
        if len(present) < 100:
            continue
        after = float((present > 0).mean())
        if after < 0.95 or (present < 0).mean() > 0.01 or np.ptp(present) == 0:
            continue
        strength = one_strength(gap, case.sample[analysis.column], analysis)
        strong = strength is not None and strength >= (0.75 if analysis.metric == "AUC" else 0.3)
        told = (
            f"; the time between them {'ranks' if analysis.metric == 'AUC' else 'explains'} "
            f"{case.target!r} with {analysis.metric} {strength:.2f}"
            if strong
            else ""
        )
        yield Advice(
            name,
            "time leakage",
            "likely" if strong else "check",
            f"lies after {clock!r} in {percent(after)} of {len(present):,} rows, by "
            f"{_span(float(np.median(present)))} at the median{told}",
            f"leave it out, and all that happened after {clock!r}, unless you predict later",
            drop(name),
            (name, clock),
        )


def _ahead(case: Case, clock: str | None) -> Iterator[Advice]:
    """Columns that hold the target of a later row: only where the sample is the whole table."""
    analysis = case.profile.analysis
    assert analysis is not None
    if not case.whole or analysis.task != "regression" or case.target is None or case.size < 100:
        return
    order = np.arange(case.size)
    if clock is not None:
        order = np.argsort(case.numbers(clock), kind="stable")
    target = case.numbers(case.target)[order]
    if len(np.unique(target)) < 0.2 * len(target):
        return
    for name in case.numeric:
        values = case.numbers(name)[order]
        for steps in (1, 2, 3, 7):
            ahead, now = target[steps:], values[:-steps]
            both = ~np.isnan(ahead) & ~np.isnan(now)
            if both.sum() < 50:
                continue
            near = np.isclose(ahead[both], now[both], rtol=1e-9, atol=0)
            if near.mean() > 0.95 and not np.isclose(now[both], target[:-steps][both]).mean() > 0.5:
                rows = "the next row" if steps == 1 else f"the row {steps} later"
                yield Advice(
                    name,
                    "time leakage",
                    "likely",
                    f"equals {case.target!r} of {rows} in {percent(float(near.mean()))} of "
                    f"{int(both.sum()):,} rows",
                    "leave it out: it is from the future of its row",
                    drop(name),
                )
                break


def _span(seconds: float) -> str:
    for unit, size in (("days", _DAY), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} seconds"

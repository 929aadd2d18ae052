"""Parallel coordinates: a line for each trial over an axis for each parameter and the metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views.blocks import Chart
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.drawing import drawn
from jupyter_mlops.views.plotting import (
    BEST,
    PADDING,
    SCHEMA,
    WIDE,
    data_of,
    ends,
    is_number,
    shortened,
    thinned,
    value_of,
    varying,
)

__all__ = ["parallel_chart"]

#: Lines, those of them that stand out, parameters, and labels of one axis.
LINES: Final = 1_000
TOP: Final = 10
AXES: Final = 7
LABELS: Final = 8
#: Where values lie on an axis: whole numbers take little room. Below is what wasn't asked for.
_TALL: Final = 1_000
_ABSENT: Final = -90


@dataclass(frozen=True)
class _Axis:
    """Where the values of a parameter, or of the metric, lie.

    Attributes
    ----------
    choices : dict of str to int
        The place of each option; empty where values are numbers.
    ticks : list of (int, str)
        Places and what is written there.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: dict[str, int] = field(default_factory=dict)
    ticks: list[tuple[int, str]] = field(default_factory=list)

    def place(self, value: Any) -> int:
        if self.choices:
            return self.choices.get(str(value), _ABSENT)
        return _place(float(value), self.low, self.high, self.log)


def parallel_chart(
    experiment: Experiment,
    importance: Mapping[str, float],
    distributions: Mapping[str, Mapping[str, Any]],
) -> Chart | None:
    """Parameters and the first metric, a line for each trial; None where nothing can be compared.

    Parameters
    ----------
    importance : dict of str to float
        The parameters that matter most come first, and only so many fit.
    distributions : dict of str to dict
        As trials asked for parameters: whether by magnitude, or which options there were.
    """
    goal = experiment.goal
    done = [one for one in experiment.finished if math.isfinite(value_of(one, goal.metric))]
    done.sort(key=lambda one: value_of(one, goal.metric), reverse=goal.maximize)
    top = min(TOP, max(1, len(done) // 5))
    lines = [*done[:top], *thinned(done[top:], LINES - top)]
    names = sorted(varying(lines), key=lambda name: -importance.get(name, 0.0))
    if len(lines) < 3 or not names:
        return None
    shown = names[:AXES]
    axes = [_parameter(name, lines, distributions.get(name, {})) for name in shown]
    values = [value_of(one, goal.metric) for one in lines]
    axes.append(_metric(goal.metric, values))
    rows = [_row(one, axes) for one in lines]
    spec = _spec(axes, rows[:top], rows[top:])
    few = f"the best {top}" if top > 1 else "the best"
    title = f"{goal.metric} by all parameters, {few} of {len(done):,} trials in orange"
    if len(names) > len(shown):
        many = f"{len(shown)} of {len(names)} parameters"
        title = title.replace("all parameters", f"the {many} that matter most", 1)
    if len(lines) < len(done):
        title += f", and {len(lines) - top:,} others evenly over the ranks"
    best = ", ".join(
        f"{name} {_word(done[0].params[name])}" for name in shown if name in done[0].params
    )
    alt = (
        f"{len(lines):,} trials as lines over {', '.join(shown)} and {goal.metric}; "
        f"{number_text(values[0])} was reached with {best}"
    )
    return drawn(Chart(title=title, spec=spec, alt=alt))


def _parameter(name: str, trials: Sequence[Trial], asked: Mapping[str, Any]) -> _Axis:
    values = [one.params[name] for one in trials if name in one.params]
    absent = [(_ABSENT, "not asked for")] if len(values) < len(trials) else []
    if all(is_number(value) for value in values) and asked.get("kind") != "choice":
        low, high = float(min(values)), float(max(values))
        if low == high:
            return _Axis(name, low - 1, high + 1, ticks=[(_TALL // 2, number_text(low)), *absent])
        # Nobody may have kept how it was asked for.
        log = bool(asked["log"]) if "log" in asked else low > 0 and high / low > WIDE
        log = log and low > 0
        whole = all(isinstance(value, int) for value in values)
        ticks = [
            (_place(at, low, high, log), number_text(int(at) if whole else at))
            for at in (_powers(low, high) if log else _steps(low, high, whole))
        ]
        return _Axis(name, low, high, log, ticks=[*ticks, *absent])
    seen = dict.fromkeys(str(value) for value in values)
    options = [str(one) for one in asked.get("options", ()) if str(one) in seen]
    options += sorted(one for one in seen if one not in options)
    choices = {one: round((n + 0.5) * _TALL / len(options)) for n, one in enumerate(options)}
    ticks = [(choices[one], shortened(one, 14)) for one in thinned(options, LABELS)]
    return _Axis(name, choices=choices, ticks=[*ticks, *absent])


def _metric(name: str, values: Sequence[float]) -> _Axis:
    """The metric's axis; what is far off lies at its end, which says so."""
    low, high = ends(values, values[0])
    if low == high:
        return _Axis(name, low - 1, high + 1, ticks=[(_TALL // 2, number_text(low))])
    ticks = [(_place(at, low, high, False), number_text(at)) for at in _steps(low, high, False)]
    # Beside a tick that stands where it would, an end's own label couldn't be read.
    if min(values) < low:
        ticks = [tick for tick in ticks if tick[0] > 60] + [(0, f"≤ {number_text(low)}")]
    if max(values) > high:
        ticks = [tick for tick in ticks if tick[0] < 940] + [(_TALL, f"≥ {number_text(high)}")]
    return _Axis(name, low, high, ticks=ticks)


def _place(value: float, low: float, high: float, log: bool) -> int:
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return round(_TALL * min(1.0, max(0.0, (value - low) / (high - low))))


def _steps(low: float, high: float, whole: bool) -> list[float]:
    """About four round numbers between two ends."""
    size = 10 ** math.floor(math.log10((high - low) / 4))
    step = next(size * one for one in (1, 2, 5, 10) if (high - low) / (size * one) <= 5)
    step = max(1.0, step) if whole else step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{at * step:.12g}") for at in range(first, last + 1)]


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten between two ends, or the ends where there is at most one of them."""
    powers = range(math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9) + 1)
    if len(powers) < 2:
        return [low, high]
    return [10.0**one for one in thinned(powers, LABELS)]


def _row(trial: Trial, axes: Sequence[_Axis]) -> list[Any]:
    *parameters, metric = axes
    value = value_of(trial, metric.name)
    places = [
        one.place(trial.params[one.name]) if one.name in trial.params else _ABSENT
        for one in parameters
    ]
    return [trial.number, value, *places, metric.place(value)]


def _spec(
    axes: Sequence[_Axis], best: Sequence[Sequence[Any]], others: Sequence[Sequence[Any]]
) -> dict[str, Any]:
    keys = [f"a{number}" for number in range(len(axes))]
    heads = [(key, 1_070, shortened(one.name, 20)) for key, one in zip(keys, axes, strict=True)]
    marks = [(key, *tick) for key, one in zip(keys, axes, strict=True) for tick in one.ticks]
    x = {"field": "axis", "type": "nominal", "sort": None, "title": None,
         "scale": {"type": "point", "domain": keys, "padding": 0.45},
         "axis": {"grid": True, "labels": False, "ticks": False, "domain": False}}  # fmt: skip
    y = {"field": "place", "type": "quantitative", "axis": None,
         "scale": {"domain": [-110, 1_130], "nice": False, "zero": False}}  # fmt: skip
    tips = [{"field": "trial", "title": "trial"},
            {"field": "value", "title": shortened(axes[-1].name), "format": ".5~g"}]  # fmt: skip
    line = {"type": "line", "strokeJoin": "round"}
    text = {"x": x, "y": y, "text": {"field": "text", "type": "nominal"}}

    def layer(rows: Sequence[Sequence[Any]], **mark: Any) -> dict[str, Any]:
        data = data_of(["trial", "value", *keys], rows)
        data["format"]["parse"] = dict.fromkeys(["trial", "value", *keys], "number")
        return {
            "data": data,
            "transform": [{"fold": keys, "as": ["axis", "place"]}],
            "mark": {**line, **mark},
            "encoding": {"x": x, "y": y, "detail": {"field": "trial"}, "tooltip": tips},
        }

    def words(rows: Sequence[Sequence[Any]], **mark: Any) -> dict[str, Any]:
        data = data_of(["axis", "place", "text"], rows)
        data["format"]["parse"] = {"place": "number", "text": "string", "axis": "string"}
        return {"data": data, "mark": {"type": "text", **mark}, "encoding": text}

    faint = round(min(0.5, max(0.1, 25 / max(1, len(others)))), 2)
    return {
        "$schema": SCHEMA,
        "height": 260,
        "padding": PADDING,
        "layer": [
            layer(others, strokeWidth=1, opacity=faint),
            layer(best, strokeWidth=1.8, color=BEST, opacity=0.9),
            words(marks, align="left", dx=5, fontSize=10, style="halo"),
            words(marks, align="left", dx=5, fontSize=10),
            words(heads, align="center", baseline="bottom", fontSize=11, fontWeight=600),
        ],
    }


def _word(value: Any) -> str:
    return number_text(value) if is_number(value) else str(value)

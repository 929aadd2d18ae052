"""Charts of an experiment as Vega-Lite: its history, what mattered, slices, learning curves.

Each holds its data as CSV, at most two thousand points of it whatever the number of trials:
as objects in a notebook's JSON they would take ten times the room.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views.blocks import Chart
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.drawing import drawn
from jupyter_mlops.views.plotting import (
    BEST,
    GREY,
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

__all__ = ["front_chart", "history_chart", "importance_chart", "learning_chart", "slices_chart"]

#: Points of the history, and of each slice; slices; bars; steps of each learning curve.
HISTORY: Final = 600
SLICE: Final = 240
SLICES: Final = 6
BARS: Final = 12
STEPS: Final = 60


def history_chart(experiment: Experiment) -> Chart | None:
    """Each trial's value by number, and the best so far as a line; None before there are two.

    The line passes by what breaks a constraint; there is no chart before one keeps to all.
    """
    goal = experiment.goal
    values = [(one.number, one.metrics.get(goal.metric, math.nan)) for one in experiment.finished]
    values = [(number, value) for number, value in values if math.isfinite(value)]
    worthy = {one.number for one in experiment.finished if experiment.keeps(one)}
    if len(values) < 2 or not worthy:
        return None
    steps: list[tuple[int, float]] = []
    for number, value in values:
        if number in worthy and (not steps or goal.better(value, steps[-1][1])):
            steps.append((number, value))
    last = values[-1][0]
    line = [*thinned(steps, HISTORY), (last, steps[-1][1])]
    # Values far off the rest would press all others into a line.
    low, high = ends([value for _, value in values], steps[-1][1])
    seen = [(number, value) for number, value in values if low <= value <= high]
    dots = thinned(seen, HISTORY)
    spec = {
        "$schema": SCHEMA,
        "height": 180,
        "padding": PADDING,
        "layer": [
            {
                "data": data_of(["trial", "value"], dots),
                "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.7,
                         "tooltip": True},
                "encoding": {"x": _x("trial", "Trial"), "y": _y("value", goal.metric, low, high)},
            },
            {
                "data": data_of(["trial", "best"], line),
                "mark": {"type": "line", "interpolate": "step-after", "color": BEST,
                         "strokeWidth": 2, "tooltip": True},
                "encoding": {"x": _x("trial", "Trial"), "y": _y("best", goal.metric, low, high)},
            },
        ],
    }  # fmt: skip
    beyond = len(values) - len(seen)
    more = f"; {beyond:,} far off are left out" if beyond else ""
    alt = (
        f"{goal.metric} of {len(values):,} trials, the best so far as a line: "
        f"{number_text(steps[0][1])} in trial {steps[0][0]}, "
        f"{number_text(steps[-1][1])} in trial {steps[-1][0]}{more}"
    )
    title = f"History of {goal.metric}, the best so far as a line"
    return drawn(Chart(title=title, spec=spec, alt=alt))


def front_chart(experiment: Experiment) -> Chart | None:
    """Two metrics against each other, the best trade-offs marked; None where there is one."""
    if len(experiment.goals) < 2:
        return None
    first, second = experiment.goals[0].metric, experiment.goals[1].metric
    pairs = [
        (one.number, value_of(one, second), value_of(one, first))
        for one in experiment.finished
        if math.isfinite(value_of(one, first)) and math.isfinite(value_of(one, second))
    ]
    front = set(experiment.outcome.get("best", ()))
    best = sorted((pair for pair in pairs if pair[0] in front), key=lambda pair: pair[1])
    others = [pair for pair in pairs if pair[0] not in front]
    if len(pairs) < 3:
        return None
    names = ["trial", "x", "y"]
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": shortened(second),
              "scale": {"zero": False, "padding": 6}, "axis": {"tickCount": 6}},
        "y": _y("y", first, None, None),
    }  # fmt: skip
    dot = {"type": "point", "filled": True, "tooltip": {"content": "data"}}
    layers = [
        {"data": data_of(names, thinned(others, HISTORY)), "encoding": encoding,
         "mark": {**dot, "size": 22, "opacity": 0.7}},
        {"data": data_of(names, thinned(best, HISTORY)), "encoding": encoding,
         "mark": {**dot, "size": 40, "color": BEST}},
    ]  # fmt: skip
    spec = {"$schema": SCHEMA, "height": 220, "padding": PADDING, "layer": layers}
    alt = f"{first} against {second}: {len(best):,} best trade-offs of {len(pairs):,} trials"
    return drawn(Chart(title=f"{first} against {second}", spec=spec, alt=alt))


def importance_chart(importance: Mapping[str, float]) -> Chart | None:
    """How much of the value's variation each parameter explains; None when nobody knows."""
    known = [(name, share) for name, share in importance.items() if math.isfinite(share)]
    known = sorted(known, key=lambda pair: -pair[1])[:BARS]
    if not known:
        return None
    rows = [(shortened(name), share) for name, share in known]
    spec = {
        "$schema": SCHEMA,
        "height": {"step": 22},
        "padding": PADDING,
        "data": data_of(["parameter", "share"], rows),
        "mark": {"type": "bar", "tooltip": True, "height": {"band": 0.7}},
        "encoding": {
            "y": {"field": "parameter", "type": "nominal", "sort": None, "title": None},
            "x": {"field": "share", "type": "quantitative", "title": None,
                  "axis": {"format": ".0%", "tickCount": 5}},
        },
    }  # fmt: skip
    alt = "What mattered: " + ", ".join(f"{name} {100 * share:.0f} %" for name, share in known)
    return drawn(Chart(title="What mattered", spec=spec, alt=alt))


def slices_chart(experiment: Experiment, importance: Mapping[str, float]) -> Chart | None:
    """The value by each of the parameters that mattered most; None where none varies."""
    goal = experiment.goal
    done = [one for one in experiment.finished if math.isfinite(value_of(one, goal.metric))]
    if len(done) < 3:
        return None
    best = experiment.best
    low, high = ends([value_of(one, goal.metric) for one in done],
                      value_of(best, goal.metric) if best else None)  # fmt: skip
    shown = [one for one in done if low <= value_of(one, goal.metric) <= high]
    shown = thinned(shown, SLICE, keep=best)
    names = sorted(varying(shown), key=lambda name: -importance.get(name, 0.0))[:SLICES]
    if not names:
        return None
    panels = [_slice(shown, name, goal.metric, low, high) for name in names]
    spec = {"$schema": SCHEMA, "columns": 3, "concat": panels}
    alt = f"{goal.metric} by {', '.join(names)}, {len(shown):,} trials"
    return drawn(Chart(title=f"{goal.metric} by parameter", spec=spec, alt=alt))


def learning_chart(trials: Sequence[Trial], metric: str) -> Chart | None:
    """What trials reported on their way, one of them marked; None where none did twice.

    Parameters
    ----------
    trials : sequence of Trial
        The first is the one to mark.
    """
    curves = [one for one in trials if len(one.curve) > 1]
    if not curves:
        return None
    rows = [
        (f"trial {one.number}", step, value)
        for one in reversed(curves)  # the first one lies on top
        for step, value in thinned(one.curve, STEPS)
        if math.isfinite(value)
    ]
    names = [f"trial {one.number}" for one in curves]
    single = len(names) == 1
    first = names[0]
    colours = {"domain": names, "range": [BEST, *[GREY] * (len(names) - 1)]}
    colour: dict[str, Any] = {"field": "name", "sort": None, "scale": colours, "legend": None}
    spec: dict[str, Any] = {
        "$schema": SCHEMA,
        "height": 160,
        "padding": PADDING,
        "data": data_of(["name", "step", "value"], rows),
        "mark": {"type": "line", "strokeWidth": 1.3, "tooltip": True},
        "encoding": {
            "x": _x("step", "Step"),
            "y": _y("value", metric, None, None),
            "color": {"type": "nominal", **colour},
        },
    }
    others = "" if single else f" beside {len(names) - 1} others"
    alt = f"{metric} by step of {first}{others}, {len(rows):,} points"
    title = "Learning curve" if single else f"Learning curves, {first} in orange"
    return drawn(Chart(title=title, spec=spec, alt=alt))


def _slice(trials: Sequence[Trial], name: str, metric: str, low: float, high: float) -> Any:
    pairs = [(one.params[name], value_of(one, metric)) for one in trials if name in one.params]
    numbers = all(is_number(value) for value, _ in pairs)
    x: dict[str, Any] = {"field": "x", "title": shortened(name)}
    if numbers:
        domain = [min(value for value, _ in pairs), max(value for value, _ in pairs)]
        wide = domain[0] > 0 and domain[1] / domain[0] > WIDE
        x |= {"type": "quantitative", "axis": {"tickCount": 4, "grid": False},
              "scale": {"type": "log" if wide else "linear", "domain": domain,
                        "nice": False, "padding": 6}}  # fmt: skip
        if wide:
            x["axis"] |= {"format": "~g", "labelOverlap": True}
    else:
        pairs = [(shortened(str(value)), shown) for value, shown in pairs]
        x |= {"type": "nominal", "sort": None, "axis": {"labelAngle": -30, "labelLimit": 80}}
    return {
        "width": 210,
        "height": 120,
        "data": data_of(["x", "value"], pairs),
        "mark": {"type": "point", "filled": True, "size": 20, "opacity": 0.7,
                 "tooltip": True},
        "encoding": {"x": x, "y": _y("value", metric, low, high)},
    }  # fmt: skip


def _x(field: str, title: str) -> dict[str, Any]:
    axis = {"format": ",d", "tickMinStep": 1, "grid": False}
    return {"field": field, "type": "quantitative", "title": title, "axis": axis,
            "scale": {"zero": False, "nice": False, "padding": 6}}  # fmt: skip


def _y(field: str, title: str, low: float | None, high: float | None) -> dict[str, Any]:
    scale: dict[str, Any] = {"zero": False}
    if low is not None and high is not None and low < high:
        scale |= {"domain": [low, high], "nice": True}
    return {"field": field, "type": "quantitative", "title": shortened(title),
            "scale": scale, "axis": {"tickCount": 5}}  # fmt: skip

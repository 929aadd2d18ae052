"""Charts of an experiment as Vega-Lite: its history, what mattered, slices, learning curves.

Each holds its data as CSV, at most two thousand points of it whatever the number of trials:
as objects in a notebook's JSON they would take ten times the room.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from jupyter_mlops.experiments.studies import Experiment, Trial
from jupyter_mlops.views.blocks import Chart
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.drawing import drawn

__all__ = ["front_chart", "history_chart", "importance_chart", "learning_chart", "slices_chart"]

#: Points of the history, and of each slice; slices; bars; steps of each learning curve.
HISTORY: Final = 600
SLICE: Final = 240
SLICES: Final = 6
BARS: Final = 12
STEPS: Final = 60
#: A parameter whose greatest is that many times its least is drawn on a logarithmic axis.
_WIDE: Final = 50
# Readable on light and on dark, and apart for colour-blind readers (Okabe and Ito).
_BEST, _GREY = "#d55e00", "#7f8c9b"
# The last label of an axis stands half beyond it.
_PADDING: Final = {"left": 4, "right": 20, "top": 4, "bottom": 4}
_SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"


def history_chart(experiment: Experiment) -> Chart | None:
    """Each trial's value by number, and the best so far as a line; None before there are two."""
    goal = experiment.goal
    values = [(one.number, one.metrics.get(goal.metric, math.nan)) for one in experiment.finished]
    values = [(number, value) for number, value in values if math.isfinite(value)]
    if len(values) < 2:
        return None
    steps: list[tuple[int, float]] = []
    for number, value in values:
        if not steps or goal.better(value, steps[-1][1]):
            steps.append((number, value))
    last = values[-1][0]
    line = [*thinned(steps, HISTORY), (last, steps[-1][1])]
    # Values far off the rest would press all others into a line.
    low, high = _ends([value for _, value in values], steps[-1][1])
    seen = [(number, value) for number, value in values if low <= value <= high]
    dots = thinned(seen, HISTORY)
    spec = {
        "$schema": _SCHEMA,
        "height": 180,
        "padding": _PADDING,
        "layer": [
            {
                "data": _data(["trial", "value"], dots),
                "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.7,
                         "tooltip": True},
                "encoding": {"x": _x("trial", "Trial"), "y": _y("value", goal.metric, low, high)},
            },
            {
                "data": _data(["trial", "best"], line),
                "mark": {"type": "line", "interpolate": "step-after", "color": _BEST,
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
        (one.number, _value(one, second), _value(one, first))
        for one in experiment.finished
        if math.isfinite(_value(one, first)) and math.isfinite(_value(one, second))
    ]
    front = set(experiment.outcome.get("best", ()))
    best = sorted((pair for pair in pairs if pair[0] in front), key=lambda pair: pair[1])
    others = [pair for pair in pairs if pair[0] not in front]
    if len(pairs) < 3:
        return None
    names = ["trial", "x", "y"]
    encoding = {
        "x": {"field": "x", "type": "quantitative", "title": _short(second),
              "scale": {"zero": False, "padding": 6}, "axis": {"tickCount": 6}},
        "y": _y("y", first, None, None),
    }  # fmt: skip
    dot = {"type": "point", "filled": True, "tooltip": {"content": "data"}}
    layers = [
        {"data": _data(names, thinned(others, HISTORY)), "encoding": encoding,
         "mark": {**dot, "size": 22, "opacity": 0.7}},
        {"data": _data(names, thinned(best, HISTORY)), "encoding": encoding,
         "mark": {**dot, "size": 40, "color": _BEST}},
    ]  # fmt: skip
    spec = {"$schema": _SCHEMA, "height": 220, "padding": _PADDING, "layer": layers}
    alt = f"{first} against {second}: {len(best):,} best trade-offs of {len(pairs):,} trials"
    return drawn(Chart(title=f"{first} against {second}", spec=spec, alt=alt))


def importance_chart(importance: Mapping[str, float]) -> Chart | None:
    """How much of the value's variation each parameter explains; None when nobody knows."""
    known = [(name, share) for name, share in importance.items() if math.isfinite(share)]
    known = sorted(known, key=lambda pair: -pair[1])[:BARS]
    if not known:
        return None
    rows = [(_short(name), share) for name, share in known]
    spec = {
        "$schema": _SCHEMA,
        "height": {"step": 22},
        "padding": _PADDING,
        "data": _data(["parameter", "share"], rows),
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
    done = [one for one in experiment.finished if math.isfinite(_value(one, goal.metric))]
    names = _varying(done)
    names = sorted(names, key=lambda name: -importance.get(name, 0.0))[:SLICES]
    if len(done) < 3 or not names:
        return None
    best = experiment.best
    low, high = _ends([_value(one, goal.metric) for one in done],
                      _value(best, goal.metric) if best else None)  # fmt: skip
    shown = [one for one in done if low <= _value(one, goal.metric) <= high]
    shown = thinned(shown, SLICE, keep=best)
    panels = [_slice(shown, name, goal.metric, low, high) for name in names]
    spec = {"$schema": _SCHEMA, "columns": 3, "concat": panels}
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
        for one in curves
        for step, value in thinned(one.curve, STEPS)
        if math.isfinite(value)
    ]
    names = [f"trial {one.number}" for one in curves]
    single = len(names) == 1
    first = names[0]
    colours = {"domain": names, "range": [_BEST, *[_GREY] * (len(names) - 1)]}
    colour: dict[str, Any] = {"field": "name", "sort": None, "scale": colours, "legend": None}
    spec: dict[str, Any] = {
        "$schema": _SCHEMA,
        "height": 160,
        "padding": _PADDING,
        "data": _data(["name", "step", "value"], rows),
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


def thinned(items: Sequence[Any], limit: int, keep: Any = None) -> list[Any]:
    """At most `limit` of the items, evenly taken, the first and the last among them.

    Examples
    --------
    >>> thinned(range(100), 5)
    [0, 25, 50, 74, 99]
    """
    if len(items) <= limit:
        return list(items)
    step = (len(items) - 1) / (limit - 1)
    taken = [items[round(at * step)] for at in range(limit)]
    if keep is not None and not any(one is keep for one in taken):
        taken[-1] = keep
    return taken


def _slice(trials: Sequence[Trial], name: str, metric: str, low: float, high: float) -> Any:
    pairs = [(one.params[name], _value(one, metric)) for one in trials if name in one.params]
    numbers = all(_is_number(value) for value, _ in pairs)
    x: dict[str, Any] = {"field": "x", "title": _short(name)}
    if numbers:
        domain = [min(value for value, _ in pairs), max(value for value, _ in pairs)]
        wide = domain[0] > 0 and domain[1] / domain[0] > _WIDE
        x |= {"type": "quantitative", "axis": {"tickCount": 4, "grid": False},
              "scale": {"type": "log" if wide else "linear", "domain": domain,
                        "nice": False, "padding": 6}}  # fmt: skip
        if wide:
            x["axis"] |= {"format": "~g", "labelOverlap": True}
    else:
        pairs = [(_short(str(value)), shown) for value, shown in pairs]
        x |= {"type": "nominal", "sort": None, "axis": {"labelAngle": -30, "labelLimit": 80}}
    return {
        "width": 210,
        "height": 120,
        "data": _data(["x", "value"], pairs),
        "mark": {"type": "point", "filled": True, "size": 20, "opacity": 0.7,
                 "tooltip": True},
        "encoding": {"x": x, "y": _y("value", metric, low, high)},
    }  # fmt: skip


def _varying(trials: Sequence[Trial]) -> list[str]:
    seen: dict[str, Any] = {}
    varying: dict[str, None] = {}
    for one in trials:
        for name, value in one.params.items():
            if name in seen and seen[name] != value:
                varying[name] = None
            seen.setdefault(name, value)
    return list(varying)


def _ends(values: Sequence[float], best: float | None) -> tuple[float, float]:
    """Where an axis ends so that most values can be told apart; the best is always on it."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[-1]
    near, far = ordered[len(ordered) // 10], ordered[len(ordered) * 9 // 10]
    reach = 3 * (far - near)
    if reach > 0:
        low, high = max(low, near - reach), min(high, far + reach)
    if best is not None:
        low, high = min(low, best), max(high, best)
    return low, high


def _value(trial: Trial, metric: str) -> float:
    return trial.metrics.get(metric, math.nan)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _x(field: str, title: str) -> dict[str, Any]:
    axis = {"format": ",d", "tickMinStep": 1, "grid": False}
    return {"field": field, "type": "quantitative", "title": title, "axis": axis,
            "scale": {"zero": False, "nice": False, "padding": 6}}  # fmt: skip


def _y(field: str, title: str, low: float | None, high: float | None) -> dict[str, Any]:
    scale: dict[str, Any] = {"zero": False}
    if low is not None and high is not None and low < high:
        scale |= {"domain": [low, high], "nice": True}
    return {"field": field, "type": "quantitative", "title": _short(title),
            "scale": scale, "axis": {"tickCount": 5}}  # fmt: skip


def _data(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([f"{one:.6g}" if isinstance(one, float) else one for one in row])
    return {"values": text.getvalue(), "format": {"type": "csv"}}


def _short(text: str, length: int = 28) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

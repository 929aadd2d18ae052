"""How an endpoint's performance over time looks."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any, Final

from jupyter_mlops.monitoring.changes import Change
from jupyter_mlops.monitoring.performance import LABELS, Score
from jupyter_mlops.monitoring.segments import Segments
from jupyter_mlops.monitoring.timeline import PerformanceOverTime, Period
from jupyter_mlops.views.blocks import (
    Block,
    Chart,
    Column,
    Fact,
    Facts,
    Level,
    Notice,
    Table,
    View,
)
from jupyter_mlops.views.plotting import BEST, GREY, PADDING, SCHEMA, data_of
from jupyter_mlops.views.registry import look

__all__ = ["performance_view"]

PERIODS: Final = 120
SEGMENTS: Final = 50
CHANGES: Final = 20
_LEVELS: Final[dict[str, Level]] = {
    "worse": "bad",
    "held": "good",
    "better": "good",
    "unknown": "info",
}
_SEGMENT: Final[dict[str, Level]] = {"worse": "bad", "better": "good", "alike": "info"}
BLIND: Final = (
    "Estimates without truth see inputs that moved. They are blind to a changed concept: if the "
    "same inputs lead to other outcomes than at validation, only truth can tell."
)


@look(PerformanceOverTime)
def performance_view(result: PerformanceOverTime) -> View:
    """The periods, what was expected of them, when the loss changed and where it is worst."""
    metric = _metric(result.periods)
    whole = result.whole
    level = _LEVELS[whole.verdict if whole else "unknown"]
    if level == "good" and any(one.after > one.before for one in result.changes):
        level = "warn"
    blocks: list[Block] = [
        Notice(level=level, text=result.sentence),
        _facts(result),
        *(Notice(level="warn", text=text) for text in result.notices),
    ]
    chart = _chart(result, metric) if metric else None
    blocks += [chart] if chart else []
    blocks.append(_periods(result, metric))
    if result.changes:
        blocks.append(_changes(result))
    if result.segments is not None:
        blocks.append(_segments(result.segments))
    if result.calibration is not None:
        blocks.append(Notice(level="info", text=BLIND))
    window = f"{result.window}"
    return View(
        kind="performance",
        title=f"Performance of {result.endpoint}",
        subtitle=f"{window} by {result.every} · {result.at:%Y-%m-%d %H:%M} UTC",
        ref=result.ref,
        line=_line(result),
        blocks=blocks,
    )


def _line(result: PerformanceOverTime) -> str:
    line = f"%mlops performance {result.endpoint} --every {result.every}"
    if result.segments is not None:
        line += f" --by {result.segments.column}"
    for flag, time in (("since", result.window.since), ("until", result.window.until)):
        if time is not None:
            line += f" --{flag} {time:%Y-%m-%dT%H:%M}"
    return line


def _metric(periods: Sequence[Period]) -> str | None:
    """The first metric that any period has: the loss that decides."""
    for one in periods:
        for score in one.scores or one.expected:
            return score.name
    return None


def _facts(result: PerformanceOverTime) -> Facts:
    answered = f"{result.answered:,} of {result.rows:,}"
    items = [
        Fact(label="Model", value=result.model or "–"),
        Fact(
            label="Truth",
            value=answered,
            hint=f"{result.corrected:,} corrected later" if result.corrected else "",
        ),
        Fact(label="Intervals", value=result.interval),
    ]
    made = result.calibration
    if made is not None:
        tracked = ", ".join(
            f"{LABELS.get(name, name)} {inside} of {of}"
            for name, (inside, of) in result.tracked.items()
        )
        items.append(
            Fact(
                label="Calibration",
                value=f"{made.method}, error {made.error:.3f} (was {made.error_raw:.3f})"
                + (", poor" if made.poor else ""),
                hint=f"of {made.rows:,} validation rows; {made.noise:.3f} by chance alone",
            )
        )
        items.append(
            Fact(
                label="Estimates held",
                value=tracked or "no period has enough truth yet",
                hint="periods whose measured metric lies in the interval told without truth",
            )
        )
    return Facts(items=items)


def _periods(result: PerformanceOverTime, metric: str | None) -> Table:
    label = LABELS.get(metric or "", metric or "loss")
    others = [name for name in _names(result.periods) if name != metric][:2]
    shown = list(reversed(result.periods))[:PERIODS]
    return Table(
        title=f"Periods of {result.every}",
        columns=[
            Column(key="start", label="From"),
            Column(key="rows", label="Rows", kind="number"),
            Column(key="answered", label="With truth", kind="number"),
            Column(key="measured", label=label, kind="number"),
            Column(key="expected", label="Expected without truth", kind="number"),
            Column(key="held", label="Held", kind="badge"),
            *(Column(key=name, label=LABELS.get(name, name), kind="number") for name in others),
        ],
        rows=[_row(one, metric, others) for one in shown],
        total=len(result.periods),
        empty="No period has rows.",
    )


def _names(periods: Sequence[Period]) -> list[str]:
    return list(dict.fromkeys(s.name for one in periods for s in one.scores or one.expected))


def _row(one: Period, metric: str | None, others: Sequence[str]) -> dict[str, Any]:
    held = one.covered.get(metric or "")
    badge = None
    if held is not None:
        badge = {"text": "yes" if held else "no", "level": "good" if held else "warn"}
    return {
        "start": f"{one.start:%Y-%m-%d %H:%M}".removesuffix(" 00:00"),
        "rows": one.rows,
        "answered": one.answered,
        "measured": _said(_score(one.scores, metric)),
        "expected": _said(_score(one.expected, metric)),
        "held": badge,
        **{name: _said(_score(one.scores, name)) for name in others},
    }


def _score(scores: Sequence[Score], name: str | None) -> Score | None:
    return next((one for one in scores if one.name == name), None)


def _said(score: Score | None) -> str:
    return "–" if score is None else f"{score.value:.3f} ({score.low:.3f}–{score.high:.3f})"


def _changes(result: PerformanceOverTime) -> Table:
    return Table(
        title=f"Changes of the {result.loss} ({result.detector})",
        columns=[
            Column(key="began", label="Began", kind="time"),
            Column(key="seen", label="Seen", kind="time"),
            Column(key="delay", label="Rows until seen", kind="number"),
            Column(key="before", label="Before", kind="number"),
            Column(key="after", label="After", kind="number"),
            Column(key="change", label="Change"),
        ],
        rows=[_change(one) for one in result.changes[-CHANGES:]],
        total=len(result.changes),
    )


def _change(one: Change) -> dict[str, Any]:
    return {
        "began": one.began and one.began.isoformat(),
        "seen": one.seen and one.seen.isoformat(),
        "delay": one.delay,
        "before": round(one.before, 4),
        "after": round(one.after, 4),
        "change": f"{one.after - one.before:+.3f} ({one.low:+.3f} to {one.high:+.3f})",
    }


def _segments(found: Segments) -> Table:
    title = f"By {found.column}: mean {found.loss} against all other rows"
    if found.small:
        title += f" ({found.small:,} segments below {found.fewest} rows left out)"
    return Table(
        title=title,
        columns=[
            Column(key="segment", label=found.column),
            Column(key="rows", label="With truth", kind="number"),
            Column(key="loss", label=found.loss, kind="number"),
            Column(key="others", label="Others", kind="number"),
            Column(key="effect", label="Difference"),
            Column(key="verdict", label="Verdict", kind="badge"),
        ],
        rows=[
            {
                "segment": one.name,
                "rows": one.rows,
                "loss": round(one.loss, 4),
                "others": round(one.others, 4),
                "effect": f"{one.effect:+.3f} ({one.low:+.3f} to {one.high:+.3f})",
                "verdict": {"text": one.verdict, "level": _SEGMENT[one.verdict]},
            }
            for one in found.items[:SEGMENTS]
        ],
        total=len(found.items),
        empty=f"No segment has {found.fewest} rows with truth.",
    )


def _chart(result: PerformanceOverTime, metric: str) -> Chart | None:
    shown = result.periods[-PERIODS:]
    if len(shown) < 2:
        return None
    label = LABELS.get(metric, metric)
    sides = {"measured": BEST, "expected without truth": GREY}
    rows = [
        (f"{one.start:%Y-%m-%dT%H:%M}Z", side, score.value, score.low, score.high)
        for one in shown
        for side, scores in zip(sides, (one.scores, one.expected), strict=True)
        if (score := _score(scores, metric)) is not None
    ]
    if not rows:
        return None
    x = {"field": "start", "type": "temporal", "title": None, "scale": {"type": "utc"}}
    y = {"type": "quantitative", "title": label, "scale": {"zero": False}}
    colour = {
        "field": "side",
        "type": "nominal",
        "title": None,
        "scale": {"domain": list(sides), "range": list(sides.values())},
    }
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "area", "opacity": 0.2},
            "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"},
                         "color": colour},
        },
        {
            "mark": {"type": "line", "point": True, "tooltip": True},
            "encoding": {"x": x, "y": {**y, "field": "value"}, "color": colour},
        },
    ]  # fmt: skip
    began = [one.began for one in result.changes if one.began and one.began >= shown[0].start]
    if began:
        layers.append(
            {
                "data": data_of(["at"], [(f"{one:%Y-%m-%dT%H:%M}Z",) for one in began]),
                "mark": {"type": "rule", "strokeDash": [4, 3]},
                "encoding": {"x": {"field": "at", "type": "temporal"}},
            }
        )
    values = data_of(["start", "side", "value", "low", "high"], rows)
    # Only a parser that is told takes a text for a time.
    values["format"] = {**values["format"], "parse": {"start": "date"}}
    spec = {
        "$schema": SCHEMA,
        "height": 200,
        "width": "container",
        "padding": PADDING,
        "data": values,
        "layer": layers,
    }
    changes = "1 change" if len(began) == 1 else f"{len(began)} changes"
    changed = f", {changes} marked" if began else ""
    return Chart(
        title=f"{label} by {result.every}, with intervals",
        spec=spec,
        png=_png(shown, metric, label, began),
        alt=f"{label} of {len(shown)} periods, measured and expected without truth{changed}.",
    )


def _png(shown: Sequence[Period], metric: str, label: str, began: Sequence[Any]) -> str:
    # Agg and a figure of its own: no window, no global state, any thread.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 2.2), dpi=96, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name, colour in (("expected without truth", GREY), ("measured", BEST)):
        found = [
            (one.start, score)
            for one in shown
            if (score := _score(one.scores if name == "measured" else one.expected, metric))
        ]
        if not found:
            continue
        at: Any = [start for start, _ in found]
        axes.fill_between(
            at, [s.low for _, s in found], [s.high for _, s in found], color=colour, alpha=0.2, lw=0
        )
        axes.plot(at, [s.value for _, s in found], color=colour, lw=1.4, marker=".", label=name)
    for moment in began:
        axes.axvline(moment, color="#4d5663", lw=1, ls="--")
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_ylabel(label, fontsize=8)
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper right", fontsize=7, ncols=2, frameon=False)
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return base64.b64encode(image.getvalue()).decode()

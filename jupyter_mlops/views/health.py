"""How an endpoint's health over time looks."""

from __future__ import annotations

import base64
import io
from datetime import datetime, timedelta
from typing import Any, Final

from jupyter_mlops.monitoring.health import Happening, Health
from jupyter_mlops.monitoring.windows import parse_length
from jupyter_mlops.views.alerts import count, short
from jupyter_mlops.views.blocks import Block, Chart, Column, Fact, Facts, Notice, Table, View
from jupyter_mlops.views.plotting import BEST, GREY, PADDING, SCHEMA, data_of
from jupyter_mlops.views.registry import look

__all__ = ["health_view"]

ROWS: Final = 200
# Apart for colour-blind readers (Okabe and Ito), on light and on dark.
_COLOURS: Final = ("#2f80c4", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", GREY)
_ALERT: Final = BEST


@look(Health)
def health_view(result: Health) -> View:
    """What it answered, by version, and all that happened meanwhile."""
    open_ones = [one for one in result.happenings if one.what == "alert opened"]
    facts = [
        Fact(label="State", value=result.state),
        Fact(label="Rows answered", value=f"{result.rows:,}"),
        Fact(label="Versions", value=", ".join(result.versions) or "–"),
        Fact(label="Alerts opened", value=f"{len(open_ones):,}"),
    ]
    blocks: list[Block] = [Facts(items=facts)]
    chart = _chart(result)
    blocks.append(chart or Notice(text="It answered nothing in this time."))
    blocks.append(_table(result.happenings))
    span = ""
    if result.first is not None and result.last is not None:
        span = f"{result.first:%Y-%m-%d %H:%M} to {result.last:%Y-%m-%d %H:%M} UTC"
    return View(
        kind="health",
        title=f"Health of {result.endpoint}",
        subtitle=span,
        ref=result.ref,
        line=f"%mlops endpoint health {result.endpoint} --every {result.every}",
        blocks=blocks,
    )


def _table(happenings: list[Happening]) -> Table:
    return Table(
        title="What happened",
        columns=[
            Column(key="at", label="When", kind="time"),
            Column(key="what", label="What", kind="badge"),
            Column(key="told", label="Told"),
            Column(key="ref", label="Record", kind="ref"),
        ],
        rows=[
            {
                "at": one.at.isoformat(),
                "what": {"text": one.what, "level": one.level},
                "told": short(one.told),
                "ref": one.ref or "",
            }
            for one in happenings[:ROWS]
        ],
        total=len(happenings),
        empty="Nothing happened in this time.",
    )


def _marks(result: Health) -> list[Any]:
    """When alerts opened, within what is drawn."""
    first, last = _ends(result)
    return [
        one.at
        for one in result.happenings
        if one.what == "alert opened" and first <= one.at <= last
    ]


def _chart(result: Health) -> Chart | None:
    if not result.periods:
        return None
    versions = result.versions
    colours = [_COLOURS[min(at, len(_COLOURS) - 1)] for at in range(len(versions))]
    values = data_of(["start", "end", "low", "high", "version", "rows"], _boxes(result))
    # Only a parser that is told takes a text for a time.
    numbers = dict.fromkeys(("low", "high", "rows"), "number")
    values["format"] = {**values["format"], "parse": {"start": "date", "end": "date", **numbers}}
    first, last = _ends(result)
    scale = {"type": "utc", "domain": [_iso(first), _iso(last)]}
    axis: dict[str, Any] = {"tickCount": 8}
    if last - first <= timedelta(days=1):
        axis["format"] = "%H:%M"
    x = {"field": "start", "type": "temporal", "title": None, "scale": scale, "axis": axis}
    y = {"type": "quantitative", "axis": {"tickCount": 4}, "title": f"rows by {result.every}"}
    names = [f"version {one}" for one in versions]
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "rect"},
            "encoding": {
                "x": x,
                "x2": {"field": "end"},
                "y": {**y, "field": "low"},
                "y2": {"field": "high"},
                "color": {"field": "version", "type": "nominal", "title": None,
                          "scale": {"domain": names, "range": colours},
                          "legend": {"orient": "top"} if len(names) > 1 else None},
                "tooltip": [{"field": "start", "type": "temporal", "format": "%Y-%m-%d %H:%M"},
                            {"field": "version"}, {"field": "rows", "type": "quantitative"}],
            },
        }
    ]  # fmt: skip
    marks = _marks(result)
    if marks:
        at = data_of(["at"], [(_iso(one),) for one in marks])
        at["format"] = {**at["format"], "parse": {"at": "date"}}
        layers.append(
            {
                "data": at,
                "mark": {"type": "rule", "strokeDash": [4, 3], "strokeWidth": 1.5,
                         "color": _ALERT, "tooltip": {"content": "data"}},
                "encoding": {"x": {**x, "field": "at"}},
            }
        )  # fmt: skip
    told = f", {count(len(marks), 'alert')} marked" if marks else ""
    return Chart(
        title="Rows answered" + (" (dashed: an alert opened)" if marks else ""),
        spec={
            "$schema": SCHEMA,
            "height": 160,
            "width": "container",
            "padding": PADDING,
            "data": values,
            "layer": layers,
        },
        png=_png(result, colours),
        alt=f"Rows answered in {count(len(result.periods), 'period')} of {result.every} by "
        f"{', '.join(names)}: {result.rows:,} rows{told}.",
    )


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}Z"


def _ends(result: Health) -> tuple[datetime, datetime]:
    """From when to when is drawn: a dozen periods at least, so that one is no wall."""
    span = parse_length(result.every)
    last = result.periods[-1].start + span
    return min(result.periods[0].start, last - 12 * span), last


def _boxes(result: Health) -> list[tuple[str, str, int, int, str, int]]:
    """The rows of each version in each period, one upon the other."""
    span, boxes = parse_length(result.every), []
    for one in result.periods:
        ground = 0
        for version, number in one.rows.items():
            ends = _iso(one.start), _iso(one.start + 0.9 * span)
            boxes.append((*ends, ground, ground + number, f"version {version}", number))
            ground += number
    return boxes


def _png(result: Health, colours: list[str]) -> str:
    # Agg and a figure of its own: no window, no global state, any thread.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import ConciseDateFormatter
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 1.9), dpi=96, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    width = parse_length(result.every) * 0.9
    at: Any = [one.start for one in result.periods]
    ground = [0] * len(at)
    for version, colour in zip(result.versions, colours, strict=True):
        rows = [one.rows.get(version, 0) for one in result.periods]
        axes.bar(at, rows, width, ground, align="edge", color=colour, label=f"version {version}")  # type: ignore[arg-type]
        ground = [below + more for below, more in zip(ground, rows, strict=True)]
    for moment in _marks(result):
        axes.axvline(moment, color=_ALERT, lw=1, ls="--")
    axes.set_xlim(*_ends(result))  # type: ignore[arg-type]
    axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    axes.set_ylabel(f"rows by {result.every}", fontsize=8)
    axes.tick_params(labelsize=7, length=2)
    axes.spines[["top", "right"]].set_visible(False)
    if len(result.versions) > 1:
        figure.legend(loc="outside upper right", fontsize=7, ncols=4, frameon=False)
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return base64.b64encode(image.getvalue()).decode()

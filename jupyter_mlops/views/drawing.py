"""Pictures of charts for places that run no script, drawn from the charts' own specs.

Only what `jupyter_mlops.views.curves` and `parallel` write is understood: points, lines (over
numbers or times) and bars over data as CSV, one above the other or side by side, and lines over
parallel axes. A picture is drawn when it is asked for, which a panel never does.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from jupyter_mlops.views.blocks import Chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["drawn", "picture"]

_INK: Final = "#4d5663"
_DPI: Final = 96
_COLOURS: Final = 24
#: In a spec's ``usermeta``, of which Vega-Lite takes no notice.
_MARK: Final = "picture"


def drawn(chart: Chart) -> Chart:
    """The chart, marked as one whose picture can be made from its spec."""
    return chart.model_copy(update={"spec": {**chart.spec, "usermeta": {_MARK: True}}})


def picture(chart: Chart) -> str:
    """The chart's picture, a PNG in base64; empty when it has none."""
    if chart.png or _MARK not in chart.spec.get("usermeta", {}):
        return chart.png
    return _picture(json.dumps(chart.spec))


@lru_cache(maxsize=16)
def _picture(spec: str) -> str:
    # Agg and a figure of its own: no window, no global state, any thread.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    read = json.loads(spec)
    panels = read.get("concat") or [read]
    columns = min(len(panels), read.get("columns", 1))
    rows = -(-len(panels) // columns)
    wide = 6.4 if columns == 1 else 2.6 * columns
    high = sum(_height(panels[row * columns]) for row in range(rows))
    figure = Figure(figsize=(wide, high), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        if _folds(panel):
            _parallel(axes, panel)
            continue
        for layer in panel.get("layer") or [panel]:
            _draw(axes, layer)
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=7, length=2, colors=_INK)
    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png", metadata={"Software": None})
    # A few colours are enough, and take a quarter of the room.
    Image.open(raw).convert("RGB").quantize(_COLOURS).save(small, "PNG", optimize=True)
    return base64.b64encode(small.getvalue()).decode()


def _folds(panel: dict[str, Any]) -> bool:
    """Whether it has an axis for each column, as `jupyter_mlops.views.parallel` draws them."""
    return any("transform" in layer for layer in panel.get("layer", ()))


def _parallel(axes: Axes, panel: dict[str, Any]) -> None:
    from matplotlib.collections import LineCollection

    keys: list[str] = []
    for layer in panel["layer"]:
        mark, rows = layer["mark"], _rows(layer)
        if mark["type"] == "line":
            keys = layer["transform"][0]["fold"]
            paths = [[(n, float(row[key])) for n, key in enumerate(keys)] for row in rows]
            colour, alpha = mark.get("color", "#2f80c4"), mark.get("opacity", 1.0)
            wide = 0.7 * mark["strokeWidth"]
            axes.add_collection(LineCollection(paths, colors=colour, alpha=alpha, linewidths=wide))
            continue
        if mark.get("style") == "halo":
            continue
        head = mark.get("align") == "center"
        ground = None if head else {"fc": "white", "ec": "none", "alpha": 0.8, "pad": 0.6}
        for row in rows:
            at = keys.index(row["axis"]), float(row["place"])
            axes.annotate(
                _plain(row["text"]), at, (0 if head else 2, 0), textcoords="offset points",
                ha="center" if head else "left", va="bottom" if head else "center",
                fontsize=7 if head else 6, fontweight="bold" if head else "normal", color=_INK,
                bbox=ground, zorder=5,
            )  # fmt: skip
    for number in range(len(keys)):
        axes.axvline(number, color=_INK, lw=0.5, zorder=0)
    axes.set_xlim(-0.45, len(keys) - 0.55)
    axes.set_ylim(panel["layer"][0]["encoding"]["y"]["scale"]["domain"])
    axes.set_axis_off()


def _height(panel: dict[str, Any]) -> float:
    height = panel.get("height", 150)
    if isinstance(height, dict):
        bars = len(_rows(panel)) or 1
        return 0.35 + bars * float(height["step"]) / _DPI
    return float(height / _DPI + 0.4)


def _draw(axes: Axes, layer: dict[str, Any]) -> None:
    mark, encoding = layer["mark"], layer["encoding"]
    rows = _rows(layer)
    x, y = encoding["x"], encoding["y"]
    colour = mark.get("color", "#2f80c4")
    across = [_cell(row[x["field"]], x) for row in rows]
    up = [_cell(row[y["field"]], y) for row in rows]
    if mark["type"] == "bar":
        places = range(len(rows))
        axes.barh(places, across, height=0.7, color=colour)
        axes.set_yticks(list(places), [_plain(str(name)) for name in up])
        axes.invert_yaxis()
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        return
    if mark["type"] == "point":
        alpha = mark.get("opacity", 1.0)
        axes.scatter(across, up, s=mark.get("size", 20) / 3, color=colour, alpha=alpha, lw=0)
    elif "color" in encoding:
        scale = encoding["color"]["scale"]
        named = list(zip(scale["domain"], scale["range"], strict=True))
        for name, one in reversed(named):  # the first one lies on top
            at = [n for n, row in enumerate(rows) if row[encoding["color"]["field"]] == name]
            for run in _runs(at, rows, encoding.get("detail")):
                axes.plot([across[n] for n in run], [up[n] for n in run], color=one, lw=1.2)
    else:
        step = mark.get("interpolate") == "step-after"
        axes.plot(across, up, color=colour, lw=1.6, drawstyle="steps-post" if step else "default")
    _scale(axes, x, y)


def _runs(
    places: list[int], rows: list[dict[str, str]], channel: dict[str, Any] | None
) -> list[list[int]]:
    """The rows of each line of a colour: one, or those that another column parts."""
    if channel is None:
        return [places]
    runs: dict[str, list[int]] = {}
    for place in places:
        runs.setdefault(rows[place][channel["field"]], []).append(place)
    return list(runs.values())


def _scale(axes: Axes, x: dict[str, Any], y: dict[str, Any]) -> None:
    from matplotlib.dates import ConciseDateFormatter

    axes.set_xlabel(_plain(x.get("title") or ""), fontsize=8, color=_INK)
    axes.set_ylabel(_plain(y.get("title") or ""), fontsize=8, color=_INK)
    if x["type"] == "nominal":
        axes.margins(x=0.25)
    if x["type"] == "temporal":
        axes.xaxis.set_major_formatter(ConciseDateFormatter(axes.xaxis.get_major_locator()))
    if x.get("scale", {}).get("type") == "log":
        axes.set_xscale("log")
    domain = y.get("scale", {}).get("domain")
    if domain:
        pad = 0.04 * (domain[1] - domain[0])
        axes.set_ylim(domain[0] - pad, domain[1] + pad)


def _rows(layer: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(layer["data"]["values"])))


def _cell(text: str, channel: dict[str, Any]) -> Any:
    if channel["type"] == "temporal":
        return datetime.fromisoformat(text)
    return float(text) if channel["type"] == "quantitative" else _plain(text)


def _plain(text: str) -> str:
    """A dollar sign would start mathematics."""
    return text.replace("$", r"\$")

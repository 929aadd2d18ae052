"""Charts of an endpoint's last minutes: how much is asked, and how fast it answers."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.views.blocks import Chart
from jupyter_mlops.views.cells import number_text
from jupyter_mlops.views.drawing import drawn
from jupyter_mlops.views.plotting import BEST, PADDING, SCHEMA, data_of

__all__ = ["BUCKET", "SPAN", "latency_chart", "requests_chart"]

#: Seconds between two points, and from the first to the last.
BUCKET: Final = 5
SPAN: Final = 300
# Apart for colour-blind readers (Okabe and Ito), on light and on dark.
_BLUE, _GREEN, _ORANGE = "#2f80c4", "#009e73", BEST
_NOW: Final = "datum.value == 0 ? 'now' : datum.value + ' min'"


def requests_chart(traffic: list[dict[str, Any]], now: float) -> Chart:
    """Requests and errors a second over the last five minutes."""
    rows: list[tuple[float, float | None, str]] = []
    for ago, bucket in _minutes(traffic, now):
        errors = bucket.get("errors", 0)
        rows += [
            (ago, (bucket.get("requests", 0) - errors) / BUCKET, "answered"),
            (ago, errors / BUCKET, "errors"),
        ]
    colours = {"answered": _BLUE, "errors": _ORANGE}
    if not any(bucket["errors"] for bucket in traffic):
        # What never happened needs no line along the ground, and no legend.
        rows = [row for row in rows if row[2] != "errors"]
        del colours["errors"]
    answered = sum(bucket["requests"] for bucket in traffic)
    alt = f"Requests a second over the last five minutes: {answered:,} requests"
    return _chart("Requests a second", "a second", rows, colours, alt, "step-after")


def latency_chart(traffic: list[dict[str, Any]], now: float) -> Chart | None:
    """Latency percentiles over the last five minutes; None where nothing was answered."""
    told = {"p50": "half", "p95": "95 of 100", "p99": "99 of 100"}
    rows: list[tuple[float, float | None, str]] = [
        (ago, bucket.get(name), name) for ago, bucket in _minutes(traffic, now) for name in told
    ]
    seen = [value for _, value, _ in rows if value is not None]
    if not seen:
        return None
    colours = {"p50": _GREEN, "p95": _BLUE, "p99": _ORANGE}
    alt = (
        "Milliseconds within which half, 95 and 99 of 100 requests were answered over the last "
        f"five minutes: {number_text(min(seen))} to {number_text(max(seen))}"
    )
    return _chart("Latency in milliseconds", "ms", rows, colours, alt, "linear")


def _minutes(traffic: list[dict[str, Any]], now: float) -> list[tuple[float, dict[str, Any]]]:
    """Each bucket of the span with how many minutes ago it began; empty where nothing came."""
    last = int(now) // BUCKET * BUCKET
    by_time = {bucket["at"]: bucket for bucket in traffic}
    times = range(last - SPAN, last + 1, BUCKET)
    return [((at - last) / 60, by_time.get(at, {})) for at in times]


def _chart(
    title: str,
    unit: str,
    rows: list[tuple[float, float | None, str]],
    colours: dict[str, str],
    alt: str,
    between: str,
) -> Chart:
    minutes = {
        "field": "ago",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [-SPAN / 60, 0], "nice": False},
        "axis": {"values": list(range(-SPAN // 60, 1)), "labelExpr": _NOW, "grid": False},
    }
    scale = {"domain": list(colours), "range": list(colours.values())}
    many = len(colours) > 1
    spec = {
        "$schema": SCHEMA,
        "height": 120,
        "padding": PADDING,
        "data": data_of(["ago", "value", "kind", "run"], _parted(rows)),
        "mark": {"type": "line", "interpolate": between, "strokeWidth": 1.6, "tooltip": True,
                 # One answer among many silent seconds would be no line at all.
                 "point": {"size": 12} if between == "linear" else False},
        "encoding": {
            "x": minutes,
            "y": {"field": "value", "type": "quantitative", "title": unit,
                  "axis": {"tickCount": 4}, "scale": {"zero": True}},
            "color": {"field": "kind", "type": "nominal", "scale": scale,
                      "legend": {"title": None, "orient": "top", "symbolType": "stroke",
                                 "symbolStrokeWidth": 2} if many else None},
            "detail": {"field": "run", "type": "nominal"},
        },
    }  # fmt: skip
    return drawn(Chart(title=title, spec=spec, alt=alt))


def _parted(rows: list[tuple[float, float | None, str]]) -> list[tuple[float, float, str, int]]:
    """The points that are there; those with none missing between them are one run of a line."""
    parted = []
    runs: dict[str, int] = {}
    for ago, value, name in rows:
        if value is None:
            runs[name] = runs.get(name, 0) + 1
        else:
            parted.append((round(ago, 4), round(value, 3), name, runs.get(name, 0)))
    return parted

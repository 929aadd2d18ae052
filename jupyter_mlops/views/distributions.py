"""Pairs of distributions as a Vega-Lite chart and as an image."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import Any

from jupyter_mlops.monitoring import FeatureDrift

__all__ = ["distributions_png", "distributions_spec"]

# Readable on light and dark, and apart for colour-blind readers (Okabe and Ito).
REFERENCE = "#7f8c9b"
CURRENT = "#d55e00"
LABEL = 12


def distributions_spec(features: Sequence[FeatureDrift]) -> dict[str, Any]:
    """A Vega-Lite v5 chart: one small panel a feature, its data inside."""
    panels = []
    for one in features:
        values = [
            {"bar": label, "side": side, "share": share}
            for side, shares in (
                ("reference", one.histogram.reference),
                ("now", one.histogram.current),
            )
            for label, share in zip(one.histogram.labels, shares, strict=True)
        ]
        panels.append(
            {
                "title": one.name,
                "width": 180,
                "height": 90,
                "data": {"values": values},
                "mark": {"type": "bar", "tooltip": True},
                "encoding": {
                    "x": {
                        "field": "bar",
                        "type": "nominal",
                        "sort": None,
                        "title": None,
                        "axis": {"labels": one.kind == "category", "labelLimit": 60},
                    },
                    "xOffset": {"field": "side", "sort": ["reference", "now"]},
                    "y": {
                        "field": "share",
                        "type": "quantitative",
                        "title": None,
                        "axis": {"format": "%", "tickCount": 3},
                    },
                    "color": {
                        "field": "side",
                        "sort": ["reference", "now"],
                        "scale": {
                            "domain": ["reference", "now"],
                            "range": [REFERENCE, CURRENT],
                        },
                        "title": None,
                    },
                },
            }
        )
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "columns": 2,
        "concat": panels,
    }


def distributions_png(features: Sequence[FeatureDrift]) -> str:
    """The same as a small PNG, in base64."""
    # Agg and a figure of its own: no window, no global state, any thread.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.1 * len(features), 1.7), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for index, one in enumerate(features):
        axes = figure.add_subplot(1, len(features), index + 1)
        places = range(len(one.histogram.labels))
        axes.bar(
            [at - 0.2 for at in places], one.histogram.reference, 0.4, color=REFERENCE
        )  # fmt: skip
        axes.bar([at + 0.2 for at in places], one.histogram.current, 0.4, color=CURRENT)
        # A dollar sign would start mathematics.
        axes.set_title(_short(one.name, 24).replace("$", r"\$"), fontsize=8)
        axes.tick_params(labelsize=6, length=2)
        labels = one.histogram.labels
        ends = [0, len(labels) - 1] if one.kind == "number" else []
        axes.set_xticks(ends, [_end(labels[at], at > 0) for at in ends])
        axes.spines[["top", "right"]].set_visible(False)
    bars = [container[0] for container in figure.axes[0].containers]
    figure.legend(bars, ["reference", "now"], loc="outside upper right", fontsize=6, ncols=2,
                  frameon=False)  # fmt: skip
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})
    return base64.b64encode(image.getvalue()).decode()


def _end(label: str, last: bool) -> str:
    low, _, high = label.partition(" to ")
    return f"{float(high if last and high else low):.3g}"


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

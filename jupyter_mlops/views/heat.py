"""How columns go together as a picture: a triangle of squares, one for each two columns.

Each column's name stands once, on the diagonal: its row lies to the left of it and its column
below.  The larger a square, the stronger; blue goes together, orange goes opposite ways.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from jupyter_mlops.profiling.associations import Association
from jupyter_mlops.views.blocks import Chart
from jupyter_mlops.views.data import short

__all__ = ["drawn_font", "heat_chart"]

#: Of more columns a name would be no larger than a square.
COLUMNS: Final = 20
#: Two columns are one pair, and the list of pairs says it.
_FEWEST: Final = 3
_NAME: Final = 24
_TOLD: Final = 3
_SIDE: Final = 18
# All three are readable on light and on dark; the two hues are apart for colour-blind readers.
_TOGETHER: Final = (47, 128, 196)
_OPPOSITE: Final = (213, 94, 0)
_TEXT: Final = (118, 118, 118)

Cells = Mapping[tuple[int, int], float]


def heat_chart(pairs: Sequence[Association], order: Sequence[str]) -> Chart | None:
    """The columns of the strongest pairs, each against each.

    Parameters
    ----------
    pairs : sequence of Association
        Each two columns once, those beyond chance only, the strongest first.
    order : sequence of str
        All columns of the table: one whose name can't be drawn is called by its place.

    Returns
    -------
    Chart or None
        None for fewer than three columns.
    """
    names = list(dict.fromkeys(name for one in pairs for name in (one.first, one.second)))[:COLUMNS]
    if len(names) < _FEWEST:
        return None
    places = {name: place for place, name in enumerate(names)}
    cells = {
        (max(a, b), min(a, b)): round(one.value, 2)
        for one in pairs
        if (a := places.get(one.first)) is not None and (b := places.get(one.second)) is not None
    }
    strongest = ", ".join(
        f"{short(one.first)[:_NAME]} with {short(one.second)[:_NAME]} {_signed(one.value)}"
        for one in pairs[:_TOLD]
    )
    return Chart(
        title="Strength by pair",
        spec=_spec(_told_apart(names), cells),
        png=_png([_drawable(name, order) for name in names], cells),
        alt=f"{len(cells)} pairs of {len(names)} columns go together beyond chance, the larger "
        f"the square the stronger: {strongest}",
    )


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else ''}{abs(value):.2f}"


def _told_apart(names: Sequence[str]) -> list[str]:
    """The names cut short, and numbered where they would be the same."""
    cut = [short(name)[:_NAME] for name in names]
    return [
        one if cut.count(one) == 1 else f"{one[: _NAME - 4]} ({place})"
        for place, one in enumerate(cut, 1)
    ]


def _spec(names: Sequence[str], cells: Cells) -> dict[str, Any]:
    """A Vega-Lite chart: the names once, the figures as three columns of text."""
    rows = [
        f"{row},{column},{cells.get((row, column), 0):g}"
        for row in range(1, len(names))
        for column in range(row)
    ]
    # Escaped JSON is what an expression of Vega takes for a list of texts.
    listed = json.dumps(names)
    axis = {"type": "nominal", "sort": None, "title": None}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "width": {"step": _SIDE},
        "height": {"step": _SIDE},
        "data": {
            "values": "row,column,value\n" + "\n".join(rows),
            "format": {
                "type": "csv",
                "parse": {"row": "number", "column": "number", "value": "number"},
            },
        },
        "transform": [
            {"calculate": f"{listed}[datum.row]", "as": "one"},
            {"calculate": f"{listed}[datum.column]", "as": "other"},
            {"calculate": "abs(datum.value)", "as": "strength"},
            {"calculate": "datum.value < 0 ? 'opposite' : 'together'", "as": "way"},
        ],
        "mark": {"type": "square", "opacity": 1},
        "encoding": {
            "x": {"field": "other", "axis": {"labelAngle": -50, "labelLimit": 120}, **axis},
            "y": {"field": "one", "axis": {"labelLimit": 120}, **axis},
            "size": {
                "field": "strength",
                "type": "quantitative",
                "scale": {"domain": [0, 1], "range": [0, (_SIDE - 2) ** 2]},
                "legend": None,
            },
            "color": {
                "field": "way",
                "type": "nominal",
                "title": None,
                "scale": {
                    "domain": ["together", "opposite"],
                    "range": [f"rgb{_TOGETHER}", f"rgb{_OPPOSITE}"],
                },
            },
            "tooltip": [{"field": name, "title": name} for name in ("one", "other", "value")],
        },
    }


def _png(names: Sequence[str], cells: Cells) -> str:
    """The same as a PNG of a few kilobytes on a transparent ground, in base64."""
    from PIL import Image, ImageDraw

    font = drawn_font()
    widest = max(
        _SIDE * place + font.getlength(name) for place, name in enumerate(names)
    )  # fmt: skip
    image = Image.new("RGBA", (round(widest) + 8, _SIDE * len(names)), (*_TEXT, 0))
    draw = ImageDraw.Draw(image)
    for place, name in enumerate(names):
        draw.text((_SIDE * place + 3, _SIDE * place + 2), name, fill=_TEXT, font=font)
    for (row, column), value in cells.items():
        # The area says how strong it is, as the eye takes it.
        side = max(2, round((_SIDE - 2) * abs(value) ** 0.5))
        left, top = (_SIDE * at + (_SIDE - side) // 2 for at in (column, row))
        box = (left, top, left + side - 1, top + side - 1)
        draw.rectangle(box, fill=_OPPOSITE if value < 0 else _TOGETHER)
    file = io.BytesIO()
    image.quantize(16, Image.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


@cache
def drawn_font() -> Any:
    """A font for names in small pictures."""
    from importlib.util import find_spec

    from PIL import ImageFont

    # Matplotlib brings a font that knows most alphabets; it needn't be loaded for that.
    found = find_spec("matplotlib")
    path = Path(found.origin).with_name("mpl-data") if found and found.origin else Path()
    try:
        return ImageFont.truetype(path / "fonts" / "ttf" / "DejaVuSans.ttf", 11)
    except OSError:
        return ImageFont.load_default(12)


def _drawable(name: str, order: Sequence[str]) -> str:
    """The name, or its column's place where the font has no signs for it."""
    font = drawn_font()
    unknown = bytes(font.getmask("\uffff"))
    shown = short(name)[:_NAME]
    if all(one == " " or bytes(font.getmask(one)) != unknown for one in shown):
        return shown
    return f"column {order.index(name) + 1}"

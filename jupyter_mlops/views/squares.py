"""A heat map where no script runs: a small picture, and a line of characters for each row."""

from __future__ import annotations

import base64
import io
from typing import Final

from jupyter_mlops.views.blocks import Heat, HeatRow, Level

__all__ = ["heat_words", "squares_png"]

_SIDE: Final = 16
_NAME: Final = 24
_TEXT: Final = (118, 118, 118)
# Readable on light and on dark; the square's size says the level too.
_DRAWN: Final[dict[Level, tuple[int, tuple[int, int, int]]]] = {
    "info": (2, (150, 150, 150)),
    "good": (5, (0, 158, 115)),
    "warn": (9, (230, 159, 0)),
    "bad": (14, (213, 94, 0)),
}
_SIGNS: Final[dict[Level, str]] = {"info": ".", "good": "·", "warn": "▪", "bad": "■"}


def heat_words(heat: Heat, limit: int | None = None) -> list[str]:
    """A line for each row: its name, a sign for each column, and its greatest figure.

    Examples
    --------
    >>> row = HeatRow(label="rain", levels=["good", "bad", None], values=[0.01, 0.4, None])
    >>> heat_words(Heat(columns=[], rows=[row], unit="PSI"))
    ['rain  ·■   PSI up to 0.4']
    """
    rows = heat.rows[:limit]
    widest = max((len(_flat(one.label)) for one in rows), default=0)
    return [f"{_flat(one.label):<{widest}}  {_signs(one)}{_most(heat, one)}" for one in rows]


def _flat(label: str) -> str:
    """A name on one line, cut short."""
    return " ".join(label.split())[:_NAME]


def _signs(row: HeatRow) -> str:
    return "".join(" " if one is None else _SIGNS[one] for one in row.levels)


def _most(heat: Heat, row: HeatRow) -> str:
    told = [one for one in row.values if one is not None]
    return f"  {heat.unit} up to {max(told):.3g}" if told else ""


def squares_png(heat: Heat) -> str:
    """A PNG of a few kilobytes on a transparent ground, in base64."""
    from PIL import Image, ImageDraw

    from jupyter_mlops.views.heat import drawn_font

    font = drawn_font()
    names = [_flat(one.label) for one in heat.rows]
    left = 8 + round(max(font.getlength(name) for name in names))
    ends = [_flat(heat.columns[0].label), _flat(heat.columns[-1].label)]
    across = _SIDE * len(heat.columns)
    wide = left + max(across, round(sum(font.getlength(one) for one in ends)) + 16)
    image = Image.new("RGBA", (wide, _SIDE * (len(names) + 1) + 4), (*_TEXT, 0))
    draw = ImageDraw.Draw(image)
    for at, (name, row) in enumerate(zip(names, heat.rows, strict=True)):
        draw.text((0, _SIDE * at + 1), name, fill=_TEXT, font=font)
        for place, level in enumerate(row.levels):
            if level is None:
                continue
            side, colour = _DRAWN[level]
            x = left + _SIDE * place + (_SIDE - side) // 2
            y = _SIDE * at + (_SIDE - side) // 2
            draw.rectangle((x, y, x + side - 1, y + side - 1), fill=colour)
    below = _SIDE * len(names) + 2
    draw.text((left, below), ends[0], fill=_TEXT, font=font)
    if len(heat.columns) > 1:
        right = wide - round(font.getlength(ends[1])) - 1
        draw.text((right, below), ends[1], fill=_TEXT, font=font)
    file = io.BytesIO()
    image.quantize(16, Image.Quantize.FASTOCTREE).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()

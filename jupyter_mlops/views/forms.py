"""What a column's values look like beyond figures: what its type rests on, shapes, gaps."""

from __future__ import annotations

from typing import Any, Final

from jupyter_mlops.profiling.columns import ColumnProfile
from jupyter_mlops.views.blocks import Block, Column, Table
from jupyter_mlops.views.cells import percent_text
from jupyter_mlops.views.data import short

__all__ = ["evidence", "forms_blocks", "span_text"]

_SPANS: Final = ((31_557_600, "years"), (86_400, "days"), (3600, "hours"), (60, "minutes"))


def evidence(it: ColumnProfile) -> str:
    """What the type of a column rests on, in a clause."""
    words: list[str] = []
    if it.semantic not in ("", it.type):
        words.append(f"stored as {it.type}")
    meaning = it.meaning
    share, tested = meaning.get("share"), meaning.get("tested")
    if share is not None and tested:
        words.append(f"{percent_text(float(share))} of {tested:,} values look so")
    for name in ("format", "unit", "decimal", "size", "media"):
        if meaning.get(name):
            words.append(f"{name} {short(str(meaning[name]))}")
    if meaning.get("nearly"):
        words.append(f"{percent_text(float(meaning['nearly']))} the same value")
    return ", ".join(words)


def forms_blocks(it: ColumnProfile, number: int) -> list[Block]:
    """The shapes of texts and the gaps of times, where there are any worth showing."""
    return [one for one in (_shapes(it, number), _gaps(it, number)) if one is not None]


def _shapes(it: ColumnProfile, number: int) -> Table | None:
    texts = it.texts
    if texts is None:
        return None
    top = texts.top(number)
    # Where hardly any two texts are alike in shape, a list of shapes tells nothing.
    if not top or top[0][1] < 0.05:
        return None
    error = texts.half_width
    return Table(
        title="Shapes of the text" + (f" (± {percent_text(error)})" if error else ""),
        columns=[
            Column(key="shape", label="Shape"),
            Column(key="share", label="Share", kind="bar"),
        ],
        rows=[
            {"shape": short(shape) or "(empty)", "share": round(share, 4)} for shape, share in top
        ],
        total=len(texts.patterns),
    )


def _gaps(it: ColumnProfile, number: int) -> Table | None:
    times = it.times
    if times is None:
        return None
    # Nights and weekends are gaps as well: only what stands out is one to look at.
    gaps = [one for one in times.gaps(number) if one.seconds >= 2 * times.period]
    if not gaps:
        return None
    rows: list[dict[str, Any]] = [
        {
            "start": it.shown(one.start),
            "end": it.shown(one.end),
            "length": span_text(one.seconds),
        }
        for one in gaps
    ]
    return Table(
        title="Longest gaps",
        columns=[
            Column(key="start", label="From"),
            Column(key="end", label="To"),
            Column(key="length", label="Length"),
        ],
        rows=rows,
    )


def span_text(seconds: float) -> str:
    """A length of time in the largest unit that fits twice.

    Examples
    --------
    >>> span_text(172_800), span_text(90)
    ('2 days', '90 seconds')
    """
    for size, name in _SPANS:
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {name}"
    return f"{seconds:.3g} seconds"

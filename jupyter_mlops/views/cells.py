"""A table's cell as text: one place decides how numbers, shares and times are written."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from jupyter_mlops.views.blocks import Action, Column

__all__ = [
    "cell_text",
    "decimals",
    "magic_line",
    "number_text",
    "progress_text",
    "spark_parts",
    "spark_text",
]

#: Numbers that differ by more than that can't stand in one column with as many decimals each.
_APART = 1000
_TICKS = "▁▂▃▄▅▆▇█"
_LONG_ID = re.compile(r"\b(\w+):([0-9a-f]{32})\b")


def cell_text(column: Column, value: Any) -> str:
    """Write a cell for a place without colours."""
    if value is None:
        return "–"
    if column.kind in {"badge", "link"} or (column.kind == "ref" and isinstance(value, dict)):
        return str(value["text"])
    if column.kind == "spark":
        values, against, ends = spark_parts(value)
        drawn = spark_text(values) + (f" / {spark_text(against)}" if against else "")
        return f"{ends[0]} {drawn} {ends[1]}" if ends else drawn
    if column.kind == "bar" and isinstance(value, dict):
        return str(value["text"])
    if column.kind in {"percent", "bar"}:
        return percent_text(float(value))
    if column.kind == "time":
        return time_text(str(value))
    if column.kind == "ref":
        return _LONG_ID.sub(_short_ref, str(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        if column.digits is not None and math.isfinite(value):
            return f"{value:,.{column.digits}f}"
        return number_text(value)
    return str(value)


def _short_ref(found: re.Match[str]) -> str:
    """An id's first digits: 8 of a random one, 12 of one that starts with the millisecond."""
    return f"{found[1]}:{found[2][: 8 if found[1] == 'run' else 12]}"


def number_text(value: float) -> str:
    """Four significant digits, thousands separated; whole numbers in full.

    Examples
    --------
    >>> number_text(336776), number_text(0.52371), number_text(1234567.8)
    ('336,776', '0.5237', '1,234,568')
    """
    if isinstance(value, int):
        return f"{value:,}"
    if not math.isfinite(value):
        return {math.inf: "∞", -math.inf: "−∞"}.get(value, "–")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def decimals(values: Iterable[float | None]) -> int | None:
    """How many decimals a column's numbers have, so that they can be compared at a glance.

    Four digits of the largest are shown. None where all are whole or their sizes differ too
    much, so that each is better written by itself.

    Examples
    --------
    >>> decimals([0.93, 0.8871]), decimals([12.5, 0.31, None]), decimals([1e-5, 0.1]), decimals([3])
    (4, 2, None, None)
    """
    sizes = [abs(one) for one in values if one is not None and one != 0 and math.isfinite(one)]
    if not sizes or all(one == int(one) for one in sizes) or max(sizes) > _APART * min(sizes):
        return None
    return max(0, 3 - math.floor(math.log10(max(sizes))))


def percent_text(fraction: float) -> str:
    """A share, precise enough to tell none from few.

    Examples
    --------
    >>> percent_text(0.0245), percent_text(0.00001), percent_text(0.0)
    ('2.5 %', '<0.1 %', '0 %')
    """
    if fraction == 0 or not math.isfinite(fraction):
        return "0 %" if fraction == 0 else "–"
    if 0 < fraction < 0.001:
        return "<0.1 %"
    return f"{100 * fraction:.1f} %" if fraction < 1 else f"{100 * fraction:.0f} %"


def time_text(iso: str) -> str:
    """A time to the minute, in UTC as it is stored."""
    try:
        return datetime.fromisoformat(iso).strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return iso


def spark_parts(value: Any) -> tuple[list[float], list[float], list[str]]:
    """The bars of a spark, those it is put against, and the words at its two ends."""
    if not isinstance(value, dict):
        return list(value), [], []
    return value["values"], value.get("against") or [], value.get("ends") or []


def spark_text(values: list[float]) -> str:
    """A row of block characters, which survives wherever text does."""
    numbers = [float(value) for value in values]
    top = max(numbers, default=0.0)
    if top <= 0:
        return _TICKS[0] * len(numbers)
    return "".join(_TICKS[min(7, int(8 * max(0.0, value) / top))] for value in numbers)


def progress_text(
    done: int, total: int | None, unit: str, seconds: float, remaining: float | None = None
) -> str:
    """How far something is, how fast it goes, and when it ends.

    Parameters
    ----------
    remaining : float, optional
        Seconds until it ends, where that is known better than from the rate.

    Examples
    --------
    >>> progress_text(250_000, 1_000_000, "rows", 2.0)
    '25 % · 250,000 of 1,000,000 rows · 125,000 rows/s · 6 s left'
    >>> progress_text(250_000, None, "rows", 2.0)
    '250,000 rows · 125,000 rows/s'
    >>> progress_text(3, 10, "trials", 90.0)
    '30 % · 3 of 10 trials · 2 trials/min · 4 min left'
    """
    words = [f"{done:,} {unit}"]
    if total:
        words = [f"{100 * min(1, done / total):.0f} %", f"{done:,} of {total:,} {unit}"]
    if done and seconds > 0:
        rate = done / seconds
        words.append(_rate_text(rate, unit))
        if remaining is None and total and total > done:
            remaining = (total - done) / rate
    if remaining:
        words.append(f"{_left_text(remaining)} left")
    return " · ".join(words)


def _rate_text(rate: float, unit: str) -> str:
    """In the unit of time in which there is at least one."""
    much, per = (1, "s") if rate >= 1 else (60, "min") if 60 * rate >= 1 else (3600, "h")
    often = rate * much
    return f"{often:,.0f} {unit}/{per}" if often >= 10 else f"{often:.2g} {unit}/{per}"


def _left_text(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def magic_line(action: Action) -> str:
    """The line that does what a button does."""
    if action.line:
        return action.line
    words = ["%mlops", action.verb.replace("-", " ")]
    words += [str(value) for value in action.args.values()]
    return " ".join(words)

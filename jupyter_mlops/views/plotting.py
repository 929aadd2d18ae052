"""What charts are made of: data as CSV, the ends of axes, colours, names of bearable length."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from jupyter_mlops.experiments.studies import Trial

__all__ = [
    "BEST",
    "GREY",
    "PADDING",
    "SCHEMA",
    "WIDE",
    "data_of",
    "ends",
    "is_number",
    "shortened",
    "thinned",
    "value_of",
    "varying",
]

#: A parameter whose greatest is that many times its least is drawn on a logarithmic axis.
WIDE: Final = 50
# Readable on light and on dark, and apart for colour-blind readers (Okabe and Ito).
BEST, GREY = "#d55e00", "#7f8c9b"
# The last label of an axis stands half beyond it.
PADDING: Final = {"left": 4, "right": 20, "top": 4, "bottom": 4}
SCHEMA: Final = "https://vega.github.io/schema/vega-lite/v5.json"


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


def varying(trials: Sequence[Trial]) -> list[str]:
    """Parameters that had more than one value."""
    seen: dict[str, Any] = {}
    varying: dict[str, None] = {}
    for one in trials:
        for name, value in one.params.items():
            if name in seen and seen[name] != value:
                varying[name] = None
            seen.setdefault(name, value)
    return list(varying)


def ends(values: Sequence[float], best: float | None) -> tuple[float, float]:
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


def value_of(trial: Trial, metric: str) -> float:
    return trial.metrics.get(metric, math.nan)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def data_of(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> dict[str, Any]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([f"{one:.6g}" if isinstance(one, float) else one for one in row])
    return {"values": text.getvalue(), "format": {"type": "csv"}}


def shortened(text: str, length: int = 28) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"

"""Texts cut into tokens, so that no span begins or ends within one."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

__all__ = ["cut", "overlapping", "trimmed"]

_TOKEN = re.compile(r"\w+|[^\w\s]")


def cut(text: str, spans: Iterable[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Words and marks of a text, white space left out, cut where a span begins or ends too.

    Returns
    -------
    list of (int, int)
        Where each begins and ends, in code points, in order.

    Examples
    --------
    >>> cut("Jo's here", [{"start": 0, "end": 1}])
    [(0, 1), (1, 2), (2, 3), (3, 4), (5, 9)]
    """
    edges = sorted({edge for span in spans for edge in (span["start"], span["end"])})
    found: list[tuple[int, int]] = []
    at = 0
    for token in _TOKEN.finditer(text):
        start, end = token.span()
        while at < len(edges) and edges[at] <= start:
            at += 1
        while at < len(edges) and edges[at] < end:
            found.append((start, edges[at]))
            start = edges[at]
            at += 1
        found.append((start, end))
    return found


def overlapping(spans: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two spans share a character."""
    ordered = sorted(spans, key=lambda span: (span["start"], span["end"]))
    return any(b["start"] < a["end"] for a, b in itertools.pairwise(ordered))


def trimmed(text: str, span: Mapping[str, Any]) -> dict[str, Any] | None:
    """A span without white space at its ends; None when it is nothing else."""
    inside = text[span["start"] : span["end"]]
    if not inside.strip():
        return None
    start = span["start"] + len(inside) - len(inside.lstrip())
    return {**span, "start": start, "end": start + len(inside.strip())}

"""The settings of a task that its labeler shows."""

from __future__ import annotations

import math
import re
from typing import Any

from jupyter_mlops.labeling.kinds.choices import WIDEST
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["shown_settings"]

GUIDELINE_LIMIT = 20_000
MOST_FPS = 1000
_SCALE = re.compile(r"(-?\d{1,4})\s*(?:-|\.\.|,|to)\s*(-?\d{1,4})")


def shown_settings(
    scale: str | None = None, guideline: str | None = None, fps: float | None = None
) -> dict[str, Any]:
    """What a labeler shows beside the classes, checked; what is left out isn't set.

    Parameters
    ----------
    scale : str, optional
        The lowest and the highest rating, as ``1-5``.
    guideline : str, optional
        Markdown.
    fps : float, optional
        Frames a second by which tracks are counted.

    Raises
    ------
    Invalid
        One of them makes no sense.

    Examples
    --------
    >>> shown_settings(scale="1-7")
    {'scale': [1, 7]}
    """
    found: dict[str, Any] = {}
    if scale is not None:
        ends = _SCALE.fullmatch(scale.strip())
        low, high = (int(ends[1]), int(ends[2])) if ends else (0, 0)
        if not 0 < high - low < WIDEST:
            raise Invalid(
                f"{scale!r} is no scale to rate on",
                f"a scale is two whole numbers, {WIDEST - 1} apart at the most",
                "write it as 1-5",
                code="E-LABEL-209",
            )
        found["scale"] = [low, high]
    if guideline is not None:
        if not 0 < len(guideline) <= GUIDELINE_LIMIT:
            raise Invalid(
                "the guideline can't be shown",
                f"it has {len(guideline):,} characters of {GUIDELINE_LIMIT:,}",
                code="E-LABEL-210",
            )
        found["guideline"] = guideline
    if fps is not None:
        if not (math.isfinite(fps) and 0 < fps <= MOST_FPS):
            raise Invalid(
                f"a film doesn't have {fps:g} frames a second",
                f"it has more than 0 and {MOST_FPS} at the most",
                code="E-LABEL-211",
            )
        found["fps"] = fps
    return found

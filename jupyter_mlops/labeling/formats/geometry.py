"""Boxes around points, areas of polygons, and boxes between keyframes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["area", "around", "between", "key_moments"]

SIDES = ("x", "y", "width", "height")


def around(points: Sequence[Sequence[float]]) -> list[float]:
    """The smallest box around points: x, y, width, height, in their unit.

    Examples
    --------
    >>> around([[1, 2], [4, 3]])
    [1, 2, 3, 1]
    """
    across, down = [point[0] for point in points], [point[1] for point in points]
    left, top = min(across), min(down)
    return [left, top, max(across) - left, max(down) - top]


def area(points: Sequence[Sequence[float]]) -> float:
    """The area of a polygon whose sides don't cross, by the shoelace formula.

    Examples
    --------
    >>> area([[0, 0], [4, 0], [4, 3]])
    6.0
    """
    turned = [*points[1:], points[0]]
    twice = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, turned, strict=True))
    return abs(twice) / 2


def between(keyframes: Sequence[Mapping[str, Any]], frames: int = 0) -> Iterator[dict[str, Any]]:
    """Every frame's box, in a straight line between keyframes and still after the last.

    Where a keyframe says that the object is outside, no box follows until the next one, and
    the one before stays where it is until then.

    Parameters
    ----------
    keyframes : sequence of dict
        With ``frame``, ``x``, ``y``, ``width``, ``height`` and ``outside``, in order.
    frames : int
        How many frames the film has; 0 when nobody knows, which ends at the last keyframe.

    Yields
    ------
    dict
        ``frame`` and the four sides.
    """
    for first, second in itertools.pairwise(keyframes):
        if first.get("outside"):
            continue
        steps = second["frame"] - first["frame"]
        end = first if second.get("outside") else second
        for step in range(steps):
            part = step / steps
            sides = {side: first[side] + (end[side] - first[side]) * part for side in SIDES}
            yield {"frame": first["frame"] + step, **sides}
    if keyframes and not keyframes[-1].get("outside"):
        last = keyframes[-1]
        for frame in range(last["frame"], max(frames, last["frame"] + 1)):
            yield {"frame": frame, **{side: last[side] for side in SIDES}}


def key_moments(
    boxes: Sequence[Mapping[str, Any]], tolerance: float, frames: int = 0
) -> list[dict[str, Any]]:
    """The fewest keyframes, met in order, between which all boxes lie within `tolerance`.

    Parameters
    ----------
    boxes : sequence of dict
        A box for each frame the object is seen in, in order, as `between` gives them.
    tolerance : float
        How far a side may be off, in pixels.
    frames : int
        How many frames the film has; 0 when nobody knows.

    Returns
    -------
    list of dict
        Keyframes; where frames are missing one says that the object is outside.
    """
    keyframes: list[dict[str, Any]] = []
    run: list[Mapping[str, Any]] = []
    for one in boxes:
        if run and one["frame"] != run[-1]["frame"] + 1:
            keyframes += [*_fewest(run, tolerance), _leaving(run[-1])]
            run = []
        run.append(one)
    keyframes += _fewest(run, tolerance)
    if run and run[-1]["frame"] + 1 < frames:
        keyframes.append(_leaving(run[-1]))
    return keyframes


def _leaving(last: Mapping[str, Any]) -> dict[str, Any]:
    return _keyframe(last) | {"frame": last["frame"] + 1, "outside": True}


def _keyframe(one: Mapping[str, Any]) -> dict[str, Any]:
    return {"frame": one["frame"], **{side: one[side] for side in SIDES}, "outside": False}


def _fewest(run: list[Mapping[str, Any]], tolerance: float) -> list[dict[str, Any]]:
    if not run:
        return []
    found, start = [_keyframe(run[0])], 0
    while start < len(run) - 1:
        stop = start + 1
        # Twice as far while it fits, then half as far: long straight lines stay cheap.
        step = 1
        while step:
            if stop + step < len(run) and _straight(run[start : stop + step + 1], tolerance):
                stop, step = stop + step, step * 2
            else:
                step //= 2
        found.append(_keyframe(run[stop]))
        start = stop
    return found


def _straight(run: list[Mapping[str, Any]], tolerance: float) -> bool:
    ends = [_keyframe(run[0]), _keyframe(run[-1])]
    return all(
        abs(guess[side] - one[side]) <= tolerance
        for guess, one in zip(between(ends), run, strict=True)
        for side in SIDES
    )

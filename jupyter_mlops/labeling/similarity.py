"""How much two answers to the same question agree, from 0 to 1, whatever their shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["box_iou", "overlap_of_intervals", "same", "similarity"]

# Two shapes are of the same thing when they share half of their area (as in PASCAL VOC).
SAME_SHAPE = 0.5
_EXACT = frozenset({"class", "pairwise", "text", "classes", "rating"})
_GRID = 192
_MOST_FRAMES = 200
# A point that stands alone counts as one of a thing this many pixels wide.
_POINT_EXTENT = 50.0
_POINT_SPREAD = 0.1

Floats = npt.NDArray[np.float64]
Mark = Mapping[str, Any]


def similarity(answer: str, a: Any, b: Any, scale: tuple[int, int] = (1, 5)) -> float:
    """How much two answers agree.

    Classes, texts and choices agree wholly or not at all; sets by their Jaccard index;
    ratings by their distance on the scale; boxes, polygons and points by the mean overlap
    (IoU; for points COCO's OKS with the extent of all points as the size) of the best
    one-to-one matching within each class, where what has no partner counts 0; spans of text
    and stretches of time by the Dice coefficient of what they cover, class by class; tracks
    by the mean over frames of how their boxes agree.

    Parameters
    ----------
    answer : str
        The kind of answer.
    a, b : JSON
        Two answers of that kind.
    scale : tuple of int
        The lowest and highest rating.

    Returns
    -------
    float
        1 for equal answers; two empty ones are equal.

    Examples
    --------
    >>> similarity("classes", ["a", "b"], ["b"])
    0.5
    >>> similarity("rating", 5, 4)
    0.75
    """
    if a == b:
        return 1.0
    if answer == "text":
        return float(_words(a) == _words(b))
    if answer == "classes":
        return len({*a} & {*b}) / len({*a} | {*b})
    if answer == "rating":
        return max(0.0, 1 - abs(float(a) - float(b)) / (scale[1] - scale[0]))
    if answer in ("boxes", "polygons", "keypoints"):
        return _matched(a, b, _MEASURES[answer])
    if answer in ("spans", "regions", "segments"):
        return _covered(a, b)
    if answer == "tracks":
        return _tracked(a, b)
    return 0.0


def same(answer: str, a: Any, b: Any, scale: tuple[int, int] = (1, 5)) -> bool:
    """Whether two answers count as the same: equal, or for shapes at least half shared."""
    return similarity(answer, a, b, scale) >= (1.0 if answer in _EXACT else SAME_SHAPE)


def box_iou(a: Sequence[Mark], b: Sequence[Mark]) -> Floats:
    """Intersection over union of each box of one list with each of another.

    Parameters
    ----------
    a, b : sequence of dict
        Boxes with ``x``, ``y``, ``width`` and ``height`` in pixels.

    Returns
    -------
    numpy.ndarray of shape (len(a), len(b))
    """
    first, second = _corners(a)[:, None], _corners(b)[None]
    low = np.maximum(first[..., :2], second[..., :2])
    high = np.minimum(first[..., 2:], second[..., 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    areas = [np.prod(one[..., 2:] - one[..., :2], axis=-1) for one in (first, second)]
    union = areas[0] + areas[1] - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))


def overlap_of_intervals(a: Iterable[Mark], b: Iterable[Mark]) -> tuple[float, float, float]:
    """Length that both cover, that the first covers and that the second covers."""
    first, second = _merged(a), _merged(b)
    shared = sum(
        max(0.0, min(end, stop) - max(start, begin))
        for start, end in first
        for begin, stop in second
    )
    return shared, sum(e - s for s, e in first), sum(e - s for s, e in second)


def _matched(
    a: Sequence[Mark],
    b: Sequence[Mark],
    measure: Callable[[Sequence[Mark], Sequence[Mark]], Floats],
) -> float:
    from scipy.optimize import linear_sum_assignment

    shared = 0.0
    for name in {one["label"] for one in a} & {one["label"] for one in b}:
        mine = [one for one in a if one["label"] == name]
        other = [one for one in b if one["label"] == name]
        found = measure(mine, other)
        rows, columns = linear_sum_assignment(found, maximize=True)
        shared += float(found[rows, columns].sum())
    return 2 * shared / (len(a) + len(b))


def _covered(a: Sequence[Mark], b: Sequence[Mark]) -> float:
    shared = total = 0.0
    for name in {one["label"] for one in (*a, *b)}:
        both, mine, other = overlap_of_intervals(
            [one for one in a if one["label"] == name],
            [one for one in b if one["label"] == name],
        )
        shared, total = shared + both, total + mine + other
    return 2 * shared / total if total else 0.0


def _tracked(a: Sequence[Mark], b: Sequence[Mark]) -> float:
    frames = sorted({frame["frame"] for one in (*a, *b) for frame in one["keyframes"]})
    if not frames:
        return 0.0
    steps = min(_MOST_FRAMES, frames[-1] - frames[0] + 1)
    scores = []
    for at in np.linspace(frames[0], frames[-1], steps):
        mine, other = _boxes_at(a, float(at)), _boxes_at(b, float(at))
        if mine or other:
            scores.append(_matched(mine, other, box_iou))
    return sum(scores) / len(scores) if scores else 1.0


def _boxes_at(tracks: Sequence[Mark], frame: float) -> list[Mark]:
    """The boxes of a frame, between keyframes on a straight line."""
    found: list[Mark] = []
    for track in tracks:
        keys = sorted(track["keyframes"], key=lambda one: one["frame"])
        before = [one for one in keys if one["frame"] <= frame]
        if not before or before[-1].get("outside"):
            continue
        start = before[-1]
        after = next((one for one in keys if one["frame"] > frame), start)
        way = after["frame"] - start["frame"]
        share = (frame - start["frame"]) / way if way else 0.0
        box = {
            side: start[side] + share * (after[side] - start[side])
            for side in ("x", "y", "width", "height")
        }
        found.append({"label": track["label"], **box})
    return found


def _polygon_iou(a: Sequence[Mark], b: Sequence[Mark]) -> Floats:
    """IoU of polygons by the even-odd rule on a grid over what both cover."""
    found = np.zeros((len(a), len(b)))
    for i, one in enumerate(a):
        for j, other in enumerate(b):
            points = [np.asarray(each["points"], float) for each in (one, other)]
            low, high = np.vstack(points).min(axis=0), np.vstack(points).max(axis=0)
            first, second = (_filled(each, low, high) for each in points)
            union = int((first | second).sum())
            found[i, j] = int((first & second).sum()) / union if union else 0.0
    return found


def _filled(points: Floats, low: Floats, high: Floats) -> npt.NDArray[np.bool_]:
    """The cells of a grid whose centres lie in a polygon."""
    centres = (np.arange(_GRID) + 0.5) / _GRID
    x, y = (low[axis] + centres * (high[axis] - low[axis]) for axis in (0, 1))
    inside = np.zeros((_GRID, _GRID), bool)
    for (x1, y1), (x2, y2) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y1 == y2:
            continue
        crosses = (y1 > y) != (y2 > y)
        at = x1 + (y - y1) * (x2 - x1) / (y2 - y1)
        inside ^= crosses[:, None] & (x[None, :] < at[:, None])
    return inside


def _point_likeness(a: Sequence[Mark], b: Sequence[Mark]) -> Floats:
    first, second = (np.array([[one["x"], one["y"]] for one in each], float) for each in (a, b))
    every = np.vstack([first, second])
    extent = np.maximum(every.max(axis=0) - every.min(axis=0), _POINT_EXTENT)
    distance = ((first[:, None] - second[None]) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-distance / (2 * float(np.prod(extent)) * _POINT_SPREAD**2)))


def _corners(boxes: Sequence[Mark]) -> Floats:
    sides = np.array([[b["x"], b["y"], b["width"], b["height"]] for b in boxes], float)
    sides = sides.reshape(-1, 4)
    sides[:, 2:] += sides[:, :2]
    return sides


def _merged(marks: Iterable[Mark]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted((float(one["start"]), float(one["end"])) for one in marks):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def _words(text: Any) -> list[str]:
    return str(text).casefold().split()


_MEASURES = {"boxes": box_iou, "polygons": _polygon_iou, "keypoints": _point_likeness}

"""Answers drawn on an image, in pixels of the full image from its upper left corner."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.kinds.question import Question, Wrong, labelled, number

__all__ = ["read_boxes", "read_keypoints", "read_polygons"]

MOST_CORNERS = 5000


def read_boxes(value: Any, question: Question) -> list[dict[str, Any]]:
    """Boxes with a width and a height above nothing."""
    found = []
    for label, one in labelled(value, question, "boxes"):
        box = {"label": label, "x": number(one, "x", low=0), "y": number(one, "y", low=0)}
        for name in ("width", "height"):
            box[name] = number(one, name, low=0)
            if not box[name]:
                raise Wrong(f"a box has a {name} above 0")
        found.append(box)
    return found


def read_polygons(value: Any, question: Question) -> list[dict[str, Any]]:
    """Polygons of three corners or more; the last one is joined to the first."""
    found = []
    for label, one in labelled(value, question, "polygons"):
        points = one.get("points")
        if not isinstance(points, list) or not 3 <= len(points) <= MOST_CORNERS:
            raise Wrong(f"a polygon has 3 to {MOST_CORNERS:,} points")
        if not all(isinstance(point, list) and len(point) == 2 for point in points):
            raise Wrong("a point of a polygon is [x, y]")
        corners = [[number({"x": x}, "x", low=0), number({"y": y}, "y", low=0)] for x, y in points]
        found.append({"label": label, "points": corners})
    return found


def read_keypoints(value: Any, question: Question) -> list[dict[str, Any]]:
    """Points with a class each."""
    return [
        {"label": label, "x": number(one, "x", low=0), "y": number(one, "y", low=0)}
        for label, one in labelled(value, question, "keypoints")
    ]

"""Answers in time: regions of a sound, segments of a film, and boxes that move through it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_mlops.labeling.kinds.question import (
    MOST_SHAPES,
    Question,
    Wrong,
    labelled,
    number,
    whole,
)

__all__ = ["box_at", "read_regions", "read_tracks"]


def read_regions(value: Any, question: Question) -> list[dict[str, Any]]:
    """Stretches of time in seconds, by their start."""
    found = []
    for label, one in labelled(value, question, "regions"):
        start, end = number(one, "start", low=0), number(one, "end", low=0)
        if end <= start:
            raise Wrong(f"a region ends after it starts, not at {end:g} s from {start:g} s")
        found.append({"label": label, "start": start, "end": end})
    found.sort(key=lambda region: (region["start"], region["end"]))
    return found


def read_tracks(value: Any, question: Question) -> list[dict[str, Any]]:
    """Boxes known at key frames; each track has a number of its own."""
    found: list[dict[str, Any]] = []
    seen: set[int] = set()
    for label, one in labelled(value, question, "tracks"):
        track = whole(one, "track", low=1)
        if track in seen:
            raise Wrong(f"track {track} is there twice")
        seen.add(track)
        found.append({"label": label, "track": track, "keyframes": _keyframes(one, track)})
    found.sort(key=lambda one: one["track"])
    return found


def box_at(keyframes: list[dict[str, Any]], frame: int) -> dict[str, float] | None:
    """Where a track's box is in a frame, or None when it is outside the picture.

    Between two key frames each side moves in a straight line; before the first there is no
    box, and after the last it stays where it is.

    Examples
    --------
    >>> ends = [{"frame": 0, "x": 0, "y": 0, "width": 4, "height": 4, "outside": False},
    ...         {"frame": 10, "x": 20, "y": 10, "width": 4, "height": 8, "outside": False}]
    >>> box_at(ends, 5)
    {'x': 10.0, 'y': 5.0, 'width': 4.0, 'height': 6.0}
    """
    before = [one for one in keyframes if one["frame"] <= frame]
    after = [one for one in keyframes if one["frame"] > frame]
    if not before or before[-1]["outside"]:
        return None
    left = before[-1]
    right = after[0] if after and not after[0]["outside"] else left
    width = right["frame"] - left["frame"]
    share = (frame - left["frame"]) / width if width else 0.0
    return {
        name: float(left[name] + share * (right[name] - left[name]))
        for name in ("x", "y", "width", "height")
    }


def _keyframes(found: Mapping[str, Any], track: int) -> list[dict[str, Any]]:
    frames = found.get("keyframes")
    if not isinstance(frames, list) or not 0 < len(frames) <= MOST_SHAPES:
        raise Wrong(f"track {track} has 1 to {MOST_SHAPES:,} key frames")
    read: dict[int, dict[str, Any]] = {}
    for one in frames:
        if not isinstance(one, Mapping):
            raise Wrong(f"a key frame of track {track} is no object")
        outside = one.get("outside", False)
        if not isinstance(outside, bool):
            raise Wrong("outside is true or false")
        frame = whole(one, "frame")
        if frame in read:
            raise Wrong(f"track {track} has frame {frame} twice")
        read[frame] = {"frame": frame, "x": number(one, "x", low=0), "y": number(one, "y", low=0)}
        for name in ("width", "height"):
            read[frame][name] = number(one, name, low=0)
            if not read[frame][name]:
                raise Wrong(f"a key frame's box has a {name} above 0")
        read[frame]["outside"] = outside
    return [read[frame] for frame in sorted(read)]

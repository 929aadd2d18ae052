"""Label Studio's results: the parts of one annotation, and the value that they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.geometry import SIDES
from jupyter_mlops.labeling.formats.labelset import Entry, LabelSet
from jupyter_mlops.labeling.formats.matching import Classes
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["from_results", "to_results"]

# A point's width as a percent of the image's, which Label Studio asks for.
DOT = 0.5


def to_results(value: Any, entry: Entry, labels: LabelSet) -> list[dict[str, Any]]:
    """An answer as results.

    Parameters
    ----------
    value : JSON value
        In the shape of the task's answer.
    entry : Entry
        What it is said of: its sides turn pixels into percents, its rate seconds into frames.
    labels : LabelSet
    """
    target = "left" if labels.answer == "pairwise" else "item"
    common = {"from_name": "label", "to_name": target}
    if labels.answer in _WHOLE:
        kind, wrapped = _WHOLE[labels.answer](value)
        return (
            []
            if labels.answer == "classes" and not value
            else [common | {"id": "r0", "type": kind, "value": wrapped}]
        )
    write = _PARTS[labels.answer]
    found = []
    for number, one in enumerate(value):
        made = common | {"id": f"r{number}"} | write(one, entry)
        if labels.answer in {"boxes", "polygons", "keypoints"}:
            made |= {
                "original_width": entry.width,
                "original_height": entry.height,
                "image_rotation": 0,
            }
        found.append(made)
    return found


_WHOLE: dict[str, Callable[[Any], tuple[str, dict[str, Any]]]] = {
    "class": lambda value: ("choices", {"choices": [value]}),
    "classes": lambda value: ("choices", {"choices": list(value)}),
    "pairwise": lambda value: ("choices", {"choices": [value]}),
    "rating": lambda value: ("rating", {"rating": value}),
    "text": lambda value: ("textarea", {"text": [value]}),
}


def _box(one: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    wide, high = _sides(entry)
    value = {
        "x": one["x"] * 100 / wide,
        "y": one["y"] * 100 / high,
        "width": one["width"] * 100 / wide,
        "height": one["height"] * 100 / high,
        "rotation": 0,
        "rectanglelabels": [one["label"]],
    }
    return {"type": "rectanglelabels", "value": value}


def _polygon(one: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    wide, high = _sides(entry)
    points = [[x * 100 / wide, y * 100 / high] for x, y in one["points"]]
    value = {"points": points, "closed": True, "polygonlabels": [one["label"]]}
    return {"type": "polygonlabels", "value": value}


def _keypoint(one: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    wide, high = _sides(entry)
    place = {"x": one["x"] * 100 / wide, "y": one["y"] * 100 / high, "width": DOT}
    return {"type": "keypointlabels", "value": {**place, "keypointlabels": [one["label"]]}}


def _span(one: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    text = (entry.text or "")[one["start"] : one["end"]]
    value = {"start": one["start"], "end": one["end"], "text": text, "labels": [one["label"]]}
    return {"type": "labels", "value": value}


def _region(one: Mapping[str, Any], _: Entry) -> dict[str, Any]:
    value = {"start": one["start"], "end": one["end"], "channel": 0, "labels": [one["label"]]}
    return {"type": "labels", "value": value}


def _segment(one: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    rate = _rate(entry)
    first, last = (max(1, round(one[side] * rate) + 1) for side in ("start", "end"))
    value = {
        "ranges": [{"start": first, "end": max(first, last - 1)}],
        "timelinelabels": [one["label"]],
    }
    # Frames are what Label Studio keeps; the seconds themselves go along for other readers.
    return {
        "type": "timelinelabels",
        "value": value,
        "meta": {"start": one["start"], "end": one["end"]},
    }


def _track(one: Mapping[str, Any], entry: Entry) -> dict[str, Any]:
    wide, high = _sides(entry)
    scale = {"x": wide, "y": high, "width": wide, "height": high}
    sequence = []
    for key, follows in _shown(one["keyframes"]):
        sides = {side: key[side] * 100 / scale[side] for side in SIDES}
        found = {"frame": key["frame"] + 1, "enabled": follows, "rotation": 0, **sides}
        sequence.append(found | ({"time": key["frame"] / entry.rate} if entry.rate else {}))
    value: dict[str, Any] = {"sequence": sequence, "labels": [one["label"]]}
    if entry.frames:
        value["framesCount"] = entry.frames
        value["duration"] = entry.frames / entry.rate if entry.rate else 0
    about = {"track": one["track"]}
    return {"type": "videorectangle", "from_name": "box", "value": value, "meta": about}


def _shown(keyframes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Keyframes and whether the object is still there in the frame after; none is outside."""
    for one, after in zip(keyframes, [*keyframes[1:], None], strict=True):
        if one.get("outside"):
            continue
        ends = after is not None and after.get("outside", False)
        gap = 0 if after is None else after["frame"] - one["frame"]
        yield one, not (ends and gap == 1)
        if ends and after is not None and gap > 1:
            yield {**one, "frame": after["frame"] - 1}, False


_PARTS: dict[str, Callable[[Mapping[str, Any], Entry], dict[str, Any]]] = {
    "boxes": _box,
    "polygons": _polygon,
    "keypoints": _keypoint,
    "spans": _span,
    "regions": _region,
    "segments": _segment,
    "tracks": _track,
}


def from_results(
    results: Sequence[Any], entry: Entry, known: LabelSet, classes: Classes, place: str
) -> Any:
    """The answer that results come to; results of other kinds are left aside."""
    value: list[Any] = []
    for number, found in enumerate(results, 1):
        where = f"{place} result {number},"
        one = faults.fields(where, found, "value")
        body = faults.fields(where, one["value"])
        reader = _READERS[known.answer]
        if any(name in body for name in reader[0]):
            value += reader[1](_Part(one, body, entry, classes, where))
    if known.answer == "classes":
        return [name for name in known.classes if name in value]
    if known.answer not in _WHOLE:
        return _numbered(value) if known.answer == "tracks" else value
    if len(value) != 1:
        raise faults.misfit(place, f"it has {len(value)} answers, and the task asks for one")
    return value[0]


def _numbered(tracks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tracks with a number each, where the file gives none or one twice."""
    seen = {one["track"] for one in tracks}
    if len(seen) == len(tracks) and 0 not in seen:
        return tracks
    return [one | {"track": number} for number, one in enumerate(tracks, 1)]


@dataclass(frozen=True)
class _Part:
    """A result that is being read, and what it is read with."""

    one: dict[str, Any]
    body: dict[str, Any]
    entry: Entry
    classes: Classes
    place: str


def _label(part: _Part, name: str) -> str:
    found = faults.items(part.place, part.body.get(name) or part.body.get("labels") or [])
    if len(found) != 1:
        raise faults.misfit(part.place, f"it has {len(found)} labels, and one is kept")
    return part.classes.find(found[0], part.place)


def _choices(part: _Part) -> list[Any]:
    found = faults.items(part.place, part.body["choices"])
    sides = not part.classes.names  # of two that are compared
    return found if sides else [part.classes.find(name, part.place) for name in found]


def _ratings(part: _Part) -> list[Any]:
    return [faults.whole(part.place, part.body["rating"])]


def _texts(part: _Part) -> list[Any]:
    found = part.body["text"]
    lines = [found] if isinstance(found, str) else faults.items(part.place, found)
    return ["\n".join(str(line) for line in lines)]


def _boxes(part: _Part) -> list[Any]:
    if part.body.get("rotation"):
        raise faults.misfit(part.place, "it is a box at an angle", "draw it as a polygon")
    wide, high = _sides(part.entry)
    scale = {"x": wide, "y": high, "width": wide, "height": high}
    sides = {
        side: faults.number(part.place, part.body.get(side)) * scale[side] / 100 for side in SIDES
    }
    return [{"label": _label(part, "rectanglelabels"), **sides}]


def _polygons(part: _Part) -> list[Any]:
    wide, high = _sides(part.entry)
    points = []
    for point in faults.items(part.place, part.body["points"]):
        x, y = (faults.number(part.place, one) for one in faults.items(part.place, point)[:2])
        points.append([x * wide / 100, y * high / 100])
    return [{"label": _label(part, "polygonlabels"), "points": points}]


def _keypoints(part: _Part) -> list[Any]:
    wide, high = _sides(part.entry)
    x, y = (faults.number(part.place, part.body.get(side)) for side in ("x", "y"))
    label = _label(part, "keypointlabels")
    return [{"label": label, "x": x * wide / 100, "y": y * high / 100}]


def _spans(part: _Part) -> list[Any]:
    text = part.entry.text or ""
    start, end = (faults.whole(part.place, part.body.get(side)) for side in ("start", "end"))
    said = part.body.get("text")
    if isinstance(said, str) and said and text[start:end] != said:
        # Older versions counted as browsers do, in UTF-16.
        start, end = (_points(text, side) for side in (start, end))
        if text[start:end] != said:
            raise faults.misfit(part.place, f"the text there isn't {said[:40]!r}")
    return [{"label": _label(part, "labels"), "start": start, "end": end}]


def _points(text: str, units: int) -> int:
    """How many code points the first UTF-16 units of a text are."""
    raw = text.encode("utf-16-le")[: 2 * units]
    return len(raw.decode("utf-16-le", "ignore"))


def _regions(part: _Part) -> list[Any]:
    start, end = (faults.number(part.place, part.body.get(side)) for side in ("start", "end"))
    return [{"label": _label(part, "labels"), "start": start, "end": end}]


def _segments(part: _Part) -> list[Any]:
    label = _label(part, "timelinelabels")
    exact = part.one.get("meta")
    ranges = faults.items(part.place, part.body["ranges"])
    if isinstance(exact, Mapping) and {"start", "end"} <= set(exact) and len(ranges) == 1:
        start, end = (faults.number(part.place, exact[side]) for side in ("start", "end"))
        return [{"label": label, "start": start, "end": end}]
    rate = _rate(part.entry)
    found = []
    for one in ranges:
        span = faults.fields(part.place, one, "start", "end")
        first, last = (faults.whole(part.place, span[side]) for side in ("start", "end"))
        found.append({"label": label, "start": (first - 1) / rate, "end": last / rate})
    return found


def _tracks(part: _Part) -> list[Any]:
    wide, high = _sides(part.entry)
    scale = {"x": wide, "y": high, "width": wide, "height": high}
    about = part.one.get("meta")
    keyframes: list[dict[str, Any]] = []
    for found in faults.items(part.place, part.body["sequence"]):
        key = faults.fields(part.place, found, "frame", *SIDES)
        frame = faults.whole(part.place, key["frame"]) - 1
        sides = {side: faults.number(part.place, key[side]) * scale[side] / 100 for side in SIDES}
        if keyframes and keyframes[-1]["outside"] and keyframes[-1]["frame"] == frame:
            keyframes.pop()
        keyframes.append({"frame": frame, **sides, "outside": False})
        if not key.get("enabled", True) and frame + 1 != part.entry.frames:
            keyframes.append({"frame": frame + 1, **sides, "outside": True})
    track = about.get("track") if isinstance(about, Mapping) else None
    number = track if isinstance(track, int) else 0
    return [{"label": _label(part, "labels"), "track": number, "keyframes": keyframes}]


Reader = Callable[[_Part], list[Any]]
_READERS: dict[str, tuple[tuple[str, ...], Reader]] = {
    "class": (("choices",), _choices),
    "classes": (("choices",), _choices),
    "pairwise": (("choices",), _choices),
    "rating": (("rating",), _ratings),
    "text": (("text",), _texts),
    "boxes": (("rectanglelabels", "labels"), _boxes),
    "polygons": (("polygonlabels", "points"), _polygons),
    "keypoints": (("keypointlabels", "labels"), _keypoints),
    "spans": (("labels",), _spans),
    "regions": (("labels",), _regions),
    "segments": (("timelinelabels",), _segments),
    "tracks": (("sequence",), _tracks),
}


def _sides(entry: Entry) -> tuple[int, int]:
    if not (entry.width and entry.height):
        raise Invalid(
            f"the percents of {entry.name!r} can't be worked out",
            "how large it is isn't known",
            "install av for films, or skip the item",
            code="E-LABEL-312",
        )
    return entry.width, entry.height


def _rate(entry: Entry) -> float:
    if not entry.rate:
        raise Invalid(
            f"the frames of {entry.name!r} can't be worked out",
            "how many it has a second isn't known",
            "install av, or skip the item",
            code="E-LABEL-313",
        )
    return entry.rate

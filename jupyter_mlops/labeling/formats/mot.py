"""MOT: a box a line for every frame that an object is seen in (https://motchallenge.net).

``gt/gt.txt`` has frame (from 1), object, left, top, width, height, whether it counts, class
(from 1) and how much of it is visible; ``gt/labels.txt`` names the classes, as CVAT writes it.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from pathlib import PurePosixPath
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.geometry import between, key_moments
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]

# Boxes nearer to a straight line than this, in pixels, need no keyframe.
TOLERANCE = 0.005


def write(labels: LabelSet) -> Written:
    """Tracks as MOT, a folder a film; every frame between keyframes has its box."""
    names = "".join(f"{one}\n" for one in labels.classes).encode()
    files = {}
    for entry in labels.labelled():
        folder = PurePosixPath(entry.name).with_suffix("")
        files[f"{folder}/gt/gt.txt"] = "".join(_lines(entry, labels)).encode()
        files[f"{folder}/gt/labels.txt"] = names
        files[f"{folder}/seqinfo.ini"] = _about(entry).encode()
    return Written(files)


def _lines(entry: Entry, labels: LabelSet) -> list[str]:
    rows = []
    for one in entry.value:
        label = labels.classes.index(one["label"]) + 1
        for box in between(one["keyframes"], entry.frames):
            sides = ",".join(faults.plain(box[side]) for side in ("x", "y", "width", "height"))
            row = f"{box['frame'] + 1},{one['track']},{sides},1,{label},1.0\n"
            rows.append((box["frame"], one["track"], row))
    return [row for *_, row in sorted(rows)]


def _about(entry: Entry) -> str:
    path = PurePosixPath(entry.name)
    parts = {
        "name": path.stem,
        "imDir": "img1",
        "frameRate": faults.plain(entry.rate),
        "seqLength": entry.frames,
        "imWidth": entry.width,
        "imHeight": entry.height,
        "imExt": path.suffix,
    }
    return "[Sequence]\n" + "".join(f"{name}={value}\n" for name, value in parts.items())


def read(files: Files, known: LabelSet) -> Reading:
    """Tracks from MOT, with as few keyframes as say where every box is."""
    items, classes = Items(known), Classes(known.classes)
    given = []
    for file, content in files.items():
        path = PurePosixPath(file)
        if path.name != "gt.txt":
            continue
        folder = path.parent.parent if path.parent.name == "gt" else path.parent
        entry = _film(folder, items, known, file)
        labels = files.get(str(path.with_name("labels.txt")))
        names = known.classes
        if labels is not None:
            names = tuple(one for one in faults.decode(file, labels).split("\n") if one)
        boxes: dict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
        for number, line in enumerate(faults.decode(file, content).split("\n"), 1):
            if line.strip():
                place = faults.at_line(file, number)
                track, label, box = _row(line.split(","), names, classes, place)
                boxes[track, label].append(box)
        value = [
            {"label": label, "track": track, "keyframes": _keyframes(found, file, entry.frames)}
            for (track, label), found in sorted(boxes.items())
        ]
        given.append(Given(entry.item, Act(value), file))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))


def _film(folder: PurePosixPath, items: Items, known: LabelSet, file: str) -> Entry:
    if not folder.parts and len(known.entries) == 1:
        return known.entries[0]  # one sequence and one film
    return items.named(str(folder), file)


def _row(
    parts: list[str], names: tuple[str, ...], classes: Classes, place: str
) -> tuple[int, str, dict[str, Any]]:
    if len(parts) < 6:
        raise faults.misfit(place, "a box has frame, object, left, top, width and height")
    frame, track = (faults.whole(place, one) for one in parts[:2])
    x, y, width, height = (faults.number(place, one) for one in parts[2:6])
    number = faults.whole(place, parts[7]) if len(parts) > 7 else 1
    if not 1 <= number <= len(names) or frame < 1:
        raise faults.misfit(place, f"there is no class {number}" if frame > 0 else "frames are 1 …")
    label = classes.find(names[number - 1], place)
    box = {"frame": frame - 1, "x": x, "y": y, "width": width, "height": height}
    return track, label, box


def _keyframes(boxes: list[dict[str, Any]], file: str, frames: int) -> list[dict[str, Any]]:
    ordered = sorted(boxes, key=lambda one: one["frame"])
    for one, after in itertools.pairwise(ordered):
        if one["frame"] == after["frame"]:
            raise faults.misfit(file, f"an object has two boxes in frame {one['frame'] + 1}")
    return key_moments(ordered, TOLERANCE, frames)

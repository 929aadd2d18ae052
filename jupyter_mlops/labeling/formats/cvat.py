"""CVAT's XML 1.1, for images and for films (https://docs.cvat.ai/docs/other/xml_format/).

Images are all in one file; a film is a file of its own, whose tracks have a box for each
keyframe. Frames count from 0; after its last box an object stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.markup import add, attribute, parse, serial
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]

_TYPES = {
    "boxes": "rectangle",
    "tracks": "rectangle",
    "polygons": "polygon",
    "keypoints": "points",
    "class": "tag",
    "classes": "tag",
}


def write(labels: LabelSet) -> Written:
    """Labels as CVAT imports them."""
    if labels.answer != "tracks":
        return Written({"annotations.xml": serial(_images(labels))})
    files = {}
    for entry in labels.labelled():
        name = PurePosixPath(entry.name).with_suffix(".xml")
        files[str(name)] = serial(_film(entry, labels))
    return Written(files)


def _begun(labels: LabelSet, mode: str, size: int) -> tuple[Element, Element]:
    root = Element("annotations")
    add(root, "version", "1.1")
    task = add(add(root, "meta"), "task")
    add(task, "name", labels.task)
    add(task, "size", size)
    add(task, "mode", mode)
    known = add(task, "labels")
    for name in labels.classes:
        one = add(known, "label")
        add(one, "name", name)
        add(one, "type", _TYPES[labels.answer])
        add(one, "attributes")
    return root, task


def _images(labels: LabelSet) -> Element:
    entries = list(labels.labelled())
    root, _ = _begun(labels, "annotation", len(entries))
    for number, entry in enumerate(entries):
        image = add(
            root, "image", id=number, name=entry.name, width=entry.width, height=entry.height
        )
        if labels.answer in {"class", "classes"}:
            for name in [entry.value] if labels.answer == "class" else entry.value:
                add(image, "tag", label=name, source="manual")
            continue
        for one in entry.value:
            common = {"label": one["label"], "source": "manual", "occluded": 0}
            if labels.answer == "boxes":
                add(image, "box", **common, **_corners(one), z_order=0)
            elif labels.answer == "polygons":
                add(image, "polygon", **common, points=_points(one["points"]), z_order=0)
            else:
                add(image, "points", **common, points=_points([[one["x"], one["y"]]]), z_order=0)
    return root


def _film(entry: Entry, labels: LabelSet) -> Element:
    size = entry.frames or 1 + max(
        (key["frame"] for one in entry.value for key in one["keyframes"]), default=0
    )
    root, task = _begun(labels, "interpolation", size)
    if entry.width:
        original = add(task, "original_size")
        add(original, "width", entry.width)
        add(original, "height", entry.height)
    add(task, "source", entry.name)
    for one in entry.value:
        track = add(root, "track", id=one["track"], label=one["label"], source="manual")
        for key in one["keyframes"]:
            outside = int(bool(key.get("outside")))
            flags = {"outside": outside, "occluded": 0, "keyframe": 1}
            add(track, "box", frame=key["frame"], **flags, **_corners(key), z_order=0)
    return root


def _corners(one: Any) -> dict[str, float]:
    left, top = float(one["x"]), float(one["y"])
    return {"xtl": left, "ytl": top, "xbr": left + one["width"], "ybr": top + one["height"]}


def _points(points: Sequence[Sequence[float]]) -> str:
    return ";".join(f"{faults.plain(x)},{faults.plain(y)}" for x, y in points)


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from CVAT's XML; an image that is listed without a shape has none."""
    items, classes = Items(known), Classes(known.classes)
    given, strange = [], 0
    for file, content in files.items():
        if PurePosixPath(file).suffix != ".xml":
            continue
        root = parse(file, content)
        if root.tag != "annotations":
            raise faults.misfit(file, f"<annotations> is expected, not <{root.tag}>")
        if known.answer == "tracks":
            given.append(_tracks(root, file, items, classes))
            continue
        for number, image in enumerate(root.iter("image"), 1):
            place = f"{file}, image {number},"
            entry = items.named(attribute(image, "name", place), place)
            found = _shapes(image, known, classes, place)
            strange += sum(one.tag not in _TAGS[known.answer] for one in image)
            if known.answer == "class" and not found:
                continue  # nobody has said anything of it yet
            if known.answer == "class" and len(found) > 1:
                raise faults.misfit(place, f"it has {len(found)} tags, the task asks for one")
            value = found[0] if known.answer == "class" else found
            given.append(Given(entry.item, Act(value), place))
    note = f"{strange:,} shapes that aren't {known.answer} were left out."
    return Reading(tuple(sorted(given, key=lambda one: one.item)), (note,) if strange else ())


_TAGS = {
    "class": {"tag"},
    "classes": {"tag"},
    "boxes": {"box"},
    "polygons": {"polygon"},
    "keypoints": {"points"},
}


def _shapes(image: Any, known: LabelSet, classes: Classes, place: str) -> list[Any]:
    found: list[Any] = []
    for one in image:
        if one.tag not in _TAGS[known.answer]:
            continue
        label = classes.find(attribute(one, "label", place), place)
        if one.tag == "tag":
            found.append(label)
        elif one.tag == "box":
            found.append({"label": label, **_sides(one, place)})
        elif one.tag == "polygon":
            found.append({"label": label, "points": _pairs(one, place)})
        else:
            found += [{"label": label, "x": x, "y": y} for x, y in _pairs(one, place)]
    if known.answer == "classes":
        return [name for name in known.classes if name in found]
    return found


def _sides(one: Any, place: str) -> dict[str, float]:
    if float(one.get("rotation") or 0):
        raise faults.misfit(place, "it has a box at an angle", "draw it as a polygon")
    left, top, right, bottom = (
        faults.number(place, attribute(one, side, place)) for side in ("xtl", "ytl", "xbr", "ybr")
    )
    return {"x": left, "y": top, "width": right - left, "height": bottom - top}


def _pairs(one: Any, place: str) -> list[list[float]]:
    pairs = []
    for pair in attribute(one, "points", place).split(";"):
        parts = pair.split(",")
        if len(parts) != 2:
            raise faults.misfit(place, f"{pair!r} is no point such as 3,4")
        pairs.append([faults.number(place, part) for part in parts])
    return pairs


def _tracks(root: Any, file: str, items: Items, classes: Classes) -> Given:
    source = root.findtext("meta/task/source") or root.findtext("meta/source") or ""
    name = source.strip() or str(PurePosixPath(file).with_suffix(""))
    entry = items.named(name, file)
    value = []
    for number, track in enumerate(root.iter("track"), 1):
        place = f"{file}, track {number},"
        label = classes.find(attribute(track, "label", place), place)
        boxes = [one for one in track.iter("box") if one.get("keyframe", "1") == "1"]
        keys = [
            {
                "frame": faults.whole(place, attribute(box, "frame", place)),
                **_sides(box, place),
                "outside": box.get("outside") == "1",
            }
            for box in boxes
        ]
        value.append({"label": label, "track": number, "keyframes": keys})
    return Given(entry.item, Act(value), file)

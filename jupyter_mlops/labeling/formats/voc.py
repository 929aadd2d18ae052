"""Pascal VOC: an XML file an image (http://host.robots.ox.ac.uk/pascal/VOC/voc2012/).

Its pixels are counted from 1 and its boxes include their last pixel, so that a box over the
whole of an image goes from 1 to its width.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from xml.etree.ElementTree import Element

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.markup import add, parse, serial, text_of
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]


def write(labels: LabelSet) -> Written:
    """Boxes as ``Annotations/….xml``."""
    files = {}
    for entry in labels.labelled():
        name = PurePosixPath("Annotations", entry.name).with_suffix(".xml")
        files[str(name)] = serial(_document(entry, labels))
    return Written(files)


def _document(entry: Entry, labels: LabelSet) -> Element:
    root = Element("annotation")
    path = PurePosixPath(entry.name)
    add(root, "folder", path.parent.name)
    add(root, "filename", path.name)
    add(root, "path", entry.name)
    add(add(root, "source"), "database", labels.task)
    size = add(root, "size")
    for side, pixels in (("width", entry.width), ("height", entry.height), ("depth", 3)):
        add(size, side, pixels)
    add(root, "segmented", 0)
    for one in entry.value:
        found = add(root, "object")
        add(found, "name", one["label"])
        add(found, "pose", "Unspecified")
        add(found, "truncated", 0)
        add(found, "difficult", 0)
        box = add(found, "bndbox")
        add(box, "xmin", float(one["x"] + 1))
        add(box, "ymin", float(one["y"] + 1))
        add(box, "xmax", float(one["x"] + one["width"]))
        add(box, "ymax", float(one["y"] + one["height"]))
    return root


def read(files: Files, known: LabelSet) -> Reading:
    """Boxes from XML files; one without an object says that the image has none."""
    items, classes = Items(known), Classes(known.classes)
    given = []
    for file, content in files.items():
        if PurePosixPath(file).suffix != ".xml":
            continue
        root = parse(file, content)
        if root.tag != "annotation":
            raise faults.misfit(file, f"<annotation> is expected, not <{root.tag}>")
        named = root.findtext("path") or text_of(root, "filename", file)
        entry = items.named(named.strip(), file)
        value = [
            _box(one, classes, f"{file}, object {number},")
            for number, one in enumerate(root.iter("object"), 1)
        ]
        given.append(Given(entry.item, Act(value), file))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))


def _box(found: Any, classes: Classes, place: str) -> dict[str, Any]:
    label = classes.find(text_of(found, "name", place), place)
    left, top, right, bottom = (
        faults.number(place, text_of(found, f"bndbox/{side}", place))
        for side in ("xmin", "ymin", "xmax", "ymax")
    )
    x, y = left - 1, top - 1
    return {"label": label, "x": x, "y": y, "width": right - x, "height": bottom - y}

"""COCO: objects in images, as one JSON file (https://cocodataset.org/#format-data).

A polygon is a segmentation of one part; its area is the shoelace formula's. Keypoints of an
image are one object with a point for each class, and a second one where a class comes twice.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.geometry import area, around
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]

VISIBLE = 2


def write(labels: LabelSet) -> Written:
    """Labels as COCO; images without any object are listed when a person said so."""
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for entry in labels.labelled():
        images.append(
            {
                "id": entry.item + 1,
                "file_name": entry.name,
                "width": entry.width,
                "height": entry.height,
            }
        )
        for one in _objects(entry, labels):
            annotations.append({"id": len(annotations) + 1, "image_id": entry.item + 1, **one})
    content = {
        "info": {"description": f"Labels of {labels.task}", "version": "1.0"},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": _categories(labels),
    }
    return Written({"annotations.json": json.dumps(content, ensure_ascii=False).encode()})


def _categories(labels: LabelSet) -> list[dict[str, Any]]:
    if labels.answer == "keypoints":
        points = list(labels.classes)
        return [{"id": 1, "name": labels.task, "keypoints": points, "skeleton": []}]
    return [
        {"id": number, "name": name, "supercategory": ""}
        for number, name in enumerate(labels.classes, 1)
    ]


def _objects(entry: Entry, labels: LabelSet) -> list[dict[str, Any]]:
    if labels.answer == "keypoints":
        return [_pose(group, labels) for group in _groups(entry.value)]
    return [_shape(one, labels) for one in entry.value]


def _shape(one: Mapping[str, Any], labels: LabelSet) -> dict[str, Any]:
    found: dict[str, Any] = {"category_id": labels.classes.index(one["label"]) + 1, "iscrowd": 0}
    if labels.answer == "boxes":
        box = [one["x"], one["y"], one["width"], one["height"]]
        return found | {"bbox": box, "area": box[2] * box[3], "segmentation": []}
    points = one["points"]
    flat = [number for point in points for number in point]
    return found | {"bbox": around(points), "area": area(points), "segmentation": [flat]}


def _groups(points: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Points apart by how often their class came before."""
    seen: Counter[str] = Counter()
    groups: list[list[dict[str, Any]]] = []
    for one in points:
        if seen[one["label"]] == len(groups):
            groups.append([])
        groups[seen[one["label"]]].append(one)
        seen[one["label"]] += 1
    return groups


def _pose(group: list[dict[str, Any]], labels: LabelSet) -> dict[str, Any]:
    by_label = {one["label"]: one for one in group}
    flat: list[float] = []
    for name in labels.classes:
        one = by_label.get(name)
        flat += [0, 0, 0] if one is None else [one["x"], one["y"], VISIBLE]
    box = around([[one["x"], one["y"]] for one in group])
    return {
        "category_id": 1,
        "iscrowd": 0,
        "keypoints": flat,
        "num_keypoints": len(group),
        "bbox": box,
        "area": box[2] * box[3],
        "segmentation": [],
    }


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from COCO; an image that is listed without an object has none."""
    file, content = next(iter(files.items()))
    found = faults.fields(file, faults.load(file, content), "images", "annotations", "categories")
    items, classes = Items(known), Classes(known.classes)
    images: dict[Any, Entry] = {}
    for number, one in enumerate(faults.items(f"images of {file}", found["images"]), 1):
        place = f"{file}, image {number},"
        image = faults.fields(place, one, "id", "file_name")
        images[_id(image["id"], place)] = items.named(str(image["file_name"]), place)
    categories: dict[Any, list[str]] = {}
    for number, one in enumerate(faults.items(f"categories of {file}", found["categories"]), 1):
        place = f"{file}, category {number},"
        category = faults.fields(place, one, "id", "name")
        names = category.get("keypoints") if known.answer == "keypoints" else [category["name"]]
        categories[_id(category["id"], place)] = faults.items(place, names or [])
    values: dict[int, list[dict[str, Any]]] = {entry.item: [] for entry in images.values()}
    parts = 0
    for number, one in enumerate(faults.items(f"annotations of {file}", found["annotations"]), 1):
        place = f"{file}, annotation {number},"
        object = faults.fields(place, one, "image_id", "category_id")
        if object["image_id"] not in images:
            raise faults.misfit(place, f"there is no image {object['image_id']!r}")
        if object["category_id"] not in categories:
            raise faults.misfit(place, f"there is no category {object['category_id']!r}")
        names = categories[object["category_id"]]
        shapes = _READERS[known.answer](object, names, classes, place)
        parts += known.answer == "polygons" and len(shapes) > 1
        values[images[object["image_id"]].item] += shapes
    given = [Given(item, Act(value), file) for item, value in sorted(values.items())]
    note = f"{parts:,} objects of several parts have become a polygon a part."
    return Reading(tuple(given), (note,) if parts else ())


def _id(found: Any, place: str) -> Any:
    if not isinstance(found, int | str):
        raise faults.misfit(place, f"{found!r} is no id")
    return found


def _boxes(
    object: dict[str, Any], names: list[str], classes: Classes, place: str
) -> list[dict[str, Any]]:
    box = faults.items(place, object.get("bbox"))
    if len(box) != 4:
        raise faults.misfit(place, "a bbox has x, y, width and height")
    x, y, width, height = (faults.number(place, one) for one in box)
    label = classes.find(names[0], place)
    return [{"label": label, "x": x, "y": y, "width": width, "height": height}]


def _polygons(
    object: dict[str, Any], names: list[str], classes: Classes, place: str
) -> list[dict[str, Any]]:
    found = object.get("segmentation")
    if isinstance(found, Mapping):
        raise faults.misfit(
            place, "it is a mask of run lengths, and polygons are read", "convert it to polygons"
        )
    label = classes.find(names[0], place)
    shapes = []
    for part in faults.items(place, found):
        flat = [faults.number(place, one) for one in faults.items(place, part)]
        if len(flat) % 2 or len(flat) < 6:
            raise faults.misfit(place, "a polygon has three points or more, as x and y in turn")
        points = [list(point) for point in zip(flat[::2], flat[1::2], strict=True)]
        shapes.append({"label": label, "points": points})
    if not shapes:
        raise faults.misfit(place, "it has no segmentation")
    return shapes


def _keypoints(
    object: dict[str, Any], names: list[str], classes: Classes, place: str
) -> list[dict[str, Any]]:
    flat = [faults.number(place, one) for one in faults.items(place, object.get("keypoints"))]
    if len(flat) != 3 * len(names):
        raise faults.misfit(place, f"{len(names)} keypoints have {3 * len(names)} numbers")
    triples = zip(names, flat[::3], flat[1::3], flat[2::3], strict=True)
    return [
        {"label": classes.find(name, place), "x": x, "y": y}
        for name, x, y, visible in triples
        if visible > 0
    ]


_READERS = {"boxes": _boxes, "polygons": _polygons, "keypoints": _keypoints}

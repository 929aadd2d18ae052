"""YOLO: a text file an image and ``data.yaml``; coordinates are parts of the image's sides.

A box is ``class x y width height`` with its centre, a polygon ``class x1 y1 x2 y2 …``, as
Ultralytics writes them (https://docs.ultralytics.com/datasets/).
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import yaml  # type: ignore[import-untyped]

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["read", "write"]


def write(labels: LabelSet) -> Written:
    """Labels as YOLO: ``data.yaml`` and ``labels/….txt`` beside ``images/…``."""
    about = {
        "path": ".",
        "train": "images",
        "val": "images",
        "names": dict(enumerate(labels.classes)),
    }
    files = {"data.yaml": yaml.safe_dump(about, sort_keys=False, allow_unicode=True).encode()}
    for entry in labels.labelled():
        if not (entry.width and entry.height):
            raise _unsized(entry)
        lines = [_line(one, labels, entry) for one in entry.value]
        name = PurePosixPath("labels", entry.name).with_suffix(".txt")
        files[str(name)] = "".join(f"{line}\n" for line in lines).encode()
    return Written(files)


def _line(one: dict[str, Any], labels: LabelSet, entry: Entry) -> str:
    if labels.answer == "boxes":
        centre = [one["x"] + one["width"] / 2, one["y"] + one["height"] / 2]
        flat = [*centre, one["width"], one["height"]]
    else:
        flat = [number for point in one["points"] for number in point]
    sides = (entry.width, entry.height)
    parts = [faults.plain(number / sides[place % 2]) for place, number in enumerate(flat)]
    return " ".join([str(labels.classes.index(one["label"])), *parts])


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from a folder with ``data.yaml`` (or ``classes.txt``) and a text file an image."""
    names = _names(files)
    items, classes = Items(known), Classes(known.classes)
    given = []
    for file, content in files.items():
        path = PurePosixPath(file)
        if path.suffix != ".txt" or path.name in {"classes.txt", "train.txt", "val.txt"}:
            continue
        parts = path.parts[path.parts.index("labels") + 1 :] if "labels" in path.parts else [file]
        entry = items.named(str(PurePosixPath(*parts).with_suffix("")), file)
        if not (entry.width and entry.height):
            raise _unsized(entry)
        value = []
        for number, line in enumerate(faults.decode(file, content).split("\n"), 1):
            if line.strip():
                place = faults.at_line(file, number)
                value.append(_shape(line.split(), names, classes, entry, known.answer, place))
        given.append(Given(entry.item, Act(value), file))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))


def _names(files: Files) -> list[str]:
    """The classes' names by number."""
    for file, content in files.items():
        path = PurePosixPath(file)
        if path.suffix in {".yaml", ".yml"}:
            try:
                about = yaml.safe_load(content)
            except yaml.YAMLError as error:
                line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
                raise faults.misfit(faults.at_line(file, line), "it isn't YAML") from None
            found = faults.fields(file, about, "names")["names"]
            if isinstance(found, dict):
                found = [found.get(number) for number in range(len(found))]
            return [str(one) for one in faults.items(file, found)]
    for file, content in files.items():
        if PurePosixPath(file).name in {"classes.txt", "obj.names"}:
            return [one for one in faults.decode(file, content).split("\n") if one]
    raise Invalid(
        "these labels don't tell what their classes are called",
        "there is no data.yaml and no classes.txt",
        "import the folder that holds it",
        code="E-LABEL-307",
    )


def _shape(
    words: list[str], names: list[str], classes: Classes, entry: Entry, answer: str, place: str
) -> dict[str, Any]:
    number = faults.whole(place, words[0])
    if not 0 <= number < len(names):
        raise faults.misfit(place, f"there is no class {number}")
    label = classes.find(names[number], place)
    sides = (entry.width, entry.height)
    flat = [faults.number(place, one) * sides[at % 2] for at, one in enumerate(words[1:])]
    if answer == "boxes":
        if len(flat) not in {4, 5}:
            raise faults.misfit(place, "a box has a class and four numbers")
        x, y, width, height = flat[:4]
        left, top = x - width / 2, y - height / 2
        return {"label": label, "x": left, "y": top, "width": width, "height": height}
    if len(flat) < 6 or len(flat) % 2:
        raise faults.misfit(place, "a polygon has a class and three points or more")
    points = [list(point) for point in zip(flat[::2], flat[1::2], strict=True)]
    return {"label": label, "points": points}


def _unsized(entry: Entry) -> Invalid:
    return Invalid(
        f"YOLO's coordinates of {entry.name!r} can't be worked out",
        "how large the image is isn't known",
        "skip the item, or leave it out",
        code="E-LABEL-308",
    )

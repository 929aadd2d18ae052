"""Label Studio: tasks with annotations and predictions, and the configuration of their project.

Coordinates are percents of the image's sides, spans code points, regions seconds, and a
film's frames count from 1 (https://labelstud.io/guide/task_format).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.markup import add, serial
from jupyter_mlops.labeling.formats.matching import Classes, Items
from jupyter_mlops.labeling.formats.results import from_results, to_results

__all__ = ["config", "read", "write"]

_OBJECTS = {
    "image": "Image",
    "text": "Text",
    "audio": "Audio",
    "video": "Video",
    "row": "Text",
    "pair": "Text",
}
_CONTROLS = {
    "class": ("Choices", "Choice"),
    "classes": ("Choices", "Choice"),
    "boxes": ("RectangleLabels", "Label"),
    "polygons": ("PolygonLabels", "Label"),
    "keypoints": ("KeyPointLabels", "Label"),
    "spans": ("Labels", "Label"),
    "regions": ("Labels", "Label"),
    "segments": ("TimelineLabels", "Label"),
    "tracks": ("Labels", "Label"),
}


def config(labels: LabelSet) -> bytes:
    """The labeling configuration that a project takes for these tasks, as XML."""
    root = Element("View")
    if labels.kind == "pair":
        add(root, "Text", name="left", value="$left")
        add(root, "Text", name="right", value="$right")
    else:
        add(root, _OBJECTS[labels.kind], name="item", value=f"${labels.kind}")
    if labels.answer == "rating":
        add(root, "Rating", name="label", toName="item", maxRating=labels.scale[1])
    elif labels.answer == "text":
        add(root, "TextArea", name="label", toName="item")
    elif labels.answer == "pairwise":
        control = add(root, "Choices", name="label", toName="left", choice="single")
        for side in ("left", "right", "tie"):
            add(control, "Choice", value=side)
    else:
        name, one = _CONTROLS[labels.answer]
        control = add(root, name, name="label", toName="item")
        if name == "Choices":
            control.set("choice", "single" if labels.answer == "class" else "multiple")
        for label in labels.classes:
            add(control, one, value=label)
        if labels.answer == "tracks":
            add(root, "VideoRectangle", name="box", toName="item")
    # Label Studio's own reader takes text, in which a declaration is a mistake.
    return serial(root, bare=True)


def write(labels: LabelSet) -> Written:
    """Labels as a list of tasks, each person's last word an annotation, and the configuration."""
    people: dict[str, int] = {}
    tasks = [_task(entry, labels, people) for entry in labels.decided()]
    content = json.dumps(tasks, ensure_ascii=False, allow_nan=False)
    return Written({"tasks.json": content.encode(), "config.xml": config(labels)})


def _task(entry: Entry, labels: LabelSet, people: dict[str, int]) -> dict[str, Any]:
    return {
        "id": entry.item + 1,
        "data": _data(entry, labels),
        "meta": {"item": entry.item, "digest": entry.digest},
        "annotations": [
            _annotation(act, entry, labels, people)
            for act in entry.opinions or (entry.standing,)
            if act is not None
        ],
        "predictions": [
            {
                "model_version": one.model,
                "score": one.score,
                "result": to_results(one.value, entry, labels),
            }
            for one in entry.predictions
        ],
    }


def _data(entry: Entry, labels: LabelSet) -> dict[str, Any]:
    if labels.kind == "pair":
        both = json.loads(entry.text or "{}")
        sides = both if isinstance(both, Mapping) else {}
        return {"left": str(sides.get("left", "")), "right": str(sides.get("right", ""))}
    return {labels.kind: entry.name if entry.text is None else entry.text}


def _annotation(act: Act, entry: Entry, labels: LabelSet, people: dict[str, int]) -> dict[str, Any]:
    number = people.setdefault(act.person, len(people) + 1)
    made: dict[str, Any] = {
        "completed_by": {"id": number, "email": act.person},
        "was_cancelled": act.skipped,
        "ground_truth": False,
        "result": [] if act.skipped else to_results(act.value, entry, labels),
    }
    if act.at is not None:
        made["created_at"] = made["updated_at"] = act.at.isoformat()
    if act.active_ms is not None:
        made["lead_time"] = act.active_ms / 1000
    return made


def read(files: Files, known: LabelSet) -> Reading:
    """Annotations from a list of tasks; each is said by the person who completed it.

    Predictions are counted, and not taken for labels.
    """
    file, content = next(iter(files.items()))
    items, classes = Items(known), Classes(known.classes)
    given: list[Given] = []
    guesses = 0
    for number, one in enumerate(faults.items(file, faults.load(file, content)), 1):
        place = f"{file}, task {number},"
        task = faults.fields(place, one, "data")
        entry = _entry(task, items, known, place)
        for turn, found in enumerate(task.get("annotations") or task.get("completions") or (), 1):
            where = f"{file}, task {number}, annotation {turn},"
            given.append(_given(found, entry, known, classes, where))
        guesses += len(task.get("predictions") or ())
    note = f"{guesses:,} predictions were left out: a model said those, no person."
    return Reading(tuple(given), (note,) if guesses else ())


def _entry(task: dict[str, Any], items: Items, known: LabelSet, place: str) -> Entry:
    about = task.get("meta")
    if isinstance(about, Mapping) and isinstance(about.get("digest"), str):
        same = items.entries.get(about.get("item", -1))
        if same is not None and same.digest == about["digest"]:
            return same
        if found := items.digested(about["digest"]):
            return found
    data = faults.fields(place, task["data"])
    value = data.get(known.kind)
    if value is None:
        # A project may call the only thing it shows whatever it likes.
        texts = [one for one in data.values() if isinstance(one, str)]
        value = texts[0] if len(texts) == 1 else None
    if not isinstance(value, str):
        raise faults.misfit(place, f"its data has no {known.kind!r}")
    return items.texted(value, place) if known.kind == "text" else items.named(value, place)


def _given(found: Any, entry: Entry, known: LabelSet, classes: Classes, place: str) -> Given:
    one = faults.fields(place, found, "result")
    by = one.get("completed_by", "")
    by = by.get("email", "") if isinstance(by, Mapping) else by
    at = faults.date(one.get("updated_at") or one.get("created_at"))
    lead = one.get("lead_time")
    busy = round(lead * 1000) if isinstance(lead, int | float) and 0 <= lead < 2e6 else None
    if one.get("was_cancelled"):
        return Given(entry.item, Act(None, str(by), at, True, active_ms=busy), place)
    value = from_results(faults.items(place, one["result"]), entry, known, classes, place)
    return Given(entry.item, Act(value, str(by), at, active_ms=busy), place)

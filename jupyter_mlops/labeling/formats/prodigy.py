"""Prodigy's JSON lines, as its recipes save them (https://prodi.gy/docs/api-interfaces).

Choices are ``accept``, texts' and images' spans ``spans``, those of sound and films
``audio_spans`` in seconds, a written text ``user_input``. A skipped item's answer is
``ignore``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.geometry import SIDES, around
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.lines import records
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]

_CHOICES = {"class", "classes", "rating"}


def write(labels: LabelSet) -> Written:
    """Labels as Prodigy's examples, a line for each person who decided on an item."""
    lines = [
        json.dumps(_example(entry, act, labels), ensure_ascii=False)
        for entry in labels.decided()
        for act in entry.opinions or (entry.standing,)
        if act is not None
    ]
    return Written({"labels.jsonl": "".join(f"{line}\n" for line in lines).encode()})


def _example(entry: Entry, act: Act, labels: LabelSet) -> dict[str, Any]:
    shown = {labels.kind: entry.name} if entry.text is None else {"text": entry.text}
    made: dict[str, Any] = {**shown, "meta": {"item": entry.item, "digest": entry.digest}}
    if entry.width:
        made |= {"width": entry.width, "height": entry.height}
    if labels.answer in _CHOICES:
        steps = range(labels.scale[0], labels.scale[1] + 1)
        names: list[Any] = [*(labels.classes or steps)]
        made["options"] = [{"id": name, "text": str(name)} for name in names]
    if not act.skipped:
        made |= _answer(act.value, labels.answer)
    made["answer"] = "ignore" if act.skipped else "accept"
    if act.person:
        made["_annotator_id"] = made["_session_id"] = act.person
    if act.at is not None:
        made["_timestamp"] = int(act.at.timestamp())
    return made


def _answer(value: Any, answer: str) -> dict[str, Any]:
    if answer in _CHOICES:
        return {"accept": list(value) if answer == "classes" else [value]}
    if answer == "text":
        return {"user_input": value}
    if answer in {"regions", "segments"}:
        return {"audio_spans": [dict(one) for one in value]}
    return {"spans": [_shape(one) for one in value]}


def _shape(one: Mapping[str, Any]) -> dict[str, Any]:
    if "points" in one:
        points = [list(point) for point in one["points"]]
        return {"label": one["label"], "type": "polygon", "points": points}
    if "start" in one:
        return dict(one)
    left, top, right, bottom = one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"]
    return {
        **one,
        "type": "rect",
        "points": [[left, top], [left, bottom], [right, bottom], [right, top]],
        "center": [(left + right) / 2, (top + bottom) / 2],
    }


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from Prodigy's examples; what was rejected is no label, and is left out."""
    items, classes = Items(known), Classes(known.classes)
    given, rejected = [], 0
    for place, line in records(files):
        if line.get("answer") == "reject":
            rejected += 1
            continue
        entry = _entry(line, items, known, place)
        person = str(line.get("_annotator_id") or "")
        stamp = line.get("_timestamp")
        at = datetime.fromtimestamp(stamp, UTC) if isinstance(stamp, int) else None
        if line.get("answer") == "ignore":
            given.append(Given(entry.item, Act(None, person, at, skipped=True), place))
            continue
        value = _value(line, known, classes, place)
        given.append(Given(entry.item, Act(value, person, at), place))
    note = f"{rejected:,} rejected examples were left out: they say only what isn't so."
    return Reading(tuple(given), (note,) if rejected else ())


def _entry(line: dict[str, Any], items: Items, known: LabelSet, place: str) -> Entry:
    about = line.get("meta")
    if isinstance(about, Mapping) and isinstance(about.get("digest"), str):
        same = items.entries.get(about.get("item", -1))
        if same is not None and same.digest == about["digest"]:
            return same
    if known.kind == "text":
        return items.texted(str(faults.fields(place, line, "text")["text"]), place)
    name = line.get(known.kind) or line.get("path")
    if not isinstance(name, str) or name.startswith("data:"):
        raise faults.misfit(place, f"it doesn't name its {known.kind}")
    return items.named(name, place)


def _value(line: dict[str, Any], known: LabelSet, classes: Classes, place: str) -> Any:
    answer = known.answer
    if answer == "text":
        return str(faults.fields(place, line, "user_input")["user_input"])
    if answer in _CHOICES:
        return _chosen(line, known, classes, place)
    name = "audio_spans" if answer in {"regions", "segments"} else "spans"
    found = []
    for one in faults.items(place, line.get(name) or []):
        part = faults.fields(place, one, "label")
        found.append({"label": classes.find(part["label"], place), **_place(part, answer, place)})
    return found


def _chosen(line: dict[str, Any], known: LabelSet, classes: Classes, place: str) -> Any:
    found = line.get("accept", [line["label"]] if "label" in line else None)
    if found is None:
        raise faults.misfit(place, "it has no 'accept' and no 'label'")
    chosen = faults.items(place, found)
    if known.answer == "classes":
        named = {classes.find(one, place) for one in chosen}
        return [name for name in known.classes if name in named]
    if len(chosen) != 1:
        raise faults.misfit(place, f"it has {len(chosen)} answers, and the task asks for one")
    return (
        faults.whole(place, chosen[0])
        if known.answer == "rating"
        else classes.find(chosen[0], place)
    )


def _place(part: dict[str, Any], answer: str, place: str) -> dict[str, Any]:
    if answer == "spans":
        return {side: faults.whole(place, part.get(side)) for side in ("start", "end")}
    if answer in {"regions", "segments"}:
        return {side: faults.number(place, part.get(side)) for side in ("start", "end")}
    if answer == "boxes" and all(side in part for side in SIDES):
        return {side: faults.number(place, part[side]) for side in SIDES}
    points = [
        [faults.number(place, number) for number in faults.items(place, point)]
        for point in faults.items(place, part.get("points"))
    ]
    if answer == "polygons":
        return {"points": points}
    if not points:
        raise faults.misfit(place, "a box has points")
    return dict(zip(SIDES, around(points), strict=True))

"""doccano's JSON lines: a text a line with its labels (https://doccano.github.io/doccano/)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.lines import records
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]


def write(labels: LabelSet) -> Written:
    """Labels as doccano imports them: spans as ``[start, end, label]``, others as a list."""
    lines = []
    for entry in labels.labelled():
        shown = {"filename": entry.name} if entry.text is None else {"text": entry.text}
        line = {"id": entry.item + 1, **shown, "label": _label(entry, labels)}
        lines.append(json.dumps(line, ensure_ascii=False))
    return Written({"labels.jsonl": "".join(f"{line}\n" for line in lines).encode()})


def _label(entry: Entry, labels: LabelSet) -> list[Any]:
    if labels.answer == "spans":
        return [[one["start"], one["end"], one["label"]] for one in entry.value]
    return list(entry.value) if labels.answer == "classes" else [entry.value]


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from doccano, with spans in the short form or as ``entities``."""
    items, classes = Items(known), Classes(known.classes)
    given = []
    for place, line in records(files):
        entry = _entry(line, items, known, place)
        value: Any = list(_values(line, known.answer, classes, place))
        if known.answer == "classes":
            value = [name for name in known.classes if name in value]
        elif known.answer != "spans":
            if not value:
                continue  # nobody has said anything of it yet
            if len(value) != 1:
                raise faults.misfit(place, f"it has {len(value)} labels, the task asks for one")
            value = value[0]
        given.append(Given(entry.item, Act(value), place))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))


def _entry(line: dict[str, Any], items: Items, known: LabelSet, place: str) -> Entry:
    if known.kind == "text":
        return items.texted(str(faults.fields(place, line, "text")["text"]), place)
    return items.named(str(faults.fields(place, line, "filename")["filename"]), place)


def _values(line: dict[str, Any], answer: str, classes: Classes, place: str) -> Iterator[Any]:
    if "entities" in line and answer == "spans":
        for one in faults.items(place, line["entities"]):
            found = faults.fields(place, one, "label", "start_offset", "end_offset")
            yield {
                "label": classes.find(found["label"], place),
                "start": faults.whole(place, found["start_offset"]),
                "end": faults.whole(place, found["end_offset"]),
            }
        return
    said = line.get("label", line.get("labels"))
    if said is None:
        raise faults.misfit(place, "it has no 'label'")
    for one in [said] if isinstance(said, str) else faults.items(place, said):
        if answer == "spans":
            part = faults.items(place, one)
            if len(part) != 3:
                raise faults.misfit(place, "a span is [start, end, label]")
            start, end = (faults.whole(place, side) for side in part[:2])
            yield {"label": classes.find(part[2], place), "start": start, "end": end}
        elif answer == "text":
            yield str(one)
        else:
            yield classes.find(one, place)

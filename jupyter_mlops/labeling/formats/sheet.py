"""CSV (RFC 4180): a row a labelled item; labels that are no plain text are JSON."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["COLUMNS", "PLAIN", "read", "row", "write"]

COLUMNS = ("item", "key", "label", "person", "at", "digest", "content")
#: Answers that are one text.
PLAIN = frozenset({"class", "text", "pairwise"})


def row(entry: Entry, answer: str) -> tuple[Any, ...]:
    """A labelled item as a row of `COLUMNS`; its time as it is."""
    act = entry.standing or Act(None)
    label = act.value if answer in PLAIN else json.dumps(act.value, ensure_ascii=False)
    content = entry.content if entry.text is None else entry.text
    return entry.item, entry.key, label, act.person, act.at, entry.digest, content


def write(labels: LabelSet) -> Written:
    """The labels that stand, a row each."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for entry in labels.labelled():
        item, key, label, person, at, *rest = row(entry, labels.answer)
        writer.writerow([item, key, label, person, at.isoformat() if at else "", *rest])
    return Written({"labels.csv": out.getvalue().encode()})


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from a table with a column ``label`` and one of ``item``, ``key`` or ``content``."""
    file, content = next(iter(files.items()))
    csv.field_size_limit(1 << 30)
    faults.decode(file, content)  # which names the line that isn't UTF-8
    # The csv module ends lines itself: a text may hold line ends of its own.
    reader = csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    items, classes = Items(known), Classes(known.classes)
    given = []
    try:
        for line in reader:
            place = faults.at_line(file, reader.line_num)
            if not line.get("label"):
                continue
            entry = _entry(line, items, known, place)
            value = _value(line["label"], known, classes, place)
            act = Act(value, line.get("person") or "", faults.date(line.get("at")))
            given.append(Given(entry.item, act, place))
    except csv.Error as error:
        raise faults.misfit(faults.at_line(file, reader.line_num), str(error)) from None
    return Reading(tuple(given))


def _entry(line: dict[str, Any], items: Items, known: LabelSet, place: str) -> Entry:
    if line.get("item"):
        entry = items.numbered(faults.whole(place, line["item"]), place)
        if line.get("digest") not in {None, "", entry.digest}:
            raise faults.misfit(place, f"item {entry.item} shows something else here")
        return entry
    if line.get("key"):
        return items.named(line["key"], place)
    if line.get("content"):
        find = items.texted if known.kind == "text" else items.named
        return find(line["content"], place)
    raise faults.misfit(place, "it names no item", "add a column item, key or content")


def _value(label: str, known: LabelSet, classes: Classes, place: str) -> Any:
    if known.answer == "class":
        return classes.find(label, place)
    return label if known.answer in PLAIN else faults.load(place, label)

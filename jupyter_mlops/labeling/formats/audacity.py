"""Audacity's label tracks: start, end and label in columns parted by tabs, a file a recording.

See https://manual.audacityteam.org/man/importing_and_exporting_labels.html.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items

__all__ = ["read", "write"]


def write(labels: LabelSet) -> Written:
    """Regions as label tracks, in seconds."""
    spelled = {one: " ".join(one.split()) for one in labels.classes}
    files = {}
    for entry in labels.labelled():
        lines = [
            f"{faults.plain(one['start'])}\t{faults.plain(one['end'])}\t{spelled[one['label']]}\n"
            for one in entry.value
        ]
        files[str(PurePosixPath(entry.name).with_suffix(".txt"))] = "".join(lines).encode()
    return Written(files)


def read(files: Files, known: LabelSet) -> Reading:
    """Regions from label tracks; a track is called as its recording is."""
    items, classes = Items(known), Classes(known.classes)
    given = []
    for file, content in files.items():
        path = PurePosixPath(file)
        if path.suffix != ".txt":
            continue
        entry = items.named(str(path.with_suffix("")), file)
        value = []
        for number, line in enumerate(faults.decode(file, content).split("\n"), 1):
            # A line that begins with a backslash holds the frequencies of the one above.
            if not line.strip() or line.startswith("\\"):
                continue
            place = faults.at_line(file, number)
            parts = line.split("\t")
            if len(parts) < 3:
                raise faults.misfit(place, "a label has a start, an end and a text, parted by tabs")
            # Some languages' Audacity writes a decimal comma.
            start, end = (faults.number(place, one.replace(",", ".")) for one in parts[:2])
            label = classes.find(parts[2], place)
            value.append({"label": label, "start": start, "end": end})
        given.append(Given(entry.item, Act(value), file))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))

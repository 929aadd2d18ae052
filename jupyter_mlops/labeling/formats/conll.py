"""CoNLL-2003: a token a line with its IOB2 tag (https://aclanthology.org/W03-0419).

The four columns are the token, its part of speech, its phrase, and the tag; the two in the
middle aren't known and read ``-X-``. A line ``-DOCSTART-`` begins each text, an empty one ends
each of its lines.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items, squeezed
from jupyter_mlops.labeling.formats.tokens import cut, overlapping, trimmed
from jupyter_mlops.workspace.errors import Invalid

__all__ = ["read", "write"]

HEAD = "-DOCSTART- -X- -X- O\n\n"
START = "-DOCSTART-"


def write(labels: LabelSet) -> Written:
    """Spans as CoNLL; those that share characters are refused."""
    tags = Classes(labels.classes).tags("CoNLL")
    documents, clipped = [], 0
    for entry in labels.labelled():
        text = entry.text or ""
        if overlapping(entry.value):
            raise Invalid(
                f"the spans of item {entry.item} can't be written as CoNLL",
                "two of them share characters, and a token has one tag",
                "export JSON lines or Prodigy's",
                code="E-LABEL-310",
            )
        whole = [trimmed(text, span) for span in entry.value]
        clipped += sum(a != b for a, b in zip(whole, entry.value, strict=True))
        spans = [{**span, "tag": tags[span["label"]]} for span in whole if span]
        documents.append(HEAD + "\n".join(_sentences(text, spans)))
    note = f"White space at the ends of spans is left out, as a token has none: {clipped:,} times."
    content = "\n".join(documents).encode()
    return Written({"labels.conll": content}, (note,) if clipped else ())


def _sentences(text: str, spans: list[dict[str, Any]]) -> Iterator[str]:
    """The lines of a text, each as the lines of its tokens."""
    ordered = sorted(spans, key=lambda span: span["start"])
    lines: list[str] = []
    last, at = 0, 0
    for start, end in cut(text, spans):
        while at < len(ordered) and ordered[at]["end"] <= start:
            at += 1
        span = ordered[at] if at < len(ordered) and ordered[at]["start"] <= start else None
        inside = span is not None and span["start"] < start
        if lines and not inside and "\n" in text[last:start]:
            yield "\n".join(lines) + "\n"
            lines = []
        tag = f"{'I' if inside else 'B'}-{span['tag']}" if span else "O"
        lines.append(f"{text[start:end]} -X- -X- {tag}")
        last = end
    if lines:
        yield "\n".join(lines) + "\n"


def read(files: Files, known: LabelSet) -> Reading:
    """Spans from CoNLL with any number of columns: the first is the token, the last the tag.

    A text is found by its characters, white space left out. Without any ``-DOCSTART-`` each
    block between empty lines is a text.
    """
    file, content = next(iter(files.items()))
    items, classes = Items(known), Classes(known.classes)
    given = []
    for start, rows in _documents(file, content):
        place = faults.at_line(file, start)
        entry = items.spelled("".join(token for _, token, _ in rows), place)
        value = _spans(entry, rows, classes, file)
        given.append(Given(entry.item, Act(value), place))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))


Row = tuple[int, str, str]


def _documents(file: str, content: bytes) -> Iterator[tuple[int, list[Row]]]:
    lines = faults.decode(file, content).split("\n")
    marked = any(line.startswith(START) for line in lines)
    start, rows = 1, list[Row]()
    seen = False
    for number, line in enumerate(lines, 1):
        if line.startswith(START) or (not line.strip() and not marked):
            if rows or seen:
                yield start, rows
            start, rows, seen = number, [], line.startswith(START)
        elif line.strip():
            words = line.split()
            if len(words) < 2:
                raise faults.misfit(faults.at_line(file, number), "a token has a tag after it")
            rows.append((number, words[0], words[-1]))
    if rows or seen:
        yield start, rows


def _spans(entry: Entry, rows: list[Row], classes: Classes, file: str) -> list[dict[str, Any]]:
    text, at = entry.text or "", 0
    spans: list[dict[str, Any]] = []
    inside = ""
    for number, token, tag in rows:
        # Token by token along the text: only its white space was left out.
        start, end = _along(text, at, squeezed(token))
        at = end
        kind, dash, name = tag.partition("-")
        if tag == "O":
            inside = ""
            continue
        place = faults.at_line(file, number)
        if kind not in {"B", "I", "E", "S", "L", "U"} or not dash:
            raise faults.misfit(place, f"{tag!r} is no tag such as O, B-… or I-…")
        label = classes.find(name, place)
        if kind in {"B", "S", "U"} or inside != label:
            spans.append({"label": label, "start": start, "end": end})
        else:
            spans[-1]["end"] = end
        inside = "" if kind in {"S", "U", "E", "L"} else label
    return spans


def _along(text: str, at: int, token: str) -> tuple[int, int]:
    """Where the next characters of a text begin and end, white space among them let pass."""
    start, left = -1, len(token)
    while left:
        if not text[at].isspace():
            start = at if start < 0 else start
            left -= 1
        at += 1
    return max(start, 0), at

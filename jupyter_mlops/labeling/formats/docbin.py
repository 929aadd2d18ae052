"""spaCy's binary corpus, a DocBin (https://spacy.io/api/docbin), where spaCy is installed.

Spans that share no characters are entities, others the span group ``sc``; classes are ``cats``.
The texts stay as they are to the last white space.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from jupyter_mlops.labeling.formats import faults
from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import Act, Entry, Given, LabelSet, Reading
from jupyter_mlops.labeling.formats.matching import Classes, Items
from jupyter_mlops.labeling.formats.tokens import cut, overlapping
from jupyter_mlops.workspace.errors import Unavailable

__all__ = ["GROUP", "read", "write"]

#: The span group that spaCy's span categorizer reads.
GROUP = "sc"


def write(labels: LabelSet) -> Written:
    """Labels as a DocBin; as JSON lines of texts and spans where spaCy isn't installed."""
    if find_spec("spacy") is None:
        from jupyter_mlops.labeling.formats import prodigy

        files = prodigy.write(labels).files
        note = "spaCy isn't installed, so these are JSON lines, which `spacy convert` can't read."
        return Written({"labels.jsonl": next(iter(files.values()))}, (note,))
    import spacy
    from spacy.tokens import DocBin

    vocab = spacy.blank("xx").vocab
    kept = DocBin(store_user_data=True)
    for entry in labels.labelled():
        kept.add(_document(entry, labels, vocab))
    return Written({"labels.spacy": kept.to_bytes()})


def _document(entry: Entry, labels: LabelSet, vocab: Any) -> Any:
    from spacy.tokens import Doc

    text = entry.text or ""
    spans = entry.value if labels.answer == "spans" else []
    words, spaces = _words(text, spans)
    document = Doc(vocab, words=words, spaces=spaces)
    found = [_span(document, one) for one in spans]
    if overlapping(spans):
        document.spans[GROUP] = found
    else:
        document.set_ents(found)
    if labels.answer in {"class", "classes"}:
        chosen = {entry.value} if labels.answer == "class" else set(entry.value)
        document.cats = {name: float(name in chosen) for name in labels.classes}
    document.user_data.update({"item": entry.item, "digest": entry.digest})
    return document


def _span(document: Any, one: Mapping[str, Any]) -> Any:
    return document.char_span(one["start"], one["end"], label=one["label"])


def _words(text: str, spans: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[bool]]:
    """Tokens and whether one blank follows each; other white space is a token of its own."""
    words: list[str] = []
    spaces: list[bool] = []
    starts, ends = {one["start"] for one in spans}, {one["end"] for one in spans}
    for start, end, gap in _pieces(text, spans):
        # A blank belongs to the word before it, but where a span begins or ends with it.
        if gap and words and text[start] == " " and start not in starts and start + 1 not in ends:
            spaces[-1] = True
            start += 1
        bounds = sorted({start, end} | {edge for edge in starts | ends if start < edge < end})
        for left, right in itertools.pairwise(bounds):
            words.append(text[left:right])
            spaces.append(False)
    return words, spaces


def _pieces(text: str, spans: Sequence[Mapping[str, Any]]) -> Iterator[tuple[int, int, bool]]:
    """Tokens and, marked, the gaps between them."""
    at = 0
    for start, end in cut(text, spans):
        if at < start:
            yield at, start, True
        yield start, end, False
        at = end
    if at < len(text):
        yield at, len(text), True


def read(files: Files, known: LabelSet) -> Reading:
    """Labels from a DocBin.

    Raises
    ------
    Unavailable
        spaCy isn't installed.
    """
    file, content = next(iter(files.items()))
    if find_spec("spacy") is None:
        raise Unavailable(
            f"{file} can't be read",
            "it is spaCy's binary corpus, and spaCy isn't installed",
            "pip install spacy, or save JSON lines",
            code="E-LABEL-311",
        )
    import spacy
    from spacy.tokens import DocBin

    items, classes = Items(known), Classes(known.classes)
    try:
        documents = list(DocBin().from_bytes(content).get_docs(spacy.blank("xx").vocab))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise faults.misfit(file, f"it is no DocBin: {reason[:200]}") from None
    given = []
    for number, document in enumerate(documents, 1):
        place = f"{file}, document {number},"
        entry = items.texted(document.text, place)
        given.append(Given(entry.item, Act(_value(document, known, classes, place)), place))
    return Reading(tuple(sorted(given, key=lambda one: one.item)))


def _value(document: Any, known: LabelSet, classes: Classes, place: str) -> Any:
    if known.answer == "spans":
        found = [*document.ents, *document.spans.get(GROUP, [])]
        return [
            {
                "label": classes.find(one.label_, place),
                "start": one.start_char,
                "end": one.end_char,
            }
            for one in found
        ]
    chosen = [name for name, score in document.cats.items() if score >= 0.5]
    for name in chosen:
        classes.find(name, place)
    if known.answer == "classes":
        return [name for name in known.classes if name in chosen]
    if len(chosen) != 1:
        raise faults.misfit(place, f"it has {len(chosen)} classes, and the task asks for one")
    return chosen[0]

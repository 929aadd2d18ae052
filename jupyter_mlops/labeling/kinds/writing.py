"""Answers in text: free text, and spans of the text that is shown."""

from __future__ import annotations

from typing import Any

from jupyter_mlops.labeling.kinds.question import Question, Wrong, labelled, whole

__all__ = ["read_spans", "read_text"]

TEXT_LIMIT = 10_000


def read_text(value: Any, _question: Question) -> str:
    """Free text, of which something is left when white space around it is taken away."""
    if not isinstance(value, str) or not value.strip():
        raise Wrong("the answer is an empty text")
    if len(value) > TEXT_LIMIT or "\0" in value:
        raise Wrong(f"an answer has up to {TEXT_LIMIT:,} characters, none of them a zero byte")
    return value.strip()


def read_spans(value: Any, question: Question) -> list[dict[str, Any]]:
    """Spans in Unicode code points, the end excluded, in the order of the text."""
    found = []
    for label, one in labelled(value, question, "spans"):
        start, end = whole(one, "start"), whole(one, "end")
        if end <= start:
            raise Wrong(f"a span ends after it starts, not at {end} from {start}")
        found.append({"label": label, "start": start, "end": end})
    found.sort(key=lambda span: (span["start"], span["end"], str(span["label"])))
    return found

"""What an answer may be: a small reader for each kind, which also says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, get_args

from jupyter_mlops.labeling.kinds.choices import (
    read_class,
    read_classes,
    read_pairwise,
    read_rating,
    scale,
)
from jupyter_mlops.labeling.kinds.question import Question, Wrong
from jupyter_mlops.labeling.kinds.shapes import read_boxes, read_keypoints, read_polygons
from jupyter_mlops.labeling.kinds.times import box_at, read_regions, read_tracks
from jupyter_mlops.labeling.kinds.writing import read_spans, read_text
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = [
    "ANSWERS",
    "FREE",
    "KINDS",
    "Answer",
    "Kind",
    "Question",
    "answers_of",
    "box_at",
    "check",
    "fit",
    "normal",
    "scale",
]

Kind = Literal["image", "text", "audio", "video", "row", "pair"]
Answer = Literal[
    "class",
    "classes",
    "rating",
    "text",
    "pairwise",
    "boxes",
    "polygons",
    "keypoints",
    "spans",
    "regions",
    "segments",
    "tracks",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
ANSWERS: tuple[Answer, ...] = get_args(Answer)
# Answers that need no classes.
FREE = ("rating", "text", "pairwise")

_PLAIN: tuple[Answer, ...] = ("class", "classes", "rating", "text")
_OWN: dict[str, tuple[Answer, ...]] = {
    "image": ("boxes", "polygons", "keypoints"),
    "text": ("spans",),
    "audio": ("regions",),
    "video": ("segments", "tracks"),
    "row": (),
}
_READERS: dict[str, Callable[[Any, Question], Any]] = {
    "class": read_class,
    "classes": read_classes,
    "rating": read_rating,
    "text": read_text,
    "pairwise": read_pairwise,
    "boxes": read_boxes,
    "polygons": read_polygons,
    "keypoints": read_keypoints,
    "spans": read_spans,
    "regions": read_regions,
    "segments": read_regions,
    "tracks": read_tracks,
}


def answers_of(kind: str) -> tuple[Answer, ...]:
    """The answers that fit a kind of media; the first is the one meant when none is named.

    Examples
    --------
    >>> answers_of("audio")
    ('class', 'classes', 'rating', 'text', 'regions')
    >>> answers_of("pair")
    ('pairwise',)
    """
    return ("pairwise",) if kind == "pair" else _PLAIN + _OWN[kind]


def fit(kind: str, answer: str | None = None) -> Answer:
    """The answer a task of this kind takes.

    Raises
    ------
    Invalid
        There is no such kind, or the answer doesn't fit it.
    """
    if kind not in KINDS:
        raise Invalid(
            f"{kind!r} can't be labelled",
            f"what can is {', '.join(KINDS)}",
            closest(kind, KINDS),
            code="E-LABEL-200",
        )
    fitting = answers_of(kind)
    if answer is None:
        return fitting[0]
    for one in fitting:
        if one == answer:
            return one
    raise Invalid(
        f"{answer!r} is no answer to a task of kind {kind}",
        f"those are {', '.join(fitting)}",
        closest(answer, fitting) or f"leave it away for {fitting[0]}",
        code="E-LABEL-201",
    )


def normal(value: Any, question: Question) -> Any:
    """An answer as it is stored: lists in order, numbers as floats, nothing that isn't asked for.

    Parameters
    ----------
    value : JSON
        What somebody answered.
    question : Question
        The task, whose ``answer``, ``classes`` and ``settings`` say what fits.

    Raises
    ------
    Wrong
        The answer doesn't fit; the text is one sentence.

    Examples
    --------
    >>> normal(["dog", "cat"], task)  # classes cat, dog; answer classes
    ['cat', 'dog']
    """
    return _READERS[question.answer](value, question)


def check(value: Any, question: Question) -> str:
    """What is wrong with an answer, in one sentence; empty when nothing is."""
    try:
        normal(value, question)
    except Wrong as wrong:
        return str(wrong)
    return ""

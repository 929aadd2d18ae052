"""The formats of labels: which answers each can hold, and which one a file is in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import PurePosixPath
from typing import cast

from jupyter_mlops.labeling.formats.files import Files, Written
from jupyter_mlops.labeling.formats.labelset import LabelSet, Reading
from jupyter_mlops.labeling.formats.markup import root_name
from jupyter_mlops.workspace.errors import Invalid, closest

__all__ = ["FORMATS", "Format", "by_ending", "find", "fitting", "recognize"]

PLAIN = frozenset({"class", "classes", "rating", "text", "pairwise"})
DRAWN = frozenset({"boxes", "polygons", "keypoints"})
TIMED = frozenset({"regions", "segments"})
EVERY = PLAIN | DRAWN | TIMED | {"spans", "tracks"}


@dataclass(frozen=True)
class Format:
    """A format of label files.

    `answers` and `kinds` are the labels and media that it can hold, `endings` those of its main
    file, none where it is a folder. `measures` says that it needs to know how large images and
    films are, `media` the folder beside the labels where it looks for them, `whole` that it
    keeps all that is known, of items that nobody has decided on too.
    """

    name: str
    title: str
    module: str
    answers: frozenset[str]
    kinds: frozenset[str]
    endings: tuple[str, ...] = ()
    measures: bool = False
    media: str = ""
    whole: bool = False

    def fits(self, kind: str, answer: str) -> bool:
        """Whether it can hold such labels."""
        return kind in self.kinds and answer in self.answers

    def write(self, labels: LabelSet) -> Written:
        """The files that say what the labels say.

        Raises
        ------
        Invalid
            The format can't hold them; the error names the item.
        """
        if not self.fits(labels.kind, labels.answer):
            raise Invalid(
                f"{labels.answer} of {labels.kind}s can't be written as {self.title}",
                self._holds,
                f"these hold them: {', '.join(fitting(labels.kind, labels.answer))}",
                code="E-LABEL-314",
            )
        write = cast("Callable[[LabelSet], Written]", self._part("write"))
        return write(labels)

    def read(self, files: Files, known: LabelSet) -> Reading:
        """What files say of a task's items.

        Raises
        ------
        Invalid
            A file makes no sense, or names an item or a class that the task hasn't; the error
            says in which line.
        """
        if not self.fits(known.kind, known.answer):
            raise Invalid(
                f"{known.task!r} asks for {known.answer} of {known.kind}s, "
                f"and these labels are {self.title}'s",
                self._holds,
                f"these hold them: {', '.join(fitting(known.kind, known.answer))}",
                code="E-LABEL-315",
            )
        read = cast("Callable[[Files, LabelSet], Reading]", self._part("read"))
        return read(files, known)

    @property
    def _holds(self) -> str:
        return f"it holds {', '.join(sorted(self.answers))} of {', '.join(sorted(self.kinds))}"

    def _part(self, name: str) -> object:
        return getattr(import_module(f"jupyter_mlops.labeling.formats.{self.module}"), name)


IMAGES, TEXTS, FILMS = frozenset({"image"}), frozenset({"text"}), frozenset({"video"})
SOUNDS = frozenset({"audio"})
ALL_KINDS = IMAGES | TEXTS | FILMS | SOUNDS | {"row", "pair"}
CLASSES = frozenset({"class", "classes"})
BOXES, SPANS, TRACKS = frozenset({"boxes"}), frozenset({"spans"}), frozenset({"tracks"})

_ALL = (
    Format("jsonl", "JSON lines", "jsonlines", EVERY, ALL_KINDS, (".jsonl",), whole=True),
    Format("csv", "CSV", "sheet", EVERY, ALL_KINDS, (".csv",)),
    Format("coco", "COCO", "coco", DRAWN, IMAGES, (".json",), True, "images"),
    Format("yolo", "YOLO", "yolo", BOXES | {"polygons"}, IMAGES, (), True, "images"),
    Format("voc", "Pascal VOC", "voc", BOXES, IMAGES, (), True, "JPEGImages"),
    Format("conll", "CoNLL", "conll", SPANS, TEXTS, (".conll", ".iob", ".iob2", ".bio")),
    Format("spacy", "spaCy", "docbin", SPANS | CLASSES, TEXTS, (".spacy",)),
    Format(
        "label-studio", "Label Studio", "labelstudio", EVERY, ALL_KINDS, (".json",), True, "media"
    ),
    Format(
        "doccano", "doccano", "doccano", CLASSES | SPANS | {"text"}, TEXTS | IMAGES, (".jsonl",)
    ),
    Format(
        "prodigy",
        "Prodigy",
        "prodigy",
        CLASSES | BOXES | SPANS | TIMED | {"rating", "text", "polygons"},
        IMAGES | TEXTS | SOUNDS | FILMS,
        (".jsonl",),
        True,
        "media",
    ),
    Format("audacity", "Audacity", "audacity", TIMED, SOUNDS | FILMS, (), False, "."),
    Format("cvat", "CVAT", "cvat", DRAWN | CLASSES, IMAGES, (".xml",), True, "images"),
    Format("cvat-video", "CVAT for films", "cvat", TRACKS, FILMS, (".xml",), True, "."),
    Format("mot", "MOT", "mot", TRACKS, FILMS, (), True, "."),
)
FORMATS = {one.name: one for one in _ALL}


def find(name: str) -> Format:
    """The format of that name."""
    found = FORMATS.get(name)
    if found is None:
        raise Invalid(
            f"there is no format of labels called {name!r}",
            f"they are {', '.join(FORMATS)}",
            closest(name, FORMATS),
            code="E-LABEL-316",
        )
    return found


def fitting(kind: str, answer: str) -> list[str]:
    """The formats that can hold such labels."""
    return [one.name for one in _ALL if one.fits(kind, answer)]


def by_ending(ending: str, kind: str, answer: str) -> Format | None:
    """The format that a file's ending means, when it can only mean one; ours come first."""
    ending = ending.lower()
    own = [one for one in _ALL if one.name in {"jsonl", "csv"} and ending in one.endings]
    found = own or [one for one in _ALL if ending in one.endings and one.fits(kind, answer)]
    return found[0] if len(found) == 1 else None


def recognize(files: Files, kind: str) -> Format | None:
    """The format that files are in, by their names and how they begin; `kind` is the task's."""
    paths = {name: PurePosixPath(name) for name in files}
    if any(path.name == "gt.txt" for path in paths.values()):
        return FORMATS["mot"]
    if any(
        path.suffix in {".yaml", ".yml"} or path.name == "classes.txt" for path in paths.values()
    ):
        return FORMATS["yolo"]
    roots = {root_name(files[name]) for name, path in paths.items() if path.suffix == ".xml"}
    for root, format in (("annotation", "voc"), ("annotations", "cvat")):
        if root in roots:
            return FORMATS["cvat-video" if format == "cvat" and kind == "video" else format]
    if len(files) == 1:
        name, content = next(iter(files.items()))
        return _single(paths[name].suffix.lower(), content)
    if paths and all(path.suffix == ".txt" for path in paths.values()):
        return FORMATS["audacity"]
    return None


def _single(ending: str, content: bytes) -> Format | None:
    if ending == ".jsonl":
        return _lines(content)
    if ending == ".json":
        return FORMATS["label-studio" if content.lstrip()[:1] == b"[" else "coco"]
    if ending == ".txt":
        return FORMATS["audacity" if b"\t" in content else "conll"]
    found = [one for one in _ALL if ending in one.endings]
    return found[0] if len(found) == 1 else None


def _lines(content: bytes) -> Format:
    try:
        first = json.loads(content.lstrip().split(b"\n", 1)[0])
    except ValueError:
        return FORMATS["jsonl"]  # whose reader says in which line it isn't JSON
    names = set(first) if isinstance(first, dict) else set()
    if "decisions" in names or {"task", "classes"} <= names:
        return FORMATS["jsonl"]
    if names & {"answer", "spans", "audio_spans", "accept", "_task_hash", "user_input"}:
        return FORMATS["prodigy"]
    return FORMATS["doccano" if names & {"label", "labels", "entities"} else "jsonl"]

"""Label sets of every kind of answer, apart from any store."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from jupyter_mlops.labeling.formats import Act, Entry, LabelSet
from jupyter_mlops.labeling.formats.geometry import between

__all__ = [
    "ANSWERS",
    "EXAMPLES",
    "FRAMES",
    "HEIGHT",
    "WIDTH",
    "alike",
    "label_set",
    "said",
]

CLASSES = ("cat", "dog", "body part")
WIDTH, HEIGHT, FRAMES, RATE = 640, 480, 60, 25.0
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ENDINGS = {"image": ".png", "audio": ".wav", "video": ".mp4"}

#: Media and answers that go together.
ANSWERS = [
    *((kind, "class") for kind in ("image", "text", "audio", "video", "row")),
    *((kind, "classes") for kind in ("image", "text")),
    *((kind, "rating") for kind in ("image", "text")),
    *((kind, "text") for kind in ("image", "text")),
    ("pair", "pairwise"),
    ("image", "boxes"),
    ("image", "polygons"),
    ("image", "keypoints"),
    ("text", "spans"),
    ("audio", "regions"),
    ("video", "segments"),
    ("video", "tracks"),
]

_BOX = {"x": 1.5, "y": 2.0, "width": 30.0, "height": 40.25}
#: Two values of each answer, the second often an empty one.
EXAMPLES: dict[str, list[Any]] = {
    "class": ["cat", "body part"],
    "classes": [["cat", "body part"], []],
    "rating": [3, 5],
    "text": ["two\nlines", "x"],
    "pairwise": ["left", "tie"],
    "boxes": [[{"label": "cat", **_BOX}, {"label": "dog", **_BOX, "x": 9.0}], []],
    "polygons": [[{"label": "dog", "points": [[0.0, 0.0], [4.0, 0.0], [4.0, 3.5]]}], []],
    "keypoints": [[{"label": "cat", "x": 1.0, "y": 2.0}, {"label": "cat", "x": 5, "y": 2}], []],
    "spans": [[{"label": "body part", "start": 4, "end": 13}], []],
    "regions": [[{"label": "cat", "start": 0.1, "end": 2.25}], []],
    "segments": [[{"label": "cat", "start": 0.2, "end": 2.24}], []],
    "tracks": [
        [
            {
                "label": "cat",
                "track": 1,
                "keyframes": [
                    {"frame": 0, **_BOX, "outside": False},
                    {"frame": 10, **_BOX, "x": 21.5, "outside": False},
                    {"frame": 20, **_BOX, "outside": True},
                ],
            }
        ],
        [],
    ],
}


def label_set(
    kind: str, answer: str, said: Sequence[Any], texts: Sequence[str] | None = None
) -> LabelSet:
    """A label set with an item a value; None is one that nobody has decided on."""
    entries = []
    for number, value in enumerate(said):
        act = None if value is None else Act(value, "maria", AT, active_ms=400)
        text = None
        if kind in {"text", "row", "pair"}:
            text = texts[number] if texts else f"text {number}"
        if kind == "pair":
            text = f'{{"left": "a", "right": "b{number}"}}'
        entries.append(
            Entry(
                number,
                f"{number:064x}",
                f"shots/n{number}{ENDINGS.get(kind, '')}",
                text=text,
                width=WIDTH,
                height=HEIGHT,
                rate=RATE,
                frames=FRAMES,
                standing=act,
                opinions=(act,) if act else (),
                history=(
                    ({"ev": f"e{number}", "kind": "label", "value": value, "person": "maria"},)
                    if act
                    else ()
                ),
            )
        )
    free = answer in {"rating", "text", "pairwise"}
    return LabelSet("cats", kind, answer, () if free else CLASSES, tuple(entries))


def said(labels: LabelSet) -> dict[int, Any]:
    """The labels that stand, by item."""
    return {entry.item: entry.value for entry in labels.labelled()}


def drawn(answer: str, chance: random.Random, text: str = "") -> Any:
    """A value in the shape of an answer, by chance."""
    if answer in _WHOLE:
        return _WHOLE[answer](chance)
    if answer == "spans":
        return _spans(chance, text)
    labels = [chance.choice(CLASSES) for _ in range(chance.randint(0, 4))]
    return [
        {"label": label, **_PARTS[answer](chance, number)} for number, label in enumerate(labels, 1)
    ]


def _box(chance: random.Random) -> dict[str, float]:
    # Quarters of a pixel are exact in binary, so that what differs was really lost.
    x, y = chance.randint(0, 4 * WIDTH - 8) / 4, chance.randint(0, 4 * HEIGHT - 8) / 4
    return {"x": x, "y": y, "width": chance.randint(1, 90) / 4, "height": chance.randint(1, 90) / 4}


def _polygon(chance: random.Random, _: int) -> dict[str, Any]:
    corners = [_box(chance) for _ in range(chance.randint(3, 6))]
    return {"points": [[one["x"], one["y"]] for one in corners]}


def _point(chance: random.Random, _: int) -> dict[str, float]:
    box = _box(chance)
    return {"x": box["x"], "y": box["y"]}


def _stretch(chance: random.Random, _: int) -> dict[str, float]:
    start, end = sorted(chance.uniform(0, 3600) for _ in range(2))
    return {"start": start, "end": end}


def _track(chance: random.Random, number: int) -> dict[str, Any]:
    frames = sorted(chance.sample(range(FRAMES), chance.randint(1, 6)))
    away = chance.randint(1, 6)
    keyframes = [
        {"frame": frame, **_box(chance), "outside": turn % 3 == 2 and turn < away}
        for turn, frame in enumerate(frames)
    ]
    return {"track": number, "keyframes": keyframes}


def _spans(chance: random.Random, text: str) -> list[dict[str, Any]]:
    """Spans that share no characters and have no white space at their ends."""
    count = min(len(text), 2 * chance.randint(0, 4))
    edges = sorted(chance.sample(range(len(text) + 1), count))
    return [
        {"label": chance.choice(CLASSES), "start": start, "end": end}
        for start, end in zip(edges[::2], edges[1::2], strict=False)
        if text[start:end] == text[start:end].strip() != ""
    ]


_WHOLE: dict[str, Callable[[random.Random], Any]] = {
    "class": lambda chance: chance.choice(CLASSES),
    "classes": lambda chance: [one for one in CLASSES if chance.random() < 0.5],
    "rating": lambda chance: chance.randint(1, 5),
    "pairwise": lambda chance: chance.choice(["left", "right", "tie"]),
    "text": lambda chance: "".join(chance.choices('ab "\\<&,;\n\té👩🏽', k=chance.randint(1, 20))),
}
_PARTS: dict[str, Callable[[random.Random, int], dict[str, Any]]] = {
    "boxes": lambda chance, _: dict(_box(chance)),
    "polygons": _polygon,
    "keypoints": _point,
    "regions": _stretch,
    "segments": _stretch,
    "tracks": _track,
}


def alike(answer: str, a: Any, b: Any) -> bool:
    """Whether two values mean the same: coordinates to a hundredth of a pixel."""
    return _near(_plain(answer, a), _plain(answer, b))


def _plain(answer: str, value: Any) -> Any:
    if answer == "tracks":
        # Keyframes may differ as long as every frame's box is the same.
        boxes = [(one["label"], list(between(one["keyframes"], FRAMES))) for one in value]
        return sorted(
            (found for found in boxes if found[1]),
            key=lambda one: (one[0], one[1][0]["frame"], one[1][0]["x"]),
        )
    if answer == "keypoints":
        return sorted(value, key=lambda one: (one["label"], one["x"], one["y"]))
    return value


def _near(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_near(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_near(x, y) for x, y in zip(a, b, strict=True))
    return bool(abs(a - b) < 0.01 if isinstance(a, int | float) else a == b)

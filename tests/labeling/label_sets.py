"""Label sets of every kind of answer, apart from any store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from jupyter_mlops.labeling.formats import Act, Entry, LabelSet
from jupyter_mlops.labeling.formats.geometry import between

__all__ = ["ANSWERS", "FRAMES", "HEIGHT", "WIDTH", "alike", "label_set", "said", "values"]

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


# Quarters and pixels are exact in binary, so that what differs was really lost.
_x = st.integers(0, 4 * WIDTH).map(lambda n: n / 4)
_y = st.integers(0, 4 * HEIGHT).map(lambda n: n / 4)
_side = st.integers(1, 400).map(lambda n: n / 4)
_label = st.sampled_from(CLASSES)
_box = st.fixed_dictionaries({"x": _x, "y": _y, "width": _side, "height": _side})
_seconds = st.floats(0, 3600, allow_nan=False, width=32)


def _keyframes(frames: list[int], boxes: list[dict[str, float]]) -> list[dict[str, Any]]:
    return [
        {"frame": frame, **box, "outside": number % 3 == 2}
        for number, (frame, box) in enumerate(zip(sorted(frames), boxes, strict=False))
    ]


_track = st.builds(
    _keyframes,
    st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=5, unique=True),
    st.lists(_box, min_size=5, max_size=5),
)


@st.composite
def _spans(draw: st.DrawFn, text: str) -> list[dict[str, Any]]:
    """Spans that share no characters and have no white space at their ends."""
    edges = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6, unique=True)))
    found = []
    for start, end in zip(edges[::2], edges[1::2], strict=False):
        if text[start:end] == text[start:end].strip() != "":
            found.append({"label": draw(_label), "start": start, "end": end})
    return found


@st.composite
def values(draw: st.DrawFn, answer: str, text: str = "") -> Any:
    """A value in the shape of an answer."""
    if answer == "spans":
        return draw(_spans(text))
    if answer == "tracks":
        tracks = draw(st.lists(_track, max_size=3))
        labels = [draw(_label) for _ in tracks]
        return [
            {"label": label, "track": number, "keyframes": found}
            for number, (label, found) in enumerate(zip(labels, tracks, strict=True), 1)
        ]
    labelled = {
        "boxes": st.builds(lambda one, label: {"label": label, **one}, _box, _label),
        "polygons": st.fixed_dictionaries(
            {
                "label": _label,
                "points": st.lists(st.tuples(_x, _y).map(list), min_size=3, max_size=6),
            }
        ),
        "keypoints": st.fixed_dictionaries({"label": _label, "x": _x, "y": _y}),
        "regions": st.fixed_dictionaries({"label": _label, "start": _seconds, "end": _seconds}),
    }
    labelled["segments"] = labelled["regions"]
    whole = {
        "class": _label,
        "classes": st.sets(_label).map(lambda one: [name for name in CLASSES if name in one]),
        "rating": st.integers(1, 5),
        "pairwise": st.sampled_from(["left", "right", "tie"]),
        "text": st.text(min_size=1, max_size=20),
    }
    if answer in whole:
        return draw(whole[answer])
    return draw(st.lists(labelled[answer], max_size=4))


def alike(answer: str, a: Any, b: Any) -> bool:
    """Whether two values mean the same: coordinates to a hundredth of a pixel."""
    return bool(_plain(answer, a) == _plain(answer, b))


def _plain(answer: str, value: Any) -> Any:
    if answer == "tracks":
        # Keyframes may differ as long as every frame's box is the same.
        return sorted(
            (one["label"], [_round(box) for box in between(one["keyframes"], FRAMES)])
            for one in value
            if list(between(one["keyframes"], FRAMES))
        )
    if answer == "keypoints":
        return sorted(sorted(one.items()) for one in _round(value))
    return _round(value)


def _round(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _round(one) for name, one in sorted(value.items())}
    if isinstance(value, list):
        return [_round(one) for one in value]
    return round(float(value), 2) + 0.0 if isinstance(value, int | float) else value

"""Every kind of answer: what is stored of it, and what is said of one that doesn't fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.labeling import Decision, Task, commit, create, status
from jupyter_mlops.labeling.kinds import ANSWERS, KINDS, answers_of, box_at, check, fit, normal
from jupyter_mlops.labeling.records import AnnotationRecord
from jupyter_mlops.labeling.rules import Rules
from jupyter_mlops.workspace import Invalid, Workspace

from .conftest import Rows


def test_the_state_of_a_task_counts_and_tells_what_is_marked(ws: Workspace) -> None:
    rows = Rows(pl.DataFrame({"t": [f"remark {n}" for n in range(5)]}))
    task = create(ws, "spans", rows, "text", ["name", "place"], answer="spans")
    marks = [{"label": "name", "start": n, "end": n + 1} for n in range(2)]
    answers = [[*marks, {"label": "place", "start": 3, "end": 5}], marks[:1], []]
    said = [Decision(f"e{n}", n, "label", one) for n, one in enumerate(answers)]
    commit(ws, task.id, "jo", [*said, Decision("s", 3, "skip", reason="unclear")])
    found = status(ws, "spans")
    # Items that have a class, not marks.
    assert found.classes == {"name": 2, "place": 1}
    told = {one.item: one.label for one in found.recent}
    assert told == {0: "2 name, 1 place", 1: "1 name", 2: "nothing", 3: None}
    create(ws, "grades", rows, "text", answer="rating")
    commit(ws, "grades", "jo", [Decision("g", 0, "label", 4)])
    assert [one.label for one in status(ws, "grades").recent] == ["4"]


@dataclass
class Asked:
    answer: str
    classes: tuple[str, ...] = ("cat", "dog")
    settings: dict[str, Any] = field(default_factory=dict)


BOX = {"label": "cat", "x": 1, "y": 2, "width": 3, "height": 4}
KEY = {"frame": 0, "x": 1, "y": 2, "width": 3, "height": 4, "outside": False}


@pytest.mark.parametrize(
    ("answer", "value", "stored"),
    [
        ("class", "cat", "cat"),
        ("classes", ["dog", "cat", "dog"], ["cat", "dog"]),
        ("classes", [], []),
        ("rating", 5, 5),
        ("text", "  two\nlines ", "two\nlines"),
        ("pairwise", "tie", "tie"),
        ("boxes", [BOX | {"mine": 1}], [BOX]),
        ("boxes", [], []),
        (
            "polygons",
            [{"label": "dog", "points": [[0, 0], [4, 0], [4, 3.5]]}],
            [{"label": "dog", "points": [[0, 0], [4, 0], [4, 3.5]]}],
        ),
        ("keypoints", [{"label": "cat", "x": 1, "y": 2}], [{"label": "cat", "x": 1, "y": 2}]),
        (
            "spans",
            [{"label": "dog", "start": 4, "end": 6}, {"label": "cat", "start": 0, "end": 5}],
            [{"label": "cat", "start": 0, "end": 5}, {"label": "dog", "start": 4, "end": 6}],
        ),
        (
            "regions",
            [{"label": "cat", "start": 0.5, "end": 1}],
            [{"label": "cat", "start": 0.5, "end": 1.0}],
        ),
        (
            "tracks",
            [{"label": "cat", "track": 1, "keyframes": [KEY | {"frame": 9}, KEY]}],
            [{"label": "cat", "track": 1, "keyframes": [KEY, KEY | {"frame": 9}]}],
        ),
    ],
)
def test_an_answer_is_stored_in_one_order(answer: str, value: Any, stored: Any) -> None:
    question = Asked(answer)
    assert check(value, question) == ""
    assert normal(value, question) == stored
    assert normal(stored, question) == stored


@pytest.mark.parametrize(
    ("answer", "value", "says"),
    [
        ("class", "bird", "'bird' is no class"),
        ("class", ["cat"], "is no class"),
        ("classes", "cat", "come as a list"),
        ("classes", ["cow"], "'cow' is no class"),
        ("rating", 6, "from 1 to 5"),
        ("rating", True, "from 1 to 5"),
        ("rating", 2.5, "from 1 to 5"),
        ("text", " \n", "empty"),
        ("text", "x" * 10_001, "10,000 characters"),
        ("pairwise", "both", "left, right or tie"),
        ("boxes", {"x": 1}, "come as a list"),
        ("boxes", [3], "number 1 of the boxes is no object"),
        ("boxes", [BOX | {"label": "cow"}], "is no class"),
        ("boxes", [BOX | {"width": 0}], "width above 0"),
        ("boxes", [BOX | {"x": -1}], "x is at least 0"),
        ("boxes", [BOX | {"y": float("nan")}], "y is a number"),
        ("boxes", [BOX | {"y": "3"}], "y is a number"),
        ("boxes", [BOX] * 2001, "2,001 boxes are more than 2,000"),
        ("polygons", [{"label": "cat", "points": [[0, 0], [1, 1]]}], "3 to 5,000 points"),
        ("polygons", [{"label": "cat", "points": [[0, 0], [1, 1], [2]]}], r"is \[x, y\]"),
        ("keypoints", [{"label": "cat", "x": 1}], "y is a number"),
        ("spans", [{"label": "cat", "start": 3, "end": 3}], "ends after it starts"),
        ("spans", [{"label": "cat", "start": 0.5, "end": 3}], "start is a whole number"),
        ("regions", [{"label": "cat", "start": 2, "end": 1}], "ends after it starts"),
        ("segments", [{"label": "cat", "start": -1, "end": 1}], "start is at least 0"),
        ("tracks", [{"label": "cat", "track": 0, "keyframes": [KEY]}], "from 1"),
        ("tracks", [{"label": "cat", "track": 1, "keyframes": []}], "1 to 2,000 key frames"),
        ("tracks", [{"label": "cat", "track": 1, "keyframes": [KEY, KEY]}], "frame 0 twice"),
        (
            "tracks",
            [{"label": "cat", "track": 1, "keyframes": [KEY]}] * 2,
            "track 1 is there twice",
        ),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(answer: str, value: Any, says: str) -> None:
    wrong = check(value, Asked(answer))
    with pytest.raises(ValueError, match=says):
        normal(value, Asked(answer))
    assert wrong
    assert "\n" not in wrong


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["label", "x", "y", "start", "end", "points", "track", "keyframes"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(ANSWERS), json)
def test_no_json_makes_a_reader_stumble(answer: str, value: Any) -> None:
    question = Asked(answer)
    if not check(value, question):
        assert normal(normal(value, question), question) == normal(value, question)


def test_every_kind_has_answers_and_every_answer_a_kind() -> None:
    assert {answer for kind in KINDS for answer in answers_of(kind)} == set(ANSWERS)
    assert fit("pair") == "pairwise"
    assert fit("audio") == "class"
    with pytest.raises(Invalid, match="'boxes' is no answer to a task of kind text"):
        fit("text", "boxes")
    with pytest.raises(Invalid, match="did you mean 'image'"):
        fit("images")


@pytest.mark.parametrize(
    ("frame", "box"),
    [
        (0, None),
        (2, {"x": 0, "y": 0, "width": 10, "height": 10}),
        (7, {"x": 10, "y": 5, "width": 10, "height": 15}),
        (12, {"x": 20, "y": 10, "width": 10, "height": 20}),
        (20, None),
        (29, None),
        (30, {"x": 20, "y": 10, "width": 10, "height": 20}),
        (99, {"x": 20, "y": 10, "width": 10, "height": 20}),
    ],
)
def test_a_box_moves_straight_between_key_frames(frame: int, box: Any) -> None:
    near = {"frame": 2, "x": 0, "y": 0, "width": 10, "height": 10, "outside": False}
    far = {"frame": 12, "x": 20, "y": 10, "width": 10, "height": 20, "outside": False}
    frames = [near, far, far | {"frame": 15, "outside": True}, far | {"frame": 30}]
    assert box_at(frames, frame) == box


def test_answers_that_fit_are_kept_and_others_refused(ws: Workspace) -> None:
    rows = Rows(pl.DataFrame({"x": ["one", "two"]}))
    create(ws, "several", rows, "text", ["a", "b"], answer="classes")
    sent = [Decision("e1", 0, "label", ["b", "a"]), Decision("e2", 1, "label", ["c"])]
    first = commit(ws, "several", "maria", sent)
    assert first.accepted == ("e1",)
    assert first.refused[0].what == "'c' is no class of the task"
    # Sent again as it was, it is the one that is stored.
    assert commit(ws, "several", "maria", sent[:1]).accepted == ("e1",)
    with ws.read() as session:
        (row,) = session.query(AnnotationRecord).all()
        assert row.value == ["a", "b"]


def test_a_rating_needs_no_classes_and_one_class_will_do_for_boxes(
    ws: Workspace, texts: Callable[..., Task]
) -> None:
    rows = Rows(pl.DataFrame({"x": ["one", "two"]}))
    settings = {"scale": "1-7", "guideline": "**Read** all of it."}
    task = create(ws, "rated", rows, "text", answer="rating", settings=settings)
    assert (task.classes, task.settings["scale"]) == ((), [1, 7])
    assert commit(ws, "rated", "maria", [Decision("r", 0, "label", 7)]).accepted == ("r",)
    assert create(ws, "spans", rows, "text", ["name"], answer="spans").classes == ("name",)
    with pytest.raises(Invalid, match="fewer than two"):
        create(ws, "class", rows, "text", ["name"])
    with pytest.raises(Invalid, match="no answer to a task of kind text"):
        create(ws, "boxes", rows, "text", ["a"], answer="boxes")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"scale": "5"}, "no scale"),
        ({"scale": "5-1"}, "the lower first"),
        ({"scale": "1-50"}, "apart at the most"),
        ({"fps": 0.0}, "frames a second"),
        ({"fps": float("inf")}, "frames a second"),
    ],
)
def test_settings_that_make_no_sense_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(Invalid, match=says):
        Rules.changed({}, more)

"""Tasks from tables of texts and images, and the sentences that bad ones give."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import polars as pl
import pytest
from PIL import Image

from jupyter_mlops.labeling import (
    Rules,
    change_rules,
    claim,
    create,
    export,
    get,
    import_labels,
    open_media,
    pictures,
    png,
    status,
)
from jupyter_mlops.workspace import Conflict, Invalid, NotFound

from .conftest import Rows

CLASSES = ["cat", "dog"]


def digits(count=5):
    from sklearn.datasets import load_digits

    found = load_digits()
    frame = pl.DataFrame(
        {"image": [png(one) for one in found.images[:count]], "truth": found.target[:count]}
    )
    return Rows(frame), found


def test_images_of_a_frame_come_back_as_they_were(ws):
    rows, found = digits()
    task = create(ws, "digits", rows, "image", [str(n) for n in range(10)])
    assert task.column == "image"
    given = claim(ws, "digits", "jo").items[3]
    assert given.media == "image/png"
    media = open_media(ws, "digits", 3)
    content = media.read()
    assert hashlib.sha256(content).hexdigest() == given.digest
    shown = np.asarray(Image.open(io.BytesIO(content)), float)
    assert np.allclose(shown / 255, found.images[3] / found.images[3].max(), atol=0.01)
    assert media.read(10, 20) == content[10:30]


@pytest.mark.parametrize(("shape", "mode"), [((4, 6), "L"), ((4, 6, 3), "RGB")])
def test_a_grid_of_pixels_is_an_image(ws, shape, mode):
    rows = Rows(pl.DataFrame({"pixels": [np.arange(np.prod(shape)).reshape(shape).tolist()]}))
    create(ws, "grids", rows, "image", CLASSES)
    shown = Image.open(io.BytesIO(open_media(ws, "grids", 0).read()))
    assert (shown.mode, shown.size) == (mode, (6, 4))


def test_arrays_are_images_in_a_frame_and_in_a_stack():
    import pandas as pd

    stack = np.arange(5 * 4 * 6, dtype=np.uint8).reshape(5, 4, 6)
    assert pictures(stack)["image"].to_list() == [png(one) for one in stack]
    frame = pictures(pd.DataFrame({"n": range(5), "scan": list(stack)}))
    assert frame["scan"].tolist() == [png(one) for one in stack]
    with pytest.raises(Invalid, match="row 1 is no image"):
        pictures(pd.DataFrame({"scan": [stack[0], None]}))


def test_files_are_shown_from_where_they_are(ws):
    Image.new("RGB", (9, 9)).save(ws.root / "a.jpg")
    create(ws, "photos", Rows(pl.DataFrame({"file": ["a.jpg"]})), "image", CLASSES)
    assert open_media(ws, "photos", 0).type == "image/jpeg"


def test_a_file_that_changed_or_went_is_not_shown_as_if_nothing_happened(ws):
    Image.new("RGB", (9, 9)).save(ws.root / "a.png")
    create(ws, "photos", Rows(pl.DataFrame({"file": ["a.png"]})), "image", CLASSES)
    Image.new("RGB", (9, 10)).save(ws.root / "a.png")
    with pytest.raises(Conflict, match="has changed"):
        open_media(ws, "photos", 0)
    (ws.root / "a.png").unlink()
    with pytest.raises(NotFound, match="is gone"):
        open_media(ws, "photos", 0)


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "link.png"])
def test_files_outside_the_workspace_are_refused(ws, path):
    outside = ws.root.parent / "secret.png"
    Image.new("L", (4, 4)).save(outside)
    (ws.root / "link.png").symlink_to(outside)
    with pytest.raises(Invalid, match="outside the workspace"):
        create(ws, "photos", Rows(pl.DataFrame({"file": [path]})), "image", CLASSES)


@pytest.mark.parametrize(
    ("column", "kind", "error", "says"),
    [
        (["a", None], "text", Invalid, "row 1 of 'x' can't be labelled: it is empty"),
        (["a" * ((1 << 20) + 1)], "text", Invalid, "too long"),
        (["none.png"], "image", NotFound, "no file 'none.png'"),
        ([b"<svg/>"], "image", Invalid, "no image that can be shown"),
        ([[1, 2, 3]], "image", Invalid, "row 0 of 'x' is no image"),
        ([3], "text", Invalid, "none holds texts"),
        ([], "text", Invalid, "which column|no rows"),
    ],
)
def test_what_cannot_be_labelled_is_said_with_its_row(ws, column, kind, error, says):
    with pytest.raises(error, match=says):
        create(ws, "bad", Rows(pl.DataFrame({"x": column})), kind, CLASSES)
    with pytest.raises(NotFound):
        status(ws, "bad")


@pytest.mark.parametrize("classes", [["one"], ["a", "a"], ["a", " "], [str(n) for n in range(501)]])
def test_classes_are_checked(ws, classes):
    with pytest.raises(Invalid, match="these classes"):
        create(ws, "t", Rows(pl.DataFrame({"x": ["a"]})), "text", classes)


def test_a_column_that_is_not_there_is_named_with_the_closest(ws):
    with pytest.raises(NotFound, match="did you mean 'remark'"):
        create(ws, "t", Rows(pl.DataFrame({"remark": ["a"]})), "text", CLASSES, column="remrk")


def test_the_same_task_again_goes_on_and_may_have_more_classes(ws):
    rows = Rows(pl.DataFrame({"x": ["a", "b"]}))
    first = create(ws, "t", rows, "text", CLASSES)
    assert create(ws, "t", rows, "text", CLASSES).id == first.id
    assert create(ws, "t", rows, "text", [*CLASSES, "bird"]).classes == ("cat", "dog", "bird")
    with pytest.raises(Conflict, match="other classes"):
        create(ws, "t", rows, "text", ["dog", "cat"])
    with pytest.raises(Conflict, match="labels other data"):
        create(ws, "t", Rows(rows.frame, digest="d2"), "text", CLASSES)
    assert len(ws.events(kind="label.task_created")) == 1


def test_a_task_that_is_not_there_is_named_with_the_closest(ws, texts):
    texts(name="remarks")
    with pytest.raises(NotFound, match="did you mean 'remarks'"):
        status(ws, "remark")


def test_the_line_that_made_a_task_goes_on_and_another_rule_is_refused(ws):
    rows = Rows(pl.DataFrame({"x": ["a", "b"]}))
    line = {"overlap": 2, "guideline": "Look twice."}
    create(ws, "t", rows, "text", CLASSES, settings=line)
    change_rules(ws, "t", {"overlap": 3, "guideline": "Look three times."})
    for known in (line, {"overlap": 3}, {}):
        create(ws, "t", rows, "text", CLASSES, settings=known)
    with pytest.raises(Conflict, match="another guideline") as refused:
        create(ws, "t", rows, "text", CLASSES, settings={**line, "guideline": "Guess."})
    assert "label set t --guideline" in refused.value.fix
    assert Rules.of(get(ws, "t").settings).overlap == 3


def test_labels_come_from_a_column_and_again_without_effect(ws):
    rows, _ = digits(8)
    create(ws, "digits", rows, "image", [str(n) for n in range(10)])
    for _ in range(2):
        state = import_labels(ws, "digits", rows, "truth")
        assert state.counts.labeled == 8
        assert state.people[0].labels == 8
    assert len(ws.events(kind="label.committed")) == 1


def test_labels_find_their_items_by_key(ws):
    frame = pl.DataFrame({"id": ["k1", "k2", "k3"], "x": ["a", "b", "c"]})
    create(ws, "t", Rows(frame), "text", CLASSES, column="x", key="id")
    given = Rows(pl.DataFrame({"who": ["k3", "k1"], "is": ["dog", None]}), digest="g")
    import_labels(ws, "t", given, "is", key="who")
    frame = export(ws, "t").frame
    assert frame[["key", "label"]].values.tolist() == [["k3", "dog"]]


@pytest.mark.parametrize(
    ("frame", "more", "says"),
    [
        ({"is": ["cat"]}, {}, "1 rows, the task 2 items"),
        ({"is": ["cow", "cat"]}, {}, "'cow' is no class"),
        ({"is": ["cat"], "n": [7]}, {"item": "n"}, "no item 7"),
        ({"is": ["cat"]}, {"item": "m"}, "no column 'm'"),
    ],
)
def test_labels_that_do_not_fit_are_refused_whole(ws, frame, more, says):
    create(ws, "t", Rows(pl.DataFrame({"x": ["a", "b"]})), "text", CLASSES)
    with pytest.raises((Invalid, NotFound), match=says):
        import_labels(ws, "t", Rows(pl.DataFrame(frame)), "is", **more)
    assert status(ws, "t").counts.labeled == 0


def test_csv_and_json_lines_hold_what_was_labelled(ws, tmp_path):
    import csv
    import json

    frame = pl.DataFrame({"x": ['a,"b"\nc', "ü"], "is": ["cat", "dog"]})
    create(ws, "t", Rows(frame), "text", CLASSES, column="x")
    import_labels(ws, "t", Rows(frame), "is")
    export(ws, "t", "out/t.csv")
    with (tmp_path / "out" / "t.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["content"]) for row in rows] == [("cat", 'a,"b"\nc'), ("dog", "ü")]
    export(ws, "t", "t.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text("utf-8").splitlines()]
    assert lines[0]["classes"] == CLASSES
    assert lines[2]["decisions"][0]["value"] == "dog"
    with pytest.raises(Invalid, match=r"\.csv or \.jsonl"):
        export(ws, "t", "t.xlsx")

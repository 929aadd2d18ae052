"""Items that are broken, huge, hostile or the same, and classes that change meanwhile."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

from jupyter_mlops.labeling import (
    answer,
    claim,
    commit,
    create,
    export,
    get,
    import_file,
    labels,
    open_media,
    peaks_of,
    status,
)
from jupyter_mlops.verbs.table import find
from jupyter_mlops.views import mimebundle
from jupyter_mlops.workspace import Conflict, Invalid, NotFound, Workspace

from .conftest import Rows, label, skip

MARKUP = "<script>alert(1)</script><img src=x onerror=alert(2)> & \u202eevil\u202c"


def event(ev, item, value):
    return {"ev": ev, "item": item, "kind": "label", "value": value}


def test_a_missing_and_a_corrupt_file_are_skipped_and_the_queue_goes_on(ws: Workspace) -> None:
    Image.new("RGB", (8, 8)).save(ws.root / "good.png")
    (ws.root / "torn.png").write_bytes(b"no picture at all")
    files = pl.DataFrame({"path": ["gone.png", "torn.png", "good.png"]})
    task = create(ws, "files", Rows(files), "image", ["a", "b"])
    assert [one.item for one in claim(ws, task.id, "jo", 3).items] == [0, 1, 2]
    for item in (0, 1):
        with pytest.raises((NotFound, Invalid)):
            open_media(ws, task.id, item).read()
    assert open_media(ws, task.id, 2).read().startswith(b"\x89PNG")
    commit(ws, task.id, "jo", [skip("s0", 0, "broken"), skip("s1", 1, "broken"), label("e", 2)])
    counts = status(ws, task.id).counts
    assert (counts.labeled, counts.skipped, counts.open) == (1, 2, 0)
    assert labels(ws, task.id)["item"].tolist() == [2]


def _out(ws: Workspace, task: str, to: str, format: str) -> str:
    return export(ws, task, to, format).path or ""


def test_text_with_markup_stays_text_wherever_it_is_shown(ws: Workspace) -> None:
    frame = pl.DataFrame({"t": [MARKUP, "plain"]})
    task = create(ws, "hostile", Rows(frame), "text", ["<b>a</b>", "b"], settings={
        "guideline": MARKUP,
    })  # fmt: skip
    given = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 2})
    assert given["items"][0]["text"] == MARKUP
    commit(ws, task.id, "jo", [label("e0", 0, "<b>a</b>"), skip("e1", 1, MARKUP)])
    for verb in ("label status", "label stats", "label people", "label export"):
        html = str(mimebundle(find(verb)(ws, task="hostile"))["text/html"])
        assert "<script>" not in html
        assert "<img src=x" not in html
        assert "<b>a</b>" not in html


def test_a_text_of_a_megabyte_is_labelled_and_comes_back_whole(ws: Workspace) -> None:
    long = "ä" * (1 << 19)  # a megabyte in UTF-8
    task = create(ws, "long", Rows(pl.DataFrame({"t": [long, "x"]})), "text", ["a", "b"])
    given = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 2})
    assert given["items"][0]["text"] == long
    commit(ws, task.id, "jo", [label("e0", 0)])
    path = _out(ws, "long", "long.jsonl", "jsonl")
    create(ws, "again", Rows(pl.DataFrame({"t": [long, "x"]})), "text", ["a", "b"])
    assert import_file(ws, "again", path).new == 1
    assert len(mimebundle(status(ws, "long"))["text/html"]) < 50_000
    huge = pl.DataFrame({"t": ["x" * (1 << 21), "x"]})
    with pytest.raises(Invalid, match="row 0"):
        create(ws, "huge", Rows(huge), "text", ["a", "b"])


def test_a_picture_of_ten_thousand_pixels_a_side_is_an_item_with_its_own_size(
    ws: Workspace,
) -> None:
    Image.new("1", (10_000, 8_000)).save(ws.root / "wide.png")
    rows = Rows(pl.DataFrame({"path": ["wide.png"]}))
    task = create(ws, "wide", rows, "image", ["a"], answer="boxes")
    box = {"label": "a", "x": 9990.0, "y": 7990.0, "width": 10.0, "height": 10.0}
    commit(ws, task.id, "jo", [label("e", 0, [box])])
    (image,) = json.loads(Path(_out(ws, "wide", "wide.json", "coco")).read_text())["images"]
    assert (image["width"], image["height"]) == (10_000, 8_000)


def test_a_sound_of_no_length_is_skipped_and_the_queue_goes_on(ws: Workspace) -> None:
    def sound(frames: int) -> bytes:
        file = io.BytesIO()
        with wave.open(file, "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(8000)
            out.writeframes(b"\0\1" * frames)
        return file.getvalue()

    rows = Rows(pl.DataFrame({"s": [sound(0), sound(800)]}))
    task = create(ws, "sounds", rows, "audio", ["a"], answer="regions")
    assert [one.item for one in claim(ws, task.id, "jo", 2).items] == [0, 1]
    assert peaks_of(ws, task.id, 1).duration == 0.1
    region = [{"label": "a", "start": 0.0, "end": 0.05}]
    commit(ws, task.id, "jo", [skip("s", 0, "broken"), label("e", 1, region)])
    assert labels(ws, task.id)["item"].tolist() == [1]


def test_five_hundred_classes_are_the_most(ws: Workspace) -> None:
    names = [f"class {n}" for n in range(500)]
    rows = Rows(pl.DataFrame({"t": ["x", "y"]}))
    task = create(ws, "many", rows, "text", names)
    given = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 1})
    assert given["task"]["classes"] == names
    commit(ws, task.id, "jo", [label("e", 0, names[-1])])
    assert labels(ws, task.id)["label"].tolist() == ["class 499"]
    assert len(mimebundle(status(ws, "many"))["text/html"]) < 200_000
    with pytest.raises(Invalid, match="more than 500"):
        create(ws, "many", rows, "text", [*names, "one more"])


def test_items_that_show_the_same_are_labelled_each_for_itself(ws: Workspace) -> None:
    rows = Rows(pl.DataFrame({"t": ["same", "same", "other", "same"]}))
    task = create(ws, "twins", rows, "text", ["a", "b"])
    given = claim(ws, task.id, "jo", 4).items
    assert [one.item for one in given] == [0, 1, 2, 3]
    assert len({one.digest for one in given}) == 2
    commit(ws, task.id, "jo", [label(f"e{n}", n, "aabb"[n]) for n in range(4)])
    for format, to in (("jsonl", "t.jsonl"), ("csv", "t.csv"), ("doccano", "d.jsonl")):
        path = _out(ws, "twins", to, format)
        create(ws, format, rows, "text", ["a", "b"])
        import_file(ws, format, path, format)
        assert labels(ws, format)["label"].tolist() == ["a", "a", "b", "b"], format


def test_a_class_that_labels_name_is_not_renamed_while_people_label(ws: Workspace) -> None:
    rows = Rows(pl.DataFrame({"t": ["x", "y", "z"]}))
    task = create(ws, "t", rows, "text", ["cat", "dog"])
    given = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 3})
    answer(ws, task.id, "jo", "events", {"events": [event("e0", 0, "cat")]})
    for renamed in (["kitten", "dog"], ["dog", "cat"], ["cat", "bird"]):
        with pytest.raises(Conflict, match="keep them in this order and add new ones at the end"):
            create(ws, "t", rows, "text", renamed)
    # A new name goes to the end: what is on its way under the old one is kept.
    create(ws, "t", rows, "text", ["cat", "dog", "kitten"])
    sent = [event("e1", 1, "cat"), event("e2", 2, "kitten")]
    kept = answer(ws, task.id, "jo", "events", {"events": sent})
    assert (kept["accepted"], kept["refused"]) == (["e1", "e2"], [])
    assert given["task"]["classes"] == ["cat", "dog"]
    again = answer(ws, task.id, "jo", "claim", {"session": "s", "count": 1})
    assert again["task"]["classes"] == ["cat", "dog", "kitten"]
    assert get(ws, "t").classes == ("cat", "dog", "kitten")
    assert labels(ws, "t")["label"].tolist() == ["cat", "cat", "kitten"]

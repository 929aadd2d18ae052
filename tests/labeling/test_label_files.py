"""Labels go out of the store into files of any format, as versions, and come back."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image

from jupyter_mlops import data, labeling
from jupyter_mlops.labeling import Task, commit, create, png, status
from jupyter_mlops.labeling.labelsets import take
from jupyter_mlops.workspace import Conflict, Denied, Invalid, NotFound, Workspace

from .conftest import Rows, label, skip, undo

CLASSES = ["cat", "dog"]
BOX = {"label": "dog", "x": 2.0, "y": 1.0, "width": 10.0, "height": 4.5}


@pytest.fixture
def boxes(ws: Workspace) -> Task:
    """Three images, two files and one that the table carries; the first two are labelled."""
    folder = ws.root / "shots"
    folder.mkdir()
    Image.new("RGB", (64, 48)).save(folder / "a.png")
    # A camera that was held upright: a browser shows it 48 wide.
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (64, 48)).save(folder / "b.jpg", exif=turned)
    Image.new("RGB", (64, 48)).save(folder / "c.png")
    frame = pl.DataFrame({"path": ["shots/a.png", "shots/b.jpg", "shots/c.png"]})
    task = create(ws, "cats", Rows(frame), "image", CLASSES, answer="boxes")
    commit(ws, "cats", "maria", [label("e1", 0, [BOX]), label("e2", 1, [])])
    return task


def other(ws: Workspace, task: str, name: str = "again") -> Task:
    """Another task on the same data."""
    found = labeling.get(ws, task)
    if found.kind == "text":
        rows = pl.DataFrame({"remark": [f"remark {n}" for n in range(found.counts.total)]})
    else:
        rows = pl.DataFrame({"path": ["shots/a.png", "shots/b.jpg", "shots/c.png"]})
    return create(ws, name, Rows(rows), found.kind, list(found.classes), answer=found.answer)


def standing(ws: Workspace, task: str) -> dict[int, Any]:
    frame = labeling.export(ws, task).frame
    return dict(zip(frame["item"], frame["label"], strict=True))


@pytest.mark.parametrize(
    ("format", "to"),
    [
        ("coco", "out/cats.json"),
        ("yolo", "out/yolo"),
        ("yolo", "out/yolo.zip"),
        ("voc", "out/voc"),
        ("cvat", "out/cats.xml"),
        ("label-studio", "out/tasks.json"),
        ("prodigy", "out/cats.jsonl"),
        ("csv", "out/cats.csv"),
        ("jsonl", "out/all.jsonl"),
    ],
)
def test_labels_go_out_and_come_back_into_another_task(
    ws: Workspace, boxes: Task, format: str, to: str
) -> None:
    done = labeling.export(ws, "cats", to, format)
    assert Path(done.path or "").exists()
    other(ws, "cats")
    brought = labeling.import_file(ws, "again", done.path or "")
    assert (brought.format, brought.new) == (format, 2)
    assert [json.loads(one) for one in standing(ws, "again").values()] == [
        [pytest.approx(BOX)],
        [],
    ]
    assert labeling.import_file(ws, "again", done.path or "").new == 0
    assert status(ws, "again").people[0].labels == 2


def test_a_picture_is_as_large_as_a_browser_shows_it(ws: Workspace, boxes: Task) -> None:
    done = labeling.export(ws, "cats", "cats.json", "coco")
    images = json.loads(Path(done.path or "").read_text())["images"]
    assert [(one["width"], one["height"]) for one in images] == [(64, 48), (48, 64)]


def test_all_decisions_move_to_another_workspace(
    ws: Workspace, texts: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    texts(4)
    commit(ws, "remarks", "maria", [label("e1", 0), label("e2", 1, "b"), undo("e3", 1, "e2")])
    commit(ws, "remarks", "maria", [skip("e4", 2), label("e5", 3, active_ms=700)])
    done = labeling.export(ws, "remarks", "all.jsonl")
    there = Workspace.open(tmp_path_factory.mktemp("there"), user="maria")
    frame = pl.DataFrame({"remark": [f"remark {n}" for n in range(4)]})
    create(there, "remarks", Rows(frame), "text", ["a", "b"])
    brought = labeling.import_file(there, "remarks", done.path or "")
    assert (brought.found, brought.new) == (5, 5)
    assert labeling.export(there, "remarks", "all.jsonl").frame.equals(done.frame)
    first = [json.loads(line) for line in Path(done.path or "").read_text().splitlines()]
    second = [json.loads(line) for line in (there.root / "all.jsonl").read_text().splitlines()]
    for line in first + second:
        for one in line.get("decisions", ()):
            del one["stored_at"]
    # Without its people a task keeps its own rules and roles.
    assert first[1:] == second[1:]
    assert labeling.import_file(there, "remarks", done.path or "").new == 0


def test_a_manifest_lies_beside_the_labels(ws: Workspace, boxes: Task) -> None:
    done = labeling.export(ws, "cats", "cats.json", "coco")
    found = json.loads((ws.root / "cats.json.manifest.json").read_text())
    assert (found["version"], found["format"], found["labeled"]) == (done.version, "coco", 2)
    assert found["people"][0]["name"] == "maria"
    import hashlib

    content = Path(done.path or "").read_bytes()
    assert found["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert found["digests"][0][:2] == [0, "shots/a.png"]


def test_media_go_along_where_the_format_looks_for_them(ws: Workspace) -> None:
    images = [png(np.full((8, 8), 10 * n, np.uint8)) for n in range(2)]
    create(ws, "t", Rows(pl.DataFrame({"x": images})), "image", CLASSES, answer="boxes")
    commit(ws, "t", "maria", [label("e1", 1, [{**BOX, "width": 3.0, "height": 2.0}])])
    labeling.export(ws, "t", "t.zip", "yolo", media=True)
    with zipfile.ZipFile(ws.root / "t.zip") as archive:
        assert archive.read("images/item-000001.png") == images[1]
        assert set(archive.namelist()) == {
            "data.yaml",
            "labels/item-000001.txt",
            "images/item-000001.png",
            "manifest.json",
        }
    with pytest.raises(Invalid, match="folder beside their labels"):
        labeling.export(ws, "t", "t.json", "coco", media=True)


def test_the_same_labels_are_the_same_version_and_others_a_new_one(ws: Workspace, texts) -> None:
    texts(4)
    assert labeling.export(ws, "remarks").version is None
    commit(ws, "remarks", "maria", [label("e1", 0), label("e2", 1, "b")])
    assert labeling.export(ws, "remarks").version == "data:labels.remarks@1"
    assert labeling.export(ws, "remarks", "r.csv").version == "data:labels.remarks@1"
    commit(ws, "remarks", "jo", [label("e3", 2)])
    assert labeling.export(ws, "remarks").version == "data:labels.remarks@2"
    found = labeling.label_set(ws, "remarks@1")
    assert found.pandas()["label"].tolist() == ["a", "b"]
    assert found.provenance["task"] == "label:remarks"
    assert [one["name"] for one in found.provenance["people"]] == ["maria"]
    assert labeling.label_set(ws, "label:remarks").version == 2
    event = ws.events(kind="dataset.added", subject="data:labels.remarks@1")[0]
    assert set(event.inputs) == {"label:remarks", "data:remarks@1"}
    exports = ws.events(kind="label.exported")
    assert {one.outputs for one in exports} == {
        (),
        ("data:labels.remarks@1",),
        ("data:labels.remarks@2",),
    }
    assert data.get(ws, "labels.remarks").rows == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("remarks@7", "no version 7"),
        ("remark@1", "did you mean 'remarks'"),
        ("remarks", "has no labels yet"),
        ("data:flights@1", "no labeling task"),
    ],
)
def test_labels_that_are_not_there_are_told_apart(
    ws: Workspace, texts: Any, name: str, says: str
) -> None:
    texts(2)
    with pytest.raises((NotFound, Invalid), match=says):
        labeling.label_set(ws, name)


def test_a_wrong_line_keeps_the_whole_file_out(ws: Workspace, texts: Any) -> None:
    texts(4)
    file = ws.root / "labels.jsonl"
    file.write_text('{"text": "remark 0", "label": ["a"]}\n{"text": "remark 1", "label": ["z"]}\n')
    with pytest.raises(Invalid, match=r"labels\.jsonl, line 2, .*'z' is no class"):
        labeling.import_file(ws, "remarks", file)
    assert status(ws, "remarks").counts.labeled == 0


def test_who_said_it_elsewhere_is_noted(ws: Workspace, texts: Any) -> None:
    texts(2)
    line = {"text": "remark 0", "accept": ["a"], "answer": "accept", "_annotator_id": "jo"}
    (ws.root / "p.jsonl").write_text(json.dumps(line))
    brought = labeling.import_file(ws, "remarks", ws.root / "p.jsonl")
    assert "jo said so elsewhere" in brought.notes[0]
    labeling.export(ws, "remarks", "all.jsonl")
    decision = json.loads((ws.root / "all.jsonl").read_text().splitlines()[1])["decisions"][0]
    assert (decision["person"], decision["reason"]) == ("maria", "said by jo")


def test_an_owner_may_bring_what_several_people_said(ws: Workspace, texts: Any) -> None:
    texts(3)
    commit(ws, "remarks", "jo", [label("e1", 0), label("e2", 1, "b")])
    commit(ws, "remarks", "ann", [label("e3", 0, "b"), label("e4", 2)])
    commit(ws, "remarks", "jo", [undo("e5", 1, "e2")])
    first = labeling.export(ws, "remarks", "all.jsonl").frame
    other(ws, "remarks")
    brought = labeling.import_file(ws, "again", "all.jsonl", keep_people=True)
    assert (brought.new, len(brought.notes)) == (5, 1)
    second = labeling.export(ws, "again").frame
    assert second.equals(first)
    assert set(second["person"]) == {"jo", "ann"}
    told = ws.events(kind="label.committed", subject="label:again")
    assert {(one.actor, one.payload["person"]) for one in told} == {
        ("maria", "jo"),
        ("maria", "ann"),
    }
    stranger = Workspace.open(ws.root, user="eve")
    other(ws, "remarks", "third")
    with pytest.raises(Denied, match="takes the role owner"):
        labeling.import_file(stranger, "third", "all.jsonl", keep_people=True)


@pytest.mark.parametrize(
    ("to", "format", "says"),
    [
        ("cats.json", None, r"isn't clear.*coco.*--format"),
        ("cats.txt", "yolo", "2 files in YOLO|3 files in YOLO"),
        ("cats.conll", "conll", "can't be written as CoNLL"),
        ("../cats.zip", "yolo", "isn't among the files"),
        (".mlops/cats.zip", "yolo", "isn't among the files"),
        (".", "yolo", "isn't among the files"),
        ("cats.json", "cocoa", "did you mean 'coco'"),
        (None, "coco", "--to"),
    ],
)
def test_an_export_that_makes_no_sense_is_refused(
    ws: Workspace, boxes: Task, to: str | None, format: str | None, says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        labeling.export(ws, "cats", to, format)
    assert not ws.events(kind="label.exported")


def test_a_folder_with_other_labels_stays_as_it_is(ws: Workspace, boxes: Task) -> None:
    old = ws.root / "yolo" / "labels" / "old.txt"
    old.parent.mkdir(parents=True)
    old.write_text("0 0.5 0.5 1 1\n")
    with pytest.raises(Conflict, match=r"labels/old\.txt isn't of these labels"):
        labeling.export(ws, "cats", "yolo", "yolo")
    assert [one.name for one in old.parent.iterdir()] == ["old.txt"]


def test_an_archive_that_unpacks_without_end_is_refused(
    ws: Workspace, boxes: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_mlops.labeling.formats import files

    monkeypatch.setattr(files, "MOST_BYTES", 1000)
    with zipfile.ZipFile(ws.root / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels/a.txt", "0" * 100_000)
    with pytest.raises(Invalid, match="too large to be labels"):
        labeling.import_file(ws, "cats", "bomb.zip")
    (ws.root / "broken.json").write_bytes(b"PK\x03\x04 no archive")
    with pytest.raises(Invalid):
        labeling.import_file(ws, "cats", "broken.json")
    with pytest.raises(NotFound, match="no file"):
        labeling.import_file(ws, "cats", "nowhere.json")


def test_a_cell_trains_on_a_version_of_labels(ws: Workspace, texts: Any) -> None:
    from jupyter_mlops.experiments import find_run
    from jupyter_mlops.verbs.table import find as verb

    texts(8)
    commit(ws, "remarks", "maria", [label(f"e{n}", n, "ab"[n % 2]) for n in range(6)])
    labeling.export(ws, "remarks")
    commit(ws, "remarks", "maria", [label("late", 6)])
    body = (
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.feature_extraction.text import CountVectorizer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "model = make_pipeline(CountVectorizer(), LogisticRegression())\n"
        "model.fit(labels['content'], labels['label'])\n"
        "metrics = {'rows': len(labels)}\n"
    )
    train = verb("train")
    names: dict[str, Any] = {"labels": "mine"}
    run = train(ws, name="r", body=body, namespace=names, labels="remarks@1", seed=1)
    assert run.metrics["rows"] == 6
    assert names["labels"] == "mine"
    event = ws.events(kind="run.finished")[0]
    assert "data:labels.remarks@1" in event.inputs
    again = train(ws, name="r", body=body, namespace={}, labels="remarks@1", seed=1)
    newer = train(ws, name="r", body=body, namespace={}, labels="remarks", seed=1)
    assert newer.metrics["rows"] == 7
    assert again.cell == run.cell != newer.cell
    assert find_run(ws, f"run:{run.id}").variables["--labels"]["kind"] == "labels"


def test_verbs_export_and_import(ws: Workspace, boxes: Task) -> None:
    from jupyter_mlops.verbs.table import find as verb
    from jupyter_mlops.views.registry import view

    done = verb("label export")(ws, task="cats", to="cats.zip", format="yolo", media=True)
    assert "data:labels.cats@1" in view(done).model_dump_json()
    other(ws, "cats")
    brought = verb("label import")(ws, task="again", data=str(ws.root / "cats.zip"))
    assert "Decisions in the file" in view(brought).model_dump_json()
    with pytest.raises(Invalid, match="--column"):
        verb("label import")(ws, task="again", data=pl.DataFrame({"x": [1]}))
    with pytest.raises(Invalid, match="columns of a table"):
        verb("label import")(ws, task="again", data="cats.zip", key="x")


def test_a_decision_that_the_store_would_refuse_keeps_all_out(ws: Workspace, texts: Any) -> None:
    texts(2)
    entries = take(ws, labeling.get(ws, "remarks"), whole=True).entries
    lines = [
        {
            "item": one.item,
            "digest": one.digest,
            "decisions": [{"ev": f"n{one.item}", "kind": "label", "value": "az"[one.item]}],
        }
        for one in entries
    ]
    (ws.root / "bad.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    with pytest.raises(Invalid, match=r"bad\.jsonl, line 2 can't be imported: 'z' is no class"):
        labeling.import_file(ws, "remarks", ws.root / "bad.jsonl")
    assert status(ws, "remarks").counts.labeled == 0


def test_a_decision_of_another_kind_of_label_is_refused_with_its_line(ws: Workspace, texts) -> None:
    texts(2)
    digest = take(ws, labeling.get(ws, "remarks"), whole=True).entries[0].digest
    lines = [
        {"task": "remarks", "classes": ["a", "b"], "answer": "class"},
        {"item": 0, "digest": digest, "decisions": [{"ev": "x 1", "kind": "label", "value": "a"}]},
    ]
    (ws.root / "bad.jsonl").write_text("".join(json.dumps(one) + "\n" for one in lines))
    with pytest.raises(Invalid, match=r"bad\.jsonl, line 2.*ev doesn't fit"):
        labeling.import_file(ws, "remarks", ws.root / "bad.jsonl")


def test_a_film_is_measured_in_pixels_and_frames() -> None:
    import io

    av = pytest.importorskip("av")
    from jupyter_mlops.labeling.formats import Entry
    from jupyter_mlops.labeling.measuring import _film

    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as film:
        stream = film.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            picture = np.full((48, 64, 3), 20 * number, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode(None))
    found = _film(out.getvalue(), Entry(0, "0" * 64, "a.mp4"))
    assert (found.width, found.height, found.rate, found.frames) == (64, 48, 10.0, 12)
    broken = _film(b"no film", Entry(0, "0" * 64, "a.mp4"))
    assert (broken.width, broken.frames) == (0, 0)

"""Every format gives back what was written, and says in which line a file makes no sense."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_mlops.labeling.formats import (
    FORMATS,
    Act,
    Entry,
    LabelSet,
    Prediction,
    find,
    fitting,
    recognize,
)
from jupyter_mlops.labeling.formats.geometry import between, key_moments
from jupyter_mlops.labeling.formats.manifest import manifest
from jupyter_mlops.labeling.formats.naming import unique_names
from jupyter_mlops.workspace import Invalid, MLOpsError

from .label_sets import ANSWERS, EXAMPLES, alike, drawn, label_set, said

PAIRS = [
    (kind, answer, format)
    for kind, answer in ANSWERS
    for format in fitting(kind, answer)
    if format != "spacy"  # which needs spaCy: with the outsiders
]
TEXTS = ["the hand\nis  here 👩🏽‍🚀 naïve—ok?", "same", "same", " \t"]


def back(format: str, labels: LabelSet) -> dict[int, Any]:
    """What a format's files say of the items that they were made from."""
    files = dict(find(format).write(labels).files)
    files.pop("config.xml", None)
    assert recognize(files, labels.kind) is find(format) or format == "audacity"
    return {one.item: one.act.value for one in find(format).read(files, labels).given}


@pytest.mark.parametrize(("kind", "answer", "format"), PAIRS)
def test_what_was_written_is_read_again(kind: str, answer: str, format: str) -> None:
    chance = random.Random(f"{kind} {answer} {format}")
    for _ in range(20):
        found = [drawn(answer, chance, text) for text in TEXTS]
        labels = label_set(kind, answer, [*found, None], [*TEXTS, "open"])
        again = back(format, labels)
        assert said(labels).keys() == again.keys()
        for item, value in again.items():
            assert alike(answer, value, found[item]), (item, value, found[item])


@pytest.mark.parametrize(
    ("kind", "answer", "format", "file", "holds"),
    [
        # Its centre and sides as parts of 640 × 480.
        ("image", "boxes", "yolo", "labels/shots/n0.txt", "0 0.02578125 0.04609375 0.046875"),
        ("image", "polygons", "yolo", "labels/shots/n0.txt", "1 0 0 0.00625 0 0.00625 0.00729166"),
        ("image", "boxes", "coco", "annotations.json", '"bbox": [1.5, 2.0, 30.0, 40.25]'),
        ("image", "polygons", "coco", "annotations.json", '"area": 7.0'),
        # Counted from 1, the last pixel included.
        ("image", "boxes", "voc", "Annotations/shots/n0.xml", "<xmin>2.5</xmin>"),
        ("image", "boxes", "voc", "Annotations/shots/n0.xml", "<xmax>31.5</xmax>"),
        ("image", "boxes", "label-studio", "tasks.json", '"x": 0.234375, "y": 0.41666666666'),
        ("video", "tracks", "label-studio", "tasks.json", '{"frame": 20, "enabled": false'),
        ("video", "segments", "label-studio", "tasks.json", '{"start": 6, "end": 56}'),
        ("image", "boxes", "prodigy", "labels.jsonl", '"center": [16.5, 22.125]'),
        ("image", "boxes", "cvat", "annotations.xml", 'xtl="1.5" ytl="2" xbr="31.5" ybr="42.25"'),
        ("image", "keypoints", "cvat", "annotations.xml", 'points="1,2"'),
        ("video", "tracks", "cvat-video", "shots/n0.xml", 'frame="20" outside="1"'),
        ("audio", "regions", "audacity", "shots/n0.txt", "0.1\t2.25\tcat\n"),
        ("text", "spans", "doccano", "labels.jsonl", '[4, 13, "body part"]'),
    ],
)
def test_numbers_are_what_the_format_means_by_them(
    kind: str, answer: str, format: str, file: str, holds: str
) -> None:
    labels = label_set(kind, answer, EXAMPLES[answer], ["the left hand", "x"])
    content = find(format).write(labels).files[file].decode()
    assert holds in content


def test_each_answer_has_a_format_beside_ours() -> None:
    for kind, answer in ANSWERS:
        others = set(fitting(kind, answer)) - {"jsonl", "csv"}
        assert others, (kind, answer)


def test_a_format_refuses_what_it_cannot_hold_and_names_those_that_can() -> None:
    boxes = label_set("image", "boxes", [[]])
    with pytest.raises(Invalid, match=r"can't be written as CoNLL.*coco, yolo, voc"):
        find("conll").write(boxes)
    with pytest.raises(Invalid, match=r"asks for boxes.*it holds spans"):
        find("conll").read({"a.conll": b""}, boxes)
    with pytest.raises(Invalid, match="did you mean 'coco'"):
        find("cocoo")


def test_overlapping_spans_are_refused_by_conll_with_the_item() -> None:
    spans = [{"label": "cat", "start": 0, "end": 4}, {"label": "dog", "start": 2, "end": 6}]
    labels = label_set("text", "spans", [[], spans], ["x", "abcdef"])
    with pytest.raises(Invalid, match=r"item 1 .*share characters"):
        find("conll").write(labels)
    for format in ("prodigy", "doccano", "label-studio"):
        assert back(format, labels)[1] == spans


def test_conll_says_which_white_space_it_left_out() -> None:
    spans = [{"label": "cat", "start": 0, "end": 4}, {"label": "dog", "start": 6, "end": 7}]
    written = find("conll").write(label_set("text", "spans", [spans], ["abc  d "]))
    assert "2 times" in written.notes[0]


def test_conll_is_iob2_with_a_line_a_token() -> None:
    spans = [{"label": "body part", "start": 4, "end": 9}, {"label": "cat", "start": 9, "end": 10}]
    written = find("conll").write(label_set("text", "spans", [spans], ["the left!\nhand"]))
    assert written.files["labels.conll"].decode().split("\n")[2:8] == [
        "the -X- -X- O",
        "left -X- -X- B-body_part",
        "! -X- -X- I-body_part",
        "hand -X- -X- O",
        "",
        "",
    ] or written.files["labels.conll"].decode().split("\n")[2:5] == [
        "the -X- -X- O",
        "left -X- -X- B-body_part",
        "! -X- -X- I-body_part",
    ]


def test_iob1_and_bilou_of_others_are_read() -> None:
    labels = label_set("text", "spans", [None, None], ["Ann Lee met Bo", "Oslo"])
    file = b"Ann I-cat\nLee I-cat\nmet O\nBo U-dog\n\nOslo S-dog\n"
    reading = find("conll").read({"x.conll": file}, labels)
    assert [one.act.value for one in reading.given] == [
        [{"label": "cat", "start": 0, "end": 7}, {"label": "dog", "start": 12, "end": 14}],
        [{"label": "dog", "start": 0, "end": 4}],
    ]


@pytest.mark.parametrize(
    ("kind", "answer", "format", "files", "says"),
    [
        ("image", "boxes", "coco", {"a.json": b'{\n"images": [}'}, r"a\.json, line 2, .*JSON"),
        ("image", "boxes", "coco", {"a.json": b"[]"}, r"a\.json can't be read: an object"),
        (
            "image",
            "boxes",
            "coco",
            {
                "a.json": b'{"images":[{"id":1,"file_name":"n9.png"}],"annotations":[],'
                b'"categories":[]}'
            },
            r"a\.json, image 1, .*no item called 'n9\.png'",
        ),
        (
            "image",
            "boxes",
            "coco",
            {
                "a.json": b'{"images":[{"id":1,"file_name":"n0.png"}],"categories":[{"id":1,'
                b'"name":"cow"}],"annotations":[{"image_id":1,"category_id":1,"bbox":[1,2,3,4]}]}'
            },
            r"a\.json, annotation 1, .*'cow' is no class",
        ),
        (
            "image",
            "polygons",
            "coco",
            {
                "a.json": b'{"images":[{"id":1,"file_name":"n0.png"}],"categories":[{"id":1,'
                b'"name":"cat"}],"annotations":[{"image_id":1,"category_id":1,'
                b'"segmentation":{"counts":[1],"size":[1,1]}}]}'
            },
            r"annotation 1, .*mask of run lengths",
        ),
        (
            "image",
            "boxes",
            "yolo",
            {"data.yaml": b"names: [cat]", "labels/n0.txt": b"0 .5 .5 .1 .1\n1 .5 .5 .1 .1"},
            r"labels/n0\.txt, line 2, .*no class 1",
        ),
        (
            "image",
            "boxes",
            "yolo",
            {"data.yaml": b"names: [cat]", "labels/n0.txt": b"0 .5 x .1 .1"},
            r"line 1, .*'x' is no number",
        ),
        ("image", "boxes", "yolo", {"labels/n0.txt": b""}, "no data.yaml"),
        ("image", "boxes", "yolo", {"data.yaml": b"names: [a\nb: {"}, r"data\.yaml, line"),
        ("image", "boxes", "voc", {"n0.xml": b"<annotation>\n<a>"}, r"n0\.xml, line 2, .*XML"),
        (
            "image",
            "boxes",
            "voc",
            {"n0.xml": b"<annotation><filename>n0.png</filename><object/></annotation>"},
            r"n0\.xml, object 1, .*no <name>",
        ),
        (
            "image",
            "boxes",
            "voc",
            {"n0.xml": b'<!DOCTYPE a [<!ENTITY b "c">]><annotation>&b;</annotation>'},
            "DTD or entities",
        ),
        ("text", "spans", "conll", {"a.conll": b"text O\nzero\n"}, "line 2, .*tag after it"),
        ("text", "spans", "conll", {"a.conll": b"text X-cat\n0 O\n"}, "line 1, .*no tag such"),
        ("text", "spans", "conll", {"a.conll": b"other O\n"}, "no text that begins 'other'"),
        ("text", "class", "doccano", {"a.jsonl": b'{"text":"text 0"}'}, "line 1, .*no 'label'"),
        ("text", "class", "doccano", {"a.jsonl": b'\n{"text'}, r"a\.jsonl, line 2, .*JSON"),
        (
            "text",
            "class",
            "prodigy",
            {"a.jsonl": b'{"text":"text 0","accept":["cat","dog"],"answer":"accept"}'},
            "line 1, .*2 answers",
        ),
        ("text", "class", "csv", {"a.csv": b"item,label\n0,cat\n7,cat\n"}, "line 3, .*item 7"),
        ("text", "class", "csv", {"a.csv": b"x,label\n0,cat\n"}, "line 2, .*names no item"),
        ("text", "class", "csv", {"a.csv": b"item,label\n0,\xff\n"}, r"a\.csv, line 2, .*UTF-8"),
        (
            "text",
            "class",
            "label-studio",
            {"a.json": b'[{"data":{"text":"text 0"},"annotations":[{"result":[]}]}]'},
            "task 1, annotation 1, .*0 answers",
        ),
        ("audio", "regions", "audacity", {"n0.txt": b"0\t1\tcat\n0 1 cat"}, "line 2, .*tabs"),
        (
            "video",
            "tracks",
            "mot",
            {"shots/n0/gt/gt.txt": b"1,1,0,0,5,5,1,1,1\n1,1,0,0,5,5,1,9,1"},
            r"gt\.txt, line 2, .*no class 9",
        ),
        (
            "image",
            "boxes",
            "cvat",
            {
                "a.xml": b'<annotations><image name="n0.png"><box label="cat"/></image>'
                b"</annotations>"
            },
            r"image 1, .*no 'xtl'",
        ),
        ("text", "class", "jsonl", {"a.jsonl": b'{"item":0,"digest":"x"}'}, "no 'decisions'"),
        (
            "text",
            "class",
            "jsonl",
            {"a.jsonl": b'{"task":"t","classes":["a"],"answer":"spans"}'},
            "line 1, .*it holds spans",
        ),
    ],
)
def test_a_file_that_makes_no_sense_is_named_with_the_line(
    kind: str, answer: str, format: str, files: dict[str, bytes], says: str
) -> None:
    with pytest.raises(Invalid, match=says):
        find(format).read(files, label_set(kind, answer, [None, None]))


@pytest.mark.parametrize(("kind", "answer", "format"), PAIRS)
def test_a_damaged_file_is_refused_in_a_sentence_or_read(
    kind: str, answer: str, format: str
) -> None:
    chance = random.Random(f"{kind} {answer} {format}")
    labels = label_set(kind, answer, EXAMPLES[answer], ["the left hand", "x"])
    files = dict(find(format).write(labels).files)
    files.pop("config.xml", None)
    refused = 0
    for _ in range(100):
        name = chance.choice(sorted(files))
        content = bytearray(files[name])
        for _ in range(chance.randint(1, 3)):
            at = chance.randint(0, len(content))
            put = chance.choices(b'0123456789-.,{}[]<>"\n\t e\xff\x00', k=chance.randint(0, 3))
            content[at : at + chance.randint(0, 9)] = bytes(put)
        try:
            find(format).read({**files, name: bytes(content)}, labels)
        except MLOpsError as error:
            refused += bool(error.what)
    assert refused


def test_predictions_people_and_skips_go_to_label_studio_and_back() -> None:
    maria, jo = Act("cat", "maria", active_ms=1500), Act("dog", "jo")
    unsure = Act(None, "jo", skipped=True)
    entries = (
        Entry(0, "0" * 64, "a.png", standing=maria, opinions=(maria, jo)),
        Entry(1, "1" * 64, "b.png", standing=unsure, opinions=(unsure,)),
        Entry(
            2,
            "2" * 64,
            "c.png",
            standing=maria,
            opinions=(maria,),
            predictions=(Prediction("dog", "model:cats@3", 0.75),),
        ),
    )
    labels = LabelSet("cats", "image", "class", ("cat", "dog"), entries)
    written = find("label-studio").write(labels)
    tasks = json.loads(written.files["tasks.json"])
    assert [len(one["annotations"]) for one in tasks] == [2, 1, 1]
    assert tasks[1]["annotations"][0]["was_cancelled"]
    assert tasks[2]["predictions"][0]["model_version"] == "model:cats@3"
    reading = find("label-studio").read({"tasks.json": written.files["tasks.json"]}, labels)
    assert [(one.item, one.act.person, one.act.value) for one in reading.given] == [
        (0, "maria", "cat"),
        (0, "jo", "dog"),
        (1, "jo", None),
        (2, "maria", "cat"),
    ]
    assert reading.given[0].act.active_ms == 1500
    assert "1 predictions were left out" in reading.notes[0]


def test_spans_that_a_browser_counted_are_found_by_their_text() -> None:
    labels = label_set("text", "spans", [None], ["💩 an annotation"])
    value = {"start": 6, "end": 16, "text": "annotation", "labels": ["cat"]}
    task = {"data": {"text": "💩 an annotation"}, "annotations": [{"result": [{"value": value}]}]}
    reading = find("label-studio").read({"a.json": json.dumps([task]).encode()}, labels)
    assert reading.given[0].act.value == [{"label": "cat", "start": 5, "end": 15}]


def test_an_object_of_several_parts_becomes_a_polygon_a_part_and_is_told() -> None:
    content = {
        "images": [{"id": 5, "file_name": "/data/shots/n1.png"}],
        "categories": [{"id": 9, "name": "cat"}],
        "annotations": [
            {
                "image_id": 5,
                "category_id": 9,
                "segmentation": [[0, 0, 4, 0, 4, 4], [9, 9, 9, 8, 8, 8]],
            }
        ],
    }
    labels = label_set("image", "polygons", [None, None])
    reading = find("coco").read({"a.json": json.dumps(content).encode()}, labels)
    assert [len(one.act.value) for one in reading.given] == [2]
    assert "1 objects of several parts" in reading.notes[0]


def test_mot_has_a_box_a_frame_until_the_object_leaves() -> None:
    box = {"x": 0, "y": 0, "width": 4, "height": 4}
    ends = [
        {"frame": 0, **box, "outside": False},
        {"frame": 4, **box, "x": 8, "outside": False},
        {"frame": 6, **box, "outside": True},
    ]
    value = [{"label": "dog", "track": 7, "keyframes": ends}]
    labels = label_set("video", "tracks", [value])
    lines = find("mot").write(labels).files["shots/n0/gt/gt.txt"].decode().splitlines()
    assert lines[:2] == ["1,7,0,0,4,4,1,2,1.0", "2,7,2,0,4,4,1,2,1.0"]
    assert len(lines) == 6
    assert back("mot", labels)[0][0]["keyframes"][-1] == {
        "frame": 6, "x": 8, "y": 0, "width": 4, "height": 4, "outside": True
    }  # fmt: skip


def test_few_keyframes_say_where_every_box_is() -> None:
    chance = random.Random(7)
    for track in [one for _ in range(60) for one in drawn("tracks", chance)]:
        boxes = list(between(track["keyframes"], 60))
        again = list(between(key_moments(boxes, 0.005, 60), 60))
        assert [one["frame"] for one in again] == [one["frame"] for one in boxes]
        for one, other in zip(boxes, again, strict=True):
            assert one == pytest.approx(other, abs=0.01)


@given(
    st.lists(st.sampled_from(["", "a/x.png", "a/x.jpg", "a/X.png", "x", "a/x-0.png"]), max_size=8)
)
def test_no_two_items_share_a_name_without_its_ending(paths: list[str]) -> None:
    names = unique_names((n, path, "image/png") for n, path in enumerate(paths))
    stems = {name.rpartition(".")[0].lower() or name.lower() for name in names.values()}
    assert len(stems) == len(paths)


def test_a_manifest_tells_whose_labels_these_are_and_how_items_were_chosen() -> None:
    labels = label_set("text", "class", ["cat", "dog", None])
    written = find("csv").write(labels)
    found = json.loads(
        manifest(labels, "csv", written.files, version="data:labels.cats@1", agreement={"mean": 1})
    )
    assert found["labeled"] == 2
    assert found["people"][0] | {"first": 0, "last": 0} == {
        "name": "maria",
        "labels": 2,
        "skips": 0,
        "first": 0,
        "last": 0,
    }
    assert found["selection"]["strategies"] == {"in the data's order": 2}
    assert found["digests"][1] == [1, "shots/n1", f"{1:064x}"]
    assert len(found["schema"]) == len(found["items"]) == 64
    other = label_set("text", "class", ["cat", "dog", "dog"])
    assert json.loads(manifest(other, "csv", {}))["schema"] == found["schema"]
    assert json.loads(manifest(other, "csv", {}))["items"] != found["items"]


def test_labels_with_characters_that_xml_lacks_are_refused_by_xml_alone() -> None:
    labels = LabelSet("t", "image", "class", ("a\x01",), label_set("image", "class", []).entries)
    with pytest.raises(Invalid, match="XML has no way to write"):
        find("cvat").write(labels)


def test_every_format_is_named_as_the_verb_says() -> None:
    from jupyter_mlops.verbs.labeling import label_export

    told = (label_export.__doc__ or "").replace("\n", " ")
    assert all(f" {name}" in told for name in FORMATS)

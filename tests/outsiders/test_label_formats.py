"""Software that nobody here wrote reads the labels that we write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from jupyter_mlops.labeling.formats import LabelSet, find, write_files
from labeling.label_sets import ANSWERS, EXAMPLES, HEIGHT, WIDTH, label_set

TEXTS = ["the left hand 👩🏽‍🚀\nis  here", "x"]


def drawn(tmp_path: Path, format: str, answer: str) -> tuple[Path, LabelSet]:
    """Two labelled images with their labels in a format."""
    labels = label_set("image", answer, EXAMPLES[answer])
    chosen = find(format)
    write_files(tmp_path / format, chosen.write(labels).files)
    for entry in labels.entries:
        path = tmp_path / format / chosen.media / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    return tmp_path / format, labels


def corners(labels: LabelSet, item: int) -> list[list[float]]:
    return [
        [one["x"], one["y"], one["x"] + one["width"], one["y"] + one["height"]]
        for one in labels.entries[item].value
    ]


def test_pycocotools_reads_boxes(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    folder, labels = drawn(tmp_path, "coco", "boxes")
    found = coco.COCO(str(folder / "annotations.json"))
    assert [one["name"] for one in found.loadCats(found.getCatIds())] == list(labels.classes)
    assert len(found.getImgIds()) == 2
    boxes = [one["bbox"] for one in found.loadAnns(found.getAnnIds(imgIds=[1]))]
    value = labels.entries[0].value
    assert boxes == [[one[side] for side in ("x", "y", "width", "height")] for one in value]
    assert found.getAnnIds(imgIds=[2]) == []


def test_pycocotools_fills_polygons(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    folder, _ = drawn(tmp_path, "coco", "polygons")
    found = coco.COCO(str(folder / "annotations.json"))
    one = found.loadAnns(found.getAnnIds())[0]
    assert one["area"] == 7
    assert found.annToMask(one).shape == (HEIGHT, WIDTH)
    assert 4 <= found.annToMask(one).sum() <= 10


def test_pycocotools_scores_keypoints(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    scoring = pytest.importorskip("pycocotools.cocoeval")
    folder, _ = drawn(tmp_path, "coco", "keypoints")
    truth = coco.COCO(str(folder / "annotations.json"))
    kept = ("image_id", "category_id", "keypoints")
    guesses = [
        {name: one[name] for name in kept} | {"score": 1.0}
        for one in truth.loadAnns(truth.getAnnIds())
    ]
    score = scoring.COCOeval(truth, truth.loadRes(guesses), "keypoints")
    score.params.kpt_oks_sigmas = np.full(3, 0.1)
    score.evaluate()
    score.accumulate()
    score.summarize()
    assert score.stats[0] == 1


@pytest.mark.parametrize("format", ["coco", "yolo", "voc"])
def test_supervision_sees_the_same_boxes(tmp_path: Path, format: str) -> None:
    sv = pytest.importorskip("supervision")
    folder, labels = drawn(tmp_path, format, "boxes")
    images = str(folder / find(format).media / "shots")
    if format == "coco":
        images = str(folder / "images")
        found = sv.DetectionDataset.from_coco(images, str(folder / "annotations.json"))
    elif format == "yolo":
        found = sv.DetectionDataset.from_yolo(
            images, str(folder / "labels" / "shots"), str(folder / "data.yaml")
        )
    else:
        found = sv.DetectionDataset.from_pascal_voc(images, str(folder / "Annotations" / "shots"))
    seen = {Path(name).stem: one for name, one in found.annotations.items()}
    assert seen["n0"].xyxy == pytest.approx(np.array(corners(labels, 0)), abs=0.01)
    assert [found.classes[int(one)] for one in seen["n0"].class_id] == ["cat", "dog"]
    assert len(seen["n1"].xyxy) == 0


@pytest.mark.parametrize(("kind", "answer"), ANSWERS)
def test_label_studio_finds_nothing_wrong(kind: str, answer: str) -> None:
    sdk = pytest.importorskip("label_studio_sdk.label_interface")
    if answer == "segments" and "TimelineLabels" not in Path(sdk.control_tags.__file__).read_text():
        pytest.skip("this release of the validator doesn't know segments of films")
    written = find("label-studio").write(label_set(kind, answer, EXAMPLES[answer], TEXTS))
    interface = sdk.LabelInterface(written.files["config.xml"].decode())
    interface.validate()
    tasks = json.loads(written.files["tasks.json"])
    assert len(tasks) == 2
    for task in tasks:
        assert interface.validate_task({"data": task["data"]})
        assert all(interface.validate_annotation(one) for one in task["annotations"])


@pytest.mark.parametrize("answer", ["spans", "class", "classes"])
def test_spacy_reads_its_corpus_and_gives_it_back(answer: str) -> None:
    spacy = pytest.importorskip("spacy")
    from spacy.tokens import DocBin

    labels = label_set("text", answer, EXAMPLES[answer], TEXTS)
    files = find("spacy").write(labels).files
    documents = list(DocBin().from_bytes(files["labels.spacy"]).get_docs(spacy.blank("en").vocab))
    assert [one.text for one in documents] == TEXTS
    if answer == "spans":
        assert [(one.text, one.label_) for one in documents[0].ents] == [("left hand", "body part")]
    else:
        assert documents[0].cats["cat"] == 1
    found = {one.item: one.act.value for one in find("spacy").read(files, labels).given}
    assert found == {entry.item: entry.value for entry in labels.entries}


def test_spacy_keeps_spans_that_share_characters_or_end_in_white_space() -> None:
    pytest.importorskip("spacy")
    spans = [
        {"label": "cat", "start": 0, "end": 4},
        {"label": "dog", "start": 3, "end": 9},
        {"label": "cat", "start": 17, "end": 19},
    ]
    labels = label_set("text", "spans", [spans], TEXTS)
    files = find("spacy").write(labels).files
    assert find("spacy").read(files, labels).given[0].act.value == spans


def test_spacy_converts_our_conll() -> None:
    pytest.importorskip("spacy")
    from spacy.training.converters import conll_ner_to_docs

    spans: list[Any] = [[{"label": "body part", "start": 4, "end": 13}], []]
    written = find("conll").write(label_set("text", "spans", spans, TEXTS))
    documents = conll_ner_to_docs(written.files["labels.conll"].decode(), no_print=True)
    found = [(one.text, one.label_) for document in documents for one in document.ents]
    assert found == [("left hand", "body_part")]

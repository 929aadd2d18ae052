"""The notebook about labels runs without a person, and shows what a reader is told it shows."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from papermilled import run, shown


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labels")


@pytest.fixture(scope="module")
def executed(place: Path) -> nbformat.NotebookNode:
    """The notebook, executed by papermill; fewer rounds tell the same."""
    return run("labeling.ipynb", place, rounds=8)


def printed(executed: nbformat.NotebookNode, word: str) -> str:
    """What the one cell printed that has a word in its source."""
    (cell,) = [one for one in executed.cells if word in one.source and one.cell_type == "code"]
    return "".join(one.text for one in cell.outputs if one.output_type == "stream")


def test_a_cell_that_would_open_a_labeler_shows_how_far_it_is_and_goes_on(
    executed: nbformat.NotebookNode,
) -> None:
    kinds = {
        "digits": "150 items · image", "paragraphs": "146 items · text",
        "photos": "2 items · image", "bikes": "1 item · video", "speech": "8 items · audio",
        "wines": "40 items · row", "clearer": "10 items · pair",
    }  # fmt: skip
    for task, items in kinds.items():
        text = shown(executed, f"%mlops label {task} ")
        assert items in text.splitlines()[0]
        assert f"Labelled: 0 of {items.split()[0]}" in text
    content = nbformat.writes(executed)
    assert "widget-view" not in content
    assert len(content) < 1_000_000
    html = [
        one.data["text/html"]
        for cell in executed.cells
        for one in cell.get("outputs", [])
        if "text/html" in one.get("data", {})
    ]
    assert len(html) > 30
    assert not any("<script" in one for one in html)


def test_three_people_are_judged_by_known_answers_and_by_each_other(
    executed: nbformat.NotebookNode,
) -> None:
    assert "New: 450" in shown(executed, "%mlops label import digits")
    people = shown(executed, "%mlops label people digits")
    skill = {name: float(re.search(rf"{name} .*([01]\.\d+)", people)[1]) for name in PEOPLE}
    assert skill["ana"] > skill["ben"] > skill["cleo"]
    assert "Known answers: 30" in people
    agreement = shown(executed, "%mlops label agreement digits")
    assert re.search(r"alpha, nominal +0\.\d+", agreement)
    assert "cleo" in shown(executed, "%mlops label disputes digits")
    right = {
        who: int(share)
        for who, share in re.findall(r"(\w+): (\d+)%", printed(executed, "right = {"))
    }
    assert right["reviewed"] >= right["together"] >= max(right[one] for one in PEOPLE)


PEOPLE = ("ana", "ben", "cleo")


def test_a_reviewers_word_makes_a_new_version_of_the_labels(
    executed: nbformat.NotebookNode,
) -> None:
    assert printed(executed, "reviewed = ").strip() == "data:labels.digits@1 → data:labels.digits@2"


def test_a_run_without_enough_agreement_is_told_why(executed: nbformat.NotebookNode) -> None:
    assert "150 of 150" in shown(executed, "%mlops label require digits")
    assert "0.99 is required" in printed(executed, "except Conflict")


def test_the_stated_accuracy_comes_with_its_interval_and_beside_the_truth(
    executed: nbformat.NotebookNode,
) -> None:
    assert "Accuracy: not known yet" in shown(executed, "%mlops label pick scans")
    assert re.search(r"Accuracy: \d.*% \(.*% to .*%\)", shown(executed, "%mlops label rank scans"))
    told = printed(executed, "stated = ranking.accuracy")
    count, *shares = re.findall(r"(\d+) items.*?([\d.]+)%.*?([\d.]+)%.*?([\d.]+)%", told)[0]
    assert int(count) >= 8
    value, low, high = map(float, shares)
    assert low <= value <= high
    assert float(re.search(r"nobody labelled: ([\d.]+)%", told)[1]) > 80


def test_rules_propose_and_files_of_other_tools_come_in(executed: nbformat.NotebookNode) -> None:
    rules = shown(executed, "%mlops label functions paragraphs")
    assert re.search(r"Suggested: \d\d", rules)
    assert "cites" in rules
    assert "Format: doccano" in shown(executed, "%mlops label import numbers")
    photos = shown(executed, "%mlops label import photos")
    assert "Labelled: 2 of 2" in photos
    assert "2 flower" in photos
    assert "parked" in shown(executed, "%mlops label import bikes")
    assert "1 front, 1 left" in shown(executed, "%mlops label import speech")


def test_what_goes_out_comes_in_again_unchanged(
    executed: nbformat.NotebookNode, place: Path
) -> None:
    for name in ("digits.jsonl", "photos.zip", "speech.zip"):
        assert (place / "project" / name).stat().st_size > 500
    told = printed(executed, "copied = ")
    assert told.count("True") == 2
    assert "False" not in told


def test_a_model_says_which_labels_taught_it(executed: nbformat.NotebookNode) -> None:
    text = shown(executed, "%%mlops train digit --labels digits@1")
    assert "accuracy: 0." in text
    assert "can't be registered" not in text
    assert "✓ Every event follows from the one before." in shown(executed, "%mlops audit verify")

"""What is broken, huge or hostile in a labeler; no key leaks, and everybody can use it."""

from __future__ import annotations

import pytest
from labelcells import LABELER, answers, film, run_cell, saved

from jupyter_mlops.labeling import status
from jupyter_mlops.labeling.records import TaskRecord
from jupyter_mlops.workspace import Workspace

MADE = """\
%load_ext jupyter_mlops
import io, wave
import numpy as np, polars as pl
from jupyter_mlops.labeling import png
pictures = np.random.default_rng(3).integers(0, 255, (3, 100, 200, 3), dtype="uint8")
def sound(seconds):
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1); out.setsampwidth(2); out.setframerate(8000)
        out.writeframes((9000 * np.sin(np.arange(8000 * seconds) / 3)).astype("<i2").tobytes())
    return file.getvalue()
sounds = pl.DataFrame({"s": [sound(0), sound(2)]})
texts = pl.DataFrame({"t": ["<script>alert(1)</script> Ada & Bob", "plain"]})
both = pl.DataFrame({"left": ["<b>one</b>"], "right": ["two"]})
films = pl.DataFrame({"f": ["square.mp4"]})
"""
ASKED = {
    "class": "{pictures} --kind image --classes a,b",
    "classes": "{pictures} --kind image --answer classes --classes a,b",
    "rating": "{pictures} --kind image --answer rating",
    "text": "{texts} --kind text --answer text",
    "pairwise": "{both} --kind pair",
    "row": "{both} --kind row --classes a,b",
    "boxes": "{pictures} --kind image --answer boxes --classes a,b",
    "polygons": "{pictures} --kind image --answer polygons --classes a,b",
    "keypoints": "{pictures} --kind image --answer keypoints --classes a,b",
    "spans": "{texts} --kind text --answer spans --classes a,b",
    "regions": "{sounds[1:]} --kind audio --answer regions --classes a,b",
    "segments": "{films} --kind video --answer segments --classes a,b",
    "tracks": "{films} --kind video --answer tracks --classes a,b",
}
LOADED = "() => [...document.querySelectorAll('audio, video')].every(one => one.readyState)"
# Keys that leave a mark on the item, so that more than an empty surface is looked at.
MARKS = {
    **dict.fromkeys(["boxes", "keypoints", "regions", "segments", "tracks"], "n"),
    "spans": "ArrowRight",
}
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets.map(
    cell => cell.model.type + cell.model.sharedModel.getSource())"""
INSIDE = f"() => document.querySelector('{LABELER}').contains(document.activeElement)"


@pytest.fixture(scope="module")
def pages(lab):
    """A page on an open notebook for each front end."""
    opened = {}

    def page_of(app):
        if app not in opened:
            name = lab.notebook(f"hard-{app}.ipynb", [MADE, "1", "'the end'"])
            opened[app] = lab.open(name, app=app)
            film(opened[app], lab.root / "square.mp4")
            lab.run_all(opened[app])
        return opened[app]

    return page_of


@pytest.fixture
def ask(pages):
    """Open a labeler in the second cell, with the focus in it; the page and the labeler."""

    def open_labeler(task, asked, app="lab", before=""):
        page = pages(app)
        run_cell(page, f"{before}%mlops label {task} {asked}")
        labeler = page.locator(f"[aria-label='Labeler {task}'][data-state=ready]")
        labeler.wait_for()
        labeler.focus()
        return page, labeler

    return open_labeler


def shown(page, item):
    page.wait_for_selector(f"{LABELER}[data-item='{item}']")


def test_what_cannot_be_shown_is_said_and_skipped_and_the_queue_goes_on(lab, ask):
    before = (
        "photos = pl.DataFrame({'f': [b'\\x89PNG\\r\\n\\x1a\\n' + bytes(90), png(pictures[1])]})\n"
    )
    page, labeler = ask("cut", "{photos} --kind image --answer boxes --classes a,b", before=before)
    labeler.get_by_text("This picture can't be shown: it is no image").wait_for()
    assert labeler.get_by_role("button", name="Done").is_disabled()
    for key in ["n", "Enter", "s", "2"]:
        page.keyboard.press(key)
    shown(page, 1)
    page.keyboard.press("n")
    labeler.locator(".mlops-entry").wait_for()
    page.keyboard.press("Enter")
    saved(page)
    assert list(answers(lab, "cut")) == [1]
    assert status(Workspace.open(lab.root), "cut").counts.skipped == 1


def test_a_file_that_was_never_there_is_said(lab, ask):
    before = "open('there.png', 'wb').write(png(pictures[0]))\n"
    before += "files = pl.DataFrame({'f': ['gone.png', 'there.png']})\n"
    page, labeler = ask("gone", "{files} --kind image --classes a,b", before=before)
    labeler.get_by_text("there is no file 'gone.png'").wait_for()
    page.keyboard.press("s")
    page.keyboard.press("2")
    shown(page, 1)
    page.wait_for_selector(f"{LABELER} .mlops-item img")


def test_a_sound_of_no_length_is_said_and_skipped(lab, ask):
    page, labeler = ask("silence", "{sounds} --kind audio --answer regions --classes a,b")
    labeler.get_by_text("there is no sound in it").wait_for()
    page.keyboard.press("s")
    page.keyboard.press("2")
    shown(page, 1)
    page.wait_for_selector(f"{LABELER} .mlops-wave > div")


def test_a_picture_of_ten_thousand_pixels_is_labelled_in_its_own_pixels(lab, ask):
    before = "huge = np.zeros((1, 10_000, 10_000), 'uint8')\nhuge[0, ::100] = 255\n"
    page, labeler = ask("huge", "{huge} --kind image --answer boxes --classes a,b", before=before)
    labeler.locator(".mlops-over").wait_for()
    assert labeler.locator(".mlops-board").bounding_box()["height"] < 800
    page.keyboard.press("n")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"{LABELER}[data-state=done]")
    saved(page)
    box = {"label": "a", "x": 3750, "y": 3750, "width": 2500, "height": 2500}
    assert answers(lab, "huge") == {0: [box]}


@pytest.mark.parametrize("answer", ["class", "spans"])
def test_a_text_of_a_megabyte_is_shown_and_answered(lab, ask, answer):
    before = "long = pl.DataFrame({'t': ['<i>é</i> word ' * 69_000]})\n"
    asked = f"{{long}} --kind text --answer {answer} --classes a,b"
    page, labeler = ask(f"long-{answer}", asked, before=before)
    length = labeler.locator(".mlops-text").evaluate("one => one.textContent.length")
    assert length == 14 * 69_000
    assert labeler.locator(".mlops-text i").count() == 0
    if answer == "spans":
        page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    if answer == "spans":
        labeler.locator(".mlops-entry").wait_for()
        page.keyboard.press("Enter")
    page.wait_for_selector(f"{LABELER}[data-state=done]")
    saved(page)
    expected = "a" if answer == "class" else [{"label": "a", "start": 0, "end": 1}]
    assert answers(lab, f"long-{answer}") == {0: expected}


def test_one_of_five_hundred_classes_is_found_by_its_name(lab, ask):
    classes = ",".join(f"kind-{n:03}" for n in range(500))
    page, labeler = ask("many", f"{{pictures}} --kind image --classes {classes}")
    page.keyboard.press("/")
    page.keyboard.type("404")
    assert labeler.locator(".mlops-class:visible").all_inner_texts() == ["kind-404"]
    page.keyboard.press("Enter")
    shown(page, 1)
    page.keyboard.press("1")
    shown(page, 2)
    saved(page)
    assert answers(lab, "many") == {0: "kind-404", 1: "kind-000"}


def test_classes_added_while_people_label_appear(lab, ask):
    before = "many = pl.DataFrame({'t': [f'text {n}' for n in range(40)]})\n"
    page, labeler = ask("grows", "{many} --kind text --classes a,b", before=before)
    ws = Workspace.open(lab.root)
    with ws.write() as tx:
        task = tx.session.get(TaskRecord, status(ws, "grows").task.id)
        task.classes = ["a", "b", "c"]
    # The next items bring the news.
    for _ in range(12):
        page.keyboard.press("1")
    labeler.get_by_role("button", name="c", exact=True).wait_for()
    page.keyboard.press("3")
    shown(page, 13)
    saved(page)
    assert answers(lab, "grows")[12] == "c"


def test_a_store_behind_the_kernel_alone_sends_the_scripts_and_peaks_too(ask, tmp_path):
    elsewhere = f"import os\nos.environ['JUPYTER_MLOPS_WORKSPACE'] = {str(tmp_path)!r}\n"
    for task, wanted in [("boxes", ".mlops-over"), ("regions", ".mlops-wave > div")]:
        page, labeler = ask(f"far-{task}", ASKED[task], before=elsewhere)
        assert labeler.get_attribute("data-road") == "kernel"
        labeler.locator(wanted).wait_for()
        page.wait_for_function(LOADED)
        page.keyboard.press("n")
        labeler.locator(".mlops-entry").wait_for()
        page.keyboard.press("Enter")
        saved(page)
        assert status(Workspace.open(tmp_path), f"far-{task}").counts.labeled == 1
    run_cell(page, "del os.environ['JUPYTER_MLOPS_WORKSPACE']")


# Of Notebook 7 the front ends' own commands are the question, so a few kinds will do.
@pytest.mark.parametrize(
    ("app", "kinds"), [("lab", [*ASKED]), ("notebook", ["class", "text", "boxes", "tracks"])]
)
def test_every_labeler_keeps_its_keys_and_hands_on_those_of_others(ask, app, kinds):
    for answer in kinds:
        page, _ = ask(f"{app}-keys-{answer}", ASKED[answer], app)
        # Some keys answer: nothing may be left to label.
        labeler = page.locator(LABELER)
        page.evaluate(
            """answer => { const panel = window.jupyterapp.shell.currentWidget;
                panel.content.widgets[2].model.sharedModel.setSource(`'${answer}'`); }""",
            answer,
        )
        before = page.evaluate(CELLS)
        page.wait_for_function(LOADED)
        # What a notebook takes for its own commands, and what labelers know.
        for key in [*"abcdmnxyz", "Delete", "ArrowDown", "Shift+M", "PageDown", "Space"]:
            page.keyboard.press(key)
        if answer == "text":
            page.keyboard.press("e")
            for key in [*"ddabxym", "Delete", "ArrowUp", "Shift+M", "Control+z"]:
                page.keyboard.press(key)
            page.keyboard.press("Escape")
        assert (answer, page.evaluate(CELLS)) == (answer, before)
        assert page.evaluate(INSIDE), answer
        # The keys are shown, and a key that is taken can't be given to another action.
        keys = labeler.get_by_role("list", name="Keys")
        labeler.focus()
        page.keyboard.press("?")
        keys.wait_for()
        labeler.get_by_role("button", name="Other key for: skip this item").click()
        page.keyboard.press("u")
        assert "u is taken: undo" in labeler.locator(".mlops-live").inner_text(), answer
        labeler.focus()
        page.keyboard.press("?")
        keys.wait_for(state="hidden")
        # Saving belongs to the application.
        page.keyboard.press("Control+s")
        page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
        # Once to leave what is being drawn, if anything is, and once to leave.
        page.keyboard.press("Escape")
        if page.evaluate(INSIDE):
            page.keyboard.press("Escape")
        assert not page.evaluate(INSIDE), answer


def test_undo_in_the_notebook_does_not_change_a_drawing(ask):
    page, labeler = ask("calm", ASKED["boxes"])
    labeler.locator(".mlops-over").wait_for()
    page.keyboard.press("n")
    labeler.locator(".mlops-entry").wait_for()
    page.keyboard.press("Escape")
    page.locator(".jp-Notebook .cm-content").first.click()
    page.keyboard.press("Control+z")
    labeler.focus()
    page.keyboard.press("ArrowRight")
    assert labeler.locator(".mlops-entry").count() == 1


@pytest.mark.parametrize("task", ASKED)
def test_every_labeler_is_accessible_in_both_themes(lab, ask, axe, shots, task):
    page, labeler = ask(f"axe-{task}", ASKED[task])
    page.wait_for_function(LOADED)
    page.keyboard.press(MARKS.get(task, "?"))
    page.keyboard.press("?")
    try:
        for theme, name in [("JupyterLab Dark", "dark"), ("JupyterLab Light", "light")]:
            lab.theme(page, theme)
            labeler.focus()
            assert axe(page, LABELER) == []
            shots(page, f"kind-{task}-{name}")
    finally:
        lab.theme(page, "JupyterLab Light")

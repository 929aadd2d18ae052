"""The labeler in a panel of JupyterLab: no notebook, no kernel."""

from __future__ import annotations

import time

import polars as pl
import pytest
from labelcells import LABELER, answers, saved

from jupyter_mlops import data
from jupyter_mlops.data import add
from jupyter_mlops.labeling import Decision, commit, create
from jupyter_mlops.workspace import Workspace

EXECUTE = "([id, args]) => window.jupyterapp.commands.execute(id, args)"


def execute(page, command, **args):
    page.evaluate(EXECUTE, [f"jupyter-mlops:{command}", args])


def test_a_task_is_made_by_a_form_and_labelled_without_a_kernel(lab, axe, shots):
    (lab.root / "remarks.csv").write_text("remark\nfog at dawn\nno crew\nsnow\n")
    add(Workspace.open(lab.root), "remarks", pl.read_csv(lab.root / "remarks.csv"))
    page = lab.open()
    execute(page, "open-list", list="labels")
    form = page.locator(".jp-mlops-Panel form, .jp-mlops-Panel").filter(has_text="New task")
    form.get_by_role("textbox", name="Name").first.fill("reasons")
    form.get_by_role("combobox", name="Data").first.select_option("data:remarks@1")
    form.get_by_role("textbox", name="Classes").first.fill("weather,crew")
    form.get_by_role("textbox", name="Guideline").first.fill("**Fog** is *weather*.")
    shots(page, "labels-form")
    form.get_by_role("button", name="Make the task").click()
    made = page.locator(".jp-mlops-View[data-kind=label-task]")
    made.get_by_role("button", name="Label", exact=True).click()
    labeler = page.locator("[aria-label='Labeler reasons'][data-state=ready]")
    labeler.wait_for()
    assert labeler.locator(".mlops-guideline strong").inner_text() == "Fog"
    assert labeler.locator(".mlops-text").inner_text() == "fog at dawn"
    for theme, name in [("JupyterLab Dark", "dark"), ("JupyterLab Light", "light")]:
        lab.theme(page, theme)
        assert axe(page, ".jp-mlops-Labeler") == []
        shots(page, f"labeler-panel-{name}")
    labeler.focus()
    page.keyboard.press("1")
    page.keyboard.press("2")
    saved(page)
    assert answers(lab, "reasons") == {0: "weather", 1: "crew"}
    assert lab.get("api/kernels") == []
    # Closed and opened again, it goes on where it was.
    page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")
    execute(page, "open-labeler", task="reasons")
    page.wait_for_selector(f"{LABELER}[data-state=ready][data-item='2']")
    page.locator(LABELER).focus()
    page.keyboard.press("u")
    page.wait_for_selector(f"{LABELER}[data-item='1']")
    saved(page)
    assert answers(lab, "reasons") == {0: "weather"}


def texts(ws, name, count, **settings):
    frame = pl.DataFrame({"t": [f"{name} {n}" for n in range(count)]})
    return create(ws, name, data.resolve(ws, frame), "text", ["a", "b"], settings=settings)


def test_a_labeler_is_back_after_a_reload_with_what_was_not_saved(lab):
    texts(Workspace.open(lab.root), "back", 5)
    # A layout of its own: other pages write down theirs at any time.
    url = f"{lab.url}lab/workspaces/labeling?token={lab.token}"
    page = lab.open()
    page.goto(url, wait_until="domcontentloaded")
    page.wait_for_function(
        "() => window.jupyterapp?.commands.hasCommand('jupyter-mlops:open-labeler')"
    )
    execute(page, "open-labeler", task="back")
    page.wait_for_selector(f"{LABELER}[data-state=ready]")
    page.route("**/mlops/api/labels/*/events", lambda route: route.abort())
    page.locator(LABELER).focus()
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.wait_for_selector(f"{LABELER} .mlops-chip[data-link=offline]")
    # A promise would count as true at once where the page waits for a function.
    kept = """() => window.jupyterapp.serviceManager.workspaces.fetch('labeling').then(({data}) => {
        const current = data['layout-restorer:data']?.main?.current ?? '';
        return current.includes('labelers') && current in data;
    })"""
    end = time.monotonic() + 60
    while not page.evaluate(kept):
        assert time.monotonic() < end, "the layout isn't kept"
        page.wait_for_timeout(100)
    assert answers(lab, "back") == {}
    page.goto(url, wait_until="domcontentloaded")
    page.unroute("**/mlops/api/labels/*/events")
    page.wait_for_selector(f"{LABELER}[data-state=ready][data-item='2']")
    saved(page)
    assert answers(lab, "back") == {0: "a", 1: "b"}
    assert lab.get("api/kernels") == []
    page.context.close()


def test_the_list_leads_to_the_labeler_and_to_what_is_to_be_decided(lab, axe):
    ws = Workspace.open(lab.root)
    texts(ws, "split", 4, overlap=2)
    for person, said in [("jo", "aab"), ("ana", "abb")]:
        made = [
            Decision(f"split-{person}-{n}", n, "label", value, active_ms=1000)
            for n, value in enumerate(said)
        ]
        assert not commit(ws, "split", person, made).refused
    page = lab.open()
    execute(page, "open-list", list="labels")
    row = page.locator(".jp-mlops-Panel tbody tr").first
    row.get_by_role("button", name="split").wait_for()
    # What takes a reviewer stands above all else.
    assert "3 of 4" in row.inner_text()
    assert "1 to decide" in row.inner_text()
    assert axe(page, ".jp-mlops-Panel") == []
    row.get_by_role("button", name="Decide").click()
    disputes = page.locator(".jp-mlops-View").filter(has_text="split: disputes")
    disputes.get_by_role("row").filter(has_text="split 1").wait_for()
    assert axe(page, ".jp-mlops-Panel:not(.lm-mod-hidden *)") == []
    disputes.get_by_role("button", name="b", exact=True).click()
    disputes.get_by_text("Nothing waits for a reviewer.").wait_for()
    assert answers(lab, "split") == {0: "a", 1: "b", 2: "b"}
    execute(page, "open-list", list="labels")
    page.locator("tr").filter(has=page.get_by_role("button", name="split")).get_by_role(
        "button", name="Label", exact=True
    ).click()
    page.wait_for_selector("[aria-label='Labeler split'][data-state=ready][data-item='3']")
    assert lab.get("api/kernels") == []
    page.context.close()


def test_a_task_that_is_not_there_is_said(lab):
    page = lab.open()
    execute(page, "open-labeler", task="nothing")
    page.get_by_role("alert").filter(has_text="no labeling task is called 'nothing'").wait_for()


def test_the_labeler_fits_a_wide_and_a_narrow_window(lab, shots):
    import numpy as np

    from jupyter_mlops.labeling import pictures

    ws = Workspace.open(lab.root)
    stack = pictures(np.random.default_rng(1).integers(0, 255, (2, 300, 400, 3), dtype="uint8"))
    create(ws, "wide", data.resolve(ws, stack), "image", ["cat", "dog"], answer="boxes")
    for width, height in [(1920, 1080), (700, 800), (640, 400)]:
        page = lab.open(width=width, height=height)
        execute(page, "open-labeler", task="wide")
        page.locator(f"{LABELER} .mlops-over").wait_for()
        page.locator(LABELER).focus()
        page.keyboard.press("n")
        page.locator(f"{LABELER} .mlops-entry").wait_for()
        shots(page, f"labeler-wide-{width}")
        assert page.locator(LABELER).evaluate("one => one.scrollWidth <= one.clientWidth")
        # What is drawn lies where it was drawn only if the picture keeps its shape.
        page.set_viewport_size({"width": width, "height": height - 150})
        picture = page.locator(f"{LABELER} .mlops-board img").bounding_box()
        assert picture["width"] / picture["height"] == pytest.approx(4 / 3, rel=0.01)
        page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")

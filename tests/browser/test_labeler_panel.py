"""The labeler in a panel of JupyterLab: no notebook, no kernel."""

from __future__ import annotations

from labelcells import LABELER, answers, saved

from jupyter_mlops.data import add
from jupyter_mlops.workspace import Workspace

EXECUTE = "([id, args]) => window.jupyterapp.commands.execute(id, args)"


def execute(page, command, **args):
    page.evaluate(EXECUTE, [f"jupyter-mlops:{command}", args])


def test_a_task_is_made_by_a_form_and_labelled_without_a_kernel(lab, axe, shots):
    import polars as pl

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
    page.get_by_role("button", name="Label", exact=True).click()
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


def test_a_task_that_is_not_there_is_said(lab):
    page = lab.open()
    execute(page, "open-labeler", task="nothing")
    page.get_by_role("alert").filter(has_text="no labeling task is called 'nothing'").wait_for()


def test_the_labeler_fits_a_wide_and_a_narrow_window(lab, shots):
    import numpy as np

    from jupyter_mlops import data
    from jupyter_mlops.labeling import create, pictures

    ws = Workspace.open(lab.root)
    stack = pictures(np.random.default_rng(1).integers(0, 255, (2, 300, 400, 3), dtype="uint8"))
    create(ws, "wide", data.resolve(ws, stack), "image", ["cat", "dog"], answer="boxes")
    for width, height in [(1920, 1080), (700, 800)]:
        page = lab.open(width=width, height=height)
        execute(page, "open-labeler", task="wide")
        page.locator(f"{LABELER} .mlops-over").wait_for()
        page.locator(LABELER).focus()
        page.keyboard.press("n")
        page.locator(f"{LABELER} .mlops-entry").wait_for()
        shots(page, f"labeler-wide-{width}")
        assert page.locator(LABELER).evaluate("one => one.scrollWidth <= one.clientWidth")
        page.evaluate("() => window.jupyterapp.shell.currentWidget.dispose()")

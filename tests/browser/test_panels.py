"""What a person sees in JupyterLab while a model lives: sidebar, panels, results in cells."""

from __future__ import annotations

import nbformat
import pytest

from jupyter_mlops.views.blocks import Column, Table, View
from jupyter_mlops.views.html import render_html
from jupyter_mlops.views.text import render_text

PREPARE = """
import numpy, pandas
draw = numpy.random.default_rng(0)

def month(rows):
    flights = pandas.DataFrame({
        "carrier": draw.choice(["AA", "B6", "DL", "UA", "WN"], rows),
        "distance": draw.integers(100, 3000, rows),
        "hour": draw.integers(0, 24, rows),
        "dep_delay": draw.normal(5, 20, rows).round(),
    })
    flights["late"] = (flights.dep_delay + (flights.hour > 15) * 12 > 18).astype(int)
    return flights

january, february, march = month(2000), month(1000), month(3000)
march["hour"] = march.hour.clip(9)
odd = pandas.DataFrame({"<img src=x onerror=window.pwned=1>": [1, 2, 3]})
"""
TRAIN = """%%mlops train delay --data flights --target late --valid february
from sklearn.ensemble import HistGradientBoostingClassifier
model = HistGradientBoostingClassifier(max_iter=20)
model.fit(data[["distance", "hour"]], data["late"])
"""
CELLS = [
    "%load_ext jupyter_mlops",
    PREPARE,
    "%mlops data add flights {january}",
    "%mlops data add february {february}",
    "%mlops data add march {march}",
    "%mlops data add odd {odd}",
    "%mlops profile flights --target late",
    TRAIN,
    "%mlops register delay delay --alias champion",
]

SHOW_SIDEBAR = "() => window.jupyterapp.commands.execute('jupyter-mlops:show-overview')"
PANEL = ".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-Panel"


def section(page, name):
    """A section of the sidebar."""
    return page.locator(f".jp-mlops-Section[data-section={name}]")


@pytest.fixture(scope="module")
def page(lab):
    """A notebook that took a model from data to the registry, beside the sidebar."""
    page = lab.open(lab.notebook("life.ipynb", CELLS))
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.evaluate(SHOW_SIDEBAR)
    page.get_by_text("No datasets yet").wait_for()
    page.begun = page.evaluate("() => performance.timeOrigin")
    lab.run_all(page)
    return page


def test_the_sidebar_fills_without_a_reload(page):
    section(page, "data").get_by_role("button", name="flights").wait_for()
    section(page, "experiments").get_by_role("button", name="delay").wait_for()
    section(page, "experiments").get_by_text("finished").wait_for()
    section(page, "models").get_by_role("button", name="delay@1").wait_for()
    section(page, "endpoints").get_by_text("%mlops serve delay@champion").wait_for()
    assert page.evaluate("() => performance.timeOrigin") == page.begun


def test_the_five_questions_are_answered_on_top(page):
    overview = page.locator(".jp-mlops-Overview")
    for question in (
        "What is running?",
        "What is served?",
        "What changed?",
        "What waits for a person?",
        "Can I trust it?",
    ):
        assert overview.get_by_text(question).is_visible()


def test_a_cell_shows_its_result_as_the_panels_do(page):
    profile = page.locator(".jp-Cell .jp-mlops-View[data-kind=profile]")
    profile.scroll_into_view_if_needed()
    assert profile.get_by_role("table").first.is_visible()
    assert profile.get_by_role("columnheader", name="Column", exact=True).first.is_visible()


def test_names_in_the_data_are_text_and_nothing_else(page):
    assert page.locator(".jp-mlops-View").get_by_text("<img src=x").count() > 0
    assert page.evaluate("() => window.pwned") is None


def test_a_click_on_a_dataset_opens_it_and_its_profile(page):
    section(page, "data").get_by_role("button", name="flights").click()
    panel = page.locator(PANEL)
    panel.get_by_text("2,000 rows").first.wait_for()
    panel.get_by_role("button", name="Profile").click()
    page.locator(f"{PANEL} .jp-mlops-View[data-kind=profile]").wait_for()


def test_the_launcher_leads_to_the_overview_and_a_reload_brings_it_back(lab, page):
    other = lab.open()
    other.locator(".jp-LauncherCard").filter(has_text="MLOps Overview").click()
    shown = other.locator(f"{PANEL} .jp-mlops-View[data-kind=status]")
    shown.get_by_text("Can I trust it?").wait_for()
    other.wait_for_timeout(1500)
    other.reload(wait_until="domcontentloaded")
    shown.get_by_text("Can I trust it?").wait_for()
    other.context.close()


def test_a_click_on_a_run_or_a_model_opens_it(page):
    section(page, "experiments").get_by_role("button", name="delay").click()
    page.locator(f"{PANEL} .jp-mlops-View[data-kind=run]").wait_for()
    section(page, "models").get_by_role("button", name="delay@1").click()
    page.locator(f"{PANEL} .jp-mlops-View[data-kind=model]").wait_for()


def test_a_panel_puts_its_line_into_the_notebook(page):
    section(page, "models").get_by_role("button", name="delay@1").click()
    page.locator(f"{PANEL} .jp-mlops-View[data-kind=model]").wait_for()
    page.get_by_role("button", name="Insert Cell", exact=True).locator("visible=true").click()
    page.wait_for_function(
        """() => {
            const widget = window.jupyterapp.shell.currentWidget;
            const cell = widget.content.activeCell;
            return cell && cell.model.sharedModel.getSource() === '%mlops models delay@1';
        }"""
    )


def test_a_list_opens_as_a_table_that_can_be_walked_by_keyboard(page):
    section(page, "models").get_by_role("button", name="Open as a table").focus()
    page.keyboard.press("Enter")
    table = page.locator(f"{PANEL} .jp-mlops-View[data-kind=models] table")
    table.wait_for()
    reference = table.get_by_role("button", name="delay@1")
    reference.focus()
    page.keyboard.press("Enter")
    page.locator(f"{PANEL} .jp-mlops-View[data-kind=model]").wait_for()


def test_an_endpoint_appears_as_soon_as_somebody_serves(lab, page):
    answer = lab.post("mlops/api/verbs/serve", {"model": "delay@champion", "name": "delay"})
    assert answer["kind"] == "endpoint"
    row = section(page, "endpoints").get_by_role("listitem").filter(has_text="delay")
    row.get_by_text("ready").wait_for()
    page.locator(".jp-mlops-Status").get_by_text("1 served").wait_for()
    assert page.evaluate("() => performance.timeOrigin") == page.begun


def test_an_endpoint_s_panel_follows_its_traffic(lab, page, shots):
    section(page, "endpoints").get_by_role("button", name="delay").click()
    view = page.locator(f"{PANEL} .jp-mlops-View[data-kind=endpoint]")
    view.wait_for()
    assert view.get_by_text("2,000").count() == 0
    lab.post("mlops/api/verbs/call", {"endpoint": "delay", "data": "flights"})
    view.get_by_text("2,000").first.wait_for()
    lab.post("mlops/api/verbs/call", {"endpoint": "delay", "data": "march"})
    view.get_by_text("5,000").first.wait_for()
    shots(page, "endpoint")


def test_drift_and_its_report_are_a_click_away(page, axe, shots):
    endpoint = page.locator(f"{PANEL} .jp-mlops-View[data-kind=endpoint]")
    endpoint.get_by_role("button", name="Check drift").click()
    drift = page.locator(f"{PANEL} .jp-mlops-View[data-kind=drift]")
    drift.wait_for(timeout=120_000)
    page.wait_for_timeout(1000)
    assert axe(page, PANEL) == []
    shots(page, "drift")
    drift.get_by_role("button", name="Open Evidently report").click()
    frame = page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-Report iframe")
    frame.wait_for(timeout=120_000)
    assert frame.get_attribute("sandbox") == "allow-scripts"
    frame.content_frame.get_by_text("distance").first.wait_for(timeout=120_000)
    shots(page, "report")


def test_panels_open_beside_the_notebook_when_the_settings_say_so(lab, page, shots):
    folder = lab.home / ".jupyter/lab/user-settings/jupyter-mlops"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "panels.jupyterlab-settings").write_text('{"openBeside": true}')
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save-all')")
    other = lab.open("life.ipynb", width=1600, height=1000)
    other.evaluate(SHOW_SIDEBAR)
    checks = lab.get("mlops/api/verbs/checks?name=delay")["blocks"][0]["rows"]
    other.evaluate(
        "ref => window.jupyterapp.commands.execute('jupyter-mlops:open-reference', {ref})",
        checks[0]["check"],
    )
    other.locator(f"{PANEL} .jp-mlops-View[data-kind=drift] figure svg").wait_for()
    cell = other.locator(".jp-Cell .jp-mlops-View[data-kind=profile]")
    cell.wait_for()
    cell.evaluate("element => element.scrollIntoView()")
    other.wait_for_timeout(1000)
    shots(other, "overview")
    assert cell.is_visible()
    other.context.close()
    (folder / "panels.jupyterlab-settings").unlink()


def test_an_endpoint_is_stopped_after_asking(page):
    section(page, "endpoints").get_by_role("button", name="delay").click()
    view = page.locator(f"{PANEL} .jp-mlops-View[data-kind=endpoint]")
    view.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    assert view.get_by_text("ready").first.is_visible()
    view.get_by_role("button", name="Stop").click()
    dialog.get_by_role("button", name="Stop").click()
    section(page, "endpoints").get_by_text("stopped").wait_for()
    view.get_by_role("button", name="Start").wait_for()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_nothing_of_ours_is_hard_to_reach_or_read(lab, page, axe, shots, theme):
    lab.theme(page, theme)
    section(page, "data").get_by_role("button", name="flights").click()
    page.locator(f"{PANEL} .jp-mlops-View[data-kind=dataset]").wait_for()
    for selector in (".jp-mlops-Sidebar", PANEL, ".jp-mlops-Status", ".jp-mlops-Output"):
        assert axe(page, selector) == [], selector
    name = theme.rpartition(" ")[2].lower()
    for width in (1280, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(500)
        shots(page, f"dataset-{name}-{width}")
    page.set_viewport_size({"width": 1280, "height": 800})


def test_no_script_failed_on_the_way(page):
    assert page.problems == []


def test_an_untrusted_notebook_shows_the_static_result(lab):
    view = View(
        kind="datasets",
        title="Datasets",
        blocks=[Table(columns=[Column(key="name", label="Dataset")], rows=[{"name": "theirs"}])],
    )
    data = {
        "text/plain": render_text(view),
        "text/html": render_html(view),
        "application/vnd.jupyter-mlops.datasets.v1+json": view.model_dump(mode="json"),
    }
    output = nbformat.v4.new_output("execute_result", data=data, execution_count=1)
    cell = nbformat.v4.new_code_cell("%mlops data ls", outputs=[output], execution_count=1)
    foreign = nbformat.v4.new_notebook(
        cells=[cell], metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    )
    nbformat.write(foreign, lab.root / "foreign.ipynb")
    page = lab.open("foreign.ipynb")
    page.locator(".jp-OutputArea-output table").get_by_text("theirs").wait_for()
    assert page.locator(".jp-mlops-Output").count() == 0


def test_notebook_7_shows_results_and_raises_nothing(lab, shots):
    page = lab.open(
        lab.notebook("seventh.ipynb", [*CELLS[:1], "%mlops data ls", "%mlops"]), app="notebook"
    )
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    lab.run_all(page)
    page.locator(".jp-mlops-View[data-kind=datasets]").wait_for()
    page.locator(".jp-mlops-View[data-kind=status]").wait_for()
    plugins = page.evaluate(
        "() => window.jupyterapp.listPlugins().filter(id => id.startsWith('jupyter-mlops:'))"
    )
    assert "jupyter-mlops:renderer" in plugins
    page.evaluate(SHOW_SIDEBAR)
    section(page, "data").get_by_role("button", name="flights").click()
    page.locator(".jp-mlops-Panel .jp-mlops-View[data-kind=dataset]").wait_for()
    shots(page, "notebook-7")
    assert problems == []

"""What a person sees of data: profiles in cells and panels, wide tables, busy kernels."""

from __future__ import annotations

import pytest

PREPARE = """
import numpy, pandas
draw = numpy.random.default_rng(0)

def month(rows, delay=5):
    flights = pandas.DataFrame({
        "carrier": draw.choice(["AA", "B6", "DL", "UA", "WN"], rows),
        "distance": draw.integers(100, 3000, rows),
        "hour": draw.integers(0, 24, rows),
        "dep_delay": draw.normal(delay, 20, rows).round(),
    })
    flights["late"] = (flights.dep_delay + (flights.hour > 15) * 12 > 18).astype(int)
    return flights

january, february = month(2000), month(1000, delay=40)
names = [f"measurement_{at:03}" for at in range(300)]
wide = pandas.DataFrame(draw.normal(size=(200, 300)), columns=names)
"""
CELLS = [
    "%load_ext jupyter_mlops",
    PREPARE,
    "%mlops data add january {january} --quiet",
    "%mlops data add february {february} --quiet",
    "%mlops profile january --target late",
    "%mlops profile february --against january",
    "%mlops profile {wide}",
]
BUSY = "import time\nwhile True: time.sleep(0.05)"
PANEL = ".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-Panel"
OPEN = "ref => window.jupyterapp.commands.execute('jupyter-mlops:open-reference', {ref})"
KERNELS = "() => window.jupyterapp.commands.execute('jupyter-mlops:profile-variable')"
RUN_NEW = """source => {
    const panel = window.jupyterapp.shell.currentWidget;
    const cells = panel.content.model.sharedModel;
    cells.addCell({cell_type: 'code', source});
    panel.content.activeCellIndex = cells.cells.length - 1;
    window.jupyterapp.commands.execute('notebook:run-cell');
}"""


@pytest.fixture(scope="module")
def page(lab):
    """A notebook with three profiles."""
    page = lab.open(lab.notebook("profiles.ipynb", CELLS), height=1000)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    lab.run_all(page)
    return page


def cell(page, place):
    """The profile below one of the cells."""
    shown = page.locator(".jp-Cell .jp-mlops-View[data-kind=profile]").nth(place)
    shown.evaluate("element => element.scrollIntoView()")
    return shown


def panel(page, kind):
    """The open panel of a kind."""
    return page.locator(f"{PANEL} .jp-mlops-View[data-kind={kind}]")


def test_a_column_opens_to_all_that_is_known_of_it(page):
    profile = cell(page, 0)
    profile.get_by_role("button", name="dep_delay", exact=True).click()
    detail = profile.locator(".jp-mlops-Detail")
    detail.get_by_text("Standard deviation").wait_for()
    assert detail.locator(".jp-mlops-Histogram rect").count() > 10
    assert detail.get_by_role("heading", name="Advice").is_visible()
    detail.get_by_role("button", name="Code for dep_delay").first.click()
    assert "dep_delay" in detail.locator(".jp-mlops-Finding-code").first.inner_text()
    profile.get_by_role("button", name="dep_delay", exact=True).click()
    assert detail.count() == 0


def test_two_tables_lie_over_each_other(page, shots):
    profile = cell(page, 1)
    first = profile.locator(".jp-mlops-Explorer tbody tr").first
    assert first.get_by_role("rowheader").inner_text().endswith("dep_delay")
    assert first.locator(".jp-mlops-Spark path").count() == 1
    profile.get_by_role("button", name="carrier", exact=True).click()
    bars = profile.locator(".jp-mlops-Bars")
    bars.wait_for()
    assert bars.locator("[data-side=there]").count() == 5
    shots(page, "profile-pair")


def test_a_wide_table_is_searched_sorted_and_paged_to_its_last_column(page, axe, shots):
    profile = cell(page, 2)
    assert profile.get_by_text("1–10 of 300").is_visible()
    profile.get_by_role("searchbox", name="Search columns").fill("measurement_29")
    profile.get_by_text("measurement_299").wait_for()
    assert profile.locator(".jp-mlops-Explorer").get_by_role("rowheader").count() == 10
    profile.get_by_role("searchbox", name="Search columns").fill("")
    head = profile.locator(".jp-mlops-Explorer thead").get_by_role("button", name="Column")
    head.click()
    head.click()
    profile.get_by_text("measurement_299").wait_for()
    profile.get_by_role("button", name="Next page").first.focus()
    page.keyboard.press("Enter")
    profile.get_by_text("11–20 of 300").wait_for()
    profile.get_by_role("button", name="measurement_285", exact=True).click()
    profile.locator(".jp-mlops-Detail").get_by_text("Standard deviation").wait_for()
    assert axe(page, ".jp-Cell:last-child .jp-mlops-Output") == []
    shots(page, "profile-wide")


def test_a_reload_brings_the_panel_of_a_profile_back(lab, page):
    # A layout of its own: the first page writes down its own layout at any time.
    url = f"{lab.url}lab/workspaces/again?token={lab.token}"
    other = lab.open()
    other.goto(url, wait_until="domcontentloaded")
    other.wait_for_function(
        "() => window.jupyterapp?.commands.hasCommand('jupyter-mlops:open-reference')"
    )
    other.evaluate(OPEN, "data:january@1")
    panel(other, "dataset").get_by_role("button", name="Profile", exact=True).click()
    panel(other, "profile").get_by_label("Target").select_option("late")
    panel(other, "profile").get_by_role("button", name="Profile", exact=True).click()
    panel(other, "profile").get_by_text("target late").wait_for()
    # It took the place of the first, which may still be what is written down.
    other.wait_for_timeout(1500)
    saved = """() => window.jupyterapp.serviceManager.workspaces.fetch('again').then(({data}) => {
        const current = data['layout-restorer:data'].main.current;
        return current.includes('profile-show') && current in data;
    })"""
    other.wait_for_function(saved)
    other.goto(url, wait_until="domcontentloaded")
    panel(other, "profile").get_by_text("target late").wait_for()
    other.context.close()


def test_the_panel_profiles_again_with_a_target_and_against_another(page, axe, shots):
    page.evaluate(OPEN, "data:january@1")
    panel(page, "dataset").get_by_role("button", name="Profile", exact=True).click()
    profile = panel(page, "profile")
    profile.get_by_label("Target").select_option("late")
    profile.get_by_role("button", name="Profile", exact=True).click()
    profile.get_by_text("target late").wait_for()
    profile.get_by_role("columnheader", name="AUC alone").wait_for()
    for theme in ("JupyterLab Dark", "JupyterLab Light"):
        page.evaluate(
            "theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme
        )
        page.wait_for_function("name => document.body.dataset.jpThemeName === name", arg=theme)
        page.wait_for_timeout(300)
        assert axe(page, PANEL) == [], theme
        shots(page, f"profile-panel-{theme[-4:].strip().lower()}")
    profile.get_by_label("Against").select_option("data:february@1")
    profile.get_by_role("button", name="Profile", exact=True).click()
    profile.get_by_text("against february@1").wait_for()


def test_a_contract_is_saved_edited_compared_and_checked_in_its_panel(page, axe, shots):
    page.evaluate(OPEN, "data:january@1")
    panel(page, "dataset").get_by_role("button", name="Profile", exact=True).click()
    panel(page, "profile").get_by_role("button", name="Save contract").click()
    contract = panel(page, "contract")
    contract.get_by_text("version 1").first.wait_for()
    contract.get_by_role("button", name="distance", exact=True).focus()
    page.keyboard.press("Enter")
    form = contract.locator(".jp-mlops-Detail form")
    form.get_by_label("To", exact=True).fill("4000")
    form.get_by_label("May be missing").fill("0.25")
    assert axe(page, PANEL) == []
    shots(page, "contract")
    form.get_by_role("button", name="Save as new version").click()
    contract.get_by_text("version 2").first.wait_for()
    row = contract.locator("tr").filter(has=page.get_by_role("button", name="distance", exact=True))
    row.get_by_text("25.0 %").wait_for()
    assert "4000" in row.inner_text()
    contract.get_by_role("button", name="Compare").click()
    changed = panel(page, "contract").get_by_text("2 rules differ")
    changed.wait_for()
    page.evaluate(OPEN, "contract:january@2")
    contract.get_by_label("Dataset").select_option("data:february@1")
    contract.get_by_role("button", name="Check", exact=True).click()
    check = panel(page, "contract-check")
    check.get_by_text("breaks it").wait_for()
    assert check.get_by_role("rowheader", name="dep_delay").first.is_visible()
    shots(page, "contract-check")


def test_a_busy_kernel_is_asked_for_its_variables_and_not_disturbed(page, axe, shots):
    page.locator(".lm-TabBar-tab").filter(has_text="profiles.ipynb").click()
    page.evaluate(RUN_NEW, BUSY)
    running = page.locator(".jp-InputPrompt").last
    page.wait_for_function("() => document.body.innerText.includes('[*]:')")
    page.evaluate(KERNELS)
    variables = panel(page, "variables")
    variables.get_by_role("rowheader", name="january").wait_for()
    assert variables.get_by_role("rowheader").all_inner_texts() == ["january", "february", "wide"]
    assert axe(page, PANEL) == []
    shots(page, "variables")
    variables.get_by_role("button", name="Profile february").click()
    profile = panel(page, "profile")
    profile.get_by_text("1,000 rows · 5 columns").wait_for()
    assert profile.get_by_role("heading", level=2).inner_text().startswith("february")
    # The cell that was running runs on, and nothing was added to what the person has.
    page.locator(".lm-TabBar-tab").filter(has_text="profiles.ipynb").click()
    assert running.inner_text() == "[*]:"
    page.evaluate("() => window.jupyterapp.commands.execute('notebook:interrupt-kernel')")
    last = page.locator(".jp-Cell .jp-OutputArea-output").last
    last.get_by_text("KeyboardInterrupt").first.wait_for()
    page.evaluate(RUN_NEW, "[name for name in dir() if 'mlops' in name or name == 'tell']")
    last.get_by_text("[]").wait_for()


def test_no_script_failed_on_the_way(page):
    assert page.problems == []

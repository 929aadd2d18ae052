"""A stored report in its frame: it shows, its scripts run, and they reach nothing."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring.reports import make_report
from jupyter_mlops.workspace import Workspace

START = dt.datetime(2013, 3, 1, tzinfo=dt.UTC)
CELL = ".jp-Cell-outputArea iframe.jp-mlops-Frame"
PANEL = ".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-Report iframe"
#: A page that tries what a report must not do, and writes down how it went.
EVIL = """<!doctype html><title>evil</title><h1>Shown</h1><pre id="told"></pre><script>
const told = {};
const attempt = async (name, act) => {
  try { told[name] = String(await act()); } catch (error) { told[name] = 'refused'; }
};
(async () => {
  told.origin = self.origin;
  await attempt('page', () => parent.document.title);
  await attempt('lab', () => parent.jupyterapp.name);
  await attempt('frame', () => frameElement === null ? 'refused' : 'reached');
  await attempt('cookies', () => document.cookie);
  await attempt('storage', () => localStorage.length);
  await attempt('server', () => fetch('/user/someone@x.org/proj/api/status').then(a => a.status));
  await attempt('window', () => window.open('about:blank') === null ? 'refused' : 'opened');
  await attempt('top', () => { top.location.href = 'about:blank'; return 'left'; });
  document.getElementById('told').textContent = JSON.stringify(told);
})();
</script>"""


def traffic(rng, shift):
    n = 400
    times = [START + dt.timedelta(minutes=at) for at in range(n)]
    return pl.DataFrame(
        {
            "prediction_id": [f"{shift}-{at}" for at in range(n)],
            "event_time": times,
            "in.rain": rng.normal(shift, 1, n),
            "in.van": rng.choice(["a", "b"], n),
        },
        schema_overrides={"event_time": pl.Datetime("us", "UTC")},
    )


@pytest.fixture(scope="module")
def reports(lab):
    """A report as Evidently drew it, and one with another page in its place."""
    ws = Workspace.open(lab.root)
    rng = np.random.default_rng(0)
    before = pl.DataFrame({"rain": rng.normal(size=400), "van": rng.choice(["a", "b"], 400)})
    made = []
    for shift in (1.0, 2.0):
        rows = traffic(rng, shift).lazy()
        reference = resolve(ws, before)
        check = monitoring.drift(ws, reference, rows, endpoint="delay", jointly=False)
        made.append(make_report(ws, check, reference, rows))
    ws.reports.write_bytes(f"{made[1].id}.html", EVIL.encode())
    return made


@pytest.fixture(scope="module")
def page(lab, reports):
    cells = ["%load_ext jupyter_mlops", *(f"%mlops report {one.ref}" for one in reports)]
    page = lab.open(lab.notebook("reports.ipynb", cells), width=1400, height=1000)
    lab.run_all(page)
    return page


def frame_of(page, report, within):
    """The page of a report that stands in this place, once it is loaded."""
    element = page.locator(f"{within}[src*='{report.id}']")
    element.scroll_into_view_if_needed()
    element.wait_for()
    assert element.get_attribute("sandbox") == "allow-scripts"
    return page.frame_locator(f"{within}[src*='{report.id}']")


def refused(frame):
    told = frame.locator("#told")
    told.filter(has_text="origin").wait_for()
    found = json.loads(told.text_content())
    assert found.pop("origin") == "null"
    assert set(found.values()) == {"refused"}, found
    assert len(found) == 8


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_a_cell_shows_the_report_in_a_frame_of_its_own(lab, page, reports, shots, theme):
    lab.theme(page, theme)
    frame = frame_of(page, reports[0], CELL)
    frame.get_by_text("Dataset Drift is detected").first.wait_for()
    shots(page, f"report-cell-{theme.rpartition(' ')[2].lower()}")


def test_its_scripts_run_and_reach_neither_the_page_nor_the_server(lab, page, reports):
    address = page.url
    refused(frame_of(page, reports[1], CELL))
    assert page.url == address
    assert len(page.context.pages) == 1


def test_the_list_in_the_panel_opens_it_sandboxed(lab, page, reports, axe, shots):
    lab.theme(page, "JupyterLab Light")
    for at, report in enumerate(reports):
        page.evaluate(
            "() => window.jupyterapp.commands.execute("
            "'jupyter-mlops:open-query', {verb: 'reports', args: {}})"
        )
        shown = page.locator(
            ".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-View[data-kind=reports]"
        )
        shown.get_by_title(f"Open {report.ref}").click()
        frame = frame_of(page, report, PANEL)
        if at:
            refused(frame)
            continue
        frame.get_by_text("Dataset Drift is detected").first.wait_for()
        assert axe(page, PANEL.removesuffix(" iframe")) == []
        shots(page, "report-panel-light")
        lab.theme(page, "JupyterLab Dark")
        shots(page, "report-panel-dark")
        lab.theme(page, "JupyterLab Light")

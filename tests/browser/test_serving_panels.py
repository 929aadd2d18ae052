"""What a person does with a model in the panels: judge it, serve it, try it, move a canary."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest

OPEN = "ref => window.jupyterapp.commands.execute('jupyter-mlops:open-reference', {ref})"
LIST = "list => window.jupyterapp.commands.execute('jupyter-mlops:open-list', {list})"
SHOW_SIDEBAR = "() => window.jupyterapp.commands.execute('jupyter-mlops:show-overview')"
PANEL = ".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-Panel"

PREPARE = """
import numpy, pandas
draw = numpy.random.default_rng(3)

def month(rows):
    flights = pandas.DataFrame({
        "carrier": draw.choice(["AA", "B6", "DL", "UA", "WN"], rows),
        "distance": draw.integers(100, 3000, rows),
        "hour": draw.integers(0, 24, rows),
        "delay": draw.normal(5, 20, rows).round(1),
    })
    late = flights.delay + (flights.hour > 15) * 12 + (flights.carrier == "WN") * 9 > 18
    return flights.assign(late=late.map({True: "late", False: "on time"}))

january, february = month(1500), month(800)
"""
TRAIN = """%%mlops train delay --data flights --target late --valid february --contract flights
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
model = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["carrier"]),
        (StandardScaler(), ["distance", "hour", "delay"]),
    ),
    LogisticRegression(C=STRENGTH),
)
model.fit(data[["carrier", "distance", "hour", "delay"]], data["late"])
"""
CELLS = [
    "%load_ext jupyter_mlops",
    PREPARE,
    "%mlops data add flights {january}",
    "%mlops data add february {february}",
    "%mlops contract flights --target late --save flights",
    TRAIN.replace("STRENGTH", "0.002"),
    "%mlops register delay delay --alias champion",
    TRAIN.replace("STRENGTH", "1"),
    "%mlops register delay delay",
    "%mlops gate delay auc > 0.8 log_loss < champion.log_loss approved",
    "%mlops gate check delay@2",
]


@pytest.fixture(scope="module")
def page(lab):
    """A workspace with two versions of a model and its gates, beside the sidebar."""
    page = lab.open(lab.notebook("model.ipynb", CELLS), width=1280, height=900)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.evaluate(SHOW_SIDEBAR)
    lab.run_all(page, timeout=240)
    return page


def view(page, kind):
    """The view of that kind in the panel that is open."""
    return page.locator(f"{PANEL} .jp-mlops-View[data-kind={kind}]")


def section(page, title):
    """A part of the panel that is open, by its heading."""
    return page.locator(f"{PANEL} .jp-mlops-Block").filter(
        has=page.get_by_role("heading", name=title, exact=True)
    )


def confirm(page, says, button):
    """Agree to what a dialog says."""
    dialog = page.get_by_role("dialog")
    dialog.get_by_text(says).wait_for()
    dialog.get_by_role("button", name=button).click()
    dialog.wait_for(state="detached")


def test_a_version_shows_what_its_gates_say(page, axe, shots):
    page.evaluate(OPEN, "model:delay@2")
    shown = view(page, "model")
    shown.get_by_text(re.compile("1 of 3 gates didn't pass, asked .*: approved")).wait_for()
    gates = section(page, "Gates").get_by_role("table")
    assert gates.get_by_text("pass", exact=True).count() == 2
    assert re.search(r"0\.[89]\d+", gates.inner_text())
    assert axe(page, PANEL) == []
    shots(page, "model")


def test_it_is_approved_and_promoted_after_asking(page, axe, shots):
    shown = view(page, "model")
    shown.get_by_label("What you looked at").fill("the slices by carrier")
    shown.get_by_role("button", name="Approve").click()
    confirm(page, "Approve delay@2, as its files are now?", "Approve")
    view(page, "approval").get_by_text("delay@2 is approved").wait_for()
    page.evaluate(OPEN, "model:delay@2")
    section(page, "Approvals").get_by_text("the slices by carrier").wait_for()
    shown.get_by_role("button", name="Ask its gates").click()
    view(page, "gate").get_by_text("All 3 pass: delay@2 may be promoted.").wait_for()
    assert axe(page, PANEL) == []
    shots(page, "gate")
    page.evaluate(OPEN, "model:delay@2")
    shown.get_by_text(re.compile("All 3 gates pass")).wait_for()
    shown.get_by_role("button", name="Promote").click()
    confirm(page, re.compile("Let the alias point to delay@2"), "Promote")
    view(page, "promotion").get_by_text("delay@champion is now delay@2").wait_for()
    page.evaluate(OPEN, "model:delay@2")
    shown.get_by_text("promoted to champion in place of version 1").wait_for()
    shots(page, "model-approved")
    shown.get_by_role("button", name="Roll back").click()
    confirm(page, "Let delay@champion point to version 1 again?", "Roll back")
    shown.get_by_text("champion went back to version 1").wait_for()


def test_two_versions_stand_side_by_side(page, axe):
    view(page, "model").get_by_role("button", name="Compare").click()
    view(page, "comparison").get_by_text("delay@2 and delay@1").wait_for()
    assert axe(page, PANEL) == []


def test_an_endpoint_that_nobody_asked_says_so(lab, page, axe, shots):
    answer = lab.post("mlops/api/verbs/serve", {"model": "delay@1", "name": "delay"})
    assert answer["kind"] == "endpoint"
    page.evaluate(OPEN, "endpoint:delay")
    shown = view(page, "endpoint")
    shown.get_by_text("Nobody asked it anything in the last five minutes.").wait_for()
    shown.get_by_text("Version 1 answers all requests.").wait_for()
    assert axe(page, PANEL) == []
    shots(page, "endpoint-silent")


def test_the_form_is_made_of_the_signature_and_filled_from_the_example(page):
    form = section(page, "Try it")
    carrier = form.get_by_label("carrier")
    assert carrier.evaluate("element => element.tagName") == "SELECT"
    offered = carrier.locator("option").all_inner_texts()
    assert {"AA", "B6", "DL", "UA", "WN"} <= set(offered)
    assert form.get_by_label("hour").input_value().isdecimal()


def test_an_answer_comes_with_its_probabilities_and_ids(page, axe, shots):
    form = section(page, "Try it")
    form.get_by_label("hour").fill("20")
    form.get_by_label("delay").fill("30.5")
    form.get_by_role("button", name="Predict").click()
    answer = form.get_by_role("status", name=re.compile("delay predicts late"))
    answer.get_by_text("delay@1").wait_for()
    likeliest = answer.get_by_role("row").nth(1).inner_text()
    assert re.search(r"^late\s+[5-9]\d\.\d %", likeliest), likeliest
    assert answer.get_by_text("Prediction id").is_visible()
    # It was a request like any other, so the page shows it.
    section(page, "Requests a second").wait_for()
    page.locator(f"{PANEL} .jp-mlops-Chart svg").nth(1).wait_for()
    assert axe(page, PANEL) == []
    shots(page, "endpoint-tried")


def test_what_the_server_refuses_is_told_under_its_field(page, axe, shots):
    form = section(page, "Try it")
    form.get_by_label("hour").fill("noon")
    form.get_by_role("button", name="Predict").click()
    wrong = form.get_by_text("expected long, found a string")
    wrong.wait_for()
    hour = form.get_by_label("hour")
    assert hour.get_attribute("aria-invalid") == "true"
    assert hour.evaluate("element => element === document.activeElement")
    assert form.get_by_role("status", name=re.compile("predicts")).count() == 0
    section(page, "Errors").get_by_text("The rows don't fit the signature").wait_for()
    assert axe(page, PANEL) == []
    shots(page, "endpoint-refused")
    hour.fill("7")


def test_the_canary_is_moved_after_saying_what_changes(page, lab, axe, shots):
    canary = section(page, "Canary")
    slider = canary.get_by_role("slider")
    slider.focus()
    canary.get_by_label("Percent").fill("30")
    sentence = "Version 2 will answer 30 % of the requests, version 1 the others."
    canary.get_by_text(sentence).wait_for()
    canary.get_by_role("button", name="Apply").click()
    page.get_by_role("dialog").get_by_text(sentence).wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    versions = section(page, "Versions")
    assert versions.get_by_text("canary").count() == 0
    canary.get_by_role("button", name="Apply").click()
    confirm(page, sentence, "Move requests")
    versions.get_by_text("30.0 %").wait_for(timeout=120_000)
    lab.post("mlops/api/verbs/call", {"endpoint": "delay", "data": "february", "chunk": 10})
    evidence = section(page, "Version 2 against version 1")
    evidence.get_by_text(re.compile(r"^0 % to \d")).first.wait_for()
    assert axe(page, PANEL) == []
    shots(page, "endpoint-canary")


def test_it_is_withdrawn_after_asking(page):
    canary = section(page, "Canary")
    canary.get_by_role("button", name="Withdraw").click()
    confirm(page, "Version 2 will be withdrawn", "Withdraw")
    canary.get_by_text("Version 1 answers all requests.").wait_for(timeout=120_000)
    assert section(page, "Versions").get_by_text("canary").count() == 0


def test_the_snippets_run_as_they_are(page, axe, tmp_path):
    call = section(page, "Call it")
    for name, command in (
        ("curl", ["bash", "-e"]),
        ("Python", [sys.executable]),
        ("JavaScript", ["node", "--input-type=module"]),
    ):
        call.get_by_role("tab", name=name).click()
        text = call.get_by_role("region", name=name).inner_text()
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, cwd=tmp_path, timeout=60
        )
        assert done.returncode == 0, (name, done.stderr)
        assert "prediction_ids" in done.stdout, (name, done.stdout, done.stderr)
    call.get_by_role("tab", name="curl").focus()
    page.keyboard.press("ArrowLeft")
    assert call.get_by_role("tab", name="JavaScript").get_attribute("aria-selected") == "true"


def test_the_token_is_nowhere_in_the_page(lab, page):
    token = (lab.root / ".mlops" / "secrets" / "endpoint-delay").read_text().strip()
    assert token not in page.content()


def test_the_log_is_a_click_away(lab, page, axe, shots):
    log = lab.root / ".mlops" / "logs" / "endpoint-delay.log"
    with log.open("a") as stream:
        stream.write("\x1b[31ma model's own warning\x1b[0m\n")
    view(page, "endpoint").get_by_role("button", name="Log").click()
    shown = view(page, "endpoint-log")
    shown.get_by_text("a model's own warning").wait_for()
    with log.open("a") as stream:
        stream.write("and another\n")
    page.locator(".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-Toolbar").get_by_title(
        re.compile("Ask the server again")
    ).first.click()
    shown.get_by_text("and another").wait_for()
    assert axe(page, PANEL) == []
    shots(page, "log")


def test_the_sidebar_leads_to_streams_and_batch_predictions(lab, page, axe):
    traffic = page.get_by_role("group", name="Traffic")
    traffic.get_by_role("button", name="Streams").click()
    view(page, "streams").get_by_text("No stream yet.").wait_for()
    assert axe(page, PANEL) == []
    job = {"model": "delay@1", "data": "february", "to": "answers", "detach": True}
    lab.post("mlops/api/verbs/predict", job)
    traffic.get_by_role("button", name="Batch predictions").click()
    view(page, "batch-jobs").get_by_text("100 %").wait_for(timeout=120_000)
    assert axe(page, PANEL) == []


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_everything_is_readable_in_both_themes(lab, page, axe, shots, theme):
    lab.theme(page, theme)
    name = theme.rpartition(" ")[2].lower()
    for what, how, kind in (
        ("models", LIST, "models"),
        ("model:delay@2", OPEN, "model"),
        ("endpoints", LIST, "endpoints"),
        ("endpoint:delay", OPEN, "endpoint"),
    ):
        page.evaluate(how, what)
        view(page, kind).wait_for()
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": 1000})
            time.sleep(0.2)
            assert axe(page, PANEL) == [], (what, theme, width)
            shots(page, f"{kind}-{name}-{width}")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_nothing_went_wrong_in_the_page(page):
    assert page.problems == []

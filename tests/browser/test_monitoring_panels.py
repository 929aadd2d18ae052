"""What a person sees of what is watched: drift by period, alerts, health, policies, back-tests."""

from __future__ import annotations

import re
import time

import nbformat
import pytest

OPEN = "ref => window.jupyterapp.commands.execute('jupyter-mlops:open-reference', {ref})"
SHOW_SIDEBAR = "() => window.jupyterapp.commands.execute('jupyter-mlops:show-overview')"
PANEL = ".jp-MainAreaWidget:not(.lm-mod-hidden) .jp-mlops-Panel"
LONG = "share of deliveries to houses with more than four floors"

PREPARE = f"""
import numpy, pandas
draw = numpy.random.default_rng(3)

def deliveries(days, start, turned=False, a_day=60):
    count = days * a_day
    times = pandas.date_range(start, periods=days, tz="UTC").repeat(a_day)
    table = pandas.DataFrame({{
        "id": [f"{{start}}-{{n}}" for n in range(count)],
        "at": times + pandas.to_timedelta(numpy.tile(numpy.arange(a_day), days), unit="min"),
        "rain": draw.normal(1.2 if turned else 0, 1, count).round(3),
        "distance": draw.normal(size=count).round(3),
        "van": draw.choice(["a", "b", "electric"] if turned else ["a", "b"], count),
        {LONG!r}: draw.uniform(size=count).round(3),
    }})
    cause = table.distance if turned else table.rain
    late = draw.uniform(size=count) < 1 / (1 + numpy.exp(-2.5 * cause))
    return table.assign(late=late.map({{True: "late", False: "on time"}}))

first, valid = deliveries(20, "2025-12-01"), deliveries(10, "2025-12-21")
rows = pandas.concat([deliveries(56, "2026-01-05"), deliveries(35, "2026-03-02", turned=True)])
asked, truth = rows.drop(columns="late"), rows.loc[rows["at"] < "2026-04-01", ["id", "late"]]
"""
BODY = f"""
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
names = ["rain", "distance", "van", {LONG!r}]
model = make_pipeline(
    make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["van"]),
        (StandardScaler(), ["rain", "distance", {LONG!r}]),
    ),
    LogisticRegression(),
)
model.fit(data[names], data["late"])
"""
WHEN = "loss > champion_at_promotion.loss + 0.05 (95%)"
CELLS = [
    "%load_ext jupyter_mlops",
    PREPARE,
    "%mlops data add first {first.drop(columns=['id', 'at'])}",
    "%mlops data add valid {valid.drop(columns='id')}",
    f"%%mlops train delay --data first --target late --valid valid{BODY}",
    "%mlops register delay delay --alias champion",
    "%mlops serve delay@champion --key id --time at",
    "%mlops call delay {asked}",
    "%mlops feedback delay {truth} --truth late",
    "%mlops drift delay --since 2026-01-05 --until 2026-02-02",
    "%mlops drift delay --window 21d",
    "%mlops skew delay",
    "%mlops channel add oncall --to command:true --endpoint delay",
    "%mlops channel add nobody --to command:false",
    "%mlops monitor delay --every 1d --window 21d --latency 250ms",
    f'%mlops retrain delay --notebook train.ipynb --when "{WHEN}" --every 10d --window 60d',
]


def training(path):
    """The notebook that the policy runs."""
    cells = [
        nbformat.v4.new_code_cell("data = 'first'", metadata={"tags": ["parameters"]}),
        nbformat.v4.new_code_cell("%load_ext jupyter_mlops"),
        nbformat.v4.new_code_cell(f"%%mlops train delay --data {{data}} --target late{BODY}"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    metadata = {"kernelspec": kernel, "language_info": {"name": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)


@pytest.fixture(scope="module")
def page(lab):
    """A served model whose world turned in March, watched by a monitor and a policy."""
    training(lab.root / "train.ipynb")
    page = lab.open(lab.notebook("watched.ipynb", CELLS), width=1280, height=900)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.evaluate(SHOW_SIDEBAR)
    lab.run_all(page, timeout=240)
    assert page.locator(".jp-Cell [data-mime-type*=error]").count() == 0
    return page


def show(page, verb, **args):
    """Open the panel of a verb that only reads."""
    page.evaluate(
        "([verb, args]) => window.jupyterapp.commands.execute("
        "'jupyter-mlops:open-query', {verb, args})",
        [verb, args],
    )


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


def in_time(what, seconds=120):
    """Wait until something of the agent's is so."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.3)


def test_a_square_of_the_drift_map_opens_its_distributions(page, axe, shots):
    show(page, "drift-map", endpoint="delay", every="7d")
    shown = view(page, "drift-map")
    shown.get_by_text(re.compile("features drifted, since 2026-03-02 at the earliest")).wait_for()
    grid = shown.get_by_role("grid", name="Feature by period")
    assert grid.get_by_role("row").count() == 5  # four features, and the periods' names
    calm = grid.get_by_role("button", name=re.compile("rain, 2026-02-02: stable"))
    moved = grid.get_by_role("button", name=re.compile("rain, 2026-03-09: drifted, PSI"))
    moved.click()
    detail = shown.locator(".jp-mlops-Heat-detail")
    detail.get_by_text(re.compile("^Drifted: PSI .*")).wait_for()
    assert detail.get_by_text("2026-03-09 to 2026-03-16").first.is_visible()
    assert detail.get_by_text("reference, data:first@1").is_visible()
    assert detail.get_by_role("img", name=re.compile("Distribution from")).is_visible()
    assert axe(page, PANEL) == []
    shots(page, "drift-map")
    # By keyboard: to the left is the week before.
    moved.focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    assert calm.evaluate("element => element === document.activeElement")
    page.keyboard.press("Enter")
    detail.get_by_text(re.compile("^Stable: ")).wait_for()
    van = grid.get_by_role("button", name=re.compile("van, 2026-03-16: drifted"))
    van.click()
    detail.get_by_text("electric").wait_for()
    shots(page, "drift-map-category")
    detail.get_by_role("button", name="Check this window").click()
    view(page, "drift").get_by_text("2026-03-16 00:00 to 2026-03-22").first.wait_for()


def test_performance_stands_with_and_without_truth_in_one_chart(page, axe, shots):
    show(page, "performance", endpoint="delay", every="7d")
    shown = view(page, "performance")
    chart = shown.get_by_role("img", name=re.compile("measured and expected without truth"))
    chart.locator("svg").wait_for()
    assert chart.get_by_text("expected without truth").first.is_visible()
    assert axe(page, PANEL) == []
    shots(page, "performance")


def test_an_alert_is_acknowledged_and_resolved_in_the_list(lab, page, axe, shots):
    in_time(lambda: lab.get("mlops/api/verbs/alerts")["blocks"][0]["rows"])
    group = page.get_by_role("group", name="Monitoring")
    group.get_by_role("button", name="Alerts").click()
    shown = view(page, "alerts")
    row = shown.get_by_role("row").filter(has_text="drift: inputs")
    row.get_by_text("open", exact=True).wait_for()
    assert axe(page, PANEL) == []
    shots(page, "alerts")
    row.get_by_role("button", name="Acknowledge").click()
    row.get_by_text("acknowledged").wait_for()
    assert row.get_by_role("button", name="Acknowledge").count() == 0
    page.evaluate(OPEN, "endpoint:delay")
    own = section(page, re.compile("alerts?, .* of them open"))
    own.get_by_text("acknowledged").first.wait_for()
    assert section(page, "How it is watched").get_by_text("every 1d").is_visible()
    shots(page, "endpoint-alerts")
    drift = own.get_by_role("row").filter(has_text="drift: inputs")
    drift.get_by_role("button", name="Resolve").click()
    confirm(page, "Close this alert?", "Resolve")
    drift.wait_for(state="detached")


def test_an_endpoint_s_health_tells_what_happened(page, axe, shots):
    page.evaluate(OPEN, "endpoint:delay")
    view(page, "endpoint").get_by_role("button", name="Health").click()
    shown = view(page, "health")
    shown.get_by_role("img", name=re.compile("Rows answered in")).locator("svg").wait_for()
    happened = section(page, "What happened")
    for what in ("ready", "drift checked", "alert opened", "policy set"):
        assert happened.get_by_text(what, exact=True).first.is_visible(), what
    assert axe(page, PANEL) == []
    shots(page, "health")


def test_a_policy_is_changed_where_wrong_terms_are_told_beside_their_fields(page, axe, shots):
    page.evaluate(OPEN, "policy:delay")
    editor = section(page, "Change its terms")
    every = editor.get_by_label("Looks every")
    every.fill("soon")
    editor.get_by_role("button", name="Set the policy").click()
    confirm(page, "Set these terms?", "Set the policy")
    editor.get_by_text(re.compile("'soon' is no length of time")).wait_for()
    assert every.get_attribute("aria-invalid") == "true"
    assert axe(page, PANEL) == []
    shots(page, "policy-wrong")
    every.fill("20d")
    editor.get_by_label("Must show").fill("auc > 0.6")
    editor.get_by_label("Notebooks a week").fill("3")
    editor.get_by_role("button", name="Set the policy").click()
    confirm(page, "Set these terms?", "Set the policy")
    facts = view(page, "policy").locator(".jp-mlops-Facts").first
    facts.get_by_text("auc > 0.6").wait_for()
    assert facts.get_by_text("20d", exact=True).is_visible()
    assert facts.get_by_text("3 notebooks a week").is_visible()
    # What is taken away is no term any more.
    editor.get_by_label("Must show").fill("")
    editor.get_by_label("Notebooks a week").fill("")
    editor.get_by_role("button", name="Set the policy").click()
    confirm(page, "Set these terms?", "Set the policy")
    facts.get_by_text("auc > 0.6").wait_for(state="detached")
    assert facts.get_by_text("notebooks a week").count() == 0


def test_terms_are_tried_on_the_past_beside_the_policy(page, axe, shots):
    tries = section(page, "Try terms on the past")
    tries.get_by_label("Looks every").fill("7d")
    tries.get_by_role("button", name="Back-test").click()
    answer = tries.get_by_role("status", name="Back-test of delay")
    answer.get_by_text(re.compile("delay keeps")).wait_for(timeout=120_000)
    answer.get_by_role("img", name=re.compile("log-loss .* had .* decided")).locator(
        "svg"
    ).wait_for()
    page.set_viewport_size({"width": 1920, "height": 1000})
    time.sleep(0.5)
    left = section(page, "Change its terms").bounding_box()
    right = tries.bounding_box()
    assert left["x"] + left["width"] <= right["x"], "the two stand beside each other"
    assert axe(page, PANEL) == []
    shots(page, "policy-backtest")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_a_decision_reads_as_a_sentence_with_its_evidence(lab, page, axe, shots):
    def waiting():
        rows = lab.get("mlops/api/verbs/decisions")["blocks"][0]["rows"]
        return next((one["ref"] for one in rows if one["state"]["text"] == "waiting"), None)

    in_time(waiting, 240)
    page.evaluate(OPEN, waiting())
    shown = view(page, "decision")
    shown.get_by_text(re.compile("`?%mlops approve delay@2`? promotes it")).wait_for()
    shots(page, "decision")
    gates = shown.get_by_role("row").filter(
        has_text="log_loss < champion.log_loss (95%, paired by day)"
    )
    gates.get_by_text("pass", exact=True).wait_for()
    assert shown.get_by_role("button", name="Approve").is_visible()
    assert axe(page, PANEL) == []
    waits = page.locator(".jp-mlops-Overview").get_by_text("approval of delay@2")
    waits.wait_for()


@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_all_of_it_is_readable_in_both_themes(lab, page, axe, shots, theme):
    lab.theme(page, theme)
    name = theme.rpartition(" ")[2].lower()
    drift = lab.get("mlops/api/verbs/checks")["blocks"][0]["rows"][0]["check"]
    decision = lab.get("mlops/api/verbs/decisions")["blocks"][0]["rows"][0]["ref"]
    alert = lab.get("mlops/api/verbs/alerts?all=true")["blocks"][0]["rows"][0]["ref"]
    skew = lab.post("mlops/api/verbs/skew", {"endpoint": "delay"})["ref"]
    for kind, verb, args in (
        ("drift-map", "drift-map", {"endpoint": "delay", "every": "7d"}),
        ("drift", "checks", {"name": drift}),
        ("checks", "checks", {}),
        ("performance", "performance", {"endpoint": "delay", "every": "7d"}),
        ("skew", "skew-show", {"ref": skew}),
        ("health", "endpoint-health", {"endpoint": "delay"}),
        ("endpoint", "endpoints", {"name": "delay"}),
        ("monitors", "monitors", {}),
        ("monitor", "monitors", {"endpoint": "delay"}),
        ("alerts", "alerts", {"all": "true"}),
        ("alert", "alerts", {"name": alert}),
        ("channels", "channel-ls", {}),
        ("policies", "policies", {}),
        ("policy", "policies", {"name": "delay"}),
        ("decisions", "decisions", {}),
        ("decision", "decisions", {"name": decision}),
    ):
        show(page, verb, **args)
        view(page, kind).wait_for()
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": 1000})
            time.sleep(0.4)
            assert axe(page, PANEL) == [], (kind, theme, width)
            shots(page, f"{kind}-{name}-{width}")
    page.set_viewport_size({"width": 1280, "height": 900})


def test_nothing_went_wrong_in_the_page(page):
    assert page.problems == []

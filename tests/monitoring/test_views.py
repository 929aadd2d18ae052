"""A check says everything in 15 lines of text, in static HTML, and as JSON for the panels."""

from __future__ import annotations

import base64
import json

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import Report, Reports
from jupyter_mlops.views.registry import mimebundle, view
from jupyter_mlops.workspace.records import utcnow


@pytest.fixture
def found(ws, service):
    rows = service.rows(2000, shift=0.8)
    traffic = service.traffic(rows)
    return monitoring.drift(
        ws,
        service.training(ws),
        traffic.lazy(),
        service.feedback(traffic, rows).lazy(),
        endpoint="delay",
        task="binary",
        validation=service.validation(),
        model="delay@1",
        version="1",
    )


def test_the_text_has_the_verdict_its_numbers_and_the_next_line(found):
    text = mimebundle(found)["text/plain"]
    assert len(text.splitlines()) <= 15
    assert "inputs moved" in text
    assert "1 of 2 features drifted (x)" in text
    assert "log-loss: 0.5" in text
    assert f"%mlops report {found.ref}" in text


def test_the_html_is_static_and_draws_the_distributions(found):
    html = mimebundle(found)["text/html"]
    assert "<script" not in html
    assert "http" not in html
    start = html.index("data:image/png;base64,") + len("data:image/png;base64,")
    image = base64.b64decode(html[start : html.index('"', start)])
    assert image.startswith(b"\x89PNG")
    assert len(html) < 100_000


def test_the_json_holds_the_chart_and_the_action(found):
    shown = view(found).model_dump(mode="json")
    blocks = {block["type"]: block for block in shown["blocks"]}
    action = blocks["actions"]["items"][0]
    assert action["label"] == "Open Evidently report"
    assert (action["verb"], action["args"]) == ("report", {"ref": found.ref})
    assert not action["confirm"]
    assert not action["danger"]
    rows = blocks["table"]["rows"]
    assert rows[0]["name"] == "x"
    assert rows[0]["verdict"] == {"text": "drifted", "level": "bad"}
    panels = blocks["chart"]["spec"]["concat"]
    assert [panel["title"] for panel in panels] == ["x", "carrier"]
    for panel in panels:
        shares = [one["share"] for one in panel["data"]["values"] if one["side"] == "now"]
        assert sum(shares) == pytest.approx(1, abs=1e-3)


def test_a_wide_table_stays_small(ws):
    rng = np.random.default_rng(1)
    names = [f"feature {i:03} $x_1$ <b>" + "y" * 30 for i in range(300)]
    wide = pl.DataFrame({name: rng.normal(size=400) for name in names})
    traffic = wide.rename({name: f"in.{name}" for name in names}).with_columns(
        event_time=pl.lit(utcnow()), prediction_id=pl.int_range(400).cast(pl.String)
    )
    found = monitoring.drift(ws, resolve(ws, wide), traffic.lazy(), endpoint="wide")
    shown = mimebundle(found)
    assert len(json.dumps(shown["application/vnd.jupyter-mlops.drift.v1+json"])) < 200_000
    assert "<b>" not in shown["text/html"]
    assert len(shown["text/plain"].splitlines()) <= 15


def test_columns_without_values_are_drawn_as_nothing(ws):
    empty = pl.DataFrame({"x": pl.Series([None] * 300, dtype=pl.Float64)})
    traffic = empty.rename({"x": "in.x"}).with_columns(event_time=pl.lit(utcnow()))
    found = monitoring.drift(ws, resolve(ws, empty), traffic.lazy(), endpoint="e")
    assert "0 of 1 features drifted" in mimebundle(found)["text/plain"]


def test_a_report_says_where_it_is(tmp_path):
    report = Report(
        id="ab12",
        subject="drift:cd34",
        title="delay: March",
        engine="Evidently 0.7.23",
        reference_rows=4000,
        current_rows=60_000,
        columns=["x"],
        notices=["'gone' isn't drawn: it has no values in the traffic"],
        sampled=True,
        size=4_300_000,
        url=f"file://{tmp_path}/ab12.html",
        actor="ada",
        at=utcnow(),
    )
    text = mimebundle(report)["text/plain"]
    assert "mlops/api/reports/ab12" in text
    assert f"{tmp_path}/ab12.html" in text
    assert "'gone' isn't drawn" in text
    shown = view(report)
    assert shown.ref == "report:ab12"
    frame = shown.blocks[-1]
    assert (frame.type, frame.path) == ("frame", report.path)
    # The frame needs the panels' code; static renderings say where the page is instead.
    assert "iframe" not in mimebundle(report)["text/html"]
    listed = mimebundle(Reports([report], 1, "delay"))
    assert "report:ab12" in listed["text/plain"]
    assert view(Reports([], 0)).blocks[0].empty.startswith("No report yet")

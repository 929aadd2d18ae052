"""Evidently draws, our verdicts decide; its traps are in `test_evidently_traps`."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from jupyter_mlops import data, monitoring, profiling
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import compare_features, drawing, reports
from jupyter_mlops.monitoring.drawing import Rows, sketched
from jupyter_mlops.monitoring.limits import Limits
from jupyter_mlops.workspace import Invalid, NotFound

PACKAGE = Path(monitoring.__file__).parents[1]


@pytest.fixture(scope="module")
def engine():
    """The one module that holds Evidently's names; its import takes seconds."""
    from jupyter_mlops.monitoring import evidently_report

    return evidently_report


@pytest.fixture(scope="module")
def sides():
    rng = np.random.default_rng(2)
    n = 600
    before = pl.DataFrame(
        {
            "x": rng.normal(size=n),
            "moved": rng.normal(size=n),
            "gaps": rng.normal(size=n),
            "carrier": np.array(["AA", "UA"])[rng.integers(0, 2, n)],
            "gone": rng.normal(size=n),
        }
    )
    after = before.with_columns(
        moved=pl.Series(rng.normal(1.5, 1, n)),
        gaps=pl.Series(np.where(rng.random(n) < 0.6, np.nan, before["gaps"].to_numpy())),
        gone=pl.lit(None, pl.Float64),
    )
    return before, after


@pytest.fixture(scope="module")
def page(engine, sides):
    features = compare_features(*sides, sides[0].columns)
    return engine.draw(*map(Rows, sides), features, "delay: March")


def test_its_verdicts_are_ours_missing_values_included(engine, page):
    # Evidently by itself drops missing values before it tests: 60 % of them go unseen.
    assert engine.drifted_columns(page.snapshot) == {
        "x": False,
        "moved": True,
        "gaps": True,
        "carrier": False,
    }


def test_an_empty_column_is_said_and_doesnt_end_the_report(page):
    (notice,) = page.notices
    why = "it has no values in the traffic (drifted: missing 0.0% → 100.0%"
    assert notice.startswith(f"'gone' isn't drawn: {why}")
    assert set(page.columns) == {"x", "moved", "gaps", "carrier"}


def test_a_column_that_one_side_lacks_is_said(engine, sides):
    before, after = sides
    features = compare_features(before, after, ["x", "moved"])
    drawn = engine.draw(Rows(before), Rows(after.drop("moved")), features, "t")
    assert drawn.columns == ["x"]
    (notice,) = drawn.notices
    assert notice.startswith("'moved' isn't drawn: the traffic doesn't have it (drifted: PSI")
    with pytest.raises(Invalid, match="nothing to draw"):
        engine.draw(Rows(before), Rows(after.select(y="x")), features, "t")


def test_one_drifted_column_is_a_drifted_table(engine, sides, page):
    # Its own limit is half of the columns.
    assert engine.table_drifted(page.snapshot)
    assert "Dataset Drift is detected" in page.html.decode()
    before, after = (side.select("x", "carrier") for side in sides)
    features = compare_features(before, after, before.columns)
    quiet = engine.draw(Rows(before), Rows(after), features, "t")
    assert not engine.table_drifted(quiet.snapshot)
    assert "Dataset Drift is NOT detected" in quiet.html.decode()


def test_the_limits_shown_are_those_that_decided(engine, sides):
    limits = Limits(columns={"moved": (1.0, 4.0)})
    features = compare_features(*sides, ["x", "moved"], limits)
    assert [one.verdict for one in features] == ["watch", "stable"]
    drawn = engine.draw(*map(Rows, sides), features, "t", limits)
    assert engine.drifted_columns(drawn.snapshot) == {"x": False, "moved": False}
    told = {
        one["name"]: one["description"] for one in engine.Run.loads(drawn.snapshot).dict()["tests"]
    }
    assert "threshold is 4.00" in told["Value Drift for column moved"]
    assert "threshold is 0.25" in told["Value Drift for column x"]


def test_columns_it_left_out_would_be_an_error(engine, page):
    with pytest.raises(RuntimeError, match="left out other"):
        engine._check_complete(page.snapshot, [*page.columns, "other"])


def test_the_page_is_complete_and_asks_nobody(page):
    html = page.html.decode()
    assert html.lstrip().lower().startswith(("<!doctype html", "<html"))
    assert len(html) > 1_000_000
    tags = re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"'](http[^\"']+)", html)
    assert tags == []


def test_large_tables_are_drawn_from_sketches_with_the_verdicts_of_all_rows(engine):
    rng = np.random.default_rng(4)
    n = 60_000
    before = pl.DataFrame({"x": rng.normal(size=n), "c": rng.integers(0, 300, n).astype(str)})
    after = before.with_columns(x=before["x"] + 0.8)
    features = compare_features(before, after, ["x", "c"])
    kinds = {"x": "number", "c": "category"}
    drawn = engine.draw(*(sketched(one.lazy(), kinds) for one in (before, after)), features, "t")
    assert drawn.sampled
    assert engine.drifted_columns(drawn.snapshot) == {"x": True, "c": False}
    assert len(drawn.html) < 6_000_000
    # What the page takes doesn't grow with the rows.
    assert len(drawn.snapshot) < 300_000


def test_one_module_knows_evidently(engine):
    text = re.compile(r"^\s*(?:from|import) evidently", re.MULTILINE)
    holders = [path.name for path in PACKAGE.rglob("*.py") if text.search(path.read_text())]
    assert holders == [Path(engine.__file__).name]


def test_the_report_of_a_check_is_stored_once_and_found_again(engine, ws, service):
    reference, traffic = service.training(ws, 600), service.traffic(service.rows(600, shift=1))
    check = monitoring.drift(ws, reference, traffic.lazy(), endpoint="delay")
    assert check.report_id is None
    # Rows that are logged after the check don't belong to it.
    late = traffic.with_columns(at=pl.lit(dt.datetime(2100, 1, 1, tzinfo=dt.UTC)))
    made = make(ws, check, reference, pl.concat([traffic, late]))
    assert (made.current_rows, made.reference_rows) == (600, 600)
    assert ws.reports.read_bytes(f"{made.id}.html") == made.file.read_bytes()
    assert made.path == f"mlops/api/reports/{made.id}"
    snapshot = ws.reports.read_bytes(f"{made.id}.json").decode()
    assert engine.drifted_columns(snapshot) == {"x": True, "carrier": False}
    assert make(ws, check, reference, traffic) == made
    assert monitoring.report(ws, made.ref) == made
    assert monitoring.check(ws, check.ref).report_id == made.id
    (event,) = ws.events(kind="report.made")
    assert list(event.inputs) == [check.ref]
    with pytest.raises(NotFound, match="there is no report"):
        monitoring.report(ws, "report:ffffff")


def test_reports_are_listed_the_newest_first(engine, ws, service):
    reference, traffic = service.training(ws, 600), service.traffic(service.rows(600))
    assert len(monitoring.list_reports(ws)) == 0
    made = []
    for endpoint in ("delay", "delay", "other"):
        check = monitoring.drift(
            ws, reference, traffic.lazy(), endpoint=endpoint, window=monitoring.Window()
        )
        made.append(make(ws, check, reference, traffic))
    assert list(monitoring.list_reports(ws)) == made[::-1]
    only = monitoring.list_reports(ws, "endpoint:delay")
    assert (list(only), only.total, only.endpoint) == (made[1::-1], 2, "delay")
    few = monitoring.list_reports(ws, limit=1)
    assert (list(few), few.total) == (made[2:], 3)


def test_a_large_window_is_read_into_sketches_and_the_kept_profile_is_taken(
    engine, ws, service, monkeypatch
):
    monkeypatch.setattr(reports, "RAW_ROWS", 1000)
    monkeypatch.setattr(drawing, "RAW_ROWS", 1000)
    read = []

    def counting(frame, kinds):
        read.append(frame.select(pl.len()).collect().item())
        return sketched(frame, kinds)

    monkeypatch.setattr(reports, "sketched", counting)
    rows = service.rows(2500)
    data.add(ws, "training", rows.drop("truth"))
    reference = data.resolve(ws, "training")
    traffic = service.traffic(service.rows(1500, shift=1))
    check = monitoring.drift(ws, reference, traffic.lazy(), endpoint="delay")
    first = make(ws, check, reference, traffic)
    assert first.sampled
    assert (first.reference_rows, first.current_rows) == (2500, 1500)
    assert read == [2500, 1500]
    profiling.make(ws, reference)
    again = monitoring.drift(ws, reference, traffic.lazy(), endpoint="delay")
    second = make(ws, again, reference, traffic)
    assert read == [2500, 1500, 1500]
    assert (second.reference_rows, second.columns) == (2500, first.columns)
    snapshots = [ws.reports.read_bytes(f"{one.id}.json").decode() for one in (first, second)]
    assert [engine.drifted_columns(one) for one in snapshots] == [{"x": True, "carrier": False}] * 2


def make(ws, check, reference, traffic):
    return monitoring.make_report(ws, check, resolve(ws, reference), traffic.lazy())

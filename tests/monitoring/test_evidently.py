"""Evidently draws, our verdicts decide; each of its traps stays closed."""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from jupyter_mlops import monitoring
from jupyter_mlops.data import resolve
from jupyter_mlops.monitoring import compare_features, statistics
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
    return engine.draw(*sides, features, "delay: March")


def test_its_verdicts_are_ours_missing_values_included(engine, page):
    # Evidently by itself drops missing values before it tests: 60 % of them go unseen.
    assert engine.drifted_columns(page.snapshot) == {
        "x": False,
        "moved": True,
        "gaps": True,
        "carrier": False,
    }


def test_an_empty_column_is_said_and_doesnt_end_the_report(page):
    assert page.notices == ["'gone' isn't drawn: it has no values in the traffic"]
    assert set(page.columns) == {"x", "moved", "gaps", "carrier"}


def test_a_column_that_one_side_lacks_is_said(engine, sides):
    before, after = sides
    features = compare_features(before, after, ["x", "moved"])
    drawn = engine.draw(before, after.drop("moved"), features, "t")
    assert drawn.columns == ["x"]
    assert drawn.notices == ["'moved' isn't drawn: the traffic doesn't have it"]
    with pytest.raises(Invalid, match="nothing to draw"):
        engine.draw(before, after.select(y="x"), features, "t")


def test_every_type_of_column_is_evaluated(engine):
    """Evidently leaves out pandas' own types, Decimal, dates and durations without a word."""
    n = 60
    frame = pl.DataFrame(
        {
            "u8": pl.Series(range(n), dtype=pl.UInt8),
            "gaps": pl.Series([None, *range(n - 1)], dtype=pl.Int64),
            "flag": pl.Series([True, None, False] * 20),
            "money": pl.Series([Decimal("1.50")] * n, dtype=pl.Decimal(10, 2)),
            "day": [dt.date(2013, 1, 1) + dt.timedelta(i) for i in range(n)],
            "moment": [dt.datetime(2013, 1, 1) + dt.timedelta(i) for i in range(n)],
            "length": [dt.timedelta(seconds=i) for i in range(n)],
            "text": pl.Series(["a", None, "b"] * 20),
            "kind": pl.Series(["a", "b", None] * 20, dtype=pl.Categorical),
            "endless": pl.Series([float("inf"), *range(n - 1)], dtype=pl.Float32),
        }
    )
    features = compare_features(frame, frame, frame.columns)
    drawn = engine.draw(frame, frame, features, "t")
    assert set(drawn.columns) == set(frame.columns)
    assert set(engine.drifted_columns(drawn.snapshot)) == set(frame.columns)


def test_columns_it_left_out_would_be_an_error(engine, page):
    run = engine.Run.loads(page.snapshot)
    with pytest.raises(RuntimeError, match="left out other"):
        engine._check_complete(run, [*page.columns, "other"])


def test_the_page_is_complete_and_asks_nobody(page):
    html = page.html.decode()
    assert html.lstrip().lower().startswith(("<!doctype html", "<html"))
    assert len(html) > 1_000_000
    tags = re.findall(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"'](http[^\"']+)", html)
    assert tags == []


def test_a_path_object_is_silently_ignored_so_we_pass_text(engine, page, tmp_path):
    run = engine.Run.loads(page.snapshot)
    run.save_html(tmp_path / "never.html")
    assert not (tmp_path / "never.html").exists()
    run.save_html(str(tmp_path / "always.html"))
    assert (tmp_path / "always.html").exists()


def test_large_tables_are_drawn_from_points_with_the_verdicts_of_all_rows(engine, monkeypatch):
    monkeypatch.setattr(engine, "RAW_ROWS", 5000)
    rng = np.random.default_rng(4)
    n = 20_000
    before = pl.DataFrame({"x": rng.normal(size=n), "c": rng.integers(0, 300, n).astype(str)})
    after = before.with_columns(x=before["x"] + 0.8)
    features = compare_features(before, after, ["x", "c"])
    drawn = engine.draw(before, after, features, "t")
    assert drawn.sampled
    assert engine.drifted_columns(drawn.snapshot) == {"x": True, "c": False}
    assert engine.draw(before, after, features, "t").snapshot.count("x") > 0


def test_points_keep_the_distribution_and_are_the_same_every_time(engine):
    rng = np.random.default_rng(8)
    values = rng.lognormal(size=100_000)
    values[:20_000] = np.nan
    points = engine._points(values, "x")
    assert np.isnan(points).sum() == 400
    gap = stats.ks_2samp(values[20_000:], points[~np.isnan(points)]).statistic
    assert gap < 0.001
    assert np.array_equal(points, engine._points(values, "x"), equal_nan=True)
    letters = np.repeat(np.array(["a", "b", "c"], object), [70_000, 29_000, 1_000])
    found, counts = np.unique(engine._points(letters, "c").astype(str), return_counts=True)
    assert dict(zip(found, counts, strict=True)) == {"a": 1400, "b": 580, "c": 20}


def test_shared_statistics_equal_evidentlys(engine):
    """Where both measure the same thing on the same bins, the numbers are the same."""
    import pandas as pd
    from evidently.legacy.calculations.stattests import psi_stat_test, wasserstein_stat_test
    from evidently.legacy.core import ColumnType

    rng = np.random.default_rng(9)
    a, b = rng.choice(list("abcd"), 2000), rng.choice(list("abcd"), 1500, p=[0.4, 0.3, 0.2, 0.1])
    theirs = psi_stat_test(pd.Series(a), pd.Series(b), ColumnType.Categorical, 0.1).drift_score
    counts = [[(side == one).sum() for one in "abcd"] for side in (a, b)]
    assert statistics.psi(*counts) == pytest.approx(theirs, abs=1e-9)
    x, y = np.sort(rng.normal(size=900)), np.sort(rng.normal(0.4, 1, 700))
    scale = np.std(x)
    theirs = wasserstein_stat_test(
        pd.Series(x), pd.Series(y), ColumnType.Numerical, 0.1
    ).drift_score
    assert statistics.wasserstein(x, y)[0] / scale == pytest.approx(theirs, abs=1e-6)


SILENT = """
import os, socket, sys
import pandas.core.dtypes.common as common
vars(common).pop("infer_dtype_from_object", None)  # as from pandas 3.1 on
asked = []
connect = socket.socket.connect
socket.socket.connect = lambda self, address: asked.append(address)
import polars as pl
from jupyter_mlops.monitoring import compare_features, evidently_report
frame = pl.DataFrame({"x": range(300)})
page = evidently_report.draw(frame, frame, compare_features(frame, frame, ["x"]), "t")
print(len(page.columns), asked, os.environ["DO_NOT_TRACK"])
"""


def test_nothing_is_sent_and_pandas_may_lack_what_it_dropped():
    environment = {k: v for k, v in os.environ.items() if k != "DO_NOT_TRACK"}
    done = subprocess.run(
        [sys.executable, "-c", SILENT], capture_output=True, text=True, env=environment
    )
    assert done.stdout.strip() == "1 [] 1", done.stderr


def test_one_module_knows_evidently(engine):
    text = re.compile(r"^\s*(?:from|import) evidently", re.MULTILINE)
    holders = [path.name for path in PACKAGE.rglob("*.py") if text.search(path.read_text())]
    assert holders == [Path(engine.__file__).name]


def test_monitoring_itself_doesnt_import_evidently():
    program = "import sys, jupyter_mlops.monitoring; print('evidently' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


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


def make(ws, check, reference, traffic):
    return monitoring.make_report(ws, check, resolve(ws, reference), traffic.lazy())
